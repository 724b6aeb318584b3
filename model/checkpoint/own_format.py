"""Setfill's own checkpoint directory.

    setfill.json         format version, name, configuration, capabilities, the weight files with size and sha256
    tokenizer.json       the `tokenizers` package's format
    weights-*.safetensors

Matrices are float32, bfloat16, float16, or int8 with one float32 scale per
output channel under NAME + ".scale"; vectors (norms, biases) are float32
whatever the matrices are: they are small, and their errors are not.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from model.checkpoint.byte_level import tokenizer_from_json
from model.checkpoint.huggingface import read_json, read_text
from model.checkpoint.record import SCALE_SUFFIX, Checkpoint, StoredTensor, checked_tensors, expected_shapes
from model.checkpoint.weight_files import stored_tensors
from model.config import Capabilities, ModelConfig
from model.errors import CheckpointError

FORMAT_VERSION = 1
DESCRIPTION_FILE = "setfill.json"
SAVED_DTYPES = ("float32", "bfloat16", "float16", "int8")


def load_own(directory: Path) -> Checkpoint:
    """Return the checkpoint in one of our own directories.

    Sizes of the weight files are checked, their hashes are not: that would
    read every byte at every start (`verify_files` does it).
    """
    path = directory / DESCRIPTION_FILE
    data = read_description(directory)
    try:
        name, weights = str(data["name"]), _listed_files(data, path)
        config = ModelConfig.from_dict(data["config"])
        capabilities = Capabilities.from_dict(data["capabilities"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({type(error).__name__}: {error}); install the model again"
        ) from error
    stored: dict[str, StoredTensor] = {}
    for file_name, size, _ in weights:
        file = directory / file_name
        if not file.is_file() or file.stat().st_size != size:
            raise CheckpointError(f"{file} is missing or not {size} bytes long; install the model again")
        stored |= stored_tensors(file)
    tokenizer_path = directory / "tokenizer.json"
    tokenizer = tokenizer_from_json(read_text(tokenizer_path), str(tokenizer_path))
    return Checkpoint(name, config, capabilities, tokenizer, checked_tensors(stored, config, str(directory)))


def read_description(directory: Path) -> dict[str, Any]:
    """Return what `setfill.json` says, its format version checked."""
    path = directory / DESCRIPTION_FILE
    data = read_json(path)
    if data.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {data.get('format_version')!r}, this Setfill reads {FORMAT_VERSION}; "
            "update Setfill or install the model again"
        )
    return data


def verify_files(directory: Path) -> None:
    """Compare the weight files with the hashes in `setfill.json`, reading them whole.

    Raises CheckpointError, naming the file, where one differs.
    """
    for file_name, _, sha256 in _listed_files(read_description(directory), directory / DESCRIPTION_FILE):
        if not (directory / file_name).is_file() or file_sha256(directory / file_name) != sha256:
            raise CheckpointError(f"{directory / file_name} is missing or damaged; install the model again")


def save_checkpoint(
    checkpoint: Checkpoint, directory: Path, dtype: str | None = None, shard_bytes: int = 2 << 30
) -> None:
    """Write the checkpoint as one of our own directories, in `dtype` (None: matrices as they are).

    The directory appears whole or not at all: it is written beside its place
    and renamed into it. A checkpoint of ours that is already there is
    replaced; anything else is not (CheckpointError). Weight files hold at most
    `shard_bytes`, unless one tensor alone is larger.
    """
    if dtype not in (None, *SAVED_DTYPES):
        raise ValueError(f"dtype {dtype!r} is none of {SAVED_DTYPES}")
    directory = directory.absolute()
    if directory.exists() and not (directory / DESCRIPTION_FILE).exists() and any(directory.iterdir()):
        raise CheckpointError(f"{directory} holds something else; choose another directory")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with scratch_directory(directory.parent) as scratch:
        built = scratch / "checkpoint"
        built.mkdir()
        weights = [
            _write_shard(shard, built, number) for number, shard in enumerate(_shards(checkpoint, dtype, shard_bytes))
        ]
        checkpoint.tokenizer.save(str(built / "tokenizer.json"), pretty=False)
        description = {
            "format_version": FORMAT_VERSION,
            "name": checkpoint.name,
            "config": checkpoint.config.to_dict(),
            "capabilities": checkpoint.capabilities.to_dict(),
            "weights": weights,
        }
        (built / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        if directory.exists():
            directory.rename(scratch / "replaced")
        built.rename(directory)


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`, on its file system so that renames are atomic; it goes whatever happens."""
    scratch = Path(tempfile.mkdtemp(prefix=".setfill-", dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listed_files(data: dict[str, Any], path: Path) -> list[tuple[str, int, str]]:
    """Return file name, size in bytes and sha256 of every weight file that a description lists."""
    try:
        files = [(str(entry["file"]), int(entry["bytes"]), str(entry["sha256"])) for entry in data["weights"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({type(error).__name__}: {error}); install the model again"
        ) from error
    if any(Path(name).name != name for name, _, _ in files):
        raise CheckpointError(f"{path} names weight files outside its directory; install the model again")
    return files


def _shards(checkpoint: Checkpoint, dtype: str | None, shard_bytes: int) -> Iterator[dict[str, Tensor]]:
    """Yield the tensors to store in groups of at most `shard_bytes`, reading one group at a time."""
    shard: dict[str, Tensor] = {}
    size = 0
    for name in expected_shapes(checkpoint.config):
        tensors = _stored_form(checkpoint, name, dtype)
        added = sum(tensor.nbytes for tensor in tensors.values())
        if shard and size + added > shard_bytes:
            yield shard
            shard, size = {}, 0
        shard |= tensors
        size += added
    yield shard


def _stored_form(checkpoint: Checkpoint, name: str, dtype: str | None) -> dict[str, Tensor]:
    tensor = checkpoint.tensors[name].detach()
    if tensor.dim() == 1:
        return {name: tensor.float()}
    if tensor.dtype == torch.int8 and dtype in (None, "int8"):
        return {name: tensor, name + SCALE_SUFFIX: checkpoint.tensors[name + SCALE_SUFFIX]}
    if dtype is None:
        return {name: tensor.contiguous()}
    if dtype != "int8":
        return {name: checkpoint.float_tensor(name).detach().to(getattr(torch, dtype)).contiguous()}
    weight = checkpoint.float_tensor(name).detach()
    scale = weight.abs().amax(dim=1).div(127).clamp_min(torch.finfo(torch.float32).tiny)  # [out]
    return {name: (weight / scale[:, None]).round().to(torch.int8), name + SCALE_SUFFIX: scale}


def _write_shard(shard: dict[str, Tensor], directory: Path, number: int) -> dict[str, Any]:
    path = directory / f"weights-{number:05d}.safetensors"
    save_file(shard, path)
    with path.open("rb") as file:
        os.fsync(file.fileno())  # a rename must not become durable before what it names
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)}
