"""Near-duplicate documents by MinHash over token shingles, with banding to find candidates (Broder 1997).

A document is a near-duplicate when its estimated Jaccard similarity to one
kept before is at least `SIMILAR`. Deterministic: hashes come from a fixed seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SIMILAR = 0.7
SHINGLE = 8  # tokens
HASHES = 64
BANDS = 16  # of four hashes: candidates from a similarity of about 0.5

_RNG = np.random.default_rng(13)
_FACTORS = _RNG.integers(1, 2**63, HASHES, dtype=np.uint64) | np.uint64(1)
_ADDENDS = _RNG.integers(0, 2**63, HASHES, dtype=np.uint64)
_POWERS = _RNG.integers(1, 2**63, SHINGLE, dtype=np.uint64) | np.uint64(1)


def signature(ids: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Return the MinHash signature [HASHES] of a document's tokens."""
    if len(ids) < SHINGLE:
        ids = np.concatenate([ids, np.zeros(SHINGLE - len(ids), np.uint16)])
    windows = np.lib.stride_tricks.sliding_window_view(ids, SHINGLE).astype(np.uint64)
    shingles = np.unique((windows * _POWERS).sum(1))  # modulo 2**64
    shingles ^= shingles >> np.uint64(31)  # or the low bits would be those of the tokens
    least = np.full(HASHES, np.iinfo(np.uint64).max, np.uint64)
    for begin in range(0, len(shingles), 4096):
        hashed = shingles[begin : begin + 4096, None] * _FACTORS + _ADDENDS
        least = np.minimum(least, (hashed >> np.uint64(16)).min(0))
    return least


@dataclass
class NearDuplicates:
    """The documents kept so far."""

    _signatures: list[NDArray[np.uint64]] = field(default_factory=list)
    _buckets: dict[tuple[int, bytes], list[int]] = field(default_factory=dict)

    def add(self, ids: NDArray[np.uint16]) -> bool:
        """Say whether a document is new; one that is gets kept."""
        mine = signature(ids)
        bands = [(band, part.tobytes()) for band, part in enumerate(mine.reshape(BANDS, -1))]
        candidates = {other for band in bands for other in self._buckets.get(band, ())}
        if any((self._signatures[other] == mine).mean() >= SIMILAR for other in candidates):
            return False
        for band in bands:
            self._buckets.setdefault(band, []).append(len(self._signatures))
        self._signatures.append(mine)
        return True
