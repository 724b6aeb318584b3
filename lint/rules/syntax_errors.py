"""Syntax errors that a change brought: those that its file did not have before.

Knows how to tell new errors from old ones and how to say what is wrong. A parser that knows the language better than
its grammar has the last word: what it accepts is no error.
"""

from __future__ import annotations

import ast
import json
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator

from grammars import Flaw, SyntaxSnapshot, loose_brackets, syntax_flaws
from lint.records import ChangedFile, Finding, Level, Rule, Span
from lint.rules.source import Source, source_of

SYNTAX_ERROR = Rule(
    id="syntax-error",
    level=Level.ERROR,
    title="The change brings a syntax error",
    explanation=(
        "The parser can make nothing of this place, and could before the change. Errors that the file had already are "
        "not reported, nor are those that Python's, TOML's or JSON's own parser does not share."
    ),
    is_unfiltered=True,
)

_MOST = 3  # one error makes the parser stumble over what follows: the first ones tell
_EXCERPT_CHAR = 40
_BRACKET_SECONDS = 5.0


def new_syntax_errors(file: ChangedFile) -> Iterator[Finding]:
    """Find the errors of the file that it did not have before."""
    source = source_of(file)
    flaws = syntax_flaws(source.snapshot)
    if not flaws or _is_accepted(source):
        return
    old = _lines_with_flaws(source.before)
    told: set[int] = set()
    for flaw in flaws:
        key = _key(source.snapshot, flaw)
        if old[key] > 0:
            old[key] -= 1
            continue
        finding = _finding(source, flaw)
        if finding.span.line not in told:
            told.add(finding.span.line)
            yield finding
        if len(told) >= _MOST:
            return


def _lines_with_flaws(before: SyntaxSnapshot | None) -> Counter[tuple[str, str]]:
    """How often an error stood in a line that reads like this. Line numbers would not outlive the change."""
    return Counter(_key(before, flaw) for flaw in syntax_flaws(before) or ()) if before else Counter()


def _key(snapshot: SyntaxSnapshot, flaw: Flaw) -> tuple[str, str]:
    text, at = snapshot.text, flaw.span.start_char
    end = text.find("\n", at)
    return text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else len(text)].strip(), flaw.missing


def _finding(source: Source, flaw: Flaw) -> Finding:
    start, end = flaw.span
    message = f"missing `{flaw.missing}`" if flaw.missing else _unexpected(source.text[start:end])
    loose = next(iter(loose_brackets(source.snapshot, _BRACKET_SECONDS)), None)
    if loose is not None:
        at = source.line_of(loose.offset_char)
        what = "closes nothing" if loose.is_closing else "is never closed"
        message = f"`{loose.bracket}` in line {at} {what}"
    return source.finding(SYNTAX_ERROR, _first_line_of(source, start, end), f"Syntax error: {message}")


def _unexpected(text: str) -> str:
    first = text.strip().split("\n", 1)[0].strip()
    return f"unexpected `{first[:_EXCERPT_CHAR]}{'…' if len(first) > _EXCERPT_CHAR else ''}`"


def _first_line_of(source: Source, start_char: int, end_char: int) -> Span:
    """The range, cut to one line: the first one of the change in it, where the change is in it."""
    span = source.span(start_char, end_char)
    changed = [line for line in range(span.line, span.end_line + 1) if line in source.file.added]
    if not changed or changed[0] == span.line:
        end = source.line_span(span.line).end_column if span.end_line > span.line else span.end_column
        return Span(span.line, span.column, span.line, max(span.column, end))
    return source.line_span(changed[0])


def _is_accepted(source: Source) -> bool:
    """Whether the language's own parser, where we have one, accepts the text."""
    parse = _PARSERS.get(source.language.name)
    if parse is None:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parse(source.text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False
    return True


_PARSERS: dict[str, Callable[[str], object]] = {"python": ast.parse, "toml": tomllib.loads, "json": json.loads}
