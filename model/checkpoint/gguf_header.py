"""The header of a GGUF file: its metadata, and where its tensors lie.

Trusts nothing: every count is compared with the length of the file before anything is made for it. (The `gguf`
package's own reader believes them, and takes 40 microseconds for each of a vocabulary's strings.) Knows no model.
Source: the specification in ggml's docs/gguf.md.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES = 65_536  # keys, and tensors; the largest models have a few thousand
_MOST_ITEMS = 2_000_000  # of an array; the largest vocabularies have 260,000 tokens and as many merges
_MOST_DIMENSIONS = 4
_MOST_BYTES = 256 << 20  # of a header; vocabularies take up to 20 MB


@dataclass(frozen=True)
class TensorPlace:
    """A tensor of the file. `shape` begins with the slowest dimension, as in torch."""

    name: str
    shape: tuple[int, ...]
    type_number: int  # of ggml
    start_byte: int  # in the file


@dataclass(frozen=True)
class Header:
    """What stands before the tensors' numbers. `data` is the whole file, mapped."""

    metadata: dict[str, Any]  # texts, numbers, and lists of them
    tensors: tuple[TensorPlace, ...]
    data: npt.NDArray[np.uint8]


def read_header(path: Path) -> Header:
    """Return the header of the regular file at `path`. ValueError, with the reason, where it is none; OSError."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # ValueError for an empty file
    reader = _Reader(mapped)
    if reader.take(4) != MAGIC:
        raise ValueError("it does not begin with GGUF")
    version = reader.number("<I")
    if version not in VERSIONS:
        raise ValueError(f"version {version} is not one of {VERSIONS}, or the file is for big-endian machines")
    tensor_count, key_count = reader.count(_MOST_ENTRIES, 24, "tensors"), reader.count(_MOST_ENTRIES, 13, "keys")
    metadata: dict[str, Any] = {}
    for _ in range(key_count):
        key = reader.text()
        if key in metadata:
            raise ValueError(f"the key {key[:80]!r} is there twice")
        metadata[key] = reader.value(reader.number("<I"))
    places = [_tensor(reader) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
        raise ValueError(f"the alignment {alignment!r} is no power of two")
    start = -(-reader.at // alignment) * alignment
    tensors = tuple(TensorPlace(name, shape, kind, start + offset) for name, shape, kind, offset in places)
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise ValueError("two tensors have the same name")
    return Header(metadata, tensors, np.frombuffer(mapped, np.uint8))


def _tensor(reader: _Reader) -> tuple[str, tuple[int, ...], int, int]:
    name = reader.text()
    dimensions = reader.number("<I")
    if dimensions > _MOST_DIMENSIONS:
        raise ValueError(f"the tensor {name[:80]!r} has {dimensions} dimensions")
    shape = tuple(reversed([reader.number("<Q") for _ in range(dimensions)]))
    if math.prod(shape) > reader.size * 8:
        raise ValueError(f"the tensor {name[:80]!r} is larger than the file")
    return name, shape, reader.number("<I"), reader.number("<Q")


class _Reader:
    """Takes one thing after the other from a header. ValueError where the file ends before it."""

    def __init__(self, data: mmap.mmap) -> None:
        self.at = 0
        self.size = len(data)
        self._data = data

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > min(self.size, _MOST_BYTES):
            raise ValueError("it ends in the middle of its header" if end > self.size else "its header is too long")
        taken = self._data[self.at : end]
        self.at = end
        return taken

    def number(self, form: str) -> int:
        (number,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(number)

    def count(self, most: int, least_bytes: int, what: str) -> int:
        """Take how many of something follow, each of at least so many bytes."""
        count = self.number("<Q")
        if count > most or count * least_bytes > self.size - self.at:
            raise ValueError(f"it claims {count} {what}, which are not in it")
        return count

    def text(self) -> str:
        return self.take(self.number("<Q")).decode("utf-8")  # UnicodeDecodeError is a ValueError

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array(self.number("<I"))
        return self._numbers(kind, 1)[0]

    def _array(self, kind: int) -> list[Any]:
        if kind == _STRING:
            return [self.text() for _ in range(self.count(_MOST_ITEMS, 8, "texts"))]
        return self._numbers(kind, self.count(_MOST_ITEMS, 1, "numbers"))

    def _numbers(self, kind: int, count: int) -> list[Any]:
        if kind not in _SCALARS:
            raise ValueError(f"a value is of the unknown kind {kind}")
        dtype = np.dtype(_SCALARS[kind])
        numbers: list[Any] = np.frombuffer(self.take(count * dtype.itemsize), dtype).tolist()
        return numbers
