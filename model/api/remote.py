"""Reaching a team's service: from a URL and a token to a link, over WebSocket.

Imported only where a service is set: the default is a worker of this machine, and needs none of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from model.api import wire
from model.api.launch import Link
from model.api.messages import Failed, Hello, Welcome
from model.api.runtime import package_version
from model.api.service import Service
from model.errors import FrameError, UnauthorizedError, WorkerError, system_words

logger = logging.getLogger(__name__)

_REACH_SECONDS = 20.0  # while the service is not there: it may just be replaced
_ANSWER_SECONDS = 10.0  # for one attempt, from the first packet to the welcome
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.1, 3.0
_CLOSE_SECONDS = 2.0
_PING_SECONDS = 20.0  # a service that does not answer a ping within as many more seconds is lost
_GOING_AWAY = (1001, 1012, 1013)  # close codes: leaving, restarting, try again later


async def open_service(service: Service, client_id: str) -> Link:
    """Connect to a service and shake hands. Tries for a while, at random moments, as long as nobody answers there.

    WorkerError when the service cannot be had, UnauthorizedError and BusyError when it does not want us, FrameError
    when it is of another version.
    """
    url, token, host = service.socket_url, service.token(), service.host
    deadline, delay_s = time.monotonic() + _REACH_SECONDS, _FIRST_DELAY_S
    while True:
        try:
            return await _open_once(url, token, host, client_id)
        except _NotThereError as error:
            if time.monotonic() + delay_s > deadline:
                raise WorkerError(f"the team's service at {host} cannot be reached: {error}") from None
        await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # thousands of editors lose it at the same moment
        delay_s = min(2 * delay_s, _LONGEST_DELAY_S)


class _NotThereError(Exception):
    """Nobody answers just now."""


class _ConnectHere(connect):
    """Connects to the host that the user was told of, and follows no redirection to another."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _open_once(url: str, token: str, host: str, client_id: str) -> Link:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            socket = await _ConnectHere(
                url,
                additional_headers={"Authorization": f"Bearer {token}"},
                max_size=wire.MAX_SERVICE_BYTES,
                compression=None,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                logger=_silent,
            )
            return await _greeted(RemoteLink(socket, host), client_id)
    except TimeoutError:
        raise _NotThereError(f"no answer within {_ANSWER_SECONDS:.0f} s") from None
    except InvalidStatus as error:
        raise _refusal(error.response.status_code, host) from None
    except InvalidURI:
        raise WorkerError(f"the URL of the team's service at {host} cannot be used") from None
    except InvalidHandshake as error:
        raise _NotThereError(f"what answers there speaks no WebSocket ({type(error).__name__})") from None
    except OSError as error:  # also where the certificate is not to be trusted
        raise _unreachable(error, host) from None


# The library's own log tells headers, the token's among them, and at its lowest level the frames.
_silent = logging.getLogger(f"{__name__}.websockets")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
_silent.disabled = True


def _refusal(status: int, host: str) -> Exception:
    if status in (502, 503, 504):
        return _NotThereError(f"status {status}")
    if status in (401, 403):
        return UnauthorizedError(f"{host} lets nobody in with this token (status {status})")
    return WorkerError(f"there is no team's service at {host}: it answers with status {status}")


def _unreachable(error: OSError, host: str) -> Exception:
    if reason := getattr(error, "verify_message", None):
        return WorkerError(f"the certificate of {host} is not to be trusted: {reason}")
    return _NotThereError(system_words(error))


async def _greeted(link: RemoteLink, client_id: str) -> Link:
    """Return the link once the service has answered the hello; close it when that was no welcome."""
    try:
        link.send(wire.encode_frame(wire.NO_REQUEST, Hello(wire.PROTOCOL, package_version(), client_id)))
        match await link.receive():
            case (_, Welcome()):
                return link
            case (_, Failed() as failed):
                raise failed.error()
            case None:
                raise _NotThereError(link.end_reason)
        raise FrameError("what answers there is not a setfill service")
    except BaseException:
        await link.close()
        raise


class RemoteLink(Link):
    """An open connection to a service, which has no process id here."""

    def __init__(self, socket: ClientConnection, host: str) -> None:
        self.pid = 0
        self.child = None
        self.end_reason = f"the connection to {host} was lost"
        self._socket = socket
        self._received: deque[bytes] = deque()
        self._to_send: asyncio.Queue[bytes] = asyncio.Queue()
        self._sending = asyncio.create_task(self._send_all())

    def send(self, frames: bytes) -> None:
        self._to_send.put_nowait(frames)

    async def receive(self) -> tuple[int, Any] | None:
        while not self._received:
            try:
                data = await self._socket.recv(decode=False)
            except ConnectionClosed as closed:
                if closed.rcvd and closed.rcvd.code not in (*_GOING_AWAY, 1000) and closed.rcvd.reason:
                    self.end_reason += f": {closed.rcvd.reason}"
                return None
            self._received.extend(wire.split_frames(data))
        return wire.decode_body(self._received.popleft())

    def kill(self) -> None:
        self._socket.transport.abort()

    async def close(self) -> str:
        """Close the connection. Return how it ended, as far as can be told."""
        self._sending.cancel()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close()
        except TimeoutError:
            self.kill()
        await asyncio.wait([self._sending])
        return self.end_reason

    async def _send_all(self) -> None:
        try:
            while True:
                await self._socket.send(await self._to_send.get())
        except ConnectionClosed:
            pass  # the reader learns of it too
