"""Syntax errors that a change brought: those that its file did not have before.

Knows how to tell new errors from old ones and how to say what is wrong. `misparses` knows when not to believe it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from grammars import Flaw, SyntaxSnapshot, loose_brackets, snapshot_of, syntax_flaws
from grammars import Span as Range
from lint.records import ChangedFile, Finding, Level, Rule, Span
from lint.rules.misparses import (
    counts_brackets_alone,
    first_branches,
    has_other_parser,
    is_known_misparse,
    other_parser_error,
    syntax_level,
)
from lint.rules.source import Source, source_of

SYNTAX_ERROR = Rule(
    id="syntax-error",
    level=Level.ERROR,
    title="The change brings a syntax error",
    explanation=(
        "The parser can make nothing of this place, and could before the change. Errors that the file had already are "
        "not reported, nor are those that Python's, TOML's or JSON's own parser does not share. In C and C++ only "
        "brackets are judged, for macros hide the rest; there, and in Bash, CSS and PHP, it is a warning."
    ),
    is_unfiltered=True,
)

_MOST = 3  # one error makes the parser stumble over what follows: the first ones tell
_EXCERPT_CHAR = 40
_MOST_CHAR = 300_000  # of a file without flaws that Python is asked about: it takes seconds for a megabyte
_SECONDS = 5.0  # for the brackets of a file
_NAMED = {"identifier": "a name", "type_identifier": "the name of a type", "word": "a word", "#endif": "`#endif`"}


def new_syntax_errors(file: ChangedFile) -> Iterator[Finding]:
    """Find the errors of the file that it did not have before."""
    source = source_of(file)
    if counts_brackets_alone(source.language.name):
        findings = _loose_brackets(source)
    else:
        findings = _flaws(source)
    told: set[int] = set()
    for finding in findings:
        if finding.span.line not in told:
            told.add(finding.span.line)
            yield replace(finding, level=syntax_level(source.language.name))
        if len(told) >= _MOST:
            return


def _flaws(source: Source) -> Iterator[Finding]:
    """What the parser stumbles over, and no other parser accepts."""
    flaws = syntax_flaws(source.snapshot) or []
    error = None
    if flaws or (source.language.name == "python" and len(source.text) < _MOST_CHAR):
        error = other_parser_error(source)
        if has_other_parser(source.language.name) and error is None:
            return
    new = list(_new(flaws, source.snapshot, source.before))
    if isinstance(error, IndentationError if not new else SyntaxError):
        finding = _python_finding(source, error)
        if finding is not None:
            yield finding
            return
    for flaw in new:
        span = source.span(*flaw.span)
        if not is_known_misparse(source, max(1, span.line - 1), min(span.end_line, span.line + 3) + 1):
            yield _flaw_finding(source, flaw)


def _new(flaws: list[Flaw], after: SyntaxSnapshot, before: SyntaxSnapshot | None) -> Iterator[Flaw]:
    """The errors in lines that had none. A line is known by what it says: numbers do not outlive a change."""
    old = Counter(_key(before, flaw) for flaw in syntax_flaws(before) or ()) if before else Counter()
    for flaw in flaws:
        key = _key(after, flaw)
        if old[key] > 0:
            old[key] -= 1
        else:
            yield flaw


def _key(snapshot: SyntaxSnapshot, flaw: Flaw) -> tuple[str, str]:
    return _line_around(snapshot.text, flaw.span.start_char), flaw.missing


def _line_around(text: str, offset_char: int) -> str:
    end = text.find("\n", offset_char)
    return text[text.rfind("\n", 0, offset_char) + 1 : end if end >= 0 else len(text)].strip()


def _python_finding(source: Source, error: SyntaxError) -> Finding | None:
    """What Python itself says, unless it says the same of the text before: it stops at its first error."""
    line = error.lineno or 0
    if not 1 <= line <= len(source.file.lines):
        return None
    text = source.file.lines[line - 1]
    if source.file.before is not None and line not in source.file.added:
        old = other_parser_error(Source(replace(source.file, text=source.file.before, before=None)))
        if isinstance(old, SyntaxError) and (old.msg, (old.text or "").strip()) == (error.msg, text.strip()):
            return None
    column = min(max((error.offset or 1) - 1, 0), len(text))
    end = error.end_offset - 1 if error.end_offset and error.end_lineno == line else len(text.rstrip())
    span = Span(line, column, line, max(column, min(end, len(text))))
    return source.finding(SYNTAX_ERROR, span, f"Syntax error: {error.msg}")


def _flaw_finding(source: Source, flaw: Flaw) -> Finding:
    if flaw.missing:
        what = f"missing {_NAMED.get(flaw.missing, f'`{flaw.missing}`')}"
    else:
        what = _unexpected(source.text[flaw.span.start_char : flaw.span.end_char])
    range_ = flaw.span
    for loose in loose_brackets(source.snapshot, _SECONDS):
        if flaw.missing in (")", "]", "}") or flaw.span.start_char <= loose.offset_char < flaw.span.end_char:
            what = _loose_sentence(loose.bracket, source.line_of(loose.offset_char), loose.is_closing)
            if loose.offset_char in range(*flaw.span):
                range_ = Range(loose.offset_char, loose.offset_char + 1)
            break
    return source.finding(SYNTAX_ERROR, _first_line_of(source, range_), f"Syntax error: {what}")


def _unexpected(text: str) -> str:
    first = text.strip().split("\n", 1)[0].strip()
    return f"unexpected `{first[:_EXCERPT_CHAR]}{'…' if len(first) > _EXCERPT_CHAR else ''}`"


def _loose_sentence(bracket: str, line: int, is_closing: bool) -> str:
    return f"`{bracket}` in line {line} {'closes nothing' if is_closing else 'is never closed'}"


def _first_line_of(source: Source, range_: Range) -> Span:
    """The range, cut to one line: the first one of the change in it, where the change is in it."""
    span = source.span(*range_)
    changed = [line for line in range(span.line, span.end_line + 1) if line in source.file.added]
    if not changed or changed[0] == span.line:
        end = source.line_span(span.line).end_column if span.end_line > span.line else span.end_column
        return Span(span.line, span.column, span.line, max(span.column, end))
    return source.line_span(changed[0])


def _loose_brackets(source: Source) -> Iterator[Finding]:
    """Brackets without a partner, in lines that had none before."""
    old = Counter(key for _at, key in _loose_in(source, source.file.before)) if source.file.before else Counter()
    for at, key in _loose_in(source, source.text):
        if old[key] > 0:
            old[key] -= 1
            continue
        bracket = key[1]
        what = _loose_sentence(bracket, source.line_of(at), bracket in ")]}")
        yield source.finding(SYNTAX_ERROR, source.span(at, at + 1), f"Syntax error: {what}")


def _loose_in(source: Source, text: str) -> Iterable[tuple[int, tuple[str, str]]]:
    """The offset of each loose bracket in `text`, and the line and bracket that it is known by."""
    kept = first_branches(text)
    snapshot = snapshot_of(kept, source.language)
    line_starts = Source(replace(source.file, text=text))
    for loose in loose_brackets(snapshot, _SECONDS):
        line = kept.count("\n", 0, loose.offset_char) + 1
        column = loose.offset_char - kept.rfind("\n", 0, loose.offset_char) - 1
        yield line_starts.offset_of(line) + column, (_line_around(kept, loose.offset_char), loose.bracket)
