"""What a project wants of `setfill lint`: `[tool.setfill.lint]` of its pyproject.toml, or `[lint]` of `.setfill.toml`.

Knows the keys, their defaults and what is wrong with a value. Does not know where
the files come from: a work tree, or the commit that a change is compared with.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any

from pathspec import GitIgnoreSpec

from lint.records import Level, Rule
from model.errors import InputError

OWN_FILE, PROJECT_FILE = ".setfill.toml", "pyproject.toml"
DEFAULT_EXCLUDE = (
    "*.min.js", "*.min.css", "*.map", "*.svg", "*.snap", "*.lock", "package-lock.json", "pnpm-lock.yaml", "go.sum",
    "node_modules/", "vendor/", "third_party/", "*_pb2.py", "*_pb2.pyi", "*.pb.go", "*.generated.*",
)  # fmt: skip
"""Files that a program wrote, or that another project looks after."""

LEVELS: Mapping[str, Level | None] = {"off": None, **{level.name.lower(): level for level in Level}}
FAIL_LEVELS: Mapping[str, Level | None] = {"never": None, **{level.name.lower(): level for level in Level}}


class Filter(StrEnum):
    """Which lines of a changed file may have findings."""

    ADDED = "added"
    """Lines that the patch adds or alters."""
    DIFF_CONTEXT = "diff-context"
    """Those, and the lines that the diff shows around them."""
    FILE = "file"
    """All lines of the files that the patch changes."""
    ALL = "all"
    """All lines of them, also for what was wrong before the patch."""


@dataclass(frozen=True)
class Settings:
    """What to look for, where, and what to make of it. Each field is a key, with `-` for `_`."""

    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    """`.gitignore` patterns of files that are not looked at."""
    extend_exclude: tuple[str, ...] = ()
    """More of them, for who wants to keep the default."""
    filter: Filter = Filter.ADDED
    """Which lines may have findings."""
    max_findings: int = 10
    """How many findings a patch has at most; the summary counts the others."""
    fail_level: Level | None = Level.ERROR
    """From which level on findings make the exit status 1. None: never."""
    rules: Mapping[str, Level | None] = field(default_factory=dict)
    """The level of a rule, by its id, in place of its own. None: it is off."""
    baseline: str | None = None
    """A file of findings that are known, relative to the root of the work tree."""
    patch_suppressions: bool = False
    """Whether comments that a patch itself adds may keep findings in it silent."""

    def is_wanted(self, path: str) -> bool:
        """Whether the file at `path`, with slashes, may be looked at."""
        return not self._excluded.match_file(path)

    def level_of(self, rule: Rule) -> Level | None:
        """Return what level findings of a rule have, None when it is off."""
        return self.rules.get(rule.id, rule.level)

    @cached_property
    def _excluded(self) -> GitIgnoreSpec:
        return GitIgnoreSpec.from_lines([*self.exclude, *self.extend_exclude])


def read_settings(content_of: Callable[[str], bytes | None], rules: Iterable[Rule]) -> Settings:
    """Return the settings in the files that `content_of` returns by name, None where there is none.

    `.setfill.toml` comes before pyproject.toml, of which nothing is read then.
    InputError for files that are no TOML, and for keys, values and rules that do not exist.
    """
    where, table = _table(content_of)
    return _settings(table, where, {rule.id for rule in rules})


def say_the_same(content_of: Callable[[str], bytes | None], others: Callable[[str], bytes | None]) -> bool:
    """Whether two places have the same to say of linting, whatever else their files hold."""
    try:
        return _table(content_of) == _table(others)
    except InputError:
        return False


def _table(content_of: Callable[[str], bytes | None]) -> tuple[str, Any]:
    """Return where settings are, and what is written there."""
    if (own := content_of(OWN_FILE)) is not None:
        tables = _toml(own, OWN_FILE)
        _refuse_unknown(tables, {"lint"}, OWN_FILE)
        return f"[lint] of {OWN_FILE}", tables.get("lint", {})
    where, table = f"[tool.setfill.lint] of {PROJECT_FILE}", {}
    if (project := content_of(PROJECT_FILE)) is not None:
        table = _toml(project, PROJECT_FILE)
        for key in ("tool", "setfill", "lint"):
            table = table.get(key, {}) if isinstance(table, dict) else {}
    return where, table


def level_named(name: object, levels: Mapping[str, Level | None] = LEVELS) -> Level | None:
    """Return the level of that name. ValueError, whose text says which there are."""
    if not isinstance(name, str) or name not in levels:
        raise ValueError(f"expected {_either(levels)}, not {_short(name)}")
    return levels[name]


def refuse_unknown_rule(rule_id: str, known: Iterable[str], where: str) -> None:
    """Raise InputError for a rule that does not exist."""
    _refuse_unknown([rule_id], set(known), where, kind="rule")


def _toml(data: bytes, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{name} is not TOML: {error}") from None


def _settings(table: object, where: str, known_rules: set[str]) -> Settings:
    if not isinstance(table, dict):
        raise InputError(f"{where} must be a table")
    keys = {each.name.replace("_", "-"): each.name for each in fields(Settings)}
    _refuse_unknown(table, set(keys), where)
    values = {}
    for key, value in table.items():
        try:
            values[keys[key]] = _READERS[keys[key]](value)
        except ValueError as error:
            raise InputError(f"{where}, {key}: {error}") from None
    for rule_id in values.get("rules", ()):
        refuse_unknown_rule(rule_id, known_rules, f"{where}, rules")
    return Settings(**values)


def _refuse_unknown(keys: Iterable[str], known: set[str], where: str, kind: str = "key") -> None:
    for key in keys:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            there = f"did you mean {close[0]}? There" if close else "there"
            raise InputError(f"{where}: there is no {kind} {_short(key)}; {there} are {', '.join(sorted(known))}")


def _patterns(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("expected a list of patterns, as in .gitignore")
    for each in value:
        try:
            GitIgnoreSpec.from_lines([each])
        except (ValueError, re.error):
            raise ValueError(f"{_short(each)} is no pattern as in .gitignore") from None
    return tuple(value)


def _filter(value: object) -> Filter:
    if not isinstance(value, str) or value not in list(Filter):
        raise ValueError(f"expected {_either(Filter)}, not {_short(value)}")
    return Filter(value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"expected a whole number above 0, not {_short(value)}")
    return value


def _rules(value: object) -> dict[str, Level | None]:
    if not isinstance(value, dict):
        raise ValueError("expected a table of rules and their levels")
    levels = {}
    for rule_id, name in value.items():
        try:
            levels[rule_id] = level_named(name)
        except ValueError as error:
            raise ValueError(f"{rule_id}: {error}") from None
    return levels


def _name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected the name of a file")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {_short(value)}")
    return value


_READERS: Mapping[str, Callable[[object], Any]] = {
    "exclude": _patterns,
    "extend_exclude": _patterns,
    "filter": _filter,
    "max_findings": _count,
    "fail_level": lambda value: level_named(value, FAIL_LEVELS),
    "rules": _rules,
    "baseline": _name,
    "patch_suppressions": _truth,
}


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
