"""For whom other code is gathered, and of which open files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from grammars import language_named
from lsp_server import context
from lsp_server.context import ContextKeeper, OpenFile
from lsp_server.settings import Settings
from lsp_server.state import State
from model.api.types import Snippet

FOUND = Snippet("found.py", "x = 1\n")


def document(path: Path | None, **facts: Any) -> Any:
    """Return what the keeper asks of an open document, which keeps what it is shown as `shown`."""
    known = {"is_known_to_worker": True, "is_open": True, "text": "", "last_edit_char": 0, "shown": None}
    made = SimpleNamespace(path=path, language=language_named("python"), **{**known, **facts})
    made.show_snippets = lambda snippets: setattr(made, "shown", snippets)
    return made


def gathered_of(monkeypatch: pytest.MonkeyPatch, first: Any, *others: Any, settings: Settings) -> list[Path] | None:
    """Gather for `first`; return the open files that were offered, None if nothing was gathered."""
    offered: list[Path] = []
    asked = False

    def gathered(here: OpenFile, others: Sequence[OpenFile], *_: object) -> tuple[Snippet, ...]:
        nonlocal asked
        asked = True
        assert here.path == first.path
        offered.extend(each.path for each in others)
        return (FOUND,)

    class Documents(list[Any]):
        roots = ()

    monkeypatch.setattr(context, "gathered", gathered)
    worker = SimpleNamespace(description=None)
    state = SimpleNamespace(documents=Documents([first, *others]), worker=worker, settings=settings)
    asyncio.run(ContextKeeper(cast(State, state))._gather(first))
    return offered if asked else None


def test_other_open_files_are_those_with_a_name_that_the_worker_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    first, seen = document(Path("/w/a.py")), document(Path("/w/b.py"))
    excluded, unnamed = document(Path("/w/key.py"), is_known_to_worker=False), document(None)
    assert gathered_of(monkeypatch, first, seen, excluded, unnamed, settings=Settings()) == [seen.path]
    assert first.shown == (FOUND,)


@pytest.mark.parametrize("settings", [Settings(context=False), Settings(context_chars=0)])
def test_who_wants_no_context_is_shown_none(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    first = document(Path("/w/a.py"))
    assert gathered_of(monkeypatch, first, settings=settings) is None
    assert first.shown == (), "what was shown before is taken back"


@pytest.mark.parametrize("facts", [{"path": None}, {"path": Path("/w/key.py"), "is_known_to_worker": False}])
def test_for_a_file_that_is_not_sent_nothing_is_gathered(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any]
) -> None:
    first = document(**facts)
    assert gathered_of(monkeypatch, first, settings=Settings()) is None
    assert first.shown is None


def test_a_file_that_was_closed_meanwhile_is_shown_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = document(Path("/w/a.py"), is_open=False)
    assert gathered_of(monkeypatch, first, settings=Settings()) == []
    assert first.shown is None
