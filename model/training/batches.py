"""From units to tensors: the micro-batches of one update.

Dimensions: B units of a micro-batch, R rows of a unit, N target rows of a
micro-batch, filled up to whole chunks of the head.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.training.config import TrainingConfig
from model.training.loss import row_weights
from model.training.rows import (
    FIRST_BEGIN,
    FIRST_END,
    GROUP_BEGIN,
    GROUP_END,
    NO_ROW,
    SECOND_BEGIN,
    SECOND_END,
    PackedRows,
    RowKind,
)


@dataclass(frozen=True)
class MicroBatch:
    """What one forward and backward takes. Target rows are indices into the B * R rows."""

    token_ids: Tensor  # [B, R] int64
    position_ids: Tensor  # [B, R] int64
    sees: Tensor  # [B, R, SEES_COLUMNS] int32
    target_rows: Tensor  # [N] int64
    targets: Tensor  # [N] int64
    weights: Tensor  # [N] float32; 0 where N is filled up
    kinds: Tensor  # [N] int64 RowKind; NONE where N is filled up
    distances: Tensor  # [N] int64, as in PackedRows
    verifier_slots: Tensor  # [N] int64: where among the targets the row's verifier is, or -1

    def to(self, device: torch.device) -> MicroBatch:
        """Return the micro-batch on `device`."""
        moved = {item.name: getattr(self, item.name).to(device, non_blocking=True) for item in fields(self)}
        return MicroBatch(**moved)

    def pinned(self) -> MicroBatch:
        """Return the micro-batch in memory that a GPU copies from without waiting."""
        return MicroBatch(**{item.name: getattr(self, item.name).pin_memory() for item in fields(self)})


@dataclass(frozen=True)
class UpdateBatch:
    """All micro-batches of one optimiser update, and what there is in them."""

    parts: list[MicroBatch]
    rows: int
    used_rows: int  # without padding
    targets: int
    pairs: int  # (query, key) pairs within visible ranges, about; attention's work


def batches_ahead(units: Iterator[PackedRows], config: TrainingConfig, pin: bool) -> Generator[UpdateBatch, None, None]:
    """Yield the batches of one update after the other, made ahead in a thread while the device works."""
    ready: queue.Queue[UpdateBatch | BaseException] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def produce() -> None:
        try:
            while not stop.is_set():
                batch = update_batch([next(units) for _ in range(config.units_per_update)], config, pin)
                while not stop.is_set():
                    try:
                        ready.put(batch, timeout=0.2)
                        break
                    except queue.Full:
                        continue
        except BaseException as error:  # told to the consumer, who raises it
            ready.put(error)

    producer = threading.Thread(target=produce, name="update-batches", daemon=True)
    producer.start()
    try:
        while True:
            batch = ready.get()
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        stop.set()
        producer.join()


def update_batch(units: Sequence[PackedRows], config: TrainingConfig, pin: bool = False) -> UpdateBatch:
    """Return the micro-batches of `units`, with every row weighted by the counts of the whole update."""
    counts = np.bincount(np.concatenate([unit.kinds for unit in units]), minlength=len(RowKind))
    of_kind = {kind: int(counts[kind]) for kind in RowKind}
    weights = np.asarray(row_weights(of_kind, config.optimiser), np.float32)
    size = config.run.micro_batch_units
    parts = []
    for begin in range(0, len(units), size):
        part = micro_batch(units[begin : begin + size], weights, config.run.head_chunk_rows)
        parts.append(part.pinned() if pin else part)
    return UpdateBatch(
        parts,
        rows=sum(unit.rows for unit in units),
        used_rows=sum(unit.used for unit in units),
        targets=int(counts[1:].sum()),
        pairs=sum(visible_pairs(unit) for unit in units),
    )


def micro_batch(units: Sequence[PackedRows], weights: NDArray[np.float32], chunk_rows: int) -> MicroBatch:
    """Return `units` as tensors; `weights` are those of target rows by their RowKind."""
    kinds = np.concatenate([unit.kinds for unit in units])
    rows = np.flatnonzero(kinds != RowKind.NONE)
    slot_of_row = np.full(len(kinds), NO_ROW, np.int64)
    slot_of_row[rows] = np.arange(len(rows))
    unit_begin = np.repeat(np.arange(len(units)) * units[0].rows, units[0].rows)
    verifiers = np.concatenate([unit.verifiers for unit in units]).astype(np.int64)
    verifier_slots = np.where(verifiers >= 0, slot_of_row[verifiers + unit_begin], NO_ROW)
    padding = -len(rows) % chunk_rows

    def of_targets(column: NDArray[np.generic], dtype: type, fill: int = 0) -> Tensor:
        filled = np.concatenate([column[rows].astype(dtype), np.full(padding, fill, dtype)])
        return torch.from_numpy(filled)

    return MicroBatch(
        token_ids=torch.from_numpy(np.stack([unit.token_ids for unit in units]).astype(np.int64)),
        position_ids=torch.from_numpy(np.stack([unit.position_ids for unit in units]).astype(np.int64)),
        sees=torch.from_numpy(np.stack([unit.sees for unit in units])),
        target_rows=of_targets(np.arange(len(kinds)), np.int64),
        targets=of_targets(np.concatenate([unit.targets for unit in units]), np.int64),
        weights=of_targets(weights[kinds], np.float32),
        kinds=of_targets(kinds, np.int64),
        distances=of_targets(np.concatenate([unit.distances for unit in units]), np.int64),
        verifier_slots=of_targets(verifier_slots, np.int64, NO_ROW),
    )


def visible_pairs(unit: PackedRows) -> int:
    """Return about how many (query, key) pairs attention computes; half of a group's range is taken as seen."""
    sees = unit.sees.astype(np.int64)
    first = sees[:, FIRST_END] - sees[:, FIRST_BEGIN]
    second = sees[:, SECOND_END] - sees[:, SECOND_BEGIN]
    group = (sees[:, GROUP_END] - sees[:, GROUP_BEGIN]) // 2
    return int((first + second + group).clip(0).sum())
