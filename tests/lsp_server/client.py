"""A language client for tests: a real subprocess at the other end, every message kept, texts held as an editor does."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from tests.lsp_server.plain_text import PlainText

ROOT = Path(__file__).resolve().parents[2]
SERVE = (sys.executable, "-P", str(Path(__file__).with_name("serve.py")))
INLINE = {"textDocument": {"inlineCompletion": {}}}


class RequestError(Exception):
    """An error that the server answered."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]


class Client:
    """One server process and what passes between it and us."""

    def __init__(self, process: asyncio.subprocess.Process, encoding: str = "utf-16") -> None:
        self.process = process
        self.encoding = encoding
        self.texts: dict[str, PlainText] = {}
        self.versions: dict[str, int] = {}
        self.notified: list[tuple[str, Any]] = []
        self.asked: list[tuple[str, Any]] = []
        self.settings: dict[str, Any] | None = None  # what we answer to workspace/configuration
        self.apply_edits = True
        self.capabilities: dict[str, Any] = {}
        self.process_id: int | None = os.getpid()
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    # -- messages

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.send_raw(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def send_raw(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def begin(self, method: str, params: Any) -> tuple[int, asyncio.Future[Any]]:
        """Send a request; return its id and its answer to come."""
        number = next(self._ids)
        self._pending[number] = asyncio.get_running_loop().create_future()
        self.send({"id": number, "method": method, "params": params})
        return number, self._pending[number]

    async def request(self, method: str, params: Any) -> Any:
        return await self.begin(method, params)[1]

    def cancel(self, number: int) -> None:
        self.notify("$/cancelRequest", {"id": number})

    async def _read(self) -> None:
        assert self.process.stdout
        while True:
            length = 0
            while line := (await self.process.stdout.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if not length:
                break
            self._receive(json.loads(await self.process.stdout.readexactly(length)))
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(RequestError({"code": 0, "message": "the server has gone"}))

    def _receive(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            answer = self._pending.get(message["id"])
            if answer is None:
                self.notified.append(("unexpected", message))
            elif answer.done():
                pass
            elif "error" in message:
                answer.set_exception(RequestError(message["error"]))
            else:
                answer.set_result(message.get("result"))
        elif "id" in message:
            self.asked.append((message["method"], message["params"]))
            self.send({"id": message["id"], "result": self._answer(message["method"], message["params"])})
        else:
            self.notified.append((message["method"], message.get("params")))

    def _answer(self, method: str, params: Any) -> Any:
        if method == "workspace/configuration":
            return [self.settings for _ in params["items"]]
        if method == "workspace/applyEdit":
            return {"applied": self.apply_edits and self._apply(params["edit"])}
        return None

    def _apply(self, edit: dict[str, Any]) -> bool:
        for change in edit.get("documentChanges", []):
            uri, version = change["textDocument"]["uri"], change["textDocument"]["version"]
            if version != self.versions[uri]:
                return False
            edits = sorted(change["edits"], key=lambda each: tuple(each["range"]["start"].values()), reverse=True)
            self.change(uri, *[(each["range"], each["newText"]) for each in edits])
        for uri, edits in edit.get("changes", {}).items():
            for each in reversed(edits):
                self.change(uri, (each["range"], each["newText"]))
        return True

    # -- life cycle

    async def initialize(
        self, root: Path | None = None, capabilities: dict[str, Any] | None = None, **options: Any
    ) -> Any:
        self.capabilities = {
            "general": {"positionEncodings": [self.encoding]},
            "workspace": {"configuration": self.settings is not None, "workspaceEdit": {"documentChanges": True}},
            **(INLINE if capabilities is None else capabilities),
        }
        answer = await self.request(
            "initialize",
            {
                "processId": self.process_id,
                "rootUri": root.as_uri() if root else None,
                "capabilities": self.capabilities,
                "clientInfo": {"name": options.pop("client_name", "test")},
                "initializationOptions": {"sharedWorker": False, **options},
            },
        )
        self.notify("initialized", {})
        return answer

    async def stop(self) -> int:
        """Shut the server down in good order; return its exit status."""
        assert self.process.stdin
        if self.process.returncode is None and not self._reading.done():
            await self.request("shutdown", None)
            self.notify("exit", None)
        self.process.stdin.close()
        status = await self.process.wait()
        await self._reading
        return status

    # -- documents

    def open(self, uri: str, text: str, language: str = "python") -> None:
        self.texts[uri], self.versions[uri] = PlainText(text, self.encoding), 1
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(self, uri: str, *changes: tuple[dict[str, Any], str] | str) -> None:
        """Change a document by (range, text) pairs or whole texts, here and there."""
        self.versions[uri] += 1
        events = []
        for change in changes:
            if isinstance(change, str):
                self.texts[uri].text = change
                events.append({"text": change})
            else:
                self.texts[uri].replace(*change)
                events.append({"range": change[0], "text": change[1]})
        identity = {"uri": uri, "version": self.versions[uri]}
        self.notify("textDocument/didChange", {"textDocument": identity, "contentChanges": events})

    def type(self, uri: str, char: int, text: str) -> None:
        """Insert `text` at a string index."""
        place = self.texts[uri].place(char)
        self.change(uri, ({"start": place, "end": place}, text))

    def inline_params(self, uri: str, char: int, kind: int = 2, **context: Any) -> dict[str, Any]:
        return {
            "textDocument": {"uri": uri},
            "position": self.texts[uri].place(char),
            "context": {"triggerKind": kind, **context},
        }

    async def suggest(self, uri: str, char: int | None = None, kind: int = 2, **context: Any) -> Any:
        """Ask for inline completions at a string index, the text's end if none is given."""
        at = len(self.texts[uri].text) if char is None else char
        return await self.request("textDocument/inlineCompletion", self.inline_params(uri, at, kind, **context))

    async def server_text(self, uri: str) -> str:
        """Return the worker's text of a file, which is what the server's own edits have made of it.

        It is the same twice: to decode ahead, the worker is to suppose an edit for a moment.
        """
        text, before = await self._worker_text(uri), None
        while text != before:
            text, before = await self._worker_text(uri), text
        return text

    async def _worker_text(self, uri: str) -> str:
        while "worker" not in (status := await self.request("setfill/status", {"worker": True})):
            await asyncio.sleep(0.02)  # loading
        return str(status["worker"][f"text {uri}"])

    async def until_ready(self) -> None:
        """Wait until the model is loaded."""
        while (await self.request("setfill/status", None))["state"] == "loading":
            await asyncio.sleep(0.02)

    def messages(self, method: str) -> list[Any]:
        return [params for name, params in self.notified if name == method]

    async def until(self, condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.01)


async def start(command: Sequence[str] = SERVE, encoding: str = "utf-16", **environment: str) -> Client:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**28,
        env={**os.environ, **environment},
    )
    return Client(process, encoding)


def talk(conversation: Callable[[Client], Coroutine[Any, Any, Any]], timeout_s: float = 60.0, **settings: Any) -> Any:
    """Run a conversation with a server of its own, which is shut down in good order at the end."""

    async def run() -> Any:
        client = await start(**settings)
        try:
            async with asyncio.timeout(timeout_s):
                result = await conversation(client)
                assert await client.stop() == 0
                return result
        finally:
            if client.process.returncode is None:
                client.process.kill()
                await client.process.wait()

    return asyncio.run(run())
