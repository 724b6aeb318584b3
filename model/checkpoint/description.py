"""`setfill.json`: what one of our own checkpoint directories says of itself.

Knows names, sizes and hashes; imports no torch, so that models are listed and
checked without it. `model.checkpoint` reads and writes the weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoint.config import Capabilities, ModelConfig
from model.errors import CheckpointError

FORMAT_VERSION = 1
DESCRIPTION_FILE = "setfill.json"
_LARGEST_TEXT_BYTES = 64 << 20  # a tokenizer.json; those of 260,000 tokens take up to 35 MB
_LARGEST_JSON_BYTES = 8 << 20  # any other; an index of weights takes some hundred kilobytes


@dataclass(frozen=True)
class StoredFile:
    """A file of a checkpoint, by the name it has in the checkpoint's directory."""

    file: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> StoredFile:
        return cls(path.name, path.stat().st_size, file_sha256(path))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> StoredFile:
        return cls(str(data["file"]), int(data["bytes"]), str(data["sha256"]))


@dataclass(frozen=True)
class Description:
    """The content of a `setfill.json`."""

    name: str
    config: ModelConfig
    capabilities: Capabilities
    tokenizer: StoredFile
    weights: tuple[StoredFile, ...]  # safetensors
    smoothing: StoredFile | None = None  # safetensors too

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """The files beside this one."""
        return (self.tokenizer, *self.weights, *([self.smoothing] if self.smoothing else []))

    def write(self, directory: Path) -> None:
        data = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "config": self.config.to_dict(),
            "capabilities": self.capabilities.to_dict(),
            "tokenizer": vars(self.tokenizer),
            "weights": [vars(weight) for weight in self.weights],
        }
        if self.smoothing:
            data["smoothing"] = vars(self.smoothing)
        (directory / DESCRIPTION_FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def read_description(directory: Path) -> Description:
    """Return what the directory says of itself. Raises CheckpointError where that is damaged or from another time."""
    path = directory / DESCRIPTION_FILE
    data = read_json(path)
    if data.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {data.get('format_version')!r}, this Setfill reads {FORMAT_VERSION}; "
            "update Setfill or install the model again"
        )
    try:
        tokenizer = StoredFile.from_dict(data["tokenizer"])
        weights = tuple(StoredFile.from_dict(entry) for entry in data["weights"])
        smoothing = StoredFile.from_dict(data["smoothing"]) if "smoothing" in data else None
        config, capabilities = ModelConfig.from_dict(data["config"]), Capabilities.from_dict(data["capabilities"])
        description = Description(str(data["name"]), config, capabilities, tokenizer, weights, smoothing)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise CheckpointError(
            f"{path} is damaged ({type(error).__name__}: {error}); install the model again"
        ) from error
    if any(Path(stored.file).name != stored.file for stored in description.files):
        raise CheckpointError(f"{path} names files outside its directory; install the model again")
    return description


def check_sizes(directory: Path) -> Description:
    """Return what the directory says of itself, if its files are there and of the sizes it says."""
    description = read_description(directory)
    for stored in description.files:
        path = directory / stored.file
        if not os.path.isfile(path) or os.path.getsize(path) != stored.bytes:  # Path's own raises for long names
            raise CheckpointError(f"{path} is missing or not {stored.bytes} bytes long; install the model again")
    return description


def verify_files(directory: Path) -> None:
    """Compare all files with the hashes in `setfill.json`, reading them whole (a second per gigabyte or so).

    Raises CheckpointError, naming the file, where one is missing or differs.
    """
    description = check_sizes(directory)
    for stored in description.files:
        if file_sha256(directory / stored.file) != stored.sha256:
            raise CheckpointError(f"{directory / stored.file} is damaged; install the model again")


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_regular(path: Path, largest_bytes: int | None = None) -> None:
    """Raise CheckpointError unless `path` is, or leads to, a regular file that is not too large.

    To be asked before opening: a pipe keeps whoever opens it waiting, a device may never end.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; get a complete copy of the model") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path} ({error}); get a complete copy of the model") from error
    if not stat.S_ISREG(found.st_mode):
        raise CheckpointError(f"{path} is not a regular file; get a complete copy of the model")
    if largest_bytes is not None and found.st_size > largest_bytes:
        raise CheckpointError(
            f"{path} is {found.st_size / 1e6:.0f} MB large, more than such a file can be; get a fresh copy of it"
        )


def read_text(path: Path, largest_bytes: int = _LARGEST_TEXT_BYTES) -> str:
    """Return the text of a checkpoint's file, or raise CheckpointError."""
    check_regular(path, largest_bytes)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {path} ({error}); get a complete copy of the model") from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a checkpoint's file, or raise CheckpointError."""
    text = read_text(path, _LARGEST_JSON_BYTES)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON ({error}); get a fresh copy of it") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} is not a JSON object; get a fresh copy of it")
    return data


def require_gguf() -> None:
    """Raise CheckpointError where the `gguf` package is missing: an extra, for the default model does without."""
    if importlib.util.find_spec("gguf") is None:
        raise CheckpointError(f"reading GGUF files needs the package gguf; run: {sys.executable} -m pip install gguf")
