"""All that a decoder is told: one record instead of ten parameters. Knows no requests and no sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.api.policy import OrderPolicy, RevealRule
from model.api.types import Sampling
from model.decoding.drafts import TextDrafts
from model.decoding.gap_rows import GapRows
from model.decoding.open_gap import OpenGap
from model.decoding.widths import WidthPlanner


@dataclass(frozen=True)
class Decode:
    """One decode of `gaps`, in which a decoder leaves what it reveals.

    It ends when all gaps have stopped or `after_forward`, called after each
    forward, returns False. `drafts` is for decoders that verify; `candidates`
    is how many other infills of a single gap are wanted.
    """

    rows: GapRows
    gaps: list[OpenGap]
    policy: OrderPolicy
    rule: RevealRule
    planner: WidthPlanner
    drafts: TextDrafts | None = None
    candidates: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    generator: torch.Generator = field(default_factory=torch.Generator)
    after_forward: Callable[[], bool] = lambda: True

    @property
    def infill_id(self) -> int | None:
        return self.rows.window.capabilities.infill_id

    @property
    def mask_id(self) -> int | None:
        """The id of mask rows; None for a model that was not trained on any."""
        capabilities = self.rows.window.capabilities
        return capabilities.mask_id if capabilities.adapted else None

    def reveal(self, gap: OpenGap, rank: int, token_id: int, log_probs: Tensor, head: str = "clean") -> None:
        """Make a token of `gap` known, drawn from `log_probs` [V] of that head, and note it if the decode is traced."""
        gap.reveal(rank, token_id, log_probs)
        if self.rows.recorder is not None:
            self.rows.recorder.reveal(gap.index, rank, token_id, log_probs, head)

    @property
    def open_gaps(self) -> list[OpenGap]:
        return [gap for gap in self.gaps if gap.stop is None]
