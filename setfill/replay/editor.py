"""The editor's side of the protocol: one server process, one open file, its text as an editor holds it.

Any language server with inline completion may be at the other end. Columns are UTF-16, which every server must know.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from model.api.line_breaks import LINE_BREAK
from model.api.visible_text import visible
from model.errors import WorkerError
from model.evaluation.edit_trace import Patch
from setfill.display import notes
from setfill.replay.connection import Connection, NoServer

STATUS, WHY_SILENT = "setfill/status", "setfill/whySilent"
_ANSWER_SECONDS = 60.0  # for what is no suggestion
_PATIENT_SECONDS = 5.0  # of waiting for the server's first answer, until the user is told
_LEAVE_SECONDS = 5.0  # for the streams of a server that has ended


@dataclass(frozen=True)
class Offer:
    """A suggestion: `text` would stand at the cursor. `command` is run by an editor that inserts it."""

    text: str
    replaces_more: bool  # it also takes something behind the cursor away
    command: types.Command | None


class Editor:
    """An editor with one file open in a server of its own."""

    def __init__(self, uri: str, language_id: str, text: str) -> None:
        self.uri, self.language_id, self.text = uri, language_id, text
        self.version = 0
        self._numbers = itertools.count(1)
        self._client = _client()
        self._serves = False  # it has answered the first request
        self._errors: asyncio.Task[None] | None = None

    async def start(self, command: Sequence[str], options: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        """Start a server and open the file in it. WorkerError when it is none, or ends."""
        try:
            await self._client.start_io(*command, env={**os.environ, **environment})
        except OSError as error:
            raise WorkerError(f"cannot start {command[0]}: {error.strerror}") from None
        self._errors = asyncio.create_task(self._tell_errors())
        capabilities = types.ClientCapabilities(
            general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf16]),
            text_document=types.TextDocumentClientCapabilities(
                inline_completion=types.InlineCompletionClientCapabilities()
            ),
        )
        asked = types.InitializeParams(
            capabilities,
            process_id=os.getpid(),
            client_info=types.ClientInfo("setfill bench"),
            initialization_options=dict(options),
        )
        waiting = asyncio.get_running_loop().call_later(_PATIENT_SECONDS, _tell_of_waiting, command[0])
        try:
            answer = await self._answer(self._client.initialize_async(asked), "initialize")
        except JsonRpcException as error:
            raise WorkerError(f"{command[0]} refuses to serve: {error}") from None
        finally:
            waiting.cancel()
        self._serves = True
        if not answer.capabilities.inline_completion_provider:
            raise WorkerError(f"{command[0]} offers no inline completion")
        self._client.initialized(types.InitializedParams())
        item = types.TextDocumentItem(self.uri, self.language_id, self.version, self.text)
        self._client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    async def stop(self) -> None:
        """End the server in good order, or by force: also one that has not begun to serve."""
        server = self._client._server
        if server is None:
            return
        try:
            if self._serves:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._client.shutdown_async(None)
                    self._client.exit(None)
                    await server.wait()
        except (TimeoutError, JsonRpcException, RuntimeError, OSError):
            pass  # it is gone, or will be
        finally:
            if server.returncode is None:
                server.kill()
            await self._leave(server)

    async def _leave(self, server: asyncio.subprocess.Process) -> None:
        """Read what a server that ends has still said. A program that it started may hold the streams open for ever."""
        rest = [asyncio.create_task(self._client.stop()), *([self._errors] if self._errors else [])]
        if (await asyncio.wait(rest, timeout=_LEAVE_SECONDS))[1]:
            server._transport.close()  # type: ignore[attr-defined]
        await asyncio.gather(*rest)

    @property
    def pid(self) -> int | None:
        """The server's process id, None before it is started."""
        return self._client._server.pid if self._client._server else None

    @property
    def has_ended(self) -> bool:
        """Whether the server is gone."""
        return self._client._server is not None and self._client._server.returncode is not None

    def change(self, patches: Sequence[Patch]) -> None:
        """Change the text, here and in the server, by patches that apply one after the other."""
        events: list[types.TextDocumentContentChangeEvent] = []
        for at, gone, new in patches:
            span = types.Range(self._position(at), self._position(at + gone))
            events.append(types.TextDocumentContentChangePartial(span, new))
            self.text = self.text[:at] + new + self.text[at + gone :]
        self.version += 1
        identity = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self._client.text_document_did_change(types.DidChangeTextDocumentParams(identity, events))

    def ask(self, cursor: int) -> tuple[int, asyncio.Future[Any]]:
        """Ask for suggestions at a string index; return the request's number and its answer to come."""
        number = next(self._numbers)
        asked = types.InlineCompletionParams(
            types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
            types.TextDocumentIdentifier(self.uri),
            self._position(cursor),
        )
        method = types.TEXT_DOCUMENT_INLINE_COMPLETION
        return number, self._client.protocol.send_request_async(method, asked, msg_id=number)

    def cancel(self, number: int) -> None:
        """Withdraw a request."""
        self._client.cancel_request(types.CancelParams(number))

    def offer(self, answer: Any, cursor: int) -> Offer | None:
        """Return the first suggestion of an answer that can stand at the cursor, None if there is none."""
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        for item in items:
            text = item.insert_text if isinstance(item.insert_text, str) else item.insert_text.value
            start = self._char(item.range.start) if item.range else cursor
            end = self._char(item.range.end) if item.range else cursor
            before = self.text[start:cursor]
            if text.startswith(before) and text[len(before) :].strip():
                return Offer(text[len(before) :], end > cursor, item.command)
        return None

    def accept(self, cursor: int, offer: str, command: types.Command | None) -> None:
        """Insert a suggestion, and run its command as editors do."""
        self.change([(cursor, 0, offer)])
        if command:
            run = types.ExecuteCommandParams(command.command, list(command.arguments or []))
            self._client.protocol.send_request(types.WORKSPACE_EXECUTE_COMMAND, run)

    async def status(self, *, of_worker: bool = False) -> dict[str, Any] | None:
        """Return what a Setfill server tells of itself and this file, None from another."""
        return await self._ours(STATUS, {"worker": of_worker, "textDocument": {"uri": self.uri}})

    async def why(self) -> dict[str, Any] | None:
        """Return what a Setfill server tells of its last answer, None from another."""
        return await self._ours(WHY_SILENT, {"textDocument": {"uri": self.uri}})

    async def ping(self) -> None:
        """Wait until the server has answered something that needs no thought."""
        await self._ours(WHY_SILENT, {"textDocument": {"uri": "file:///not/open"}})

    def digest(self) -> str:
        """Return the SHA-256 of the text, as servers tell it."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    async def _ours(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        try:
            answer = await self._answer(self._client.protocol.send_request_async(method, params), method)
        except JsonRpcException:
            return None  # it knows no such method
        return answer if isinstance(answer, dict) else None

    async def _answer(self, asked: Any, what: str) -> Any:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await asked
        except TimeoutError:
            raise WorkerError(f"the server has not answered {what} for {_ANSWER_SECONDS:.0f} s") from None
        except NoServer as error:
            raise WorkerError(f"what was started is no language server: {error}") from None
        except RuntimeError as error:
            raise WorkerError(f"the server ended before it answered {what}: {error}") from None

    async def _tell_errors(self) -> None:
        """Pass on what the server says on its standard error."""
        server = self._client._server
        assert server
        assert server.stderr
        while line := await server.stderr.readline():
            sys.stderr.buffer.write(line)
            sys.stderr.flush()

    def _position(self, char: int) -> types.Position:
        start = max(self.text.rfind("\n", 0, char), self.text.rfind("\r", 0, char)) + 1
        line = len(LINE_BREAK.findall(self.text, 0, start))
        return types.Position(line, len(self.text[start:char].encode("utf-16-le", "surrogatepass")) // 2)

    def _char(self, position: types.Position) -> int:
        starts = [0, *(found.end() for found in LINE_BREAK.finditer(self.text))]
        char = starts[min(position.line, len(starts) - 1)]
        units = self.text[char:].split("\n", 1)[0].encode("utf-16-le", "surrogatepass")[: 2 * position.character]
        return char + len(units.decode("utf-16-le", "surrogatepass"))


def _tell_of_waiting(program: str) -> None:
    told = f"{program} has not said yet what it can do; it has {_ANSWER_SECONDS:.0f} s in all"
    notes("never").print(visible(told), markup=False)


def _client() -> Connection:
    client = Connection("setfill bench")

    @client.feature(types.WORKSPACE_CONFIGURATION)
    def configuration(params: types.ConfigurationParams) -> list[None]:
        return [None for _ in params.items]

    @client.feature(types.WINDOW_WORK_DONE_PROGRESS_CREATE)
    def progress(params: Any) -> None:
        return None

    return client
