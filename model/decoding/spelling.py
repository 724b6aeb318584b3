"""Which tokens a gap may take next, from the bytes alone.

A gap first spells its held-back piece, then what it likes, in valid UTF-8;
`<eoi>` is banned until the piece is spelled and inside a UTF-8 sequence. Special
tokens are never drawn.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor

from model.checkpoint.tokenization import ByteTokenizer

_SURROGATE_BEGUN = re.compile(rb"\xed[\xa0-\xbf]\Z")


class Vocabulary:
    """The tokens of a model by what they spell."""

    def __init__(self, tokenizer: ByteTokenizer, eoi_id: int) -> None:
        self.token_bytes = tokenizer.token_bytes
        self.eoi_id = eoi_id
        self._id_of = {spelled: token_id for token_id, spelled in enumerate(self.token_bytes) if spelled}
        self._sorted = sorted(self._id_of)
        self._continuing = [spelled for spelled in self._sorted if spelled[0] & 0xC0 == 0x80]
        self._free = self._tokens(spelled for spelled in self._sorted if is_utf8_so_far(spelled))
        self._free[eoi_id] = True
        # Tokens that are whole characters by themselves, and <eoi>: what may stand beyond an unknown token.
        self.whole = self._tokens(
            spelled for spelled in self._sorted if is_utf8_so_far(spelled) and not unfinished(spelled)
        )
        self.whole[eoi_id] = True
        self._spelling = lru_cache(maxsize=256)(self._spelling_uncached)
        self._finishing = lru_cache(maxsize=256)(self._finishing_uncached)

    def allowed(self, to_spell: bytes, begun: bytes) -> Tensor:
        """Return the tokens allowed next, as bool [V], not to be changed.

        `to_spell` is what is left of the held-back piece; `begun` are the bytes
        of a character that the text so far ends inside.
        """
        if to_spell:
            return self._spelling(to_spell)
        return self._finishing(begun) if begun else self._free

    def _spelling_uncached(self, to_spell: bytes) -> Tensor:
        """Tokens that spell a beginning of `to_spell`, or all of it and more."""
        found = [to_spell[:end] for end in range(1, len(to_spell) + 1) if to_spell[:end] in self._id_of]
        index = bisect_left(self._sorted, to_spell)
        while index < len(self._sorted) and self._sorted[index].startswith(to_spell):
            if is_utf8_so_far(self._sorted[index][len(to_spell) :]):
                found.append(self._sorted[index])
            index += 1
        return self._tokens(found)

    def _finishing_uncached(self, begun: bytes) -> Tensor:
        """Tokens that go on with a character of which `begun` is spelled."""
        return self._tokens(spelled for spelled in self._continuing if is_utf8_so_far(begun + spelled))

    def _tokens(self, spelled: Iterable[bytes]) -> Tensor:
        tokens = torch.zeros(len(self.token_bytes), dtype=torch.bool)
        tokens[[self._id_of[each] for each in spelled]] = True
        return tokens


class Spelling:
    """What one gap has spelled so far, and hence what it may spell next."""

    def __init__(self, vocabulary: Vocabulary, held_back: bytes, spelled: bytes = b"") -> None:
        self.vocabulary = vocabulary
        self.held_back = held_back
        self.spelled = spelled

    def copy(self) -> Spelling:
        """Return a spelling that goes its own way from here."""
        return Spelling(self.vocabulary, self.held_back, self.spelled)

    def push(self, token_id: int) -> None:
        """Add a token, which must have been allowed."""
        self.spelled += self.vocabulary.token_bytes[token_id]

    def allowed(self) -> Tensor:
        """Return the tokens allowed next, as bool [V]."""
        return self.vocabulary.allowed(self.held_back[len(self.spelled) :], unfinished(self.spelled))

    def allowed_as_text(self, sink_id: int) -> Tensor:
        """Return the tokens allowed next, as bool [V], in text that knows of no gap: `sink_id`, where it may end."""
        allowed = self.allowed().clone()
        allowed[self.vocabulary.eoi_id] = False
        allowed[sink_id] = self.is_settled
        return allowed

    @property
    def is_settled(self) -> bool:
        """Whether the held-back piece is spelled and no character is begun."""
        return len(self.spelled) >= len(self.held_back) and not unfinished(self.spelled)

    @property
    def infill(self) -> str:
        """The text after the held-back piece, as far as it is whole characters."""
        whole = self.spelled[len(self.held_back) : len(self.spelled) - len(unfinished(self.spelled))]
        return whole.decode()


def is_utf8_so_far(spelled: bytes) -> bool:
    """Whether `spelled` is UTF-8 but for a character that it may end inside."""
    try:
        codecs.utf_8_decode(spelled, "strict", False)
    except UnicodeDecodeError:
        return False
    # The decoder takes the first two bytes of a surrogate for the beginning of a character.
    return not _SURROGATE_BEGUN.search(spelled)


def unfinished(spelled: bytes) -> bytes:
    """Return the bytes of the character that `spelled`, UTF-8 so far, ends inside; mostly none."""
    for length in range(1, min(3, len(spelled)) + 1):
        lead = spelled[-length]
        if lead & 0xC0 != 0x80:
            needed = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
            return spelled[-length:] if length < needed else b""
    return b""
