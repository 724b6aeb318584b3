"""Measuring how large a model's rows get, for the factors by which int8 scales channels (model.network.smoothing).

    python -m model.release.smoothing DIRECTORY     adds them to a model of ours

Knows texts and sessions' encoding; what is done with the factors is the network's business.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from model.checkpoint.loading import load_checkpoint
from model.checkpoint.own_format import write_smoothing
from model.checkpoint.record import Checkpoint
from model.errors import CheckpointError
from model.network.decoder import rows_at
from model.network.linear import Precision
from model.network.smoothing import HEAD, smoothing_factors
from model.sessions.geometry import FULL, NEAR
from model.sessions.session import SessionParts

# Two files of the standard library, none of those that losses are measured on.
_FILES = ("configparser.py", "tarfile.py")
_FILE_CHARS = 3000
_LINEARS = {"qkv": "attention", "output": "output", "gate_up": "ffn", "down": "down"}


def measured_factors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return smoothing factors from the greatest numbers that rows of some thousand characters of code have.

    Raises CheckpointError for a model whose channels cannot be scaled: behind a gate they can, behind GELU not.
    """
    if not checkpoint.config.gated_ffn:
        raise CheckpointError(f"{checkpoint.config.architecture} models cannot be exported: their FFN has no gate")
    parts = SessionParts.of(checkpoint, Precision.FLOAT32, 0, FULL, NEAR)
    network, greatest = parts.network, dict[str, Tensor]()

    def watched(name: str, linear: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def call(rows: Tensor) -> Tensor:
            here = rows.abs().amax(0)
            greatest[name] = torch.maximum(greatest[name], here) if name in greatest else here
            return linear(rows)

        return call

    for index, layer in enumerate(network.layers):
        for attribute, name in _LINEARS.items():
            setattr(layer, attribute, watched(f"layers.{index}.{name}", getattr(layer, attribute)))
    network.head = watched(HEAD, network.head)
    known = parts.capabilities
    special = [each for each in (known.filename_id, known.infill_id, known.mask_id, known.mask_id) if each is not None]
    for text in _texts():
        ids = [known.sink_id, *parts.tokenizer.encode(text)][: network.config.context_length - len(special)] + special
        cache = network.new_cache(0, len(ids))
        network.forward(rows_at(0, 0, ids, range(len(ids))), cache, list(range(len(ids))))
    return smoothing_factors(checkpoint, greatest)


def _texts() -> list[str]:
    library = Path(sysconfig.get_path("stdlib"))
    found = [(library / name).read_text(encoding="utf-8") for name in _FILES if (library / name).is_file()]
    if not found:
        raise CheckpointError("this Python has no sources of its library, on which a model's rows are measured")
    return [text[-_FILE_CHARS:] for text in found]


def main() -> int:
    """Add factors to the model that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m model.release.smoothing", description=str(__doc__).split("\n")[0])
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    write_smoothing(measured_factors(load_checkpoint(directory)), directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
