"""The real model for slow tests: the installed default, or the file that SETFILL_TEST_GGUF names."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import pytest

from model import store
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import Checkpoint
from model.errors import SetfillError


def real_gguf() -> Path:
    """Return the GGUF file to test with, or skip the test that asks."""
    path = Path(os.environ.get("SETFILL_TEST_GGUF", ""))
    if path.is_file():
        return path
    pytest.skip("no GGUF file: set SETFILL_TEST_GGUF to one, such as the SmolLM2-135M that `setfill models fetch` gets")


def real_model() -> Path:
    """Return the GGUF file to test with, else the installed default model, or skip the test that asks."""
    if path := os.environ.get("SETFILL_TEST_GGUF"):
        return Path(path)
    try:
        return store.find()
    except SetfillError:
        pytest.skip("no model: run `setfill models fetch`, or set SETFILL_TEST_GGUF to a GGUF file")


@lru_cache(maxsize=1)
def load_real(path: Path) -> Checkpoint:
    return load_checkpoint(path)
