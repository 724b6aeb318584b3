"""`setfill eval lines`: gaps cut out of any source tree, filled and compared with what stood there.

Knows files, languages and syntax; how gaps are cut and measured, `model.evaluation` knows.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grammars import LANGUAGES, detect_language, error_spans, language_named, snapshot_of
from model.api.types import Snippet
from model.api.visible_text import visible
from model.errors import InputError
from setfill.arguments import Parser, add_model, positive, seed
from setfill.display import console, notes
from setfill.eval_progress import kept_beside, progress_of
from setfill.fill_command import add_copying, add_policies
from setfill.running import checkpoint_of

if TYPE_CHECKING:
    from lsp_server.privacy import Privacy
    from lsp_server.similar_code import SimilarCode
    from model.evaluation.cutting import CutGap, Source

_KINDS = ("rest", "line", "lines", "word", "joint")
_CONTEXTS = ("signatures", "similar", "all")
_DATA = ("json", "yaml", "toml", "html", "css")  # only where they are asked for
_LARGEST_FILE_BYTES = 256_000
_SPARE_FILES = 3  # as many files of a language are read as gaps are wanted, times this
_PARSE_SECONDS = 5.0


def add_parser(actions: Any) -> None:
    """Add `lines` to the actions of `setfill eval`."""
    lines: Parser = actions.add_parser(
        "lines",
        help="fill gaps cut out of source files",
        description="Cut gaps out of the source files below PATH, fill them, compare the infills with what stood "
        "there, and write REPORT with a page (.md) beside it.",
    )
    lines.add_argument("paths", metavar="PATH", type=Path, nargs="+", help="a source tree, a repository, or a file")
    lines.add_argument(
        "--kind",
        dest="kinds",
        action="append",
        choices=_KINDS,
        help="what is cut out: the rest of a line, a line, some lines, from inside a word, two rests at once; may be "
        "repeated (default: all, in turn)",
    )
    lines.add_argument(
        "--cross-file",
        action="store_true",
        help="only gaps in which a name stood that the rest of the file does not have, and another file does",
    )
    lines.add_argument(
        "--language", metavar="L", dest="languages", action="append", help="only this one; may be repeated"
    )
    lines.add_argument(
        "--gaps", metavar="N", type=positive, default=100, help="of each language, at most (default: %(default)s)"
    )
    add_policies(lines)
    add_copying(lines)
    lines.add_argument(
        "--context",
        dest="contexts",
        action="append",
        choices=_CONTEXTS,
        help="fill each gap again with parts of the tree's other files to be seen, as the language server shows them: "
        "signatures of what is imported, similar code, or both; may be repeated",
    )
    lines.add_argument(
        "--max-tokens", metavar="N", type=positive, default=160, help="end whole lines here (default: %(default)s)"
    )
    lines.add_argument("--seed", metavar="S", type=seed, default=0, help="of cuts and intervals (default: 0)")
    lines.add_argument("--precision", metavar="P", help="float32, bfloat16 or int8 (default: this machine's)")
    lines.add_argument("--out", metavar="REPORT", type=Path, default=Path("lines.json"), help="default: %(default)s")
    lines.set_defaults(run=run_lines)
    add_model(lines)


def run_lines(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from model.evaluation.cutting import GapKind, cut_gaps
    from model.evaluation.line_gaps import LineSettings, evaluate_lines
    from model.evaluation.report import lines_table, write_report

    kinds = [GapKind(kind) for kind in dict.fromkeys(options.kinds or _KINDS)]
    sources = read_sources(options.paths, _languages(options.languages), options.gaps * _SPARE_FILES, options.seed)
    trees = _Trees([path if path.is_dir() else path.parent for path in options.paths])
    wanted = trees.is_cross_file if options.cross_file else lambda cut: True
    cuts = cut_gaps(sources, kinds, options.gaps, options.seed, wanted)
    if not cuts:
        raise InputError("no gaps can be cut out of what is there: give a tree with source files that people wrote")
    contexts = {name: partial(trees.shown, name) for name in dict.fromkeys(options.contexts or ())}
    policies = tuple(dict.fromkeys(options.policies or ["verified"]))
    settings = LineSettings(policies, options.precision, options.max_tokens, options.seed, not options.without_copying)
    with kept_beside(options.out) as log:
        with progress_of("gaps") as progress:
            report = evaluate_lines(checkpoint_of(options.model), cuts, settings, count_flaws, contexts, progress, log)
        report["data"] = {"paths": [path.name for path in options.paths], "kinds": [kind.value for kind in kinds]}
        write_report(options.out, report)
    out = console("never")
    for note in report["notes"]:
        out.print(note, markup=False)
    out.print(lines_table(report["summary"]), markup=False)
    notes("never").print(f"wrote {visible(str(options.out))}", markup=False)
    return 0


class _Trees:
    """What the language server would show of a gap's tree, if no file but the gap's were open."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = {root.resolve().name: root.resolve() for root in roots}
        self._similar: dict[Path, SimilarCode] = {}
        self._holders: dict[Path, Counter[str]] = {}

    def is_cross_file(self, cut: CutGap) -> bool:
        """Whether a name stood in the gaps that the rest of the file does not have, and another file does."""
        from lsp_server.retrieval import names_in

        root = self._root(cut)
        if root not in self._holders:
            self._holders[root] = Counter(name for _, text in self._index(root).texts() for name in names_in(text))
        own = names_in(cut.source.text)
        new = names_in(" ".join(cut.golds)) - names_in(cut.text)
        return any(self._holders[root][name] > (name in own) for name in new)

    def shown(self, context: str, cut: CutGap) -> Sequence[Snippet]:
        """Return the snippets of one of `_CONTEXTS`, the most useful last."""
        from lsp_server.context import OpenFile, gathered, similar_pieces
        from lsp_server.settings import Settings

        source = cut.source
        root = self._root(cut)
        language = language_named(source.language)
        assert language
        here, settings = OpenFile(root / source.path, language, cut.text, cut.cursors[0].start), Settings()
        if context == "signatures":
            return gathered(here, [], [root], settings)
        if context == "similar":
            return similar_pieces(here, [], self._index(root), settings)
        return gathered(here, [], [root], settings, self._index(root))

    def _root(self, cut: CutGap) -> Path:
        tree = cut.source.name.removesuffix(cut.source.path).rstrip("/")
        return self._roots[tree or next(iter(self._roots))]

    def _index(self, root: Path) -> SimilarCode:
        from lsp_server.similar_code import SimilarCode

        if root not in self._similar:
            self._similar[root] = SimilarCode([root], _privacy(root))
            while self._similar[root].refresh(1.0):
                pass
        return self._similar[root]


