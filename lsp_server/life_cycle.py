"""The life of a server: `initialize` makes its state and adds its features; then settings and folders, and the end.

Knows what clients say of themselves; knows no feature by name.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Sequence
from typing import Any

from lsprotocol import types

from lsp_server import client_process
from lsp_server.documents import file_path
from lsp_server.editor import Editor
from lsp_server.protocol import contained, request_failed
from lsp_server.server import Feature, SetfillServer
from lsp_server.settings import Settings, updated
from lsp_server.state import State
from lsp_server.text_units import ColumnUnit
from model.api.client import WorkerClient, WorkerOptions
from model.api.service import Service, is_first_use
from model.errors import WorkerError

logger = logging.getLogger(__name__)

SECTION = "setfill"  # of workspace/configuration
_TOKEN_OPTION = "socketToken"

Options = Callable[[Settings], WorkerOptions]


def default_worker_options(settings: Settings) -> WorkerOptions:
    """Return the worker that the settings ask for."""
    return WorkerOptions(
        settings.model,
        shared=settings.shared_worker,
        precision=settings.precision,
        threads=settings.threads,
        memory_budget_mb=settings.memory_budget_mb,
        linger_s=float(settings.linger_seconds),
        service=Service(settings.team_url, settings.team_token_file, settings.team_allow_http)
        if settings.team_url
        else None,
    )


def register(server: SetfillServer, features: Sequence[Feature], worker_options: Options, token: str | None) -> None:
    """Have the server begin and end as its client wants. `token`: what the client must know, if any."""

    @server.feature(types.INITIALIZE)
    @contained
    def initialize(params: types.InitializeParams) -> None:
        options = params.initialization_options
        options = dict(options) if isinstance(options, dict) else {}
        if token is not None and not hmac.compare_digest(str(options.pop(_TOKEN_OPTION, "")).encode(), token.encode()):
            raise request_failed(
                f"initializationOptions.{_TOKEN_OPTION} is not the token that was printed at the start"
            )
        settings, problems = updated(Settings(), options, machine_scope=True)
        folders = [folder.uri for folder in params.workspace_folders or []] or [params.root_uri or ""]
        state = State(
            Editor(server, params),
            WorkerClient(worker_options(settings)),
            settings,
            ColumnUnit(server.workspace.position_encoding or ColumnUnit.UTF16),
            roots=[path for uri in folders if (path := file_path(uri))],
        )
        # What is added now is still announced: pygls makes its answer when this handler has run.
        server.begin(state, features)
        if problems:
            state.editor.show_settings_problems(problems)
        if token is None:  # a socket's other end may be on another machine, and tells when it goes
            watching = asyncio.create_task(_leave_with(server, params.process_id or 0))
            state.on_end.append(watching.cancel)

    @server.feature(types.INITIALIZED)
    @contained
    async def initialized(params: types.InitializedParams) -> None:
        _tell_where_code_goes(server.state)
        server.state.worker.start()
        workspace = server.client_capabilities.workspace
        configuration = workspace and workspace.did_change_configuration
        if configuration and configuration.dynamic_registration:
            registration = types.Registration(
                "setfill-settings", types.WORKSPACE_DID_CHANGE_CONFIGURATION, {"section": SECTION}
            )
            await server.client_register_capability_async(types.RegistrationParams([registration]))
        await _ask_settings(server)
        await _watch_files(server)

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    @contained
    async def settings_changed(params: types.DidChangeConfigurationParams) -> None:
        workspace = server.client_capabilities.workspace
        if workspace and workspace.configuration:
            await _ask_settings(server)
        elif isinstance(params.settings, dict):
            server.state.use_workspace_settings(params.settings.get(SECTION))

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    @contained
    def folders_changed(params: types.DidChangeWorkspaceFoldersParams) -> None:
        gone = {file_path(folder.uri) for folder in params.event.removed}
        new = [path for folder in params.event.added if (path := file_path(folder.uri))]
        server.state.use_folders([*(root for root in server.state.documents.roots if root not in gone), *new])

    @server.feature(types.EXIT)
    def leave(params: Any) -> None:
        server.protocol.has_exited.set()


def _tell_where_code_goes(state: State) -> None:
    """Tell the user, once for each host, that their code leaves this machine."""
    service = state.worker.client.options.service
    if service is None:
        return
    try:
        host = service.host
    except WorkerError:
        return  # nothing goes anywhere, which the start of the worker tells
    if is_first_use(host):
        state.editor.inform(
            f"the text of files that you edit goes to your team's service at {host}, from now on; files that the "
            "setting `exclude` names never do"
        )


async def _ask_settings(server: SetfillServer) -> None:
    workspace = server.client_capabilities.workspace
    if workspace and workspace.configuration:
        asked = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
        answers = await server.workspace_configuration_async(asked)
        server.state.use_workspace_settings(answers[0] if answers else None)


async def _watch_files(server: SetfillServer) -> None:
    """Have the client tell which files change, where similar code is looked for in them and it can."""
    workspace = server.client_capabilities.workspace
    watching = workspace and workspace.did_change_watched_files
    if server.state.settings.similar_code and watching and watching.dynamic_registration:
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher("**/*")])
        registration = types.Registration("setfill-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        await server.client_register_capability_async(types.RegistrationParams([registration]))


async def _leave_with(server: SetfillServer, process_id: int) -> None:
    await client_process.ended(process_id)
    logger.warning("the editor's process has ended")
    server.protocol.has_exited.set()
