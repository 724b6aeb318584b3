"""Where drafted tokens come from: the text typed through, the held-back piece, other candidates, the file, mask rows.

A draft is a guess. Verified decoding checks it, so nothing here can change
what is answered, only how fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.file_tokens import MISSING, FileTokens, same_before
from model.decoding.open_gap import OpenGap
from model.decoding.spelling import unfinished
from model.sessions.window import Window

MAX_DRAFT_TOKENS = 16
MAX_MATCH_TOKENS = 5  # longer matches are not surer


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

    def __init__(self, window: Window, eoi_id: int, expected: Sequence[str], file: FileTokens | None = None) -> None:
        self._tokenizer: ByteTokenizer = window.tokenizer
        self._eoi_id = eoi_id if window.capabilities.sees_suffix else None
        self._expected = [window.tokenizer.readable(text) for text in expected]
        self._file = file or FileTokens.of(window)

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
        at = self._file.gap_at[gap.index]
        context = self._file.ids[max(0, at - MAX_MATCH_TOKENS) : at]
        before = context + gap.known_ids()
        longest, nearest, source, drafted = 0, 0, "ngram", []
        twins = [context + other.known_ids() for other in others]
        for found_in, tokens, place, distance in self._matches(before, at, twins, len(context)):
            following = tokens[place : place + MAX_DRAFT_TOKENS]
            if following[0] == MISSING or not _agree(self._tokenizer.token_bytes[following[0]], rest):
                continue
            match_tok = same_before(tokens, place, before, MAX_MATCH_TOKENS)
            if match_tok > longest or (match_tok == longest and distance < nearest):
                longest, nearest, source, drafted = match_tok, distance, found_in, following
        if MISSING in drafted:
            drafted = drafted[: drafted.index(MISSING)]
        match_tok = MAX_MATCH_TOKENS if rest else longest
        return [Draft(token_id, source, match_tok=match_tok) for token_id in drafted]

    def _matches(
        self, before: list[int], at: int, others: Sequence[list[int]], context: int
    ) -> Iterator[tuple[str, list[int], int, int]]:
        """Yield where the last token of `before` stands elsewhere: source, tokens, the place behind it, how far away.

        `others` begin with the same `context` tokens as `before`.
        """
        if not before or before[-1] == MISSING:
            return
        for tokens in others:
            for place in range(max(1, context), len(tokens)):
                if tokens[place - 1] == before[-1]:
                    yield "candidate", tokens, place, abs(len(before) - place)
        for place in range(1, len(before)):
            if before[place - 1] == before[-1]:
                yield "ngram", before, place, len(before) - place
        for place in self._file.places_after(before[-1]):
            yield "ngram", self._file.ids, place, len(before) + abs(place - at)


def _agree(token: bytes, rest: bytes) -> bool:
    return token.startswith(rest) or rest.startswith(token)
