"""Small windows, builders and networks for the training tests, and the slow way to build one example alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from model.checkpoint.record import Checkpoint
from model.checkpoint.tokenization import ByteTokenizer
from model.sessions.seams import chunk_texts, left_cut
from model.training.config import ExampleConfig
from model.training.examples import ExampleBuilder, Group, WindowRows, WindowText
from model.training.network import TrainerNetwork
from model.training.orders import SpecialIds
from model.training.rows import BELOW, GROUP_BEGIN, GROUP_END, KEY, UNSEEN, PackedRows, RowWriter
from tests.model.reference import RowList
from tests.model.tiny import EOI, FILENAME, INFILL, MASK, SINK, tiny_checkpoint

SPECIAL = SpecialIds(SINK, FILENAME, MASK, INFILL, EOI)

TEXT = '''\
import os


def greet(names: list[str]) -> str:
    """Say hello 👋 to everyone — naïvely."""
    if not names:
        return "nobody"
    parts = []
    for index, name in enumerate(names):
        parts.append(f"{index + 1}: {name!r}")
    return ", ".join(parts)\r
\r
class Café:\r
    \tprice = 12345\r
    a_very_long_identifier_that_is_cut_somewhere_inside = "                                                     "


    def open(self):
        self.état = "ouvert"   # it's, we're
'''

SMALL = ExampleConfig(
    unit_rows=2048, window_min=32, window_max=400, chunk_tokens=16, right_ids=600, span_max=32,
    context_share=1.0, context_tokens_min=8, context_tokens_max=24, left_min=4, right_min=4, joint_window_share=1.0,
    joint_share=0.4, joint_between_max=24, joint_span_max=12, joint_free_ids=100, walk_share=0.5, walk_step_chars_max=9,
    island_target_share=1.0, path_max=5, left_to_right_share=0.5, window_order_share=0.3, subset_share=0.2,
    drop_filename=0.3,
)  # fmt: skip


def builder(config: ExampleConfig = SMALL, checkpoint: Checkpoint | None = None) -> ExampleBuilder:
    checkpoint = checkpoint or tiny_checkpoint()
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    return ExampleBuilder(tokenizer, SPECIAL, config)


def window_text(seed: int) -> WindowText:
    """Return a window with two snippets and some nodes."""
    rng = np.random.default_rng(seed)
    text = TEXT * int(rng.integers(1, 3))
    begins = sorted(int(begin) for begin in rng.integers(0, len(text) - 40, 20))
    nodes = [(begin, begin + int(rng.integers(1, 40))) for begin in begins]
    snippets = [("lib/a.py", "def other(x):\n    return x\n"), ("lib/b.py", "y = 1 # é\n")]
    return WindowText("src/café.py", text, True, True, nodes, snippets)


@dataclass
class BuiltWindow:
    """One window's rows with what they were made from."""

    window: WindowRows
    unit: PackedRows

    @property
    def groups(self) -> list[tuple[Group, np.ndarray]]:
        """Every group with the indices of its gap rows in the unit, `<infill>` and mask rows included."""
        is_gap = (self.unit.sees[:, GROUP_END] > 0) & (self.unit.sees[:, BELOW] >= 0)
        begins = self.unit.sees[:, GROUP_BEGIN]
        found = [np.flatnonzero(is_gap & (begins == begin)) for begin in np.unique(begins[is_gap])]
        return list(zip(self.window.groups, found, strict=True))


def built_window(seed: int, config: ExampleConfig = SMALL) -> BuiltWindow:
    """Return a unit of one window."""
    window = WindowRows(builder(config), window_text(seed), np.random.default_rng(seed), config.unit_rows - 60)
    writer = RowWriter(config.unit_rows)
    window.write(writer)
    return BuiltWindow(window, writer.finish(SINK))


@dataclass
class SlowExample:
    """A group's example on its own: rows with explicit lists of what each sees; `at` are its gap rows' indices."""

    rows: RowList
    at: list[int]

    def mask(self) -> Tensor:
        """Return the dense mask [1, R, R]."""
        mask = torch.zeros(1, len(self.rows.sees), len(self.rows.sees), dtype=torch.bool)
        for row, seen in enumerate(self.rows.sees):
            mask[0, row, seen] = True
        return mask


def slow_example(built: BuiltWindow, group: Group, gap_rows: np.ndarray) -> SlowExample:
    """Build the example of one group from text and seams; only the gap rows' tokens and keys come from the unit."""
    window, unit = built.window, built.unit
    tokenizer, text, rows = window.builder.tokenizer, window.window.text, RowList()
    context: list[int] = []
    position = -window.config.right_ids - sum(len(ids) for ids in window.islands)
    for path, snippet in window.window.snippets:
        ids = [SINK, FILENAME, *tokenizer.encode(path + "\n"), *tokenizer.encode(snippet)]
        context += rows.add_chain(ids, position, [])
        position += len(ids)
    spans = group.spans
    cut = left_cut(tokenizer, text[: spans[0][0]])
    left = window.header + tokenizer.encode(text[:cut])
    context += rows.add_chain(left, 0, [])
    position = len(left)
    for (_, end), (begin, _) in pairwise(spans):
        between = text[end:begin]
        spelled = between[: left_cut(tokenizer, between)]
        position += window.config.joint_free_ids
        if spelled:
            chain = rows.add_chain([SINK, *tokenizer.encode(spelled)], position, [])
            context += chain
            position += len(chain)
    position = -1
    right = [rows.add(SINK, position, [])]
    bounds = sorted(bound for bound in window.bounds if bound >= group.end)
    for begin, end in reversed(list(pairwise(bounds))):
        for chunk in chunk_texts(tokenizer, text[begin:end], window.config.chunk_tokens):
            ids = tokenizer.encode(chunk)
            position -= len(ids)
            right += rows.add_chain(ids, position, list(right))
    context += right
    first = len(rows.token_ids)
    keys, below = unit.sees[gap_rows, KEY], unit.sees[gap_rows, BELOW]
    for index, row in enumerate(gap_rows):
        seen = [first + other for other, key in enumerate(keys) if key != UNSEEN and key < below[index]]
        rows.token_ids.append(int(unit.token_ids[row]))
        rows.position_ids.append(int(unit.position_ids[row]))
        rows.sees.append([*context, *(other for other in seen if other != first + index), first + index])
    return SlowExample(rows, list(range(first, first + len(gap_rows))))


def trainer_network(checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> TrainerNetwork:
    return TrainerNetwork(checkpoint.config, checkpoint.tensors, dtype)


def row_losses(network: TrainerNetwork, unit: PackedRows, mask: object, rows: np.ndarray) -> Tensor:
    """Return the losses of the target rows `rows` of a unit, by a plain head and cross-entropy."""
    token_ids, position_ids = (
        torch.from_numpy(column.astype(np.int64))[None] for column in (unit.token_ids, unit.position_ids)
    )
    hidden = network(token_ids, position_ids, mask)[0, rows]
    targets = torch.from_numpy(unit.targets[rows].astype(np.int64))
    return torch.nn.functional.cross_entropy(hidden @ network.head_weight.T, targets, reduction="none")
