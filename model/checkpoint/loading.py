"""Which kind of checkpoint a path is: a Hugging Face directory, a GGUF file or one of our own directories."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from model.checkpoint.description import DESCRIPTION_FILE, require_gguf
from model.checkpoint.huggingface import PICKLE_PATTERNS, load_huggingface, pickle_error, refuse_pickles
from model.checkpoint.own_format import load_own
from model.checkpoint.record import Checkpoint, check_token_ids
from model.errors import CheckpointError


def load_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint at `path`: a Hugging Face directory, a GGUF file or one of our directories.

    Names, shapes and dtypes of all tensors are checked here; the numbers are
    read when asked for. Raises CheckpointError, whose text says what to do.
    """
    checkpoint = _loader(path)(path)
    check_token_ids(checkpoint, str(path))
    return checkpoint


def _loader(path: Path) -> Callable[[Path], Checkpoint]:
    if os.path.isdir(path):  # Path's own raises for names that are too long, and folders that are closed
        if os.path.exists(path / DESCRIPTION_FILE):
            return load_own
        if os.path.exists(path / "config.json"):
            return load_huggingface
        refuse_pickles(path)
        raise CheckpointError(f"{path} holds no model: neither {DESCRIPTION_FILE} nor config.json is in it")
    if not os.path.exists(path):
        raise CheckpointError(f"{path} does not exist; give a model's directory or a GGUF file")
    if any(path.match(pattern) for pattern in PICKLE_PATTERNS):
        raise pickle_error(path)
    if path.suffix == ".safetensors":
        raise CheckpointError(f"{path} holds weights only; give the directory with its config.json and tokenizer.json")
    require_gguf()
    from model.checkpoint.gguf_file import load_gguf

    return load_gguf
