"""docs/lint.md says of every rule what the catalogue says, and its examples are found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lint.formats import FORMATS
from lint.records import ChangedFile
from lint.rules import RULES, all_rules
from tests.lint.checks import found

PAGE = (Path(__file__).parents[2] / "docs" / "lint.md").read_text(encoding="utf-8")
SECTIONS = {part.split("\n", 1)[0]: part for part in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]}


def words(text: str) -> str:
    """The text with single blanks: the page is wrapped, the catalogue is not."""
    return " ".join(text.split())


def test_every_rule_has_a_section_and_no_other() -> None:
    assert list(SECTIONS) == [rule.id for rule in all_rules()]


@pytest.mark.parametrize("rule", [rule for rule, _check in RULES], ids=lambda rule: rule.id)
def test_a_section_says_what_the_catalogue_says(rule) -> None:
    section = words(SECTIONS[rule.id])
    assert words(rule.explanation) in section
    assert f"{rule.title}." in section
    assert re.search(rf"\*{rule.level.name.capitalize()}[.;]", section)


@pytest.mark.parametrize("rule", [rule for rule, _check in RULES], ids=lambda rule: rule.id)
def test_the_example_is_found(rule) -> None:
    example = re.search(r"^```diff (\S+)\n(.*?)^```$", SECTIONS[rule.id], re.MULTILINE | re.DOTALL)
    assert example
    lines = example[2].splitlines()
    added = frozenset(number for number, line in enumerate(lines, 1) if line.startswith("+"))
    before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    text = "".join(f"{line[1:]}\n" for line in lines)
    findings = found(rule.id, ChangedFile(example[1], text, before, added, added))
    assert [finding.span.line in added for finding in findings] == [True]


def test_every_format_is_described() -> None:
    for format in FORMATS:
        assert f"| `{format}` |" in PAGE


def test_rules_are_named_alike() -> None:
    for rule in all_rules():
        assert re.fullmatch(r"[a-z]+(?:-[a-z]+)*", rule.id)
        assert not rule.title.endswith(".")
        assert rule.explanation.endswith(".")
        assert "bug" not in (rule.title + rule.explanation).lower()
