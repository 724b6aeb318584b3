"""The control: left-to-right infilling by suffix-prefix-middle sequences (FIM, arXiv 2207.14255, SPM mode).

Same windows, same gaps, same cuts and same special ids as the set-causal
examples, so that only the design differs:

    sink  snippets  <mask> suffix  <filename> path prefix  <infill> gap <eoi>

read by plain causal attention on contiguous position ids. `<mask>` marks the
suffix here. Every gap costs a sequence of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.training.examples import ExampleBuilder, Group, WindowRows, WindowText
from model.training.rows import GapTable, PackedRows, RowWriter


class AutoregressiveBuilder(ExampleBuilder):
    """Builds units of suffix-prefix-middle sequences."""

    def unit(self, windows: Sequence[WindowText], rng: np.random.Generator) -> PackedRows:
        """Return one unit: one sequence after the other for the gaps that `windows` would have had, while they fit."""
        writer = RowWriter(self.config.unit_rows)
        drawn = [WindowRows(self, window, rng, self.config.unit_rows) for window in windows]
        waiting = [(window, group) for window in drawn for group in window.groups]
        for index in rng.permutation(len(waiting)):
            window, group = waiting[index]
            self._write(writer, window, group)
        return writer.finish(self.special.sink)

    def _write(self, writer: RowWriter, window: WindowRows, group: Group) -> None:
        """Add the sequence of a gap, if it fits. Joint groups have no like here: they are left out."""
        if len(group.gap_ids) > 1:
            return
        special, gap_ids = self.special, group.gap_ids[0]
        snippets = [token for ids in window.islands for token in ids[1:]]
        suffix = self.tokenizer.encode(window.window.text[group.end :])
        before = [special.sink, *snippets, special.mask, *suffix, *group.left_ids[1:]]
        if len(before) + len(gap_ids) > writer.room:
            return
        first = writer.chain(before, 0, window.sampled_targets(before))
        table = GapTable()
        for rank, token_id in enumerate([special.infill, *gap_ids[:-1]]):
            table.add_clean(token_id, len(before) + rank, rank, rank, gap_ids[rank])
        writer.gap_rows(table, (first, first + len(before), 0, 0), writer.count)
