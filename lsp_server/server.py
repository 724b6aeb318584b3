"""The server of one client: what it holds, and the handlers of the protocol's life cycle.

Features register themselves, each in a module of its own; what they share is on `SetfillServer`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from lsp_server import client_process
from lsp_server.documents import LARGEST_FILE_CHAR, Documents, OpenDocument, file_path
from lsp_server.hard_links import other_names
from lsp_server.patterns import Patterns, matches
from lsp_server.progress import Progress
from lsp_server.protocol import Protocol, contained, place_of, raw_converter, request_failed
from lsp_server.settings import Settings, updated
from lsp_server.silence import Reason
from lsp_server.statistics import Statistics
from lsp_server.suggester import Suggester
from lsp_server.text_units import ColumnUnit
from lsp_server.worker import ModelWorker
from model.api.client import WorkerClient, WorkerOptions
from model.api.runtime import package_version

logger = logging.getLogger(__name__)

NOTEBOOKS = types.NotebookDocumentSyncOptions([types.NotebookDocumentFilterWithNotebook(notebook="*")])
"""Which notebooks clients that know them are asked to tell of: all cells of all."""
SECTION = "setfill"  # of workspace/configuration
_SAVE_SECONDS = 60.0  # between two times that statistics are saved
_PREPARE_SECONDS = 0.1  # without a key, before the worker gets ready at the place of the last edit
_TOKEN_OPTION = "socketToken"

UNREADABLE = "the editor sent what cannot be read"  # why a file was lost

Options = Callable[[Settings], WorkerOptions]


class SetfillServer(LanguageServer):
    """Everything that belongs to one client."""

    protocol: Protocol

    def __init__(self, worker_options: Options, token: str | None = None) -> None:
        super().__init__(
            "setfill",
            package_version(),
            notebook_document_sync=NOTEBOOKS,
            protocol_cls=Protocol,
            converter_factory=raw_converter,
            max_workers=2,
        )
        self.settings = self._own_settings = Settings()
        self.statistics = Statistics()
        self.long_work = Progress(self)
        self.documents: Documents
        self.worker: ModelWorker
        self.suggester: Suggester
        self.client_name = ""
        self.on_document_changed: Callable[[OpenDocument], None] = lambda document: None
        self.on_settings_changed: Callable[[], None] = lambda: None
        self._worker_options = worker_options
        self._token = token
        self._told: set[str] = set()
        self._disabled_paths = self._excluded = Patterns(())
        self._looking: set[asyncio.Task[None]] = set()
        self._preparing: asyncio.TimerHandle | None = None
        self._saving: asyncio.TimerHandle | None = None
        self._watching: asyncio.Task[None] | None = None

    def begin(self, params: types.InitializeParams) -> None:
        """Take in what the client says of itself. A failure when it does not know the token of the socket."""
        options = params.initialization_options
        options = dict(options) if isinstance(options, dict) else {}
        if self._token is not None and not hmac.compare_digest(
            str(options.pop(_TOKEN_OPTION, "")).encode(), self._token.encode()
        ):
            raise request_failed(
                f"initializationOptions.{_TOKEN_OPTION} is not the token that was printed at the start"
            )
        self.client_name = params.client_info.name if params.client_info else ""
        window = params.capabilities.window
        self.long_work.is_supported = bool(window and window.work_done_progress)
        settings, problems = updated(Settings(), options, machine_scope=True)
        client = WorkerClient(self._worker_options(settings))
        self.documents = Documents(client, ColumnUnit(self.workspace.position_encoding or ColumnUnit.UTF16))
        folders = [folder.uri for folder in params.workspace_folders or []] or [params.root_uri or ""]
        self.documents.roots = [path for uri in folders if (path := file_path(uri))]
        self.worker = ModelWorker(client, self.long_work, self.show_problem)
        self.suggester = Suggester(self.worker, self.long_work, self.statistics, lambda: self.settings)
        self._own_settings = settings
        self.use(settings, problems)
        self.protocol.is_initialized = True
        if self._token is None:  # a socket's other end may be on another machine, and tells when it goes
            self._watching = asyncio.create_task(self._leave_with(params.process_id or 0))

    def use_workspace_settings(self, values: object) -> None:
        """Put what the client says of the workspace over what it gave at the start."""
        settings, problems = updated(self._own_settings, values, machine_scope=False)
        if settings != self.settings or problems:
            self.use(settings, problems)

    def use(self, settings: Settings, problems: list[str]) -> None:
        """Have new settings take effect, and show what was wrong with them."""
        self.settings = settings
        self.statistics.is_kept = settings.statistics
        self._disabled_paths = Patterns(settings.disabled_paths)
        self._excluded = Patterns(settings.exclude)
        for document in self.documents:
            self.admit(document)
        self.on_settings_changed()
        if problems:
            text = "Setfill settings: " + "; ".join(problems)
            self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, text))

    def admit(self, document: OpenDocument) -> None:
        """Tell the worker of a file, or have it forget the file, as the settings want it."""
        if self.is_excluded(document) or document.has_unknown_names:
            document.hide_from_worker()
        else:
            document.tell_worker()

    def is_excluded(self, document: OpenDocument) -> bool:
        """Whether the model must never see this file."""
        return self._matches(document, self._excluded)

    def is_disabled(self, document: OpenDocument) -> bool:
        """Whether there are to be no suggestions in this file."""
        return self.why_disabled(document) is not None

    def why_disabled(self, document: OpenDocument) -> Reason | None:
        """Return why there are to be no suggestions in this file, None where there may be."""
        languages = {name.lower() for name in self.settings.disabled_languages}
        if not self.settings.enabled:
            return Reason.OFF
        if not document.is_known_to_worker:
            return Reason.EXCLUDED
        if not languages.isdisjoint((document.language_id.lower(), document.language.name)):
            return Reason.LANGUAGE_OFF
        return Reason.PATH_OFF if self._matches(document, self._disabled_paths) else None

    def _matches(self, document: OpenDocument, patterns: Patterns) -> bool:
        return any(matches(name, patterns, self.documents.roots) for name in document.names)

    def document(self, uri: str) -> OpenDocument:
        """Return an open file. A failure, which says why, when it is not known."""
        if document := self.documents.get(uri):
            return document
        raise request_failed(self.documents.unknown.get(uri, "the file is not open"))

    def open_document(
        self,
        item: types.TextDocumentItem,
        notebook_uri: str | None = None,
        text_before: Callable[[OpenDocument], str] | None = None,
    ) -> None:
        """Take in a file, or a cell of a notebook, and tell the worker of it if it may know it."""
        self.close_document(item.uri)
        if len(item.text) > LARGEST_FILE_CHAR:
            self.lose_document(item.uri, _too_large(item.text))
            return
        document = self.documents.open(item, notebook_uri)
        if text_before:
            document.text_before = text_before
        if document.has_unknown_names:
            looking = asyncio.create_task(self._find_names(document))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)
        self.admit(document)
        self.on_document_changed(document)

    async def _find_names(self, document: OpenDocument) -> None:
        """Look for the other names of a file with hard links: one of them may be excluded."""
        assert document.path
        roots = self.documents.roots
        folders = [document.path.parent, *roots, *(root.parent for root in roots), Path.home()]
        document.names |= await asyncio.to_thread(other_names, document.path, folders)
        document.has_unknown_names = False
        if self.documents.get(document.uri) is document:
            self.admit(document)
            self.on_document_changed(document)

    def change_document(
        self, uri: str, version: int | None, changes: Sequence[types.TextDocumentContentChangeEvent]
    ) -> None:
        """Take in a change of a file. Whatever goes wrong, our text is no longer the editor's, and the file is lost."""
        document = self.documents.get(uri)
        if document is None:
            if uri not in self.documents.unknown:
                logger.warning("a change of a file that is not open")
            return
        try:
            has_changed = document.change(changes, version)
        except Exception as error:
            logger.error("a change could not be made: %s", place_of(error))
            self.lose_document(uri, UNREADABLE)
            return
        if len(document.text) > LARGEST_FILE_CHAR:
            self.lose_document(uri, _too_large(document.text))
        elif has_changed:
            self.has_changed(document)

    def close_document(self, uri: str) -> None:
        """Forget a file."""
        if document := self.documents.get(uri):
            self.suggester.close(document)
        self.documents.close(uri)

    def lose_document(self, uri: str, reason: str) -> None:
        """Know nothing of a file until it is opened again, and tell the user why. With a cell goes its notebook."""
        document = self.documents.get(uri)
        notebook = document.notebook_uri if document and document.notebook_uri else uri
        for cell in [each for each in self.documents if each.notebook_uri == notebook]:
            self.close_document(cell.uri)
            self.documents.unknown[cell.uri] = _lost(notebook, reason)
        self.close_document(uri)
        self.documents.unknown[uri] = _lost(notebook, reason)
        self._tell(types.MessageType.Warning, _lost(notebook, reason))

    def show_problem(self, text: str) -> None:
        """Tell the user why there are no suggestions, each reason once."""
        self._tell(types.MessageType.Error, text)

    def _tell(self, kind: types.MessageType, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.window_show_message(types.ShowMessageParams(kind, f"Setfill: {text}"))

    def has_changed(self, document: OpenDocument) -> None:
        """Note an edit: whoever works on the text before stops, and the worker gets ready once the keys rest."""
        self.documents.touch(document)
        self.suggester.changed(document)
        self.on_document_changed(document)
        if self._preparing:
            self._preparing.cancel()
        self._preparing = asyncio.get_running_loop().call_later(_PREPARE_SECONDS, self.prepare, document)
        if self._saving is None:
            self._saving = asyncio.get_running_loop().call_later(_SAVE_SECONDS, self._save)

    def prepare(self, document: OpenDocument, cursor_char: int | None = None) -> None:
        """Let the worker spend its idle time at a place, that of the last edit if none is given."""
        cursor_char = document.last_edit_char if cursor_char is None else cursor_char
        if not self.is_disabled(document) and self.documents.get(document.uri) is document:
            document.prepare(cursor_char)

    def _save(self) -> None:
        self._saving = None
        self.statistics.save()

    async def _leave_with(self, process_id: int) -> None:
        await client_process.ended(process_id)
        logger.warning("the editor's process has ended")
        self.protocol.has_exited.set()

    async def end(self) -> None:
        """Let go of the worker and of everything that is under way."""
        if self._watching:
            self._watching.cancel()
        for timer in (self._preparing, self._saving):
            if timer:
                timer.cancel()
        self.statistics.save(wait_seconds=1.0)
        if hasattr(self, "worker"):
            for document in self.documents:
                self.suggester.close(document)
            await self.worker.stop()
        self.shutdown()  # pygls' thread pool

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log a failure of a message without its text; pygls would show it to the user."""
        logger.error("a message failed: %s", place_of(error))


def _lost(uri: str, reason: str) -> str:
    name = uri.rstrip("/").rpartition("/")[2][:80] or "a file"
    return f"there are no suggestions in {name} until it is opened again: {reason}"


def _too_large(text: str) -> str:
    return f"it is too large ({len(text):,} characters)"


def default_worker_options(settings: Settings) -> WorkerOptions:
    """Return the worker that the settings ask for."""
    return WorkerOptions(
        settings.model,
        shared=settings.shared_worker,
        precision=settings.precision,
        threads=settings.threads,
        memory_budget_mb=settings.memory_budget_mb,
        linger_s=float(settings.linger_seconds),
    )


def build_server(worker_options: Options = default_worker_options, token: str | None = None) -> SetfillServer:
    """Return a server with all its features. `token`: what the client must know."""
    from lsp_server import (
        completion,
        context,
        fill_commands,
        inline_completion,
        notebooks,
        status,
        synchronization,
        trace_last,
        why_silent,
    )

    server = SetfillServer(worker_options, token)
    _register_life_cycle(server)
    for feature in (
        synchronization,
        inline_completion,
        completion,
        fill_commands,
        notebooks,
        context,
        status,
        trace_last,
        why_silent,
    ):
        feature.register(server)
    return server


def _register_life_cycle(server: SetfillServer) -> None:
    @server.feature(types.INITIALIZE)
    @contained
    def initialize(params: types.InitializeParams) -> None:
        server.begin(params)

    @server.feature(types.INITIALIZED)
    @contained
    async def initialized(params: types.InitializedParams) -> None:
        server.worker.start()
        workspace = server.client_capabilities.workspace
        configuration = workspace and workspace.did_change_configuration
        if configuration and configuration.dynamic_registration:
            registration = types.Registration(
                "setfill-settings", types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"section": SECTION}
            )
            await server.client_register_capability_async(types.RegistrationParams([registration]))
        await _ask_settings(server)

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    @contained
    async def settings_changed(params: types.DidChangeConfigurationParams) -> None:
        workspace = server.client_capabilities.workspace
        if workspace and workspace.configuration:
            await _ask_settings(server)
        elif isinstance(params.settings, dict):
            server.use_workspace_settings(params.settings.get(SECTION))

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    @contained
    def folders_changed(params: types.DidChangeWorkspaceFoldersParams) -> None:
        gone = {file_path(folder.uri) for folder in params.event.removed}
        new = [path for folder in params.event.added if (path := file_path(folder.uri))]
        server.documents.roots = [root for root in server.documents.roots if root not in gone] + new
        for document in server.documents:
            server.admit(document)

    @server.feature(types.EXIT)
    def leave(params: Any) -> None:
        server.protocol.has_exited.set()


async def _ask_settings(server: SetfillServer) -> None:
    workspace = server.client_capabilities.workspace
    if workspace and workspace.configuration:
        asked = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
        answers = await server.workspace_configuration_async(asked)
        server.use_workspace_settings(answers[0] if answers else None)
