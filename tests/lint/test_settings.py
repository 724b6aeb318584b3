"""Settings of a project, and what is said of wrong ones."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lint.records import Level, Rule
from lint.settings import OWN_FILE, PROJECT_FILE, Filter, Settings, read_settings
from model.errors import InputError

RULES = [Rule("one-rule", Level.ERROR, "", ""), Rule("two-rules", Level.NOTE, "", "")]


def read(own: str | bytes | None = None, project: str | bytes | None = None) -> Settings:
    files = {OWN_FILE: own, PROJECT_FILE: project}
    encoded = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return read_settings(encoded.get, RULES)


def check_refused(expected: str, **files: str | bytes) -> None:
    with pytest.raises(InputError) as refused:
        read(**files)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_files_say() -> None:
    assert read() == read(project="[project]\nname = 'x'\n") == read(project="tool = 3\n") == Settings()
    body = """
        exclude = ["gen/"]
        extend-exclude = ["*.gen.py"]
        filter = "diff-context"
        max-findings = 3
        fail-level = "never"
        rules = { one-rule = "note", two-rules = "off" }
        baseline = "known.json"
        patch-suppressions = true
        """
    expected = Settings(
        exclude=("gen/",),
        extend_exclude=("*.gen.py",),
        filter=Filter.DIFF_CONTEXT,
        max_findings=3,
        fail_level=None,
        rules={"one-rule": Level.NOTE, "two-rules": None},
        baseline="known.json",
        patch_suppressions=True,
    )
    assert all(getattr(expected, each.name) != getattr(Settings(), each.name) for each in fields(Settings))
    project = f"[tool.setfill.lint]\n{body}"
    assert (
        read(own=f"[lint]\n{body}") == read(project=project) == read(project=project.replace("\n", "\r\n")) == expected
    )
    assert read(own="\ufeff[lint]\n", project=project) == Settings()  # its own file alone counts
    assert [expected.level_of(rule) for rule in RULES] == [Level.NOTE, None]
    assert [Settings().level_of(rule) for rule in RULES] == [Level.ERROR, Level.NOTE]


def test_what_is_excluded() -> None:
    for path in ("a/package-lock.json", "node_modules/x/index.js", "web/app.min.js", "deep/vendor/x.go", "x_pb2.py"):
        assert not Settings().is_wanted(path)
        assert Settings(exclude=()).is_wanted(path)
    settings = Settings(extend_exclude=("tests/", "!tests/kept.py", "/docs/*.py"))
    wanted = {"app.py": True, "a/tests/x.py": False, "docs/x.py": False, "a/docs/x.py": True, "x.min.js": False}
    assert {path: settings.is_wanted(path) for path in wanted} == wanted


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("exclde = []", "there is no key 'exclde'; did you mean exclude? There are baseline, exclude, extend-exclude"),
        ("zzz = 1", "there is no key 'zzz'; there are"),
        ("exclude = 'x'", "exclude: expected a list of patterns"),
        ("exclude = [1]", "exclude: expected a list of patterns"),
        ("exclude = ['!']", "exclude: '!' is no pattern"),
        ("filter = 'some'", "filter: expected added, diff-context, file or all, not 'some'"),
        ("filter = 1", "filter: expected added"),
        ("max-findings = 0", "max-findings: expected a whole number above 0, not 0"),
        ("max-findings = true", "max-findings: expected a whole number above 0, not True"),
        ("fail-level = 'off'", "fail-level: expected never, note, warning or error, not 'off'"),
        ("rules = []", "rules: expected a table"),
        (
            "rules = { one-rul = 'off' }",
            "rules: there is no rule 'one-rul'; did you mean one-rule? There are one-rule, two",
        ),
        ("rules = { one-rule = 'never' }", "rules: one-rule: expected off, note, warning or error, not 'never'"),
        ("rules = { one-rule = false }", "rules: one-rule: expected off, note, warning or error, not False"),
        ("baseline = ''", "baseline: expected the name of a file"),
        ("patch-suppressions = 1", "patch-suppressions: expected true or false, not 1"),
        ("max-findings = ", "is not TOML"),
        (f"filter = '{'x' * 999}'", "..."),
    ],
)
def test_what_is_wrong_is_told(body: str, expected: str) -> None:
    check_refused(expected, own=f"[lint]\n{body}\n")
    check_refused(expected, project=f"[tool.setfill.lint]\n{body}\n")


def test_files_that_are_wrong_as_a_whole() -> None:
    check_refused("there is no key 'lnt'; did you mean lint? There are lint", own="[lnt]\n")
    check_refused("must be a table", own="lint = 1\n")
    check_refused("must be a table", project="[tool.setfill]\nlint = []\n")
    check_refused(".setfill.toml is not UTF-8", own=b"\xe9")
    check_refused("pyproject.toml is not TOML", project="x = [" + "[" * 5000)


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.sampled_from([each.name.replace("_", "-") for each in fields(Settings)]), VALUES)
def test_any_value_is_read_or_refused(key: str, value: object) -> None:
    import lint.settings

    try:
        settings = lint.settings._settings({key: value}, "here", {"one-rule"})
    except InputError:
        return
    assert isinstance(settings, Settings)
    settings.is_wanted("app.py")
