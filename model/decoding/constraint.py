"""Which tokens a gap may take next, from the bytes alone.

A gap first spells its held-back piece, then what it likes, in valid UTF-8;
`<eoi>` is banned until the piece is spelled and inside a UTF-8 sequence. Special
tokens are never drawn.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache

import torch
from torch import Tensor

from model.tokenization import ByteTokenizer


class Vocabulary:
    """The tokens of a model by what they spell."""

    def __init__(self, tokenizer: ByteTokenizer, eoi_id: int) -> None:
        self.token_bytes = tokenizer.token_bytes
        self.eoi_id = eoi_id
        self._id_of = {spelled: token_id for token_id, spelled in enumerate(self.token_bytes) if spelled}
        self._sorted = sorted(self._id_of)
        # Tokens by the number of UTF-8 continuation bytes they begin with; see `allowed`.
        continuations = torch.tensor([_leading_continuations(spelled) for spelled in self.token_bytes])
        lengths = torch.tensor([len(spelled) for spelled in self.token_bytes])
        self._free: list[Tensor] = []  # [V] bool each, by the number of continuation bytes still owed
        for owed in range(4):
            fits = continuations == owed
            if owed:
                fits |= (continuations == lengths) & (lengths < owed)
            self._free.append(fits & (lengths > 0))
        self._stop = self._free[0].clone()
        self._stop[eoi_id] = True
        self._spelling = lru_cache(maxsize=256)(self._spelling_uncached)

    def allowed(self, to_spell: bytes, owed: int) -> Tensor:
        """Return the tokens allowed next, as bool [V].

        `to_spell` is what is left of the held-back piece, `owed` the number of
        continuation bytes that the text so far still needs to be UTF-8.
        """
        if to_spell:
            return self._spelling(to_spell)
        return self._free[owed] if owed else self._stop

    def _spelling_uncached(self, to_spell: bytes) -> Tensor:
        """Tokens that spell a beginning of `to_spell`, or all of it and more."""
        allowed = torch.zeros(len(self.token_bytes), dtype=torch.bool)
        for end in range(1, len(to_spell) + 1):
            if (token_id := self._id_of.get(to_spell[:end])) is not None:
                allowed[token_id] = True
        index = bisect_left(self._sorted, to_spell)
        while index < len(self._sorted) and self._sorted[index].startswith(to_spell):
            allowed[self._id_of[self._sorted[index]]] = True
            index += 1
        return allowed


class Spelling:
    """What one gap has spelled so far, and hence what it may spell next."""

    def __init__(self, vocabulary: Vocabulary, held_back: str) -> None:
        self.vocabulary = vocabulary
        self.held_back = held_back.encode()
        self.spelled = b""

    def copy(self) -> Spelling:
        """Return a spelling that goes its own way from here."""
        twin = Spelling(self.vocabulary, "")
        twin.held_back, twin.spelled = self.held_back, self.spelled
        return twin

    def push(self, token_id: int) -> None:
        """Add a token, which must have been allowed."""
        self.spelled += self.vocabulary.token_bytes[token_id]

    def allowed(self) -> Tensor:
        """Return the tokens allowed next, as bool [V]."""
        return self.vocabulary.allowed(self.held_back[len(self.spelled) :], owed_continuations(self.spelled))

    @property
    def infill(self) -> str:
        """The text after the held-back piece, as far as it is whole characters."""
        whole = self.spelled[len(self.held_back) :]
        if owed_continuations(self.spelled):
            whole = whole[: _last_lead(whole)]
        return whole.decode(errors="replace")


def owed_continuations(spelled: bytes) -> int:
    """Return how many continuation bytes are missing at the end of `spelled`, 0 to 3."""
    lead = _last_lead(spelled)
    if lead == len(spelled):
        return 0
    return max(0, _sequence_length(spelled[lead]) - (len(spelled) - lead))


def _last_lead(spelled: bytes) -> int:
    """Return the index of the last byte that is not a continuation, 0 if there is none."""
    index = max(0, len(spelled) - 1)
    while index > 0 and spelled[index] & 0xC0 == 0x80:
        index -= 1
    return index


def _sequence_length(lead: int) -> int:
    if lead >= 0xF0:
        return 4
    if lead >= 0xE0:
        return 3
    return 2 if lead >= 0xC0 else 1


def _leading_continuations(spelled: bytes) -> int:
    return next((index for index, byte in enumerate(spelled) if byte & 0xC0 != 0x80), len(spelled))
