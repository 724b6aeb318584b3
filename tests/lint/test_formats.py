"""Each format against a file of `golden/`, with hostile text in paths, messages and code.

After a change that is wanted: `python -m tests.lint.test_formats` writes the files anew; read the difference.
`sarif-2.1.0.schema.json` is of the npm package @microsoft/sarif-multitool-linux 5.7.0 (MIT), as it stands there.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lint.formats import FORMATS, render
from lint.records import ChangedFile, Finding, Level, Odds, Patch, Report, Rule, Shade, Span

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0.schema.json").read_text("utf-8"))
SUFFIXES = {
    "text": "txt", "json": "json", "jsonl": "jsonl", "github": "log", "sarif": "sarif", "rdjsonl": "jsonl",
    "markdown": "md",
}  # fmt: skip

ERROR = Rule("bad-thing", Level.ERROR, "A thing is bad", "It is `bad`.")
WARNING = Rule("odd-thing", Level.WARNING, "A thing is odd", "It is odd.")
MODEL = Rule("surprise", Level.NOTE, "A line is surprising", "The model is surprised.", needs_model=True)

PLAIN = ChangedFile("src/plain.py", "def f(x):\n    retrun x\n\n\nprint(f(1))\n", None, frozenset({2}), frozenset({2}))
HOSTILE_PATH = "src/a\n::error::b,c:d %0A é#?\x1b[31m.py"
HOSTILE_TEXT = (
    "::error file=x::fake\r\n"
    "😀é = '\x1b[2J\u202e reversed' # ##[set-env name=A]b\r\n"
    "\tx = `|<img src=x>` & [y](z) \ud800\u2028\x00\r\n"
    "done\r\n"
)
HOSTILE = ChangedFile(HOSTILE_PATH, HOSTILE_TEXT, None, frozenset({2, 3}), frozenset({2, 3}))
LONG = ChangedFile("long.txt", "a" * 500 + "\n" + "b\n" * 40, None, frozenset({1}), frozenset({1}))
HOSTILE_MESSAGE = "unexpected `\x1b[31m`|<b>\n::error::no%0A ##[group]@you \u202e [x](http://y) {0}"

FINDINGS = (
    Finding(ERROR, PLAIN.path, Span(2, 4, 2, 12), "`retrun x` is no statement", Level.ERROR),
    Finding(ERROR, HOSTILE.path, Span(2, 5, 2, 18), HOSTILE_MESSAGE, Level.ERROR),
    Finding(WARNING, HOSTILE.path, Span(2, 0, 3, 4), "lines 2 and 3 are odd", Level.WARNING),
    Finding(
        MODEL, HOSTILE.path, Span(2, 0, 2, 2), "surprising", Level.NOTE, rank=4.123456, expected="\x1b[31mx = 1\n::y",
        is_fix=True, odds=Odds(5.6789), shades=(Shade(2, 0, 2, 7.51234), Shade(2, 3, 5, 2.5), Shade(2, 5, 9, 0.1)),
    ),
    Finding(MODEL, LONG.path, Span(1, 0, 41, 1), "surprising", Level.NOTE, rank=2.0, expected="b", odds=Odds(30.2)),
    Finding(WARNING, "gone.py", Span(9, 3, 9, 5), "a file that the patch has not", Level.WARNING),
)  # fmt: skip
REPORT = Report(
    Patch((PLAIN, HOSTILE, LONG), ("big.bin is binary\x1b[1m\n::warning::x",)),
    FINDINGS,
    held_back=(FINDINGS[0], FINDINGS[2], FINDINGS[2]),
    suppressed=3,
    model="setfill-135m float32",
    lines_scored=41,
)
EMPTY = Report(Patch((PLAIN,)), ())


def rendered(report: Report, format: str, **options: Any) -> str:
    """Rendered with three rules and no version, which would change with every release."""
    with (
        mock.patch("lint.rules.all_rules", return_value=(ERROR, WARNING, MODEL)),
        mock.patch("lint.formats.sarif.package_version", return_value="1.2.3"),
    ):
        return render(report, format, **options)


def golden_files() -> dict[str, str]:
    """The content that each golden file should have."""
    files = {f"{format}.{SUFFIXES[format]}": rendered(REPORT, format) for format in FORMATS}
    files |= {f"{format}-empty.{SUFFIXES[format]}": rendered(EMPTY, format) for format in ("text", "markdown")}
    return files | {"text-color.txt": rendered(REPORT, "text", color=True)}


@pytest.mark.parametrize("name", [*(f"{name}.{SUFFIXES[name]}" for name in FORMATS), "text-color.txt",
                                  "text-empty.txt", "markdown-empty.md"])  # fmt: skip
def test_golden(name: str) -> None:
    assert golden_files()[name] == (GOLDEN / name).read_bytes().decode("utf-8")


@pytest.mark.parametrize("format", FORMATS)
def test_no_format_passes_on_what_a_terminal_obeys(format: str) -> None:
    shown = rendered(REPORT, format)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert shown.endswith("\n")


@pytest.mark.parametrize("format", FORMATS)
def test_the_word_that_is_never_said(format: str) -> None:
    assert "bug" not in rendered(REPORT, format).lower()


def test_sarif_is_valid() -> None:
    for report in (REPORT, EMPTY):
        jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(render(report, "sarif")))


def test_sarif_counts_in_utf_16_and_encodes_paths() -> None:
    (run,) = json.loads(rendered(REPORT, "sarif"))["runs"]
    place = run["results"][1]["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 2, "startColumn": 7, "endLine": 2, "endColumn": 20}
    assert place["artifactLocation"]["uri"] == "src/a%0A%3A%3Aerror%3A%3Ab%2Cc%3Ad%20%250A%20%C3%A9%23%3F%1B%5B31m.py"
    assert [rule["properties"]["precision"] for rule in run["tool"]["driver"]["rules"]] == ["high", "medium", "low"]
    assert ["fixes" in result for result in run["results"]] == [False, False, False, True, False, False]


def test_fingerprints_know_content_and_order_but_no_line_numbers() -> None:
    text = "x = 1\ny\n" * 2

    def fingerprints(text: str, lines: list[int]) -> list[str]:
        file = replace(PLAIN, text=text)
        found = tuple(Finding(ERROR, file.path, Span(line, 0, line, 1), "m", Level.ERROR) for line in lines)
        (run,) = json.loads(rendered(Report(Patch((file,)), found), "sarif"))["runs"]
        return [result["partialFingerprints"]["setfillLines/v1"] for result in run["results"]]

    assert fingerprints("x = 1\ny\n", [1]) == fingerprints("\n\nx = 1\ny\n", [3])
    assert fingerprints("x = 1\ny\n", [1]) != fingerprints("x = 2\ny\n", [1])
    assert len(set(fingerprints("y\n" + text * 2, [4, 6]))) == 2


def test_rdjsonl_counts_in_bytes() -> None:
    diagnostic = json.loads(rendered(REPORT, "rdjsonl").splitlines()[1])
    assert diagnostic["location"]["range"] == {"start": {"line": 2, "column": 10}, "end": {"line": 2, "column": 25}}


def test_github_has_ten_annotations_of_a_level_and_a_line_for_each_other() -> None:
    findings = tuple(replace(FINDINGS[0], span=Span(line, 0, line, 1)) for line in range(1, 14)) + FINDINGS[1:4]
    lines = rendered(replace(REPORT, findings=findings), "github").splitlines()
    commands = [line.split(" ")[0] for line in lines if line.startswith("::")]
    assert (commands.count("::error"), commands.count("::warning"), commands.count("::notice")) == (10, 1, 1)
    assert sum(line.startswith("error in ") for line in lines) == 4


def test_only_our_own_commands_reach_the_runner() -> None:
    shown = rendered(REPORT, "github")
    assert "##[" not in shown
    commands = [line for line in shown.splitlines() if line.lstrip().startswith("::")]
    assert len(commands) == len(FINDINGS)
    assert "file=src/a%0A%3A%3Aerror%3A%3Ab%2Cc%3Ad %250A" in shown


def test_odds_are_said_as_a_share_of_lines() -> None:
    assert "1 line in 6 ranked like this was wrong" in rendered(REPORT, "text")


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60), message=st.text(max_size=30), path=st.text(min_size=1, max_size=20), data=st.data())
def test_any_report(text: str, message: str, path: str, data: st.DataObject) -> None:
    """No text, path, message or span makes a format fail, or SARIF invalid."""
    place = data.draw(st.tuples(st.integers(1, 5), st.integers(0, 9), st.integers(0, 3), st.integers(0, 9)))
    line, column, more, end = place
    span = Span(line, column, line + more, end if more else column + end)
    finding = replace(FINDINGS[3], path=path, span=span, message=message, expected=message)
    report = Report(Patch((ChangedFile(path, text, None, frozenset(), frozenset()),), (message,)), (finding,))
    for format in FORMATS:
        shown = render(report, format, color=data.draw(st.booleans()))
        if format == "sarif":
            jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(shown))
        if format == "github":
            assert sum(line.lstrip().startswith("::") for line in re.split(r"[\r\n\u2028\x85]", shown)) == 1


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, content in golden_files().items():
        (GOLDEN / name).write_bytes(content.encode("utf-8"))
