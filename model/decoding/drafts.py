"""Where drafted tokens come from: the text the user is typing through, the held-back piece, the file, mask rows.

A draft is a guess. Verified decoding checks it, so nothing here can change
what is answered, only how fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from model.decoding.open_gap import OpenGap
from model.tokenization import ByteTokenizer
from model.window import Window

MAX_DRAFT_TOKENS = 16
_NGRAM = 3  # so many tokens must stand before the gap as they stood elsewhere in the file


@dataclass(frozen=True)
class Draft:
    """A guessed token. `probs` [V] is what it was drawn from; None if it was not drawn."""

    token_id: int
    source: str
    probs: Tensor | None = None


class TextDrafts:
    """Drafts that cost no forward, for the gaps of one decode."""

    def __init__(self, window: Window, eoi_id: int, expected: Sequence[str]) -> None:
        self._tokenizer: ByteTokenizer = window.tokenizer
        self._eoi_id = eoi_id if window.capabilities.infill else None
        self._expected = [window.tokenizer.readable(text) for text in expected]
        self._before = window.left.ids[-_NGRAM:]
        right = [token_id for chunk in reversed(window.right) for token_id in chunk.ids]
        self._file = [*window.left.ids, -1, *right]  # -1 lets no match run across the gap
        self._followers: dict[tuple[int, ...], int] = {}
        for index in range(len(self._file) - _NGRAM):
            self._followers[tuple(self._file[index : index + _NGRAM])] = index + _NGRAM

    def propose(self, gap: OpenGap) -> list[Draft]:
        """Return the best guess for the tokens from the gap's frontier on; often none."""
        spelled = gap.spelling.spelled
        if self._expected:
            text = gap.spelling.held_back + self._expected[gap.index].encode()
            if text.startswith(spelled):
                return self._of_text(text[len(spelled) :], "typed", ends=True)
        if len(spelled) < len(gap.spelling.held_back):
            # The last character may begin a longer token, so it is left to the model.
            return self._of_text(gap.spelling.held_back[len(spelled) : -1], "held_back", ends=False)
        return self._from_file(gap)

    def _of_text(self, rest: bytes, source: str, ends: bool) -> list[Draft]:
        ids = self._tokenizer.encode(rest.decode(errors="ignore"))
        if ends and self._eoi_id is not None:
            ids.append(self._eoi_id)
        return [Draft(token_id, source) for token_id in ids[:MAX_DRAFT_TOKENS]]

    def _from_file(self, gap: OpenGap) -> list[Draft]:
        """Prompt look-up: what followed the same few tokens elsewhere in the file."""
        revealed = [gap.ids[rank] for rank in range(max(1, gap.frontier - _NGRAM), gap.frontier)]
        before = self._before if gap.index == 0 else []
        key = tuple([*before, *revealed][-_NGRAM:])
        if len(key) < _NGRAM or (begin := self._followers.get(key)) is None:
            return []
        ids = []
        for token_id in self._file[begin : begin + MAX_DRAFT_TOKENS]:
            if token_id < 0:
                break
            ids.append(token_id)
        return [Draft(token_id, "ngram") for token_id in ids]
