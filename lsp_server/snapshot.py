"""A file as it was when a request came: what a handler answers for, whatever is typed meanwhile.

Knows which file it was taken of, to ask the worker about it, and whether that file still has this text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lsprotocol import types

from grammars import SyntaxSnapshot
from lsp_server.open_document import OpenDocument
from lsp_server.settings import Settings
from lsp_server.text_document import TextDocument
from model.api.types import Edit, Infill, InfillRequest, PartialInfill
from model.errors import VersionError


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The text and version of a file, and the settings, of one moment. `version` None: the client gives it none."""

    document: OpenDocument = field(repr=False)
    text: str = field(repr=False)
    version: int | None
    settings: Settings

    @property
    def is_current(self) -> bool:
        """Whether the file is open and has this text."""
        return self.document.is_open and self.document.text == self.text

    def require_current(self) -> None:
        """Raise VersionError when the file has another text by now, or none."""
        if not self.is_current:
            raise VersionError("the file was edited meanwhile")

    def now(self) -> Snapshot:
        """Return the same file as it is now, under the same settings."""
        return replace(self, text=self.document.text, version=self.document.version)

    def char_at(self, place: types.Position) -> int:
        """Return the string index of a position."""
        return self._content().char_at(place)

    def chars_of(self, span: types.Range) -> tuple[int, int]:
        """Return the string indices of a range."""
        return self._content().chars_of(span)

    def range_at(self, start: int, end: int) -> types.Range:
        """Return the range between two string indices."""
        return self._content().range_at(start, end)

    def line_start(self, char: int) -> int:
        """Return the string index at which the line of another begins."""
        content = self._content()
        return content.line_range(content.position_at(char).line)[0]

    async def syntax(self) -> SyntaxSnapshot:
        """Return the syntax of this text. Parses outside the event loop."""
        return await self.document.syntax.of(self.text)

    async def infill(
        self,
        request: InfillRequest,
        suppose: Edit | None = None,
        on_partial: Callable[[PartialInfill], None] | None = None,
    ) -> Infill:
        """Ask the worker about this text, as `OpenDocument.infill` does. VersionError when the file has another one."""
        self.require_current()
        infill = await self.document.infill(request, suppose, on_partial=on_partial)
        self.require_current()
        return infill

    def _content(self) -> TextDocument:
        """Return this text with its lines: the file's own while it has this text, for finding them takes time."""
        content = self.document.content
        return content if content.text == self.text else TextDocument(self.text, content.unit)
