"""From what a model said to what fits the file: in the file's own style, repeating nothing, closing what it opens.

Editors and the command line alike show what passes here, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from grammars.closing import closed_beginning
from grammars.damage import DAMAGE_SECONDS
from grammars.indentation import in_file_style
from grammars.offsets import Span
from grammars.snapshot import SyntaxSnapshot
from grammars.trials import Trials
from grammars.trimming import trimmed


def fitted_infill(
    snapshot: SyntaxSnapshot, start_char: int, end_char: int, said: str, timeout_seconds: float = DAMAGE_SECONDS
) -> str:
    """What to put in place of ``[start_char, end_char)`` of all that was ``said``; the empty string for nothing.

    Each of the few checks with the parser takes at most ``timeout_seconds``, so call it where that may be waited for.
    """
    trials = Trials(snapshot, start_char, end_char, timeout_seconds)
    return closed_beginning(trials, trimmed(trials, in_file_style(snapshot, start_char, said)))


def fitted_infills(
    snapshot: SyntaxSnapshot, spans: Sequence[Span], said: Sequence[str], timeout_seconds: float = DAMAGE_SECONDS
) -> list[str]:
    """`fitted_infill` for several gaps, which ascend and do not overlap; each is judged beside what fills the others.

    One may open what another closes.
    """
    if len(spans) == 1:
        return [fitted_infill(snapshot, *spans[0], said[0], timeout_seconds)]
    filled = snapshot
    for span, text in reversed(list(zip(spans, said, strict=True))):
        filled = filled.edited(*span, text, timeout_seconds=0.0)
    fitted, moved_char = [], 0
    for span, text in zip(spans, said, strict=True):
        start_char = span.start_char + moved_char
        empty = filled.edited(start_char, start_char + len(text), "", timeout_seconds)
        fitted.append(fitted_infill(empty, start_char, start_char, text, timeout_seconds))
        filled = empty.edited(start_char, start_char, fitted[-1], timeout_seconds=0.0)
        moved_char += len(fitted[-1]) - (span.end_char - span.start_char)
    return fitted
