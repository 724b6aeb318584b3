"""Frames: how messages travel between a client and the worker.

    4 bytes   length of the body, big-endian
    body      msgpack of [kind, request id, {field: value}]

Knows the shape of the messages (it reads their declared fields), not what they
do. Everything that does not fit the declaration is a `FrameError` that names the
field but never quotes its value: values are the user's source code.

Text may hold lone surrogates, which JSON editors can send: they pass through
unchanged in both directions.
"""

from __future__ import annotations

import asyncio
import struct
import types
import zlib
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgpack

from model.api import messages
from model.api import types as record_types
from model.api.messages import MESSAGES, Hello
from model.errors import FrameError

_REVISION = 1  # raised when a message comes to mean something else while its fields stay as they are
MAX_FRAME_BYTES = 64 * 2**20
MAX_SERVICE_BYTES = 8 * 2**20  # of one WebSocket message to a team's service, or from it
MAX_HELLO_BYTES = 4096  # a stranger is not given more before the handshake
NO_REQUEST = 0


def _fingerprint() -> int:
    """Return a number that changes with every change of a declared record, 32 bits."""
    records = {**vars(record_types), **vars(messages)}
    declared = [
        (name, [(field.name, str(field.type)) for field in fields(record)])
        for name, record in sorted(records.items())
        if is_dataclass(record) and isinstance(record, type)
    ]
    return zlib.crc32(repr((_REVISION, sorted(MESSAGES), declared)).encode())


PROTOCOL = _fingerprint()  # both sides must have the same

_LENGTH = struct.Struct(">I")
_KINDS = {message_type: kind for kind, message_type in MESSAGES.items()}


def encode_frame(request_id: int, message: Any) -> bytes:
    """Return the frame of `message`. FrameError when it is too large or not a declared message."""
    kind = _KINDS.get(type(message))
    if kind is None:
        raise FrameError(f"{type(message).__name__} is not a message of the protocol")
    try:
        body = msgpack.packb([kind, request_id, _to_plain(message)], unicode_errors="surrogatepass")
    except (TypeError, ValueError, OverflowError) as error:
        raise FrameError(f"{kind}: cannot be encoded ({type(error).__name__})") from None
    check_length(len(body))
    return framed(body)


def decode_body(body: bytes) -> tuple[int, Any]:
    """Return (request id, message) of a frame's body. FrameError when it is not exactly what is declared."""
    kind, request_id, data = _unpack(body)
    message_type = MESSAGES.get(kind)
    if message_type is None:
        raise FrameError("the frame is of an unknown kind")
    if message_type is Hello:
        _check_protocol(data)
    return request_id, _to_record(message_type, data, kind)


def peek_request_id(body: bytes) -> int:
    """Return the request id of a body whose message cannot be decoded, as far as it can be read."""
    try:
        return _unpack(body)[1]
    except FrameError:
        return NO_REQUEST


def peek_failure(body: bytes) -> str | None:
    """Return the code of a body that tells of a failure, None for any other."""
    kind, _, data = _unpack(body)
    return str(data.get("code")) if kind == _KINDS[messages.Failed] else None


def check_length(length: int, limit: int | None = None) -> None:
    """Raise FrameError when a body of `length` bytes is too large, for a frame or for a `limit` of its own."""
    limit = MAX_FRAME_BYTES if limit is None else limit
    if length > limit:
        raise FrameError(
            f"a message of {length:,} bytes is over the limit of {limit:,}: the file or its context is too large"
        )


async def read_length(reader: asyncio.StreamReader) -> int | None:
    """Return the length of the next body in bytes, or None when the stream ended between frames."""
    try:
        header = await reader.readexactly(_LENGTH.size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise FrameError("the stream ended inside a frame's length") from None
        return None
    return int(_LENGTH.unpack(header)[0])


async def read_body(reader: asyncio.StreamReader, length: int) -> bytes:
    """Return a body of `length` bytes. FrameError when the stream ends inside it."""
    try:
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise FrameError(f"the stream ended {length - len(error.partial)} bytes before the frame did") from None


async def skip_body(reader: asyncio.StreamReader, length: int) -> None:
    """Read `length` bytes and forget them: the frames after an oversized one are still good."""
    while length:
        chunk = await reader.read(min(length, 2**20))
        if not chunk:
            raise FrameError("the stream ended inside an oversized frame")
        length -= len(chunk)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, Any] | None:
    """Return the next (request id, message), or None at the end of the stream."""
    length = await read_length(reader)
    if length is None:
        return None
    check_length(length)
    return decode_body(await read_body(reader, length))


def framed(body: bytes) -> bytes:
    """Return the frame of a body."""
    return _LENGTH.pack(len(body)) + body


