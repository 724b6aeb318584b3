"""A team's service in this process: real engines, real conversations and real WebSockets; in place of Ray, a function.

`Service.route` says which engine a session leads to, and a test may change it under way, or lose an engine.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from model.api.client import WorkerClient, WorkerOptions
from model.api.service import Service as Address
from model.errors import NeedFullError
from model.service.conversation import admitted
from model.service.engine_host import EngineHost, Room
from model.service.quotas import Limits, Quotas
from model.service.tokens import Token, Tokens, new_token
from model.worker.compute import Load

ALICE, BOB = new_token("alice"), new_token("bob")


def loader(model: Path, precision: str | None = "float32") -> Load:
    def load(tell_progress: Any) -> Any:
        from model.worker.engine import Engine

        return Engine.load(model, precision=precision, threads=1)

    return load


class ServerSocket:
    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket

    async def receive(self) -> bytes | None:
        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed:
            return None

    async def send(self, data: bytes) -> None:
        try:
            await self._socket.send(data)
        except ConnectionClosed:
            raise ConnectionResetError from None

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)


class InProcess:
    """Two engines behind one ingress."""

    def __init__(self, load: Load, limits: Limits, tokens: list[Token], room: Room, folder: Path) -> None:
        self._load, self._room, self._folder = load, room, folder
        self._lost: dict[EngineHost, asyncio.Event] = {}
        self.quotas = Quotas(limits)
        self.tokens = Tokens(tokens)
        self.hosts = [self.new_host(), self.new_host()]
        self.route: Callable[[str], int] = lambda session: hashlib.sha256(session.encode()).digest()[0] % 2
        self.sent: list[bytes] = []  # what went to engines
        self.outcomes: list[str] = []
        self.port = 0
        self._connections: set[ServerConnection] = set()

    def new_host(self) -> EngineHost:
        host = EngineHost(self._load, "tiny", self._room)
        self._lost[host] = asyncio.Event()
        return host

    async def carry_out(self, session: str, user: str, client: str, data: bytes) -> AsyncIterator[bytes]:
        host = self.hosts[self.route(session)]
        lost = asyncio.ensure_future(self._lost[host].wait())
        self.sent.append(data)
        answers = host.carry_out(user, client, data)
        following = asyncio.ensure_future(anext(answers, None))
        try:
            while True:
                await asyncio.wait([following, lost], return_when=asyncio.FIRST_COMPLETED)
                if lost.done():
                    raise NeedFullError("the engine was lost")
                if (frames := following.result()) is None:
                    return
                yield frames
                following = asyncio.ensure_future(anext(answers, None))
        finally:
            lost.cancel()
            following.cancel()
            await asyncio.wait([lost, following])
            await answers.aclose()

    def lose_engine(self, number: int) -> None:
        """Have another engine in the place of one, which says nothing more."""
        lost, self.hosts[number] = self.hosts[number], self.new_host()
        self._lost[lost].set()
        lost.stop()

    def answered(self, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token_file(self, token: str = ALICE[0]) -> str:
        file = self._folder / hashlib.sha256(token.encode()).hexdigest()
        file.touch(mode=0o600)
        file.write_text(token)
        return str(file)

    def client(self, token: str = ALICE[0]) -> WorkerClient:
        return WorkerClient(WorkerOptions("", service=Address(self.url, self.token_file(token))))

    async def lose_connections(self, most: int = 1000) -> None:
        """As when the ingress is started again."""
        await asyncio.gather(*(each.close(1012) for each in list(self._connections)[:most]))

    async def serve(self, socket: ServerConnection) -> None:
        self._connections.add(socket)
        try:
            header = socket.request.headers.get("Authorization")
            await admitted(lambda: self.tokens.user_of(header), ServerSocket(socket), self, self.quotas, self)
        finally:
            self._connections.discard(socket)


@asynccontextmanager
async def service(
    load: Load, limits: Limits | None = None, tokens: tuple[Token, ...] = (), room: Room | None = None
) -> AsyncIterator[InProcess]:
    with TemporaryDirectory() as folder:
        running = InProcess(load, limits or Limits(), [ALICE[1], BOB[1], *tokens], room or Room(), Path(folder))
        async with serve(running.serve, "127.0.0.1", 0, max_size=None, compression=None) as server:
            running.port = next(iter(server.sockets)).getsockname()[1]
            try:
                yield running
            finally:
                for host in running.hosts:
                    host.stop()


@contextmanager
def service_in_a_thread(load: Load) -> Iterator[InProcess]:
    """Yield a service that runs beside this thread, for programs that run a loop of their own."""
    running: list[InProcess] = []
    is_up, is_over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        async with service(load) as found:
            running.append(found)
            loops.append(asyncio.get_running_loop())
            is_up.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert is_up.wait(60)
        yield running[0]
    finally:
        loops[0].call_soon_threadsafe(is_over.set)
        thread.join(60)
