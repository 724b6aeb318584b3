"""Where drafted tokens come from: the text typed through, the held-back piece, other candidates, the file, mask rows.

A draft is a guess. Verified decoding checks it, so nothing here can change
what is answered, only how fast.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.open_gap import OpenGap
from model.decoding.spelling import unfinished
from model.sessions.window import Window

MAX_DRAFT_TOKENS = 16
MAX_MATCH_TOKENS = 5  # longer matches are not surer
_MISSING = -1  # stands in the file's tokens where a gap is, or text that the window leaves out


@dataclass(frozen=True)
class Draft:
    """A guessed token.

    `probs` [V] is what it was drawn from; None if it was not drawn. For one
    found in the file or another candidate, `match_tok` says how many tokens
    were the same before it.
    """

    token_id: int
    source: str
    probs: Tensor | None = None
    match_tok: int = 0

    @property
    def kind(self) -> str:
        """Name the drafts that are right about as often as this one."""
        return f"{self.source}:{self.match_tok}" if self.match_tok else self.source


class TextDrafts:
    """Drafts that cost no forward, for the gaps of one decode."""

    def __init__(self, window: Window, eoi_id: int, expected: Sequence[str]) -> None:
        self._tokenizer: ByteTokenizer = window.tokenizer
        self._eoi_id = eoi_id if window.capabilities.sees_suffix else None
        self._expected = [window.tokenizer.readable(text) for text in expected]
        self._file = list(window.left.ids)
        self._gap_at: list[int] = []  # where in the file's tokens each gap is
        for chunks in window.middles:
            self._gap_at.append(len(self._file))
            for chunk in chunks:
                self._file += [_MISSING, *chunk.ids]
            if not chunks:
                self._file.append(_MISSING)
        self._gap_at.append(len(self._file))
        self._file += [_MISSING, *(token_id for chunk in reversed(window.right) for token_id in chunk.ids)]
        self._after: dict[int, list[int]] = defaultdict(list)  # the places behind each token
        for place, token_id in enumerate(self._file[:-1], start=1):
            self._after[token_id].append(place)

    def propose(self, gap: OpenGap, others: Sequence[OpenGap] = ()) -> list[Draft]:
        """Return the best guess for the tokens from the gap's frontier on; often none. `others` fill the same gap."""
        spelled, held_back = gap.spelling.spelled, gap.spelling.held_back
        if unfinished(spelled):
            return []
        if self._expected:
            text = held_back + self._expected[gap.index].encode()
            if text.startswith(spelled):
                ids = self._tokenizer.encode(text[len(spelled) :].decode())
                if self._eoi_id is not None:
                    ids.append(self._eoi_id)
                return [Draft(token_id, "typed") for token_id in ids[:MAX_DRAFT_TOKENS]]
        rest = held_back[len(spelled) :]
        if found := self._look_up(gap, others, rest):
            return found
        # The last token of the piece may go on behind it, so it is left to the model.
        return [Draft(token_id, "held_back") for token_id in self._tokenizer.encode(rest.decode())[:-1]]

    def _look_up(self, gap: OpenGap, others: Sequence[OpenGap], rest: bytes) -> list[Draft]:
        """Prompt look-up: what followed the longest match of the tokens before the frontier, at the nearest of them.

        What is left of the held-back piece, `rest`, must agree: then any match is a good one.
        """
        at = self._gap_at[gap.index]
        context = self._file[max(0, at - MAX_MATCH_TOKENS) : at]
        before = context + gap.known_ids()
        longest, nearest, source, drafted = 0, 0, "ngram", []
        twins = [context + other.known_ids() for other in others]
        for found_in, tokens, place, distance in self._matches(before, at, twins, len(context)):
            following = tokens[place : place + MAX_DRAFT_TOKENS]
            if following[0] == _MISSING or not _agree(self._tokenizer.token_bytes[following[0]], rest):
                continue
            match_tok = _same_before(tokens, place, before)
            if match_tok > longest or (match_tok == longest and distance < nearest):
                longest, nearest, source, drafted = match_tok, distance, found_in, following
        if _MISSING in drafted:
            drafted = drafted[: drafted.index(_MISSING)]
        match_tok = MAX_MATCH_TOKENS if rest else longest
        return [Draft(token_id, source, match_tok=match_tok) for token_id in drafted]

    def _matches(
        self, before: list[int], at: int, others: Sequence[list[int]], context: int
    ) -> Iterator[tuple[str, list[int], int, int]]:
        """Yield where the last token of `before` stands elsewhere: source, tokens, the place behind it, how far away.

        `others` begin with the same `context` tokens as `before`.
        """
        if not before or before[-1] == _MISSING:
            return
        for tokens in others:
            for place in range(max(1, context), len(tokens)):
                if tokens[place - 1] == before[-1]:
                    yield "candidate", tokens, place, abs(len(before) - place)
        for place in range(1, len(before)):
            if before[place - 1] == before[-1]:
                yield "ngram", before, place, len(before) - place
        for place in self._after.get(before[-1], ()):
            yield "ngram", self._file, place, len(before) + abs(place - at)


def _same_before(tokens: list[int], place: int, before: list[int]) -> int:
    """Return how many tokens before `place` are those at the end of `before`, at most `MAX_MATCH_TOKENS`."""
    same, most = 0, min(MAX_MATCH_TOKENS, place, len(before))
    while same < most and tokens[place - 1 - same] == before[-1 - same] != _MISSING:
        same += 1
    return same


def _agree(token: bytes, rest: bytes) -> bool:
    return token.startswith(rest) or rest.startswith(token)
