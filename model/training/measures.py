"""What is measured on the way: loss and accuracy by row kind, and of mask rows by draft distance.

Sums stay on the device until they are asked for, once per update.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model.training.batches import MicroBatch
from model.training.rows import RowKind

DISTANCES = 8  # draft distances reported one by one
_LABELS = len(RowKind) + DISTANCES


class Measures:
    """Sums over the target rows of one update."""

    def __init__(self, device: torch.device) -> None:
        # Row losses, right rows, rows, rows agreeing with the verifier, rows with a verifier; by kind, then distance.
        self._sums = torch.zeros(5, _LABELS, dtype=torch.float64, device=device)
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self.gradient_norm = torch.zeros((), device=device)

    def add(self, part: MicroBatch, loss: Tensor, row_losses: Tensor, tops: Tensor) -> None:
        """Add a micro-batch: its loss, and its target rows' losses [N] and most probable tokens [N]."""
        self._loss += loss
        right = tops == part.targets
        verified = part.verifier_slots >= 0
        agree = verified & (tops == tops[part.verifier_slots.clamp_min(0)])
        values = torch.stack([row_losses.double(), right.double(), torch.ones_like(row_losses).double(),
                              agree.double(), verified.double()])  # fmt: skip
        self._sums.index_add_(1, part.kinds, values)
        near = (part.distances >= 1) & (part.distances <= DISTANCES)
        # A past-the-end row would flatter the drafts: only rows with a verifier count by distance.
        values = values * (near & verified)
        self._sums.index_add_(1, (len(RowKind) - 1 + part.distances).clamp(0, _LABELS - 1), values)

    def summary(self) -> dict[str, Any]:
        """Return the means as plain numbers; waits for the device."""
        losses, right, rows, agree, verified = self._sums.tolist()

        def of(label: int) -> dict[str, float]:
            count = max(1.0, rows[label])
            return {"loss": losses[label] / count, "accuracy": right[label] / count, "rows": rows[label]}

        by_distance = []
        for distance in range(1, DISTANCES + 1):
            label = len(RowKind) - 1 + distance
            by_distance.append({**of(label), "agreement": agree[label] / max(1.0, verified[label])})
        return {
            "loss": float(self._loss),
            "gradient_norm": float(self.gradient_norm),
            "kinds": {kind.name.lower(): of(kind) for kind in RowKind if kind != RowKind.NONE},
            "distances": by_distance,
        }
