"""Setfill's own checkpoint directory.

    setfill.json            what the model is and can do, the other files with size and sha256
    tokenizer.json          in the format of the `tokenizers` package
    weights-*.safetensors
    smoothing.safetensors   where they were measured, the factors by which int8 scales channels

Matrices are float32, bfloat16, float16, or int8 with one float32 scale per
output channel under NAME + ".scale". Vectors (norms, biases) are float32
whatever the matrices are: they are small, and their errors are not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from model.checkpoint.byte_level import tokenizer_from_json
from model.checkpoint.description import DESCRIPTION_FILE, Description, StoredFile, check_sizes, read_text
from model.checkpoint.record import (
    SCALE_SUFFIX,
    Checkpoint,
    StoredTensor,
    checked_smoothing,
    checked_tensors,
    expected_shapes,
)
from model.checkpoint.weight_files import stored_tensors
from model.errors import CheckpointError
from model.scratch import move_into_place, scratch_directory

SMOOTHING_FILE = "smoothing.safetensors"
SAVED_DTYPES = ("float32", "bfloat16", "float16", "int8")


def load_own(directory: Path) -> Checkpoint:
    """Return the checkpoint in one of our own directories.

    The sizes of its files are checked, their hashes are not: that would read
    every byte at every start (`model.checkpoint.description.verify_files` does).
    """
    description = check_sizes(directory)
    stored: dict[str, StoredTensor] = {}
    for weight in description.weights:
        stored |= stored_tensors(directory / weight.file)
    tokenizer_path = directory / description.tokenizer.file
    tokenizer = tokenizer_from_json(read_text(tokenizer_path), str(tokenizer_path))
    tensors = checked_tensors(stored, description.config, str(directory))
    smoothing = None
    if description.smoothing:
        path = directory / description.smoothing.file
        smoothing = checked_smoothing(stored_tensors(path), description.config, str(path))
    return Checkpoint(description.name, description.config, description.capabilities, tokenizer, tensors, smoothing)


def write_smoothing(factors: Mapping[str, Tensor], directory: Path) -> None:
    """Add smoothing factors to one of our own directories. Raises CheckpointError where there is none."""
    description = check_sizes(directory)
    path = directory / SMOOTHING_FILE
    try:
        save_file(dict(factors), path)
        replace(description, smoothing=StoredFile.of(path)).write(directory)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot write {path} ({error}); free some space or choose another place") from error


def save_checkpoint(
    checkpoint: Checkpoint, directory: Path, dtype: str | None = None, shard_bytes: int = 2 << 30
) -> None:
    """Write the checkpoint as one of our own directories, its matrices in `dtype` (None: as they are).

    The directory appears whole or not at all: it is written beside its place
    and renamed into it. A checkpoint of ours that is already there is
    replaced; anything else is not. A weight file holds at most `shard_bytes`,
    unless one tensor alone is larger. Raises CheckpointError where the
    directory cannot be written.
    """
    if dtype not in (None, *SAVED_DTYPES):
        raise ValueError(f"dtype {dtype!r} is none of {SAVED_DTYPES}")
    directory = directory.absolute()
    refuse_foreign(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with scratch_directory(directory.parent) as scratch:
            built = scratch / "checkpoint"
            built.mkdir()
            _write(checkpoint, built, dtype, shard_bytes)
            move_into_place(built, directory, scratch)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot write {directory} ({error}); free some space or choose another place") from error


def _write(checkpoint: Checkpoint, directory: Path, dtype: str | None, shard_bytes: int) -> None:
    weights = []
    for number, shard in enumerate(_shards(checkpoint, dtype, shard_bytes)):
        path = directory / f"weights-{number:05d}.safetensors"
        save_file(shard, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())  # or the rename could outlive a power cut that the content did not
        weights.append(StoredFile.of(path))
    tokenizer_path = directory / "tokenizer.json"
    checkpoint.tokenizer.save(str(tokenizer_path), pretty=False)
    tokenizer = StoredFile.of(tokenizer_path)
    Description(checkpoint.name, checkpoint.config, checkpoint.capabilities, tokenizer, tuple(weights)).write(directory)
    if checkpoint.smoothing:
        write_smoothing(checkpoint.smoothing, directory)


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
    weight = checkpoint.float_tensor(name).detach()
    if dtype != "int8":
        return {name: weight.to(getattr(torch, dtype)).contiguous()}
    scale = weight.abs().amax(dim=1).div(127).clamp_min(torch.finfo(torch.float32).tiny)  # [out]; rows of zeros stay so
    return {name: (weight / scale[:, None]).round().to(torch.int8), name + SCALE_SUFFIX: scale}


def refuse_foreign(place: Path) -> None:
    """Raise CheckpointError where something else stands than one of our directories, or an empty one."""
    is_ours = (place / DESCRIPTION_FILE).exists() or (place.is_dir() and not any(place.iterdir()))
    if place.exists() and not is_ours:
        raise CheckpointError(f"{place} holds something else than a model of ours; choose another directory")
