"""What the file says elsewhere after the same tokens, mixed into what the model expects.

    p(x | c)  =  (1 - w) p_model(x | c)  +  w p_file(x | c)

p_file is what follows the longest match of the tokens before a place, elsewhere in the window, where all such places
go on alike; else the file says nothing (a cache language model: Kuhn & De Mori 1990; for code, Hellendoorn & Devanbu
2017). The weight w grows with the length of the match. A small model has learnt little of the names and habits of one
file; a copy knows nothing else, and costs no forward.

Decoders that take their tokens from the clean head take them from this distribution, so drafts are verified against it.
Knows tokens, no models and no text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor

from model.decoding.file_tokens import MISSING, FileTokens, same_before
from model.decoding.spelling import Vocabulary

# w by the number of tokens that match: 1, 2, ..., 8 and more. docs/experiments.md has what was measured.
_WEIGHTS = (0.0, 0.10, 0.15, 0.20, 0.25, 0.35, 0.45, 0.60)
MAX_MATCH_TOKENS = len(_WEIGHTS)


class Copying:
    """What the file says, for the gaps of one decode. At `max_lines` 1 the end of a line there is `<eoi>` here."""

    def __init__(self, file: FileTokens, vocabulary: Vocabulary, max_lines: int | None) -> None:
        self._file, self._token_bytes, self._eoi_id = file, vocabulary.token_bytes, vocabulary.eoi_id
        self._ends_at_newline = max_lines == 1

    def mixed(self, log_probs: Tensor, index: int, known_ids: Sequence[int], allowed: Tensor) -> Tensor:
        """Return the mixture's log-probabilities [V] of what follows `known_ids` in gap `index`.

        `log_probs` [V] are the model's, over what is `allowed`, bool [V].
        """
        token_id, weight = self._said(index, known_ids, allowed)
        if not weight:
            return log_probs
        mixed = log_probs + math.log1p(-weight)
        mixed[token_id] = torch.logaddexp(mixed[token_id], mixed.new_tensor(math.log(weight)))
        return mixed

    def _said(self, index: int, known_ids: Sequence[int], allowed: Tensor) -> tuple[int, float]:
        """Return what follows all of the longest matches, and its weight: 0 where they differ, or there are none."""
        if not self._ends_at_newline and self._begins_a_line(known_ids):
            return MISSING, 0.0
        ids, at = self._file.ids, self._file.gap_at[index]
        before = [*ids[max(0, at - MAX_MATCH_TOKENS) : at], *known_ids][-MAX_MATCH_TOKENS:]
        behind, longest, said = self._behind(index), 0, set[int]()
        for place in self._file.places_after(before[-1]) if before else ():
            match_tok = same_before(ids, place, before, MAX_MATCH_TOKENS)
            if match_tok < longest:
                continue
            following = self._as_said_here(ids[place], behind)
            if following is None or not bool(allowed[following]):
                continue
            if match_tok > longest:
                longest, said = match_tok, set()
            said.add(following)
        return (said.pop(), _WEIGHTS[longest - 1]) if len(said) == 1 else (MISSING, 0.0)

    def _as_said_here(self, token_id: int, behind: bytes) -> int | None:
        """Return what a gap says where the file says `token_id` elsewhere; None where that tells nothing.

        Where a line ends there, a gap of one line ends with `<eoi>`; whether a gap of several ends or goes on in the
        next line the model alone says. What the text behind begins with may be that text's own, and is not said twice.
        """
        if token_id == MISSING:
            return None
        spelled = self._token_bytes[token_id]
        if _has_break(spelled):
            return self._eoi_id if self._ends_at_newline and (_has_break(behind[:1]) or not behind) else None
        return None if behind and spelled.startswith(behind[:1]) else token_id

    def _begins_a_line(self, known_ids: Sequence[int]) -> bool:
        """Whether nothing but blanks stands behind the last line break of `known_ids`, if they have one."""
        spelled = b"".join(self._token_bytes[token_id] for token_id in known_ids)
        return _has_break(spelled) and not re.split(rb"[\r\n]", spelled)[-1].strip()

    def _behind(self, index: int) -> bytes:
        """Return what the first token behind gap `index` spells; nothing where the text ends."""
        place = self._file.gap_at[index] + 1
        token_id = self._file.ids[place] if place < len(self._file.ids) else MISSING
        return b"" if token_id == MISSING else self._token_bytes[token_id]


def _has_break(spelled: bytes) -> bool:
    return b"\n" in spelled or b"\r" in spelled
