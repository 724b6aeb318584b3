"""A window at some gaps of the standard text, and what decoders need."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from model.api.policy import parse_policy
from model.api.types import Gap, Limits, Sampling
from model.checkpoint.record import Checkpoint
from model.decoding.copying import Copying
from model.decoding.decode import Decode
from model.decoding.decoders import DECODERS
from model.decoding.file_tokens import FileTokens
from model.decoding.gap_row import GapRow
from model.decoding.gap_rows import GapRows
from model.decoding.open_gap import OpenGap, open_gaps
from model.decoding.spelling import Vocabulary
from model.decoding.widths import WidthPlanner
from model.sessions.session import Session
from model.sessions.window import Window
from tests.model.reference import RowList, dense_logits
from tests.model.tiny import EOI, SINK, tiny_checkpoint
from tests.model.windows import STANDARD_TEXT, parts, reference_rows

GREEDY = Sampling()


def on() -> bool:
    return True


def eager_checkpoint(seed: int, adapted: bool = True, **changes: object) -> Checkpoint:
    """A tiny model that also likes to end gaps: its <eoi> embedding is long."""
    checkpoint = tiny_checkpoint(seed=seed, adapted=adapted, **changes)
    checkpoint.tensors["embed_tokens.weight"][EOI if adapted else SINK] *= 1.6
    return checkpoint


class Setting:
    """A window at some gaps of the standard text, and what decoders need."""

    def __init__(
        self, checkpoint: Checkpoint, gaps: Sequence[Gap], max_tokens: int = 8, max_lines: int | None = None
    ) -> None:
        self.checkpoint, self.gaps = checkpoint, list(gaps)
        self.parts = parts(checkpoint)
        self.capabilities = checkpoint.capabilities
        eoi_id = self.capabilities.eoi_id if self.capabilities.adapted else self.capabilities.sink_id
        self.vocabulary = Vocabulary(self.parts.tokenizer, eoi_id)
        self.session = Session(self.parts, "a.py", STANDARD_TEXT)
        self.limits = Limits(max_tokens=max_tokens, max_lines=max_lines)

    def window(self) -> Window:
        return self.session.window_at(self.gaps, lambda: False)

    def open(self, lengths_tok: Sequence[int] = (), window: Window | None = None) -> list[OpenGap]:
        window = window or self.window()
        copying = Copying(FileTokens.of(window), self.vocabulary, self.limits.max_lines)
        return open_gaps(window, self.vocabulary, self.gaps, self.limits, lengths_tok, copying)

    def fill(
        self, policy: str, rows: GapRows, opened: list[OpenGap], reveal: str | None = None, **others: object
    ) -> list[OpenGap]:
        """Fill `opened` as the policy says; `others` are further fields of the `Decode`. Returns the gaps."""
        planner = others.pop("planner", None) or WidthPlanner(self.capabilities.adapted, learns=False)
        decode = Decode(rows, opened, *parse_policy(policy, reveal), planner, **others)
        return [*decode.gaps, *DECODERS[decode.policy.kind](decode)]

    def left_to_right(self, rows: GapRows | None = None, sampling: Sampling = GREEDY, seed: int = 0) -> list[OpenGap]:
        rows, generator = rows or GapRows(self.window()), torch.Generator().manual_seed(seed)
        opened = self.open(window=rows.window)
        return self.fill("left_to_right", rows, opened, sampling=sampling, generator=generator)

    def verified(
        self, drafts: object, planner: WidthPlanner, rows: GapRows | None = None, generator: object = None
    ) -> list[OpenGap]:
        rows = rows or GapRows(self.window())
        opened = self.open(window=rows.window)
        return self.fill(
            "verified", rows, opened, drafts=drafts, planner=planner, generator=generator or torch.Generator()
        )


def random_gaps(rng: random.Random, count: int) -> list[Gap]:
    """Gaps anywhere in the standard text, apart from each other."""
    cuts = sorted(rng.sample(range(len(STANDARD_TEXT) + 1), 2 * count))
    return [Gap(start, end if rng.random() < 0.5 else start) for start, end in zip(cuts[::2], cuts[1::2], strict=True)]


class DenseRows(GapRows):
    """Stands in for the cache: every forward recomputes every row from nothing, by the independent reference."""

    def __init__(self, window: Window, setting: Setting) -> None:
        super().__init__(window)
        self.setting = setting
        self._saw: list[list[int]] = []  # per committed row, the committed rows visible when it was fed

    def feed(self, rows: Sequence[GapRow], logits_at: Sequence[int] | None = None) -> Tensor:
        window, setting = self.window, self.setting
        if window.capabilities.adapted:
            listed, context = reference_rows(window, STANDARD_TEXT, setting.gaps)
        else:
            listed, context = RowList(), []
            ids = window.left_ids
            context = listed.add_chain(ids, 0, [])
        everything = [*self._committed, *rows]
        begin = len(listed.token_ids)
        committed = len(self._committed)
        self._saw_now = self._saw + [self._seen(row, everything[: committed + index]) for index, row in enumerate(rows)]
        for row, seen in zip(everything, self._saw_now, strict=True):
            listed.add(row.token_id, row.position_id, context + [begin + index for index in seen])
        self._fed = list(rows)
        self.forwards += 1
        first = begin + len(self._committed)
        wanted = [first + index for index in (range(len(rows)) if logits_at is None else logits_at)] or [context[-1]]
        return dense_logits(setting.checkpoint, listed)[wanted].float()

    def commit(self, kept: Sequence[int]) -> None:
        committed = len(self._committed)
        places = {committed + index: committed + place for place, index in enumerate(kept)}
        places |= {place: place for place in range(committed)}
        kept_saw = [self._saw_now[place] for place in places if place >= committed]
        self._saw = self._saw_now[:committed] + [[places[place] for place in saw] for saw in kept_saw]
        self._committed += [self._fed[index] for index in kept]

    @staticmethod
    def _seen(row: GapRow, others: list[GapRow]) -> list[int]:
        seen = []
        for index, other in enumerate(others):
            if other.key is None:
                continue
            limit = row.sees_below if other.branch == row.branch else row.shares_below if other.branch == 0 else 0
            if other.key < limit:
                seen.append(index)
        return seen

    def drop_behind(self, gap: int, rank: int) -> None:
        for index, row in enumerate(self._committed):
            if row.gap == gap and row.rank > rank:
                self._committed[index] = GapRow(row.token_id, row.position_id, row.sees_below, 2**31 - 1, gap, row.rank)
