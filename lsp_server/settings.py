"""Every setting of the server, with what it means beside it. docs/settings.md is made from this file.

Settings come from the client: as `initializationOptions`, then from `workspace/configuration` under `setfill`. Those
that are machine-scoped name files or programs' resources; a workspace must not choose them, so they are taken from
`initializationOptions` alone. What the model may see is the user's to say as well, and there a workspace can only take
away: editors answer with values in which a folder's have replaced the user's, so what `initializationOptions` said
stays in force, and patterns are added to it. A setting that is wrong is reported, and the rest is used.

Knows names, types and bounds; what a setting does stands where it is used.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any

from lsp_server.patterns import problem_of
from model.api.policy import DEFAULT_BEAMS

DEFAULT_EXCLUDE = (
    ".env", ".env.*", ".env-*", ".env_*", "*.env", ".envrc", "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.ppk",
    "*.jks", "*.keystore", "*.kdbx", "*.gpg", "*.asc", "*.age", "*.ovpn", "id_rsa*", "id_dsa*", "id_ecdsa*",
    "id_ed25519*", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".my.cnf", ".htpasswd", ".git-credentials",
    ".vault-token", ".s3cfg", ".boto", ".dockercfg", ".terraformrc", ".ssh/", ".gnupg/", ".aws/", ".azure/",
    ".kube/", "**/.docker/config.json", "**/.config/gcloud/", "secrets/", "secrets.*", "*.secrets", "*secret*.y*ml",
    "*secret*.json", "credentials", "credentials.*", "*credentials*.json", "service-account*.json", "*.tfstate",
    "*.tfvars", "*.tfvars.json",
)  # fmt: skip


def setting(
    default: Any,
    text: str,
    *,
    machine: bool = False,
    narrows: bool = False,
    patterns: bool = False,
    choices: tuple[str, ...] = (),
    **bounds: float,
) -> Any:
    """A field of `Settings`. `low` and `high` are the smallest and largest value allowed; of `choices` it is one.

    A workspace can't set what is `machine`, and what `narrows` it can only turn off, or add patterns to.
    """
    facts = {"text": text, "machine": machine, "narrows": narrows, "patterns": patterns, "low": None, "high": None}
    return field(default=default, metadata=facts | {"choices": choices, **bounds})


@dataclass(frozen=True)
class Settings:
    """What the user has chosen. On the wire names are in camelCase: `max_lines` is `maxLines`."""

    enabled: bool = setting(True, "Suggest anything at all.")
    automatic: bool = setting(True, "Suggest while you type; otherwise only when asked to.")
    disabled_languages: tuple[str, ...] = setting(
        (), "Languages without suggestions, by language id or Setfill's name."
    )
    disabled_paths: tuple[str, ...] = setting((), "Files without suggestions, as `.gitignore` patterns.", patterns=True)
    in_comments: bool = setting(True, "Suggest inside comments while you type.")
    eagerness: str = setting(
        "balanced",
        "How likely right a suggestion must be to be shown while you type: `eager` shows most, `quiet` few.",
        choices=("eager", "balanced", "quiet"),
    )
    confidence_floor: float | None = setting(
        None,
        "In place of `eagerness`: show a suggestion if the model gives its tokens at least this probability, in the "
        "geometric mean. 0 shows everything; null leaves it to `eagerness`.",
        low=0.0,
        high=1.0,
    )
    max_lines: int = setting(12, "Lines of the longest suggestion.", low=1, high=200)
    candidates: int = setting(
        3,
        "Different suggestions to cycle through, where the editor can: Neovim, and when asked by hand.",
        low=1,
        high=8,
    )
    beams: int = setting(
        DEFAULT_BEAMS,
        "Beginnings followed at once to find what goes best with the text behind. 1 takes the likeliest token every "
        "time, which is about three times as fast; so do suggestions while you type on machines that are slow.",
        low=1,
        high=16,
    )
    debounce_ms: int | None = setting(
        None,
        "Milliseconds to wait for the next key before computing; null follows the measured speed.",
        low=0,
        high=5000,
    )
    time_limit_ms: int = setting(
        3000,
        "Milliseconds a suggestion may take while you type; asked by hand it has four times as many.",
        low=50,
        high=60000,
    )
    decode_ahead: bool = setting(True, "Compute what follows a suggestion before it is accepted. Never on battery.")
    throttle: float = setting(
        1.0, "Share of the time that may be spent computing suggestions while you type.", low=0.05, high=1.0
    )
    hole_marker: str = setting("???", "Text that marks a hole in a file, to be filled with the others in one go.")
    fill_max_lines: int = setting(40, "Lines of the longest infill of a selection or hole.", low=1, high=500)
    context: bool = setting(
        True, "Show the model parts of other files: imported definitions, open files, recent edits.", narrows=True
    )
    similar_code: bool = setting(
        True,
        "Also show the model pieces of the workspace that look like what stands around the cursor. Files are read for "
        "that while the keys rest.",
        narrows=True,
    )
    context_chars: int = setting(6000, "Characters of other files to show at most.", low=0, high=100_000)
    context_max_file_kb: int = setting(256, "Larger files, in kilobytes, are not read for context.", low=1, high=10_000)
    exclude: tuple[str, ...] = setting(
        DEFAULT_EXCLUDE,
        "Files the model must never see, as `.gitignore` patterns: not as context, and no suggestions in them. "
        "Replaces the default list; a workspace can only add to it.",
        patterns=True,
        narrows=True,
    )
    lint: bool = setting(
        True,
        "Show what `setfill lint --no-model` finds in lines that are not committed, in editors that ask.",
    )
    statistics: bool = setting(
        True, "Count suggestions shown and accepted, on this machine only (`setfill stats`).", narrows=True
    )
    model: str = setting(
        "setfill-135m", "An installed model, or the path of a model directory or GGUF file.", machine=True
    )
    precision: str | None = setting(None, "float32, bfloat16 or int8; null lets the processor decide.", machine=True)
    threads: int | None = setting(
        None, "Compute threads; null lets the processor decide.", low=1, high=512, machine=True
    )
    memory_budget_mb: int = setting(
        512, "Megabytes for the caches of all open files together.", low=16, high=1_000_000, machine=True
    )
    team_url: str | None = setting(
        None,
        "A team's service in place of a model on this machine, https://HOST: the text of the files that you edit goes "
        "there, except those of `exclude`.",
        machine=True,
    )
    team_token_file: str | None = setting(
        None,
        "File with your token for the team's service, which only you can read; null takes it from SETFILL_TEAM_TOKEN.",
        machine=True,
    )
    team_allow_http: bool = setting(
        False, "Reach the team's service by http from another machine, code and token unencrypted.", machine=True
    )
    shared_worker: bool = setting(
        True, "One model process for all editor windows; otherwise, and on Windows, one for each.", machine=True
    )
    linger_seconds: int = setting(
        300, "Seconds a shared model process stays after its last editor window.", low=1, high=86_400, machine=True
    )


def wire_name(name: str) -> str:
    """Return the name a field has in JSON: `max_lines` is `maxLines`."""
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


_BY_WIRE_NAME: dict[str, Field[Any]] = {wire_name(each.name): each for each in fields(Settings)}
_TYPES: dict[str, Any] = typing.get_type_hints(Settings)
_MOST_TEXTS = 1000
_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", tuple: "a list of texts"}


def updated(base: Settings, values: object, *, machine_scope: bool) -> tuple[Settings, list[str]]:
    """Return `base` with `values` (JSON) put over it, and a sentence for each that could not be used.

    Values of null leave a setting as it is, unless it may be null. Without `machine_scope` those that are
    machine-scoped are left as they are.
    """
    if values is None or values == []:  # a list: Lua has but one empty table
        return base, []
    if not isinstance(values, dict):
        return base, ["settings must be an object"]
    changes: dict[str, Any] = {}
    problems = []
    for name, value in values.items():
        known = _BY_WIRE_NAME.get(str(name))
        if known is None:
            close = difflib.get_close_matches(str(name)[:60], _BY_WIRE_NAME, n=1)
            problems.append(f"unknown setting {str(name)[:60]!r}" + (f"; did you mean {close[0]}?" if close else ""))
        elif known.metadata["machine"] and not machine_scope:
            if value is not None and _read(known, value) != (getattr(base, known.name), None):
                problems.append(f"{name} can only be set for this machine, not by a workspace")
        else:
            read, problem = _read(known, value)
            if problem:
                problems.append(f"{name} {problem}; it stays at {_shown(getattr(base, known.name))}")
            elif read is not None or _may_be_null(known):
                if known.metadata["patterns"]:
                    problems += [f"{name}: {found}" for each in read if (found := problem_of(each))]
                if known.metadata["narrows"] and not machine_scope:
                    read, problem = _narrowed(getattr(base, known.name), read)
                    problems += [f"{name} {problem}"] if problem else []
                changes[known.name] = read
    return replace(base, **changes), problems


def _narrowed(base: Any, value: Any) -> tuple[Any, str | None]:
    """Return what a workspace makes of the user's own value, and what of it is not done."""
    if isinstance(base, bool):
        return base and value, "can be turned off by a workspace, not on" if value and not base else None
    added = [each for each in value if each not in base]
    taking_back = [each for each in added if each.startswith("!")]
    problem = f"can only be added to by a workspace: {taking_back[0][:60]!r} has no effect" if taking_back else None
    return (*base, *(each for each in added if not each.startswith("!"))), problem


