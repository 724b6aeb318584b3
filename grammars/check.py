"""Compile every language's queries, time them, and print a table: ``python -m grammars.check [FILE ...]``.

Without files, each language is timed on the samples of our own tests when they lie beside the package, else on an
empty text. A file is repeated up to 100 kB; times are milliseconds for all of it, and for one question at `cursor`.
Exits with status 1 when a grammar does not load, a query does not compile or mentions a capture that is not in the
vocabulary, or a question takes longer than its limit.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from grammars.captures import captures_between
from grammars.grammar import CAPTURES, load_grammar
from grammars.languages import LANGUAGES, Language, detect_language
from grammars.names import names_in
from grammars.outline import outline_around
from grammars.places import place_at
from grammars.snapshot import snapshot_of
from grammars.spans import expected_stop, fill_block_span

SAMPLES = Path(__file__).parent.parent / "tests" / "grammars" / "samples"
LOAD_LIMIT_MS = 20_000.0
WHOLE_FILE_LIMIT_MS = 10_000.0
CURSOR_LIMIT_MS = 1_000.0
REPEATED_CHAR = 100_000
_ALL = frozenset(CAPTURES)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m grammars.check", description="Compile and time all queries.")
    parser.add_argument("files", nargs="*", type=Path, help="time on these files, in place of our own samples")
    files = parser.parse_args(arguments).files or sorted(SAMPLES.glob("*"))
    texts = {detect_language(str(file)).name: file.read_text("utf-8", "replace") for file in files if file.is_file()}
    print(
        f"{'language':<12}{'load':>9}{'captures':>9}{'parse':>9}{'query':>9}{'names':>9}{'outline':>9}{'cursor':>9}  ms"
    )
    failures = [failure for language in LANGUAGES for failure in _check(language, texts.get(language.name, ""))]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _check(language: Language, text: str) -> list[str]:
    load_ms, grammar = _timed(lambda: load_grammar(language))
    if grammar.problem:
        return [f"{language.name}: {grammar.problem}"]
    unknown = sorted(grammar.capture_names() - _ALL)
    failures = [f"{language.name}: no such capture in the vocabulary: @{name}" for name in unknown]
    text = text * (REPEATED_CHAR // len(text) + 1) if text else ""
    parse_ms, snapshot = _timed(lambda: snapshot_of(text, language))
    query_ms, count = _timed(lambda: sum(1 for _ in captures_between(snapshot, _ALL, 0, len(text.encode()), 60.0)))
    names_ms, _ = _timed(lambda: names_in(snapshot))
    outline_ms, _ = _timed(lambda: outline_around(snapshot, len(text) // 2, 4_000))
    half = len(text) // 2
    for question in (place_at, fill_block_span):  # compiles what the next line times
        question(snapshot, half)
    cursor_ms, _ = _timed(lambda: (place_at(snapshot, half), expected_stop(snapshot, half, half)))
    print(
        f"{language.name:<12}{load_ms:>9.1f}{count:>9}{parse_ms:>9.1f}{query_ms:>9.1f}{names_ms:>9.1f}"
        f"{outline_ms:>9.1f}{cursor_ms:>9.2f}"
    )
    for what, taken_ms, limit_ms in (
        ("loading", load_ms, LOAD_LIMIT_MS),
        ("names", names_ms, WHOLE_FILE_LIMIT_MS),
        ("outline", outline_ms, WHOLE_FILE_LIMIT_MS),
        ("a question at a cursor", cursor_ms, CURSOR_LIMIT_MS),
    ):
        if taken_ms > limit_ms:
            failures.append(f"{language.name}: {what} took {taken_ms:.0f} ms, more than {limit_ms:.0f} ms")
    return failures


_Result = TypeVar("_Result")


def _timed(action: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.perf_counter()
    result = action()
    return (time.perf_counter() - started) * 1_000, result


if __name__ == "__main__":
    sys.exit(main())
