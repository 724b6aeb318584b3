"""Where the time of one suggestion went, and what it cost the network.

Whoever measures latencies asks for it with `setfill/whySilent`. Knows numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.api.types import Infill


@dataclass(frozen=True)
class Spent:
    """The milliseconds of one answer, from the request's arrival on, and the rows behind it.

    `source` is `model` where the worker was asked, `memory` where the user types through what was suggested before,
    `ahead` where the answer had been decoded ahead of need.
    """

    source: str
    waited_ms: float = 0.0  # for another key, for the syntax, for a decode ahead of need to end
    queued_ms: float = 0.0  # to the worker and back, behind what it was doing
    encode_ms: float = 0.0
    decode_ms: float = 0.0
    shaped_ms: float = 0.0
    forwards: int = 0
    rows_computed: int = 0
    rows_reused: int = 0

    @classmethod
    def by_model(cls, infill: Infill, *, waited_ms: float, asked_ms: float, shaped_ms: float) -> Spent:
        """Return what an answer of the worker cost. `asked_ms`: until it was there, from when it was asked for."""
        return cls(
            "model", waited_ms, max(0.0, asked_ms - infill.ms), infill.encode_ms, infill.ms - infill.encode_ms,
            shaped_ms, infill.forwards, infill.rows_computed, infill.rows_reused,
        )  # fmt: skip

    def to_json(self) -> Mapping[str, Any]:
        """Return this under the names that go over the wire."""
        return {
            "source": self.source,
            "waitedMs": round(self.waited_ms, 2),
            "queuedMs": round(self.queued_ms, 2),
            "encodeMs": round(self.encode_ms, 2),
            "decodeMs": round(self.decode_ms, 2),
            "shapedMs": round(self.shaped_ms, 2),
            "forwards": self.forwards,
            "rowsComputed": self.rows_computed,
            "rowsReused": self.rows_reused,
        }
