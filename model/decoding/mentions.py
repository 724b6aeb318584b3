"""How far to read behind a gap to tell infills apart: to where the text names what one of them has and another lacks.

`def login(self, [user, password])` and `def login(self, [password])` go on alike until the body asks for `user`.
Knows strings only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")


def chars_that_tell(infills: Sequence[str], behind: str) -> int:
    """Return how much of `behind` holds the first mention of each word that some of `infills` have, not all.

    0 where it mentions none of them.
    """
    words = [set(_WORD.findall(infill)) for infill in infills]
    telling = set[str]().union(*words) - set.intersection(*words) if words else set[str]()
    first: dict[str, int] = {}
    for found in _WORD.finditer(behind):
        if found[0] in telling:
            first.setdefault(found[0], found.end())
    return max(first.values(), default=0)