def count_flaws(language: str, text: str) -> int | None:
    """Return how many syntax errors a text has, None where that cannot be told."""
    known = language_named(language)
    flaws = error_spans(snapshot_of(text, known, _PARSE_SECONDS)) if known else None
    return None if flaws is None else len(flaws)


def read_sources(paths: Sequence[Path], languages: Sequence[str], most: int, seed: int) -> list[Source]:
    """Return files of these languages below `paths` that people wrote, in a drawn order, at most `most` of each.

    Raises InputError for a path that is not there.
    """
    from model.evaluation.cutting import in_drawn_order

    found: dict[str, tuple[Path, str]] = {}
    for path in paths:
        for file, inside in _files_below(path):
            found.setdefault(f"{path.resolve().name}/{inside}" if path.is_dir() else inside, (file, inside))
    sources: list[Source] = []
    counts = dict.fromkeys(languages, 0)
    for name in in_drawn_order(found, seed):
        file, inside = found[name]
        guess = detect_language(file.name).name  # a look at the name alone spares reading most of a large tree
        source = _read(name, file, inside) if counts.get(guess, most) < most else None
        if source and source.language in counts:
            counts[source.language] += 1
            sources.append(source)
    return sources


def _files_below(path: Path) -> list[tuple[Path, str]]:
    from lsp_server.workspace_files import workspace_files

    if not path.exists():
        raise InputError(f"{path} is not there: give a source tree, a repository or a file")
    if not path.is_dir():
        return [(path, path.name)]
    root = path.resolve()
    files = workspace_files([root], _privacy(root))
    return [(file, file.relative_to(root).as_posix()) for file in files]


def _privacy(root: Path) -> Privacy:
    from lsp_server.privacy import Privacy
    from lsp_server.settings import DEFAULT_EXCLUDE

    return Privacy([root], DEFAULT_EXCLUDE, _LARGEST_FILE_BYTES)


def _read(name: str, file: Path, inside: str) -> Source | None:
    """Return a file as gaps are cut out of it, None for one that no person wrote."""
    from model.evaluation.cutting import Source
    from model.training.corpus.filters import MAX_CHARS, MIN_CHARS, path_problem, shape_problem

    try:
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    language = detect_language(file.name, text=text).name
    is_wanted = MIN_CHARS <= len(text) <= MAX_CHARS and "\0" not in text
    if not is_wanted or path_problem(inside) or shape_problem(text, language):
        return None
    return Source(name, inside, language, text)


def _languages(names: Sequence[str] | None) -> list[str]:
    known = [language.name for language in LANGUAGES if language.has_syntax]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise InputError(f"unknown language {unknown[0]!r}: choose from {', '.join(known)}")
    return list(dict.fromkeys(names)) if names else [name for name in known if name not in _DATA]
