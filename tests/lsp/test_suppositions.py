"""What is asked about a text as it would be never gets into what is asked about the text as it is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
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

    def open(self, file_id: str, path: str, text: str, version: int) -> None:
        self.text, self.version = text, version

    def edit(self, file_id: str, edits: list[Edit], version: int) -> None:
        assert version > self.version
        for edit in edits:
            self.text = self.text[: edit.start] + edit.text + self.text[edit.end :]
        self.version = version

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
