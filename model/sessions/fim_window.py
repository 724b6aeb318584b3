"""A window for a model that was trained to fill in the middle: one stack, in the order of its training.

    other files   suffix   prefix   gap        with the suffix first: what is typed is appended
    other files   prefix   suffix   gap        else: a new token before the gap has the suffix encoded anew
    0, 1, 2 ...

Every row sees all rows before it, so only the longest common beginning of what
is encoded and what is wanted can stay: that is what a stack keeps. Position ids
count from 0, as in training. Knows strings, tokens and rows; knows no files or
requests.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.api.types import Gap
from model.checkpoint.config import Capabilities
from model.checkpoint.tokenization import ByteTokenizer
from model.errors import InputError
from model.network.decoder import Decoder
from model.sessions.fim_prompt import FimPrompt
from model.sessions.geometry import WindowLimits
from model.sessions.seams import Chunk, common_prefix, lay_out
from model.sessions.window import Window


class FimWindow(Window):
    """Prefix and suffix around one gap of a text, on the left stack of a cache that has no other."""

    def __init__(
        self,
        network: Decoder,
        tokenizer: ByteTokenizer,
        capabilities: Capabilities,
        limits: WindowLimits,
        path: str,
        prompt: FimPrompt,
    ) -> None:
        self._prompt, self._path, self._snippets = prompt, path, tuple[tuple[int, ...], ...]()
        self._ids: list[int] = []  # wanted, all of them
        self._end_ids = prompt.end_ids
        super().__init__(network, tokenizer, capabilities, limits, path)

    def rename(self, path: str) -> None:
        """Name the file where the model has a marker for names; of a long path, the end."""
        self._path = path
        self._frame = self._prompt.frame(path, self.geometry.path_tokens, self._snippets)
        if self._ids:
            self._order()

    def show_files(self, snippets: Sequence[Sequence[int]]) -> None:
        """Show the rows of these snippets of other files, in this order, and no others. Pops rows; feeds none."""
        wanted = tuple(tuple(ids) for ids in snippets)
        if wanted != self._snippets:
            self._snippets = wanted
            self.rename(self._path)

    def retarget(self, text: str, gaps: Sequence[Gap]) -> None:
        """Make the one gap of `text` the place to stand at. Pops rows that do not fit; feeds none."""
        (gap,) = gaps
        layout = self.layout = lay_out(self.tokenizer, text, [(gap.start, gap.end)])
        self.left = self._wanted_left(text, layout.cut)
        self.right = self._wanted_right(text, layout.end)
        self.ends_text = self.end_char == len(text)
        self._order()
        if self.gap_free_ids(0) < self.limits.joint_gap_ids:
            raise InputError("this gap does not fit in the model's window: take another model")
        self._has_target = True

    def _wanted_right(self, text: str, gap_end: int) -> list[Chunk]:
        """Return the text behind the gap that is to be shown, as one piece: it ends where it did as long as it can."""
        if self._may_keep_end(text, gap_end):
            chunk = self._encoded(text[gap_end : self.end_char])
            if self._is_enough_behind(len(chunk.ids), text, gap_end):
                return [chunk]
        self.end_char = self._choose_end(text, gap_end)
        return [self._encoded(text[gap_end : self.end_char])]

    def _encoded(self, text: str) -> Chunk:
        if self.right and self.right[0].text == text:
            return self.right[0]
        return Chunk(text, self.tokenizer.encode(text))

    def _order(self) -> None:
        """Put all that is wanted in its order, and drop the rows behind the first that differs."""
        wanted = self._frame.rows(self.left.ids, self.right[0].ids if self.right else [])
        self.cache.pop_left(max(0, self.cache.left_rows - common_prefix(self._ids, wanted)))
        self._ids = wanted

    @property
    def left_ids(self) -> list[int]:
        return self._ids

    def gap_free_ids(self, index: int) -> int:
        """Return how many position ids the gap has."""
        return min(self.limits.gap_ids, self.context_rows - len(self._ids))

    @torch.inference_mode()
    def feed(
        self,
        token_ids: Sequence[int],
        position_ids: Sequence[int],
        seen: Tensor,
        kept: int,
        logits_at: Sequence[int],
        sees_behind: Tensor | None = None,
    ) -> Tensor:
        """Feed rows as `Window.feed` does. That an infill ends, by whatever marker, is said by the first end."""
        logits = super().feed(token_ids, position_ids, seen, kept, logits_at, sees_behind)
        logits[:, self._end_ids[0]] = logits[:, self._end_ids].logsumexp(-1)
        return logits
