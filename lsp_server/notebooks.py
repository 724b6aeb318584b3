"""Notebooks: each cell is a file of its own to the editor; to the model the cells before it are its beginning.

Only code cells of the same language count, those nearest first where they are many. A notebook's path stands for
its cells wherever files are excluded or switched off.

Knows the order of cells; their texts are `documents`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from lsprotocol import types

from lsp_server.documents import Documents
from lsp_server.open_document import OpenDocument
from lsp_server.protocol import contained
from lsp_server.server import SetfillServer

_MOST_CHAR = 16_000  # of the cells before one; about three times what the model sees at once
_BETWEEN_CELLS = "\n\n"


def register(server: SetfillServer) -> None:
    """Add the feature to a server."""
    notebooks = Notebooks(server.state.documents)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    @contained
    def opened(params: types.DidOpenNotebookDocumentParams) -> None:
        notebooks.open(params.notebook_document, params.cell_text_documents)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    @contained
    def changed(params: types.DidChangeNotebookDocumentParams) -> None:
        if params.change.cells:
            notebooks.change(params.notebook_document.uri, params.change.cells)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    @contained
    def closed(params: types.DidCloseNotebookDocumentParams) -> None:
        notebooks.close(params.notebook_document.uri)


class Notebooks:
    """The open notebooks: which cells they have, in which order. The cells' texts are open documents."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._cells: dict[str, list[types.NotebookCell]] = {}  # by the notebook's URI

    def open(self, notebook: types.NotebookDocument, texts: Sequence[types.TextDocumentItem]) -> None:
        """Take in a notebook and the texts of its cells; one that is open already is replaced."""
        self.close(notebook.uri)
        self._cells[notebook.uri] = list(notebook.cells)
        for item in texts:
            self._open_cell(notebook.uri, item)

    def change(self, uri: str, changes: types.NotebookDocumentCellChanges) -> None:
        """Take in a change of cells: of their order first, then of what they are, then of their texts."""
        cells = self._cells.get(uri)
        if cells is None:
            return  # its cells are not known either
        if structure := changes.structure:
            array = structure.array
            cells[array.start : array.start + array.delete_count] = array.cells or ()
            for item in structure.did_open or ():
                self._open_cell(uri, item)
            for gone in structure.did_close or ():
                self._documents.close(gone.uri)
        newer = {cell.document: cell for cell in changes.data or ()}
        cells[:] = [newer.get(cell.document, cell) for cell in cells]
        for content in changes.text_content or ():
            self._documents.change(content.document.uri, content.document.version, content.changes)

    def close(self, uri: str) -> None:
        """Forget a notebook and its cells."""
        for cell in self._cells.pop(uri, ()):
            self._documents.close(cell.document)

    def _open_cell(self, uri: str, item: types.TextDocumentItem) -> None:
        self._documents.open(item, uri, partial(self._text_before, uri))

    def _text_before(self, uri: str, document: OpenDocument) -> str:
        """Return what the cells before one say."""
        cells = self._cells.get(uri, [])
        index = next((at for at, cell in enumerate(cells) if cell.document == document.uri), 0)
        texts: list[str] = []
        room_char = _MOST_CHAR
        for cell in reversed(cells[:index]):
            other = self._documents.get(cell.document)
            if other is None or cell.kind is not types.NotebookCellKind.Code:
                continue
            if (
                other.language is not document.language
                or self._documents.admission.is_excluded(other)
                or not other.text.strip()
            ):
                continue
            text = other.text.rstrip() + _BETWEEN_CELLS
            room_char -= len(text)
            if room_char < 0:
                break
            texts.append(text)
        return "".join(reversed(texts))