def split_frames(data: bytes) -> list[bytes]:
    """Return the bodies of the frames that `data` holds, whole. FrameError where it does not."""
    bodies, at = [], 0
    while at < len(data):
        if at + _LENGTH.size > len(data):
            raise FrameError("the message ended inside a frame's length")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            raise FrameError(f"the message ended {at + length - len(data)} bytes before the frame did")
        bodies.append(data[at : at + length])
        at += length
    return bodies


def _unpack(body: bytes) -> tuple[str, int, dict[str, Any]]:
    try:
        envelope = msgpack.unpackb(body, unicode_errors="surrogatepass")
    except (ValueError, TypeError, RecursionError) as error:  # msgpack's own errors are ValueErrors
        raise FrameError(f"the frame is not msgpack ({type(error).__name__})") from None
    match envelope:
        case [str() as kind, int() as request_id, dict() as data] if not isinstance(request_id, bool):
            return kind, request_id, data
    raise FrameError("the frame is not [kind, request id, fields]")


def _check_protocol(data: dict[str, Any]) -> None:
    """Of a hello only `protocol` is certain: another version may have other fields beside it."""
    protocol = data.get("protocol")
    if protocol != PROTOCOL:
        theirs = protocol if isinstance(protocol, int) else "unknown"
        raise FrameError(
            f"the other side speaks protocol {theirs}, this one {PROTOCOL}: "
            "both must come from the same installation of setfill; restart the editor after an upgrade"
        )


def _to_plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_to_plain(item) for item in value]
    return value


@cache
def _declared(record_type: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the types of a record's fields, and the names of those without a default."""
    required = (f.name for f in fields(record_type) if f.default is MISSING and f.default_factory is MISSING)
    return get_type_hints(record_type), frozenset(required)


def _to_record(record_type: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise FrameError(f"{where}: expected {record_type.__name__}, got {_name(data)}")
    declared, required = _declared(record_type)
    if unknown := data.keys() - declared.keys():
        raise FrameError(f"{where}: unknown field{_listed(unknown)}")
    if missing := required - data.keys():
        raise FrameError(f"{where}: missing field{_listed(missing)}")
    return record_type(**{name: _to_value(declared[name], item, f"{where}.{name}") for name, item in data.items()})


def _to_value(declared: Any, value: Any, where: str) -> Any:
    """Return `value` as the declared type. Types in use: scalars, None, unions of them, tuples, dicts, records."""
    if is_dataclass(declared):
        return _to_record(declared, value, where)  # type: ignore[arg-type]
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is tuple and isinstance(value, list):
        return _to_tuple(arguments, value, where)
    if origin is dict and isinstance(value, dict):
        return {
            _to_value(arguments[0], key, f"{where} key"): _to_value(arguments[1], item, f"{where} value")
            for key, item in value.items()
        }
    if origin in (Union, types.UnionType):
        return _to_union(arguments, value, where)
    if declared is float and type(value) is int:
        return float(value)
    if declared is types.NoneType and value is None:
        return None
    if isinstance(declared, type) and type(value) is declared:  # exact: a bool is no int here
        return value
    raise FrameError(f"{where}: expected {_type_name(declared)}, got {_name(value)}")


def _to_tuple(arguments: tuple[Any, ...], value: list[Any], where: str) -> tuple[Any, ...]:
    """Return a list as tuple[X, ...], or as a tuple of fixed length with a type for each item."""
    types_of_items = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
    if len(types_of_items) != len(value):
        raise FrameError(f"{where}: expected {len(types_of_items)} items, got {len(value)}")
    return tuple(
        _to_value(item_type, item, f"{where}[{index}]")
        for index, (item_type, item) in enumerate(zip(types_of_items, value, strict=True))
    )


def _to_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if type(value) in arguments:  # before any conversion: an int stays one where both int and float may stand
        return value
    for argument in arguments:
        if argument is types.NoneType:
            continue
        try:
            return _to_value(argument, value, where)
        except FrameError:
            if len(arguments) == 2 and types.NoneType in arguments and value is not None:
                raise  # an optional field: its own error says more
    raise FrameError(f"{where}: expected {' or '.join(map(_type_name, arguments))}, got {_name(value)}")


def _listed(names: Any) -> str:
    shown = sorted(name if isinstance(name, str) and name.isidentifier() and len(name) < 40 else "?" for name in names)
    return f"{'s' if len(shown) > 1 else ''} {', '.join(shown)}"


def _type_name(declared: Any) -> str:
    if declared is types.NoneType:
        return "None"
    containers: dict[Any, str] = {tuple: "list", dict: "map"}
    return containers.get(get_origin(declared)) or str(getattr(declared, "__name__", "?"))


def _name(value: Any) -> str:
    return "nothing" if value is None else {"dict": "map"}.get(type(value).__name__, type(value).__name__)
