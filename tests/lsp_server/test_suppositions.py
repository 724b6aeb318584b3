"""What is asked about a text as it would be never gets into what is asked about the text as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from lsp_server.admission import Admission
from lsp_server.documents import Documents
from lsp_server.settings import Settings
from lsp_server.text_units import ColumnUnit
from model.api.types import Edit, Gap, Infill, InfillRequest
from model.errors import VersionError


class Worker:
    """Carries out what it is told in order, as the model worker does."""

    def __init__(self) -> None:
        self.text, self.version = "", 0

    def open(self, file_id: str, path: str, owner: Callable[[], str], version: int) -> None:
        self.owner = owner
        self.text, self.version = owner(), version

    def edit(self, file_id: str, edits: list[Edit], version: int) -> None:
        assert version > self.version
        for edit in edits:
            self.text = self.text[: edit.start] + edit.text + self.text[edit.end :]
        self.version = version
        assert self.owner() == self.text, "another worker would be given another text"

    def prepare(self, file_id: str, cursor: int) -> None:
        assert 0 <= cursor <= len(self.text)

    async def infill(self, request: InfillRequest, on_partial: Any = None) -> Infill:
        seen, version = self.text, self.version
        await asyncio.sleep(0.01)
        if version != request.version:
            raise VersionError("another version")
        return Infill(version, (), 1, 0, 0, 0.0, seen)  # type: ignore[arg-type]


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("both", [False, True])
def test_requests_at_the_same_time_see_their_own_texts(turns: int, both: bool) -> None:
    """A fill while a suggestion was decoded ahead was refused, or answered for the text with that suggestion in it."""

    async def run() -> None:
        worker = Worker()
        documents = Documents(worker, ColumnUnit.UTF16, Admission(Settings(), []))  # type: ignore[arg-type]
        documents.open(types.TextDocumentItem("file:///w/a.txt", "plaintext", 1, "x ="))
        document = documents.get("file:///w/a.txt")
        assert document
        request = InfillRequest("", 0, (Gap(3, 3),))
        ahead = asyncio.create_task(document.infill(request, suppose=Edit(3, 3, " 1")))
        for _ in range(turns):
            await asyncio.sleep(0)
        second = asyncio.create_task(document.infill(request, suppose=Edit(3, 3, " 2") if both else None))
        found = await asyncio.gather(ahead, second, return_exceptions=True)
        assert worker.text == "x ="
        assert isinstance(found[0], VersionError) or found[0].trace == "x = 1"
        assert found[1].trace == ("x = 2" if both else "x =")

    asyncio.run(run())


STEPS = st.tuples(st.sampled_from(["edit", "before", "suppose", "prepare", "turn"]), st.text("ab\n🐍", max_size=3))


@given(st.lists(STEPS, max_size=10))
def test_a_text_that_is_asked_for_is_the_one_that_was_told(steps: list[tuple[str, str]]) -> None:
    """The worker that comes after a death is given what the owner of the text says then, in the middle of anything."""

    async def run() -> None:
        worker, before = Worker(), ""
        documents = Documents(worker, ColumnUnit.UTF16, Admission(Settings(), []))  # type: ignore[arg-type]
        item = types.TextDocumentItem("file:///w/a.txt", "plaintext", 1, "x =")
        documents.open(item, text_before=lambda document: before)
        document = documents.get(item.uri)
        assert document
        asked = []
        for step, text in steps:
            if step == "edit":
                documents.change(item.uri, None, [types.TextDocumentContentChangeWholeDocument(text)])
            elif step == "before":
                before = text
            elif step == "suppose":
                request = InfillRequest("", 0, (Gap(0, 0),))
                asked.append(asyncio.create_task(document.infill(request, suppose=Edit(0, 0, text))))
            elif step == "prepare":
                document.prepare(document.last_edit_char)
                assert worker.text == before + document.text or asked
            else:
                await asyncio.sleep(0)
        await asyncio.gather(*asked, return_exceptions=True)
        document.prepare(0)
        assert worker.owner() == worker.text == before + document.text

    asyncio.run(run())
