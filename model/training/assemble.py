"""From the pieces that a run leaves, and a tokenizer, to one of our own checkpoint directories.

Not used on a GPU machine: it wants all that `model.checkpoint` wants.
"""

from __future__ import annotations

from pathlib import Path

from model.checkpoint import Checkpoint, save_checkpoint
from model.checkpoint.byte_level import tokenizer_from_json
from model.config import Capabilities, ModelConfig
from model.description import read_text
from model.training.state import read_pieces


def assembled(pieces: Path, tokenizer: Path) -> Checkpoint:
    """Return the model in the directory `pieces` of a run, with the tokenizer of a `tokenizer.json`.

    Raises CheckpointError where a piece is missing or damaged.
    """
    about, tensors = read_pieces(pieces)
    config, capabilities = ModelConfig.from_dict(about["config"]), Capabilities.from_dict(about["capabilities"])
    return Checkpoint(
        about["name"], config, capabilities, tokenizer_from_json(read_text(tokenizer), str(tokenizer)), tensors
    )


def assemble(pieces: Path, tokenizer: Path, directory: Path, dtype: str | None = None) -> None:
    """Write the model in `pieces` as a checkpoint directory; `dtype` as for `save_checkpoint`."""
    save_checkpoint(assembled(pieces, tokenizer), directory, dtype)
