"""Safetensors files: what is in them, read on demand.

Knows one file format; knows no model.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from model.checkpoint.description import check_regular
from model.checkpoint.record import StoredTensor
from model.errors import CheckpointError

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I8": torch.int8}


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors of one safetensors file by the names they have in it.

    The file is mapped, not read. Raises CheckpointError where it is missing or not whole.
    """
    check_regular(path)
    try:
        weights = safe_open(path, framework="pt")
        stored = {}
        for name in weights.keys():  # noqa: SIM118 (no mapping: it has no other way to list them)
            view = weights.get_slice(name)
            dtype = DTYPES.get(view.get_dtype(), view.get_dtype())
            stored[name] = StoredTensor(tuple(view.get_shape()), dtype, str(path), partial(weights.get_tensor, name))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is missing or not a whole safetensors file ({error}); get it again") from error
    return stored
