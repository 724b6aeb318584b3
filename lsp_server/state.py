"""What the server holds for its client, from `initialize` on: made whole there, each piece with one owner.

Features share it. It knows what is held and who listens to what; it knows no requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lsp_server.admission import Admission
from lsp_server.documents import Documents
from lsp_server.editor import Editor
from lsp_server.protocol import request_failed
from lsp_server.settings import Settings, updated
from lsp_server.snapshot import Snapshot
from lsp_server.statistics import Statistics
from lsp_server.suggester import Suggester
from lsp_server.text_units import ColumnUnit
from lsp_server.worker import ModelWorker
from model.api.client import WorkerClient


class State:
    """Everything that belongs to one client: its settings, open files, worker, suggestions and counts."""

    def __init__(
        self, editor: Editor, client: WorkerClient, settings: Settings, unit: ColumnUnit, roots: Sequence[Path]
    ) -> None:
        self.editor = editor
        self.settings = self._own_settings = settings
        self.statistics = Statistics()
        self.statistics.is_kept = settings.statistics
        self.worker = ModelWorker(client, editor.long_work, editor.show_problem)
        self.documents = Documents(client, unit, Admission(settings, roots))
        self.suggester = Suggester(self.worker, editor.long_work, self.statistics)
        self.on_settings_changed: list[Callable[[], None]] = []
        self.on_end: list[Callable[[], object]] = []  # whoever has something under way lets go of it
        self.documents.on_edited.append(self.suggester.changed)
        self.documents.on_closed.append(self.suggester.close)
        self.documents.on_lost.append(editor.warn)

    def snapshot(self, uri: str) -> Snapshot:
        """Return an open file as it is now, for a request about it. A failure, which says why, when it is not held."""
        if document := self.documents.get(uri):
            return Snapshot(document, document.text, document.version, self.settings)
        raise request_failed(self.documents.unknown.get(uri, "the file is not open"))

    def snapshot_if_open(self, uri: str) -> Snapshot | None:
        """Return an open file as it is now, None when it is not held."""
        return self.snapshot(uri) if self.documents.get(uri) else None

    def use_workspace_settings(self, values: object) -> None:
        """Put what the client says of the workspace over what it gave at the start, and show what is wrong with it."""
        settings, problems = updated(self._own_settings, values, machine_scope=False)
        if settings == self.settings and not problems:
            return
        self.settings = settings
        self.statistics.is_kept = settings.statistics
        self.documents.admit_by(Admission(settings, self.documents.roots))
        for tell in self.on_settings_changed:
            tell()
        if problems:
            self.editor.show_settings_problems(problems)

    def use_folders(self, roots: Sequence[Path]) -> None:
        """Take note of the folders that the workspace has by now."""
        self.documents.admit_by(Admission(self.settings, roots))

    async def end(self) -> None:
        """Let go of the worker and of everything that is under way."""
        for let_go in self.on_end:
            let_go()
        for document in self.documents:
            self.suggester.close(document)
        await self.worker.stop()
