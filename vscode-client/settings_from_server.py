"""Writes the server's settings into package.json; with `--check`, only compares the two.

The settings stand in lsp_server/settings.py. Names with a dot in them are the extension's own, and stay as they are.
"""

from __future__ import annotations

import json
import sys
import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsp_server.settings import Settings, wire_name  # noqa: E402

MANIFEST = Path(__file__).with_name("package.json")
SECTION = "setfill."
NARROWED = (
    "narrowed"  # tag of what a workspace can only narrow: the server is told of the user's own value at its start
)
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
# What a folder must not choose before it is trusted: what the model may see of a disk.
RESTRICTED = ("context", "contextChars", "contextMaxFileKb", "exclude")


def properties() -> dict[str, Any]:
    """Return the settings as VS Code's `contributes.configuration.properties` has them."""
    hints = typing.get_type_hints(Settings)
    found: dict[str, Any] = {}
    for order, each in enumerate(fields(Settings)):
        meta, default = each.metadata, each.default
        is_list = typing.get_origin(hints[each.name]) is tuple
        kinds = typing.get_args(hints[each.name]) or (hints[each.name],)
        names = [_TYPES[kind] for kind in kinds if kind in _TYPES]
        may_be_null = type(None) in kinds
        shape: dict[str, Any] = (
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
            if is_list
            else {"type": [*names, "null"] if may_be_null else names[0]}
        )
        found[SECTION + wire_name(each.name)] = {
            **shape,
            "default": list(default) if isinstance(default, tuple) else default,
            **({"minimum": meta["low"], "maximum": meta["high"]} if meta["low"] is not None else {}),
            **({"enum": list(meta["choices"])} if meta["choices"] else {}),
            "scope": "machine" if meta["machine"] else "window",
            **({"tags": [NARROWED]} if meta["narrows"] else {}),
            "order": order,
            "markdownDescription": meta["text"],
        }
    return found


def updated(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with the server's settings as they are now."""
    configuration = manifest["contributes"]["configuration"]
    own = {name: value for name, value in configuration["properties"].items() if "." in name.removeprefix(SECTION)}
    configuration["properties"] = {**properties(), **own}
    machine = [name for name, value in configuration["properties"].items() if str(value["scope"]).startswith("machine")]
    untrusted = manifest["capabilities"]["untrustedWorkspaces"]
    untrusted["restrictedConfigurations"] = sorted([*machine, *(SECTION + name for name in RESTRICTED)])
    return manifest


def main() -> int:
    before = json.loads(MANIFEST.read_text(encoding="utf-8"))
    after = updated(json.loads(json.dumps(before)))
    if "--check" in sys.argv[1:]:
        if before != after:
            print("package.json has not the server's settings: run vscode-client/settings_from_server.py")
        return int(before != after)
    MANIFEST.write_text(json.dumps(after, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
