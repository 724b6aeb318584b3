"""Settings: every one documented, bad ones reported and the rest used, machine-scoped ones never a workspace's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_server.settings import DEFAULT_EXCLUDE, Settings, settings_table, updated, wire_name
from tests.lsp_server.client import Client, talk

ROOT = Path(__file__).resolve().parents[2]
URI = "file:///w/a.py"
Script = Callable[..., str]


def test_the_table_in_the_docs_is_that_of_the_code() -> None:
    """After a change that is meant: `python -m tests.lsp_server.test_settings`."""
    page = (ROOT / "docs" / "settings.md").read_text()
    assert settings_table() in page
    assert all(f"`{pattern}`" in page for pattern in DEFAULT_EXCLUDE)


@pytest.mark.parametrize(
    ("values", "expected", "problems"),
    [
        ({}, {}, []),
        (None, {}, []),
        ([], {}, []),
        (["maxLines"], {}, ["settings must be an object"]),
        ({"maxLines": 3, "debounceMs": None}, {"max_lines": 3, "debounce_ms": None}, []),
        ({"maxLines": 3.0, "confidenceFloor": 1}, {"max_lines": 3, "confidence_floor": 1.0}, []),
        ({"maxLines": "3", "throttle": 0.5}, {"throttle": 0.5}, ["maxLines must be a whole number; it stays at 12"]),
        ({"maxLines": True}, {}, ["maxLines must be a whole number; it stays at 12"]),
        ({"maxLines": 0}, {}, ["maxLines must be from 1 to 200; it stays at 12"]),
        ({"memoryBudgetMb": 1}, {}, ["memoryBudgetMb must be from 16 to 1,000,000; it stays at 512"]),
        ({"throttle": 7}, {}, ["throttle must be from 0.05 to 1; it stays at 1"]),
        ({"eagerness": "quiet", "confidenceFloor": None}, {"eagerness": "quiet"}, []),
        ({"eagerness": "shy"}, {}, ['eagerness must be eager, balanced or quiet; it stays at "balanced"']),
        ({"eagerness": 1}, {}, ['eagerness must be text; it stays at "balanced"']),
        ({"exclude": ["*.x"]}, {"exclude": ("*.x",)}, []),
        ({"exclude": "*.x"}, {}, ["exclude must be a list of texts; it stays at the list it had"]),
        ({"holeMarker": " "}, {}, ['holeMarker must not be empty, nor longer than 100 characters; it stays at "???"']),
        ({"maxLine": 1}, {}, ["unknown setting 'maxLine'; did you mean maxLines?"]),
        ({"colour": 1}, {}, ["unknown setting 'colour'"]),
        ({"enabled": None, "model": None}, {}, []),
    ],
)
def test_reading(values: object, expected: dict[str, Any], problems: list[str]) -> None:
    assert updated(Settings(), values, machine_scope=True) == (dataclasses.replace(Settings(), **expected), problems)


def test_a_workspace_cannot_choose_what_is_the_machines() -> None:
    base = Settings(model="mine")
    machine = [each.name for each in dataclasses.fields(Settings) if each.metadata["machine"]]
    assert {"model", "shared_worker", "threads"} <= set(machine)
    values: dict[str, object] = {wire_name(name): {"model": "./theirs"}.get(name, 7) for name in machine}
    settings, problems = updated(base, {**values, "maxLines": 4}, machine_scope=False)
    assert settings == dataclasses.replace(base, max_lines=4)
    assert "model can only be set for this machine, not by a workspace" in problems
    assert updated(base, {"model": "mine"}, machine_scope=False) == (base, [])


@pytest.mark.parametrize(
    ("base", "theirs", "expected", "problem"),
    [
        (("a", "!b"), [], ("a", "!b"), ""),
        (("a", "!b"), ["c"], ("a", "!b", "c"), ""),
        (("a", "!b"), ["!b", "a", "a"], ("a", "!b"), ""),
        (("a",), ["!*", "c"], ("a", "c"), "exclude can only be added to by a workspace: '!*' has no effect"),
        (True, False, False, ""),
        (False, True, False, "context can be turned off by a workspace, not on"),
        (False, False, False, ""),
    ],
)
def test_a_workspace_can_only_narrow_what_is_shown(base: Any, theirs: Any, expected: Any, problem: str) -> None:
    """`exclude: []` and `["!*"]` through workspace/configuration sent `credentials.py` as context."""
    name = "exclude" if isinstance(base, tuple) else "context"
    mine = dataclasses.replace(Settings(), **{name: base})
    settings, problems = updated(mine, {name: theirs}, machine_scope=False)
    assert getattr(settings, name) == expected
    assert problems == ([problem] if problem else [])


def test_lists_are_bounded() -> None:
    settings, problems = updated(Settings(), {"exclude": ["*.x"] * 1001}, machine_scope=True)
    assert (settings, problems) == (Settings(), ["exclude must be at most 1,000 texts; it stays at the list it had"])


def test_they_are_asked_for_reported_and_reloaded(script: Script) -> None:
    async def conversation(client: Client) -> None:
        client.settings = {"enabled": False, "maxLines": "many", "model": "/their/model"}
        await client.initialize(model=script("x = 1\n"))
        client.open(URI, "x =")
        await client.until(lambda: client.messages("window/showMessage"))
        (shown,) = client.messages("window/showMessage")
        assert "maxLines must be a whole number; it stays at 12" in shown["message"]
        assert "model can only be set for this machine" in shown["message"]
        assert await client.suggest(URI) == []
        client.settings = {"enabled": True}
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        await client.until(lambda: len([1 for method, _ in client.asked if method == "workspace/configuration"]) == 2)
        assert [item["insertText"] for item in await client.suggest(URI)] == [" 1"]
        client.settings = {"exclude": ["*.py"]}  # and no longer anything of `enabled`: it is as it was at the start
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        await client.until(lambda: len([1 for method, _ in client.asked if method == "workspace/configuration"]) == 3)
        assert await client.suggest(URI) == []
        assert (await client.request("setfill/status", {"worker": True}))["worker"]["files"] == 0

    talk(conversation)


def test_clients_that_push_settings(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script("x = 1\n"))
        client.open(URI, "x =")
        client.notify("workspace/didChangeConfiguration", {"settings": {"setfill": {"enabled": False}}})
        assert await client.suggest(URI) == []

    talk(conversation)


if __name__ == "__main__":
    path = ROOT / "docs" / "settings.md"
    head, _, rest = path.read_text().partition("| setting |")
    tail = rest.partition("\n\n")[2]
    path.write_text(head + settings_table() + "\n" + tail)
