"""Which decoder follows which policy: a new one is a file with a decoder, and a row here and in `model.api.policy`."""

from __future__ import annotations

from collections.abc import Callable

from model.decoding.any_order import fill_any_order
from model.decoding.beams import fill_by_beams
from model.decoding.branches import fill_candidates
from model.decoding.decode import Decode
from model.decoding.left_to_right import fill_left_to_right
from model.decoding.open_gap import OpenGap
from model.decoding.verified import fill_verified

Decoder = Callable[[Decode], list[OpenGap]]  # fills the gaps; returns other infills of a single one, the best first


def _left_to_right(decode: Decode) -> list[OpenGap]:
    if decode.candidates:
        return fill_candidates(decode)
    return fill_verified(decode) if decode.rule.kind == "verified" else fill_left_to_right(decode)


DECODERS: dict[str, Decoder] = {
    "left_to_right": _left_to_right,
    "block": fill_any_order,
    "window": fill_any_order,
    "uniform": fill_any_order,
    "beam": fill_by_beams,
}
