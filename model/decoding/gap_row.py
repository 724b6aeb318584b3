"""One row to feed for a gap: who it is and who sees it. Knows no cache and no forward."""

from __future__ import annotations

from dataclasses import dataclass

UNSEEN = 2**31 - 1  # the key of a row that no other row sees; as `sees_below`, all clean rows


@dataclass(frozen=True)
class GapRow:
    """A row to feed.

    `gap` and `rank` say what it is (rank 0 is `<infill>`, n the n-th token);
    `key` and `sees_below` who sees whom. `key` None is a mask row: no other
    row ever sees it. A row of branch b > 0 sees the rows of its own branch
    below `sees_below` and those of the main branch below `shares_below`.
    `source` names where a drafted token came from.
    """

    token_id: int
    position_id: int
    sees_below: int
    key: int | None
    gap: int = 0
    rank: int = 0
    branch: int = 0
    shares_below: int = 0
    source: str | None = None
