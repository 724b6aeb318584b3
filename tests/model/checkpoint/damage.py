"""Ways to damage a file of a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file


def edit_json(path: Path, change: Callable[[dict], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def edit_weights(path: Path, change: Callable[[dict], object]) -> None:
    weights = load_file(path)
    change(weights)
    save_file({name: tensor.clone() for name, tensor in weights.items()}, path)


def truncate(path: Path, keep: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