def settings_table() -> str:
    """Return the table of docs/settings.md."""
    rows = ["| setting | default | what it does |", "|---|---|---|"]
    for name, each in _BY_WIRE_NAME.items():
        allowed = f" From {_bounds(each)}." if each.metadata["low"] is not None else ""
        if choices := each.metadata["choices"]:
            allowed = f" One of {', '.join(f'`{choice}`' for choice in choices)}."
        scope = " *Machine-scoped.*" if each.metadata["machine"] else ""
        default = "see below" if each.name == "exclude" else f"`{_shown(each.default)}`"
        rows.append(f"| `{name}` | {default} | {each.metadata['text']}{allowed}{scope} |")
    return "\n".join(rows) + "\n"


def _read(known: Field[Any], value: object) -> tuple[Any, str | None]:
    """Return the value in our type, or what is wrong with it."""
    if value is None:
        return None, None
    kind = _kind(known)
    if kind is tuple:
        is_right = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if is_right and len(value) > _MOST_TEXTS:  # type: ignore[arg-type]
            return None, f"must be at most {_MOST_TEXTS:,} texts"
        return (tuple(value), None) if is_right else (None, f"must be {_TYPE_NAMES[kind]}")  # type: ignore[arg-type]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)  # some clients' JSON knows no whole numbers
    if type(value) is not kind:
        return None, f"must be {_TYPE_NAMES[kind]}"
    low, high = known.metadata["low"], known.metadata["high"]
    if low is not None and not low <= value <= high:
        return None, f"must be from {_bounds(known)}"
    if (choices := known.metadata["choices"]) and value not in choices:
        return None, f"must be {', '.join(choices[:-1])} or {choices[-1]}"
    if known.name == "hole_marker" and (not str(value).strip() or len(str(value)) > 100):
        return None, "must not be empty, nor longer than 100 characters"
    return value, None


def _bounds(known: Field[Any]) -> str:
    return f"{known.metadata['low']:g} to {known.metadata['high']:,.9g}"


def _kind(known: Field[Any]) -> type:
    hint = _TYPES[known.name]
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    origin: type = typing.get_origin(hint) or hint
    return origin


def _may_be_null(known: Field[Any]) -> bool:
    return type(None) in typing.get_args(_TYPES[known.name])


def _shown(value: object) -> str:
    if value is None or value is MISSING:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[]" if not value else "the list it had"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"
