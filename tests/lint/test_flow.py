"""What of the rules' findings is told, in which order, and what keeps them silent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

import lint.rules
from lint.baseline import baseline_text, read_baseline
from lint.flow import lines_to_score, look, wanted_lines
from lint.records import ChangedFile, Finding, Level, Patch, Report, Rule, Span
from lint.settings import Filter, Settings

BAD = Rule("bad-word", Level.ERROR, "", "")
ODD = Rule("odd-word", Level.WARNING, "", "")
GONE = Rule("gone-word", Level.WARNING, "", "", is_unfiltered=True)
NEW = Rule("new-word", Level.NOTE, "", "")
FOUND = Rule("surprising", Level.NOTE, "", "", needs_model=True)


def words(rule: Rule, word: str, file: ChangedFile) -> Iterator[Finding]:
    for number, line in enumerate(file.lines, 1):
        if word in line:
            at = line.index(word)
            yield Finding(rule, file.path, Span(number, at, number, at + len(word)), f"{word}!", rule.level)


def new_words(file: ChangedFile) -> Iterator[Finding]:
    """Like a rule that compares with what was there before."""
    yield from (each for each in words(NEW, "new", file) if "new" not in (file.before or ""))


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [(rule, lambda file, rule=rule, word=word: words(rule, word, file)) for rule, word in
              [(ODD, "odd"), (BAD, "bad"), (GONE, "gone")]]  # fmt: skip
    monkeypatch.setattr(lint.rules, "RULES", (*checks, (NEW, new_words)))


def report_of(*files: ChangedFile, client: object = None, known: str = "", **settings: object) -> Report:
    baseline = read_baseline(known.encode(), "known") if known else None
    patch = Patch(files)
    return asyncio.run(look(patch, Settings(**settings), client, baseline=baseline, model="m" if client else None))  # type: ignore[arg-type]


def told(report: Report) -> list[str]:
    return [f"{each.path}:{each.span.line} {each.rule.id}" for each in report.findings]


def file_of(*lines: str, added: set[int] | None = None, path: str = "app.py", before: str | None = "") -> ChangedFile:
    every = frozenset(range(1, len(lines) + 1))
    numbers = every if added is None else frozenset(added)
    shown = frozenset(near for line in numbers for near in (line - 1, line, line + 1)) & every
    return ChangedFile(path, "".join(f"{line}\n" for line in lines), before, numbers, shown)


def test_which_lines_count() -> None:
    file = file_of("bad", "bad", "bad", "odd", "gone", added={2}, before="bad\nnew\n")
    for filter, expected in [
        (Filter.ADDED, ["app.py:2 bad-word", "app.py:5 gone-word"]),
        (Filter.DIFF_CONTEXT, [*(f"app.py:{n} bad-word" for n in (1, 2, 3)), "app.py:5 gone-word"]),
        (Filter.FILE, [*(f"app.py:{n} bad-word" for n in (1, 2, 3)), "app.py:4 odd-word", "app.py:5 gone-word"]),
    ]:
        assert told(report_of(file, filter=filter)) == expected
    old = file_of("new", "x", added={2}, before="new\n")
    assert told(report_of(old, filter=Filter.FILE)) == []
    assert told(report_of(old, filter=Filter.ALL)) == ["app.py:1 new-word"]
    assert wanted_lines(file, Filter.ALL) == {1, 2, 3, 4, 5}
    assert lines_to_score(file_of("a", "", "  ", "b"), Filter.ADDED) == {1, 4}


def test_a_finding_over_several_lines_counts_where_it_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(file: ChangedFile) -> list[Finding]:
        return [Finding(ODD, file.path, Span(2, 0, 4, 1), "long", ODD.level)]

    monkeypatch.setattr(lint.rules, "RULES", ((ODD, check),))
    for added, count in [({1}, 0), ({2}, 1), ({4}, 1), ({5}, 0), ({3}, 1)]:
        assert len(report_of(file_of(*"abcde", added=added)).findings) == count


def test_the_order_and_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    b, a = file_of("odd", "bad", "odd bad", path="b.py"), file_of("odd", path="a.py")
    report = report_of(b, a)
    expected = ["b.py:2 bad-word", "b.py:3 bad-word", "a.py:1 odd-word", "b.py:1 odd-word", "b.py:3 odd-word"]
    assert told(report) == told(report_of(a, b)) == expected
    bounded = report_of(b, a, max_findings=2)
    assert told(bounded) == expected[:2]
    assert [*bounded.findings, *bounded.held_back] == list(report.findings)
    assert len(report_of(file_of(*["odd"] * 30)).findings) == 10

    ranks = {1: 2.0, 2: 5.0, 3: 2.0}

    async def surprising(client: object, file: ChangedFile, lines: frozenset[int], progress: object) -> list[Finding]:
        assert callable(progress)
        progress(len(lines))
        return [
            Finding(FOUND, file.path, Span(line, 0, line, 1), "?", Level.WARNING, rank=ranks[line]) for line in lines
        ]

    monkeypatch.setitem(sys.modules, "lint.surprise", SimpleNamespace(surprising_lines=surprising))  # type: ignore[arg-type]
    report = report_of(file_of("x", "y", "odd", ""), client=object())
    assert told(report) == ["app.py:2 surprising", "app.py:1 surprising", "app.py:3 surprising", "app.py:3 odd-word"]
    assert (report.model, report.lines_scored) == ("m", 3)
    assert [each.level for each in report.findings] == [Level.WARNING] * 4
    changed = report_of(file_of("x", "y", "odd", ""), client=object(), rules={"surprising": Level.NOTE})
    assert [each.level for each in changed.findings] == [Level.WARNING, *[Level.NOTE] * 3]


def test_what_keeps_findings_silent() -> None:
    lines = ("bad  # setfill: ignore", "odd  # setfill: ignore[bad-word]", "# setfill: ignore[odd-word]", "odd", "bad")
    file = file_of(*lines)
    report = report_of(file, patch_suppressions=True)
    assert (told(report), report.suppressed, report.patch.notes) == (["app.py:5 bad-word", "app.py:2 odd-word"], 4, ())
    report = report_of(file, rules={"bad-word": None, "odd-word": Level.NOTE}, patch_suppressions=True)
    assert [(each.span.line, each.level) for each in report.findings] == [(2, Level.NOTE)]


def test_comments_that_the_patch_adds_do_not_count() -> None:
    file = file_of("bad  # setfill: ignore", "# setfill: ignore", "bad", added={1, 3})
    report = report_of(file)
    assert (told(report), report.suppressed) == (["app.py:1 bad-word"], 1)
    assert report.patch.notes == (
        "app.py: `setfill: ignore` in lines that the patch adds counts with --trust-patch only",
    )


def test_known_findings_are_silent_once() -> None:
    known = [(each, file_of("odd", "bad")) for each in report_of(file_of("odd", "bad")).findings]
    text = baseline_text(known)
    report = report_of(file_of("x", "", "odd", "bad"), known=text)
    assert (told(report), report.suppressed) == (["app.py:3 odd-word"], 1)  # what stands beside it has changed
    report = report_of(file_of("odd", "bad"), known=text)
    assert (told(report), report.suppressed) == ([], 2)
    once, twice = file_of("x", "odd", "x"), file_of("x", "odd", "x", "odd", "x")
    text = baseline_text([(each, once) for each in report_of(once).findings])
    report = report_of(twice, known=text)
    assert (told(report), report.suppressed) == (["app.py:4 odd-word"], 1)


def test_what_an_interrupt_leaves_is_told() -> None:
    """Cancelled while it asks about the second of three files: what was found is kept, other rules go on."""
    stopping = asyncio.Event()
    asked: list[str] = []

    async def surprising(client: object, file: ChangedFile, lines: frozenset[int], progress: object) -> list[Finding]:
        asked.append(file.path)
        if len(asked) == 2:
            stopping.set()
            await asyncio.sleep(3600)
        return list(words(FOUND, "x", file))

    async def interrupted() -> Report:
        files = tuple(file_of("bad x", "y", path=f"{name}.py") for name in "abc")
        looking = asyncio.create_task(look(Patch(files), Settings(), object(), model="m"))  # type: ignore[arg-type]
        await stopping.wait()
        looking.cancel()
        return await looking

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lint.surprise.surprising_lines", surprising)
        patched.setattr("lint.expected.with_expected", None)  # not asked any more
        report = asyncio.run(interrupted())
    assert told(report) == ["a.py:1 bad-word", "b.py:1 bad-word", "c.py:1 bad-word", "a.py:1 surprising"]
    assert asked == ["a.py", "b.py"]
    assert report.is_partial
    assert report.patch.notes == ("interrupted: 2 of 6 lines were scored",)
