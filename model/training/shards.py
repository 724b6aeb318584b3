"""Token shards on disk: what `setfill train corpus` writes and training reads.

    index.json            counts, hashes, tokenizer; what was dropped and why
    documents.jsonl.xz    provenance of every document: package, version, path, licence, ranges
    tokens-*.u16.xz       uint16 little endian, all documents one after the other, in pieces below 60 MiB
    nodes.u32.xz          syntax nodes [begin, end) in bytes of their document, ascending; as differences of the
                          begins (modulo 2**32, over all documents), then the lengths, which packs well

Knows numpy and files; knows no packages and no rows.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import InputError

PIECE_TOKENS = 24 << 20  # 48 MiB before compression, so a piece is below 60 MiB whatever it holds
UNPACKED = ".unpacked"  # beside the pieces: the same, ready to be mapped into memory
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Document:
    """One file of a package. `cut_lines` were removed before tokenising, for the reasons counted in `index.json`."""

    package: str
    version: str
    path: str  # inside the package, as it goes into the header
    language: str
    licence: str
    sha256: str  # of the file as it was found
    tokens: int
    nodes: int = 0
    held_out: bool = False  # of a package kept for validation
    cut_lines: int = 0


@dataclass
class Corpus:
    """The shards of a corpus, mapped into memory."""

    documents: list[Document]
    tokens: NDArray[np.uint16]  # [total]
    nodes: NDArray[np.uint32]  # [total nodes, 2]
    token_begin: NDArray[np.int64] = field(init=False)  # [documents + 1]
    node_begin: NDArray[np.int64] = field(init=False)  # [documents + 1]

    def __post_init__(self) -> None:
        self.token_begin = _offsets([document.tokens for document in self.documents])
        self.node_begin = _offsets([document.nodes for document in self.documents])

    def ids(self, document: int, begin: int, end: int) -> NDArray[np.uint16]:
        """Return tokens [begin, end) of a document."""
        offset = int(self.token_begin[document])
        return self.tokens[offset + begin : offset + end]

    def nodes_of(self, document: int) -> NDArray[np.uint32]:
        """Return the syntax nodes [n, 2] of a document, in bytes from its start."""
        return self.nodes[self.node_begin[document] : self.node_begin[document + 1]]

    def chosen(self, held_out: bool) -> list[int]:
        """Return the documents for training, or those held out for validation."""
        return [index for index, document in enumerate(self.documents) if document.held_out == held_out]


def write_corpus(
    directory: Path,
    documents: Sequence[Document],
    ids: Iterable[NDArray[np.uint16]],
    nodes: Iterable[NDArray[np.uint32]],
    facts: dict[str, Any],
) -> None:
    """Write shards of `documents`, whose tokens and nodes come in the same order. `facts` go into the index."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in [*directory.glob("tokens-*.u16.xz"), *directory.glob(f"*{UNPACKED}")]:
        old.unlink()
    tokens = np.concatenate([np.zeros(0, np.uint16), *ids])
    pieces = [tokens[begin : begin + PIECE_TOKENS] for begin in range(0, len(tokens), PIECE_TOKENS)]
    files = [_write(directory / f"tokens-{n:03d}.u16.xz", piece.tobytes()) for n, piece in enumerate(pieces)]
    node_table = np.concatenate([np.zeros((0, 2), np.uint32), *nodes])
    begins, lengths = np.diff(node_table[:, 0], prepend=np.uint32(0)), node_table[:, 1] - node_table[:, 0]
    files.append(_write(directory / "nodes.u32.xz", np.concatenate([begins, lengths]).tobytes()))
    lines = "".join(json.dumps(asdict(document), ensure_ascii=False) + "\n" for document in documents)
    files.append(_write(directory / "documents.jsonl.xz", lines.encode()))
    index = {"format_version": FORMAT_VERSION, "tokens": len(tokens), "documents": len(documents), **facts}
    index["files"] = files
    (directory / "index.json").write_text(json.dumps(index, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_corpus(directory: Path) -> Corpus:
    """Return the corpus in `directory`. Raises InputError where it is missing, damaged or incomplete."""
    path = directory / "index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"{directory} holds no corpus ({path.name}: {why}); build one with `setfill train corpus`"
        ) from error
    if index.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path} is of another version; build the corpus again")
    names = [entry["file"] for entry in index["files"]]
    unpacked = directory / f"tokens{UNPACKED}"
    if not unpacked.exists():
        _unpack(directory, index["files"], [name for name in names if name.startswith("tokens-")], unpacked)
    content = _read(directory, index["files"], "documents.jsonl.xz").decode()
    documents = [Document(**json.loads(line)) for line in content.splitlines()]
    differences, lengths = np.frombuffer(_read(directory, index["files"], "nodes.u32.xz"), np.uint32).reshape(2, -1)
    begins = np.cumsum(differences, dtype=np.uint32)
    nodes = np.stack([begins, begins + lengths], axis=1)
    tokens: NDArray[np.uint16] = np.zeros(0, np.uint16)
    if index["tokens"]:
        tokens = np.memmap(unpacked, np.uint16, "r")
    if len(tokens) != index["tokens"]:
        raise InputError(f"{unpacked} has {len(tokens)} tokens, not {index['tokens']}; delete it and try again")
    return Corpus(documents, tokens, nodes)


def _offsets(counts: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(counts, np.int64))])


def _write(path: Path, content: bytes) -> dict[str, Any]:
    packed = lzma.compress(content, preset=6)
    path.write_bytes(packed)
    return {"file": path.name, "bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}


def _read(directory: Path, files: Sequence[dict[str, Any]], name: str) -> bytes:
    entry = next(entry for entry in files if entry["file"] == name)
    try:
        packed = (directory / name).read_bytes()
    except OSError as error:
        raise InputError(f"{directory / name} is missing ({error}); the corpus is incomplete") from error
    if hashlib.sha256(packed).hexdigest() != entry["sha256"]:
        raise InputError(f"{directory / name} is damaged; copy or build the corpus again")
    return lzma.decompress(packed)


def _unpack(directory: Path, files: Sequence[dict[str, Any]], names: Sequence[str], unpacked: Path) -> None:
    """Write the decompressed tokens as one file that all processes map; renamed into place when whole."""
    scratch = unpacked.with_suffix(f".{os.getpid()}")
    with scratch.open("wb") as file:
        for name in names:
            file.write(_read(directory, files, name))
    scratch.rename(unpacked)
