"""pygls with what a server that is left on all day needs: every request answered, no source text in logs.

pygls handles documents itself, ends the process from inside a handler, answers nothing to parameters it cannot read
and logs whole messages. Here those parts are taken out or made safe.

Knows messages and errors; knows no feature and no file.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cattrs import Converter
from lsprotocol import converters, types
from pygls.exceptions import JsonRpcException, JsonRpcInternalError, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, JsonRPCResponseMessage, LanguageServerProtocol

from lsp_server.framing import Skipped
from model.errors import SetfillError

logger = logging.getLogger(__name__)

REQUEST_FAILED = -32803
CONTENT_MODIFIED = -32801

_OURS = (  # pygls' own handlers of these are taken out
    types.EXIT,
    types.WORKSPACE_EXECUTE_COMMAND,
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
    types.NOTEBOOK_DOCUMENT_DID_OPEN,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE,
)

_READ_ELSEWHERE = (  # more forgivingly, see `synchronization`
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
)


class Protocol(LanguageServerProtocol):
    """The protocol as Setfill speaks it."""

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        super().__init__(server, converter)
        for method in _OURS:
            self.fm.builtin_features.pop(method, None)
        self.is_initialized = False  # until then nothing but `initialize` is listened to
        self.has_exited = asyncio.Event()  # the client has sent `exit`, or is known to be gone
        self.on_skipped: Callable[[Skipped], None] = lambda skipped: None

    def warm_up(self) -> None:
        """Read one message of each frequent kind: the first of a kind takes as long as thousands after it."""
        here = {"textDocument": {"uri": "", "version": 0}, "position": {"line": 0, "character": 0}}
        client: dict[str, Any] = {
            "general": {},
            "workspace": {},
            "textDocument": {"inlineCompletion": {}},
            "window": {},
        }
        for method, params in (
            (types.INITIALIZE, {"processId": None, "rootUri": None, "capabilities": client}),
            (types.INITIALIZED, {}),
            (types.TEXT_DOCUMENT_INLINE_COMPLETION, {**here, "context": {"triggerKind": 2}}),
        ):
            self.structure_message({"jsonrpc": self.VERSION, "id": 0, "method": method, "params": params})

    @property
    def converter(self) -> Converter:
        """What makes the protocol's objects from JSON."""
        return self._converter

    @property
    def is_shut_down(self) -> bool:
        """Whether the client has asked to shut down."""
        return bool(self._shutdown)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Read one message. Parameters that make no sense are answered; pygls would leave the client waiting."""
        method = str(data.get("method"))[:100]
        if method in _READ_ELSEWHERE and "id" not in data:
            return JsonRPCNotification(method, self.VERSION, data.get("params"))
        try:
            return super().structure_message(data)
        except JsonRpcException:
            if "id" in data and "method" in data:
                error = invalid_params(f"the parameters of {method} are not what the protocol says")
                self._send_response(data["id"], None, error.to_response_error())
            raise Unreadable(method) from None

    def handle_body(self, body: bytes) -> None:
        """Act on one message as it came. One that is none is answered with an error, where an answer can be due."""
        try:
            data = json.loads(body)
            if not isinstance(data, dict) or "jsonrpc" not in data:
                raise ValueError("no message")
        except (ValueError, RecursionError):
            self.skip(Skipped(len(body), body), types.ErrorCodes.ParseError, "the message is no JSON")
            return
        try:
            message = self.structure_message(data)
        except Unreadable:
            if self.is_initialized:
                self.on_skipped(Skipped(len(body), body))
            raise
        self.handle_message(message)

    def skip(self, skipped: Skipped, code: types.ErrorCodes, text: str) -> None:
        """Do without a message that was not kept."""
        logger.warning("a message was skipped: %s", text)
        if skipped.method is None or skipped.request_id is not None:
            error = {"code": code.value, "message": text}
            self._send_data({"jsonrpc": self.VERSION, "id": skipped.request_id, "error": error})
        if self.is_initialized:
            self.on_skipped(skipped)

    def handle_message(self, message: Any) -> None:
        """Act on one message. Before `initialize` and after `shutdown`, requests are answered with an error."""
        method = getattr(message, "method", None)
        if method is None or method == types.EXIT:
            super().handle_message(message)
        elif self._shutdown:
            self._refuse(message, types.ErrorCodes.InvalidRequest, "the server is shut down")
        elif self.is_initialized == (method == types.INITIALIZE):
            early = not self.is_initialized
            code = types.ErrorCodes.ServerNotInitialized if early else types.ErrorCodes.InvalidRequest
            self._refuse(message, code, "the server is not initialized" if early else "initialized already")
        else:
            super().handle_message(message)

    def _refuse(self, message: Any, code: types.ErrorCodes, text: str) -> None:
        if hasattr(message, "id"):
            self._send_response(message.id, None, types.ResponseError(code=code.value, message=text))


class Unreadable(Exception):
    """A message that could not be read. Carries the method alone, never the content."""


def raw_converter() -> Converter:
    """Return a converter that leaves the parameters of methods outside the standard as plain JSON."""
    converter = converters.get_converter()

    def plain(data: Any, cls: type) -> Any:
        return cls(**{"params": None, **data} if cls is not JsonRPCResponseMessage else {"result": None, **data})

    for message in (JsonRPCRequestMessage, JsonRPCNotification, JsonRPCResponseMessage):
        converter.register_structure_hook(message, plain)
    return converter


def contained(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a handler so that its failures are answered, and logged without texts: they may quote the user's code."""
    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def wrapped(*arguments: Any) -> Any:
            try:
                return await handler(*arguments)
            except Exception as error:
                raise _answer(error) from None

        return wrapped

    @functools.wraps(handler)
    def wrapped_synchronous(*arguments: Any) -> Any:
        try:
            return handler(*arguments)
        except Exception as error:
            raise _answer(error) from None

    return wrapped_synchronous


def place_of(error: BaseException) -> str:
    """Return the kind of an error and the line of code it arose at, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {where}"


def uri_in(params: Any) -> str | None:
    """Return `textDocument.uri` of parameters that pygls does not read, None where they have none."""
    identity = params.get("textDocument") if isinstance(params, dict) else None
    uri = identity.get("uri") if isinstance(identity, dict) else None
    return uri if isinstance(uri, str) else None


def request_failed(text: str, code: int = REQUEST_FAILED) -> JsonRpcException:
    """Return an error that a client may show to its user."""
    return JsonRpcException(text, code)


def not_initialized() -> JsonRpcException:
    """Return the error for what comes before `initialize`."""
    return JsonRpcException("the server is not initialized", types.ErrorCodes.ServerNotInitialized.value)


def problem_json(error: SetfillError | None) -> dict[str, str | None]:
    """Return what is wrong, as answers tell it: `problem` for the user, `problemCode` for programs; None: nothing."""
    return {"problem": str(error) if error else None, "problemCode": error.code if error else None}


def _answer(error: Exception) -> JsonRpcException:
    if isinstance(error, JsonRpcException):
        return error
    if isinstance(error, SetfillError):
        return request_failed(str(error))
    logger.error("internal error: %s", place_of(error))
    return JsonRpcInternalError(f"internal error of the setfill server: {place_of(error)}; please report it")


def invalid_params(text: str) -> JsonRpcException:
    """Return the error for parameters of our own methods that make no sense."""
    return JsonRpcInvalidParams(text)
