"""What syntax tells: languages, incremental syntax trees, and small questions about a text at an offset.

Offsets are code points (Python string indices) and ranges half-open, everywhere. Questions are total: any text, any
offset (clamped to the text), any language. Where there is no syntax they answer from the text alone, or emptily.
Only an edit outside the text raises (ValueError): a document that missed an edit would be wrong from then on.

The package knows no language server, no tokens and no model, and imports none of our other packages.
"""

from grammars.brackets import Loose, brackets_of_text, loose_brackets
from grammars.closing import without_loose_end
from grammars.damage import Damage, Flaw, error_spans, infill_damage, syntax_flaws
from grammars.fitting import fitted_infill, fitted_infills
from grammars.grammar import Grammar, grammar_of
from grammars.indentation import in_file_style, indentation_unit, line_ending
from grammars.languages import LANGUAGES, PLAIN_TEXT, Language, detect_language, language_named
from grammars.names import Name, Names, names_in
from grammars.offsets import Span
from grammars.outline import Outline, OutlineEntry, OutlineKind, outline_around
from grammars.places import Place, PlaceKind, place_at, places_in
from grammars.snapshot import SyntaxSnapshot, TreeState, snapshot_of
from grammars.spans import Stop, block_span, expected_stop, fill_block_span, signature_span, statement_span
from grammars.trimming import trim_infill

__all__ = [
    "LANGUAGES",
    "PLAIN_TEXT",
    "Damage",
    "Flaw",
    "Grammar",
    "Language",
    "Loose",
    "Name",
    "Names",
    "Outline",
    "OutlineEntry",
    "OutlineKind",
    "Place",
    "PlaceKind",
    "Span",
    "Stop",
    "SyntaxSnapshot",
    "TreeState",
    "block_span",
    "brackets_of_text",
    "detect_language",
    "error_spans",
    "expected_stop",
    "fill_block_span",
    "fitted_infill",
    "fitted_infills",
    "grammar_of",
    "in_file_style",
    "indentation_unit",
    "infill_damage",
    "language_named",
    "line_ending",
    "loose_brackets",
    "names_in",
    "outline_around",
    "place_at",
    "places_in",
    "signature_span",
    "snapshot_of",
    "statement_span",
    "syntax_flaws",
    "trim_infill",
    "without_loose_end",
]
