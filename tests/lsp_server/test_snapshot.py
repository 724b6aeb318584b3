"""A file as it was: positions, version and settings of one moment, and an answer for that text or none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from lsprotocol import types

from lsp_server.admission import Admission
from lsp_server.documents import Documents
from lsp_server.settings import Settings
from lsp_server.snapshot import Snapshot
from lsp_server.text_units import ColumnUnit
from model.api.client import WorkerClient, WorkerOptions
from model.api.types import Edit, Gap, Infill, InfillRequest
from model.errors import VersionError

URI = "file:///w/a.py"
TEXT = "🐍 = one\nx = two\n"


def opened() -> tuple[Documents, Snapshot]:
    documents = Documents(WorkerClient(WorkerOptions("none")), ColumnUnit.UTF16, Admission(Settings(), []))
    documents.open(types.TextDocumentItem(URI, "python", 3, TEXT))
    document = documents.get(URI)
    assert document
    return documents, Snapshot(document, document.text, document.version, Settings())


def change(documents: Documents, text: str, version: int = 4) -> None:
    documents.change(URI, version, [types.TextDocumentContentChangeWholeDocument(text)])


def test_positions_are_those_of_its_text() -> None:
    """Ranges of an infill were computed in the text of now, though its version was that of the question."""
    documents, snapshot = opened()
    two = types.Range(types.Position(1, 4), types.Position(1, 7))
    one = types.Range(types.Position(0, 5), types.Position(0, 8))
    for text in (TEXT, "# a\n# b\n" + TEXT, "no lines"):
        change(documents, text)
        for span, word in ((two, "two"), (one, "one")):
            start = TEXT.index(word)
            assert snapshot.range_at(start, start + 3) == span
            assert snapshot.chars_of(span) == (start, start + 3)
        assert snapshot.line_start(TEXT.index("two")) == TEXT.index("x")
        assert snapshot.char_at(two.start) == TEXT.index("two")
    assert snapshot.version == 3


def test_it_is_current_while_the_file_has_its_text() -> None:
    documents, snapshot = opened()
    change(documents, TEXT)
    assert snapshot.is_current, "the same text under another version"
    change(documents, "x")
    assert not snapshot.is_current
    assert snapshot.now().text == "x"
    change(documents, TEXT)
    assert snapshot.is_current
    documents.close(URI)
    assert not snapshot.is_current
    with pytest.raises(VersionError, match="edited meanwhile"):
        snapshot.require_current()


@pytest.mark.parametrize("when", ["before", "meanwhile", "closed", "never"])
def test_an_answer_is_for_its_text_or_none(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> int:
        documents, snapshot = opened()

        async def infill(request: InfillRequest, on_partial: Any = None) -> Infill:
            if when == "meanwhile":
                change(documents, "x")
            elif when == "closed":
                documents.close(URI)
            return Infill(request.version, (), 1, 0, 0, 0.0)

        monkeypatch.setattr(snapshot.document.client, "infill", infill)
        if when == "before":
            change(documents, "x")
        request = InfillRequest("", 0, (Gap(0, 0),))
        for suppose in (None, Edit(0, 0, "y")):
            await snapshot.infill(request, suppose)
        return snapshot.document.revision

    if when == "never":
        assert asyncio.run(run()) == 3, "opened, supposed, and the supposition taken back"
    else:
        with pytest.raises(VersionError):
            asyncio.run(run())
