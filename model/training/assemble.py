"""From the pieces that a run leaves, and a tokenizer, to one of our own checkpoint directories.

Not used on a GPU machine: it wants all that `model.checkpoint` wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from model.checkpoint.byte_level import tokenizer_from_json
from model.checkpoint.config import Capabilities, ModelConfig
from model.checkpoint.description import read_text
from model.checkpoint.own_format import save_checkpoint
from model.checkpoint.record import Checkpoint
from model.errors import InputError
from model.training.state import load_start, read_pieces

_EMBEDDINGS = "embed_tokens.weight"


def read_model(pieces: Path, tokenizer: Path) -> Checkpoint:
    """Return the model in the directory `pieces` of a run, with the tokenizer of a `tokenizer.json`.

    Raises CheckpointError where a piece is missing or damaged.
    """
    about, tensors = read_pieces(pieces)
    config, capabilities = ModelConfig.from_dict(about["config"]), Capabilities.from_dict(about["capabilities"])
    return Checkpoint(
        about["name"], config, capabilities, tokenizer_from_json(read_text(tokenizer), str(tokenizer)), tensors
    )


def assemble(
    pieces: Path,
    tokenizer: Path,
    directory: Path,
    dtype: str | None = None,
    base: Path | None = None,
    base_share: float = 0.0,
) -> None:
    """Write the model in `pieces` as a checkpoint directory; `dtype` as for `save_checkpoint`.

    With `base`, the start that it was trained from, the weights are moved by
    `base_share` towards that start's (0 to 1; Wortsman et al., arXiv
    2109.01903): a short training at small batches also does damage, which the
    mean undoes better than it does what was learned. Raises CheckpointError
    and InputError.
    """
    checkpoint = read_model(pieces, tokenizer)
    if base is not None:
        mixed = towards(checkpoint, load_start(base)[1], base_share)
        checkpoint = replace(checkpoint, tensors=mixed)
    save_checkpoint(checkpoint, directory, dtype)


def towards(checkpoint: Checkpoint, base: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return the weights of `checkpoint` moved by `share` towards `base`, but for the tokens that only it knows."""
    if not 0 <= share < 1:
        raise InputError(f"the base's share is {share}: it must be at least 0 and below 1")
    shapes = {name: tensor.shape for name, tensor in base.items()}
    if shapes != {name: tensor.shape for name, tensor in checkpoint.tensors.items()}:
        raise InputError("the base has other weights than this model: give the start that it was trained from")
    mixed = {name: tensor.float().lerp(base[name], share) for name, tensor in checkpoint.tensors.items()}
    special = checkpoint.capabilities
    known = [token for token in (special.mask_id, special.infill_id, special.eoi_id) if token is not None]
    mixed[_EMBEDDINGS][known] = checkpoint.tensors[_EMBEDDINGS][known].float()
    return mixed
