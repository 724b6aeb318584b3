"""Known findings: recognised after edits elsewhere, and only so often."""

from __future__ import annotations

import json

import pytest

from lint.baseline import Baseline, baseline_text, fingerprint, read_baseline
from lint.records import ChangedFile, Finding, Level, Rule, Span
from model.errors import InputError

RULE = Rule("some-rule", Level.ERROR, "", "")
TEXT = "def f():\n    a = 1\n\n    b = 2\n"


def found(text: str, line: int, path: str = "app.py", rule: Rule = RULE) -> tuple[Finding, ChangedFile]:
    finding = Finding(rule, path, Span(line, 0, line, 1), "", Level.ERROR)
    return finding, ChangedFile(path, text, None, frozenset(), frozenset())


def test_what_a_finding_is_known_by() -> None:
    """The table of what may change: each text, and whether the finding is the same."""
    known = fingerprint(*found(TEXT, 2))
    assert known == fingerprint(*found("import x\n\n\n" + TEXT + "\n\nmore = 1\n", 5))
    assert known == fingerprint(*found(TEXT.replace("    ", "\t").replace("\n", "\r\n"), 2))
    for text, line in [
        (TEXT.replace("a = 1", "a = 2"), 2),
        (TEXT.replace("def f", "def g"), 2),
        (TEXT.replace("b = 2", "b = 3"), 2),
        (TEXT, 1),
        (TEXT, 4),
    ]:
        assert known != fingerprint(*found(text, line))
    assert known != fingerprint(*found(TEXT, 2, path="other.py"))
    assert known != fingerprint(*found(TEXT, 2, rule=Rule("other", Level.ERROR, "", "")))
    assert fingerprint(*found("", 1)) == fingerprint(*found("", 9))  # a finding behind the last line


def test_a_file_of_known_findings() -> None:
    text = baseline_text([found(TEXT, 4), found(TEXT, 2), found(TEXT, 2)])
    assert text == baseline_text([found(TEXT, 2), found(TEXT, 4), found(TEXT, 2)])
    assert "a = 1" not in text
    baseline = read_baseline(text.encode(), "known.json")
    assert [baseline.take(*found(TEXT, line)) for line in (2, 2, 2, 4, 4, 1)] == [True, True, False, True, False, False]
    assert not Baseline().take(*found(TEXT, 2))


def test_a_moved_file_keeps_its_known_findings() -> None:
    baseline = read_baseline(baseline_text([found(TEXT, 2)]).encode(), "known.json")
    finding, _ = found(TEXT, 2, path="new.py")
    moved = ChangedFile("new.py", TEXT, None, frozenset(), frozenset(), old_path="app.py")
    assert baseline.take(finding, moved)
    assert not baseline.take(finding, moved)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"[]", b"3", b"{}", b'{"setfill-baseline": 2, "findings": []}', b'{"setfill-baseline": 1}',
     b'{"setfill-baseline": 1, "findings": [1]}', b'{"setfill-baseline": 1, "findings": 1}', b"[" * 99999],
)  # fmt: skip
def test_what_is_no_baseline_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"known\.json is no baseline of this version of Setfill: write it again"):
        read_baseline(data, "known.json")
    assert json.loads(baseline_text([])) == {"setfill-baseline": 1, "findings": []}
