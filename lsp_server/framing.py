"""Messages out of a stream of bytes. What cannot be kept is skipped, and said to have been, and the next one is found.

Knows the header part of the protocol, no JSON but how to recognise what a skipped message was about.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

LARGEST_MESSAGE_BYTES = 2**26
"""Larger messages are skipped: what they carry is larger than any file that Setfill works on."""

_LARGEST_SKIPPED_BYTES = 2**32  # a header that says more is none
_KEPT_BYTES = 2**16  # of the beginning and of the end of what is skipped
_PIECE_BYTES = 2**18
# Also at the end of a line of something else: a body that a wrong length cut in two has no line break behind it.
_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,15})[ \t\r]*\n\Z", re.IGNORECASE)
_OTHER_HEADER = re.compile(rb"[\w-]+[ \t]*:[^{\"]{0,200}\Z")
_KEY = r'(?<!\\)"{}"\s*:\s*'
_STRING = r'"(?:[^"\\]|\\.){1,4000}"'
_METHOD, _URI, _ID = (
    re.compile((_KEY.format(name) + f"({value})").encode())
    for name, value in (("method", _STRING), ("uri", _STRING), ("id", rf"-?\d{{1,15}}(?!\d)|{_STRING}"))
)


@dataclass(frozen=True)
class Skipped:
    """A message that was not kept, or was none: its size, and how it begins and ends."""

    size_bytes: int
    head: bytes
    tail: bytes = b""

    @property
    def method(self) -> str | None:
        """The method it names, as far as can be seen."""
        return self._found(_METHOD)

    @property
    def uri(self) -> str | None:
        """The first URI it names, as far as can be seen: that of the file that a notification is about."""
        return self._found(_URI)

    @property
    def request_id(self) -> int | str | None:
        """The id it has to be answered under; None for a notification."""
        return self._found(_ID)

    @property
    def is_seen_whole(self) -> bool:
        return self.size_bytes <= len(self.head) + len(self.tail)

    def _found(self, key: re.Pattern[bytes]) -> Any:
        found = key.search(self.head) or key.search(self.tail)
        try:
            return json.loads(found[1]) if found else None
        except ValueError:
            return None


class _Ends:
    """The beginning and the end of many bytes."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._head, self._tail = bytearray(), bytearray()

    def add(self, piece: bytes) -> None:
        self.size_bytes += len(piece)
        room = max(0, _KEPT_BYTES - len(self._head))
        self._head += piece[:room]
        self._tail = (self._tail + piece[room:])[-_KEPT_BYTES:]

    def skipped(self) -> Skipped:
        return Skipped(self.size_bytes, bytes(self._head), bytes(self._tail))


class Messages:
    """The messages of one client, in order."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._length: int | None = None  # of the body whose headers are being read

    async def next(self) -> bytes | Skipped | None:
        """Return the body of the next message, or what had to be skipped before it; None at the end of the stream.

        IncompleteReadError when the stream ends inside a message.
        """
        stray = _Ends()
        while (line := await self._line()) is not None:
            if found := _LENGTH.search(line):
                self._length = int(found[1])
                if self._length > _LARGEST_SKIPPED_BYTES:
                    self._length = None
                stray.add(line[: found.start()])
                if stray.size_bytes:
                    return stray.skipped()
            elif line.strip():
                if not _OTHER_HEADER.match(line):
                    stray.add(line)
            elif self._length is not None:
                length, self._length = self._length, None
                return await (
                    self._reader.readexactly(length) if length <= LARGEST_MESSAGE_BYTES else self._skip(length)
                )
        return stray.skipped() if stray.size_bytes else None

    async def _line(self) -> bytes | None:
        """Return the next line, or a piece of one that is too long; None at the end of the stream."""
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial or None
        except asyncio.LimitOverrunError as error:
            return await self._reader.readexactly(error.consumed)

    async def _skip(self, length: int) -> Skipped:
        ends = _Ends()
        while ends.size_bytes < length:
            piece = await self._reader.read(min(_PIECE_BYTES, length - ends.size_bytes))
            if not piece:
                raise asyncio.IncompleteReadError(b"", length)
            ends.add(piece)
        return ends.skipped()
