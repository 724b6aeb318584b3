"""What a run leaves on disk: weights in small pieces to take away, and the full state to go on from.

    checkpoints/update-000120/    bfloat16 weights in pieces below 16 MiB, pieces.json beside them
    state/update-000120/          float32 weights and AdamW's moments, state.json

Each directory appears whole or not at all, under a new name before the old one
goes, so a kill at any moment leaves one to go on from. Knows safetensors; knows no model
code: whole weights come back as tensors by name.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.checkpoint.config import Capabilities, ModelConfig
from model.checkpoint.description import file_sha256, read_description
from model.errors import CheckpointError, InputError
from model.scratch import move_into_place, scratch_directory
from model.training.orders import SpecialIds

PIECE_BYTES = 15 << 20
PIECES_FILE = "pieces.json"
_SCALE = ".scale"


def load_start(directory: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Return the shape and the float32 weights of a checkpoint in Setfill's own format.

    Reads the files itself: `model.checkpoint` would want packages that a GPU machine may lack.
    """
    description = read_description(directory)
    stored: dict[str, Tensor] = {}
    for weight in description.weights:
        if not (directory / weight.file).is_file():
            raise CheckpointError(f"{directory / weight.file} is missing; copy the whole directory")
        stored |= load_file(directory / weight.file)
    tensors = {}
    for name, tensor in stored.items():
        if not name.endswith(_SCALE):
            scale = stored.get(name + _SCALE)
            tensors[name] = tensor.float() if scale is None else tensor.float() * scale[:, None]
    return description.config, tensors


def with_special_embeddings(tensors: Mapping[str, Tensor], special: SpecialIds, eoi_like: int) -> dict[str, Tensor]:
    """Return `tensors` with embeddings for a mask that could be anything and an `<eoi>` that is like an end.

    The base never saw these tokens; from what it has for them, an `<eoi>` began 22 nats off.
    """
    embeddings = tensors["embed_tokens.weight"].clone()
    embeddings[special.mask] = embeddings.mean(0)
    embeddings[special.eoi] = embeddings[eoi_like]
    return {**tensors, "embed_tokens.weight": embeddings}


def write_pieces(
    directory: Path,
    name: str,
    config: ModelConfig,
    special: SpecialIds,
    window: int,
    tensors: Mapping[str, Tensor],
    update: int,
) -> None:
    """Write `tensors` in bfloat16 as pieces below 16 MiB, each a safetensors file; long matrices are cut by rows.

    A key is NAME@FIRST_ROW. `window` goes into the capabilities.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    capabilities = Capabilities(
        adapted=True, sink_id=special.sink, filename_id=special.filename,
        mask_id=special.mask, infill_id=special.infill, eoi_id=special.eoi, window=window,
    )  # fmt: skip
    with scratch_directory(directory.parent) as scratch:
        built = scratch / "pieces"
        built.mkdir()
        files = []
        for number, piece in enumerate(_pieces(tensors)):
            path = built / f"weights-{number:03d}.safetensors"
            save_file(piece, path)
            files.append({"file": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)})
        about = {"name": name, "update": update, "config": config.to_dict(), "capabilities": capabilities.to_dict()}
        (built / PIECES_FILE).write_text(json.dumps({**about, "files": files}, indent=2) + "\n", encoding="utf-8")
        move_into_place(built, directory, scratch)


def read_pieces(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what `pieces.json` says and the whole tensors. Raises CheckpointError for a missing or damaged piece."""
    try:
        about = json.loads((directory / PIECES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{directory} holds no whole checkpoint ({error}); copy it again") from error
    parts: dict[str, dict[int, Tensor]] = {}
    for entry in about["files"]:
        path = directory / entry["file"]
        if not path.is_file() or file_sha256(path) != entry["sha256"]:
            raise CheckpointError(f"{path} is missing or damaged; copy it again")
        for key, tensor in load_file(path).items():
            name, _, row = key.rpartition("@")
            parts.setdefault(name, {})[int(row)] = tensor
    tensors = {name: torch.cat([rows[row] for row in sorted(rows)]) for name, rows in parts.items()}
    return about, tensors


def keep_newest(directory: Path, count: int) -> None:
    """Delete all but the newest `count` checkpoints."""
    for old in sorted(directory.glob("update-*"))[:-count]:
        shutil.rmtree(old)


def save_state(directory: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write the full state after `facts["update"]` updates into `directory`; older ones go once it is whole."""
    directory.mkdir(parents=True, exist_ok=True)
    with scratch_directory(directory) as scratch:
        built = scratch / "state"
        built.mkdir()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, built / "state.safetensors")
        (built / "state.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        move_into_place(built, directory / _name(facts["update"]), scratch)
    keep_newest(directory, 1)


def load_state(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the newest full state in `directory`, or None if there is none."""
    saved = sorted(directory.glob("update-*"))
    if not saved:
        return None
    try:
        facts = json.loads((saved[-1] / "state.json").read_text(encoding="utf-8"))
        return load_file(saved[-1] / "state.safetensors"), facts
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{saved[-1]} cannot be read ({error}); delete it to go on from an older one") from error


def checkpoint_path(run_directory: Path, update: int) -> Path:
    """Return where the weights after `update` updates go."""
    return run_directory / "checkpoints" / _name(update)


def _name(update: int) -> str:
    return f"update-{update:06d}"


def _pieces(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    piece: dict[str, Tensor] = {}
    size = 0
    for name, tensor in tensors.items():
        stored = tensor.detach().to(torch.bfloat16 if tensor.dim() > 1 else torch.float32).cpu()
        row_bytes = stored[:1].nbytes
        rows = max(1, PIECE_BYTES // row_bytes)
        for begin in range(0, len(stored), rows):
            part = stored[begin : begin + rows].contiguous()
            if piece and size + part.nbytes > PIECE_BYTES:
                yield piece
                piece, size = {}, 0
            piece[f"{name}@{begin}"] = part.clone()
            size += part.nbytes
    yield piece
