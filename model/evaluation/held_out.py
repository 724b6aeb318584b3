"""Loss on the packages that a corpus holds out, by row kind and draft distance.

Rows are training's own (`model.training.examples`), so the numbers go on where
a run's log ends. The network is training's too, in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.checkpoint.record import Checkpoint, expected_shapes
from model.checkpoint.tokenization import ByteTokenizer
from model.errors import InputError
from model.evaluation.answer_log import AnswerLog
from model.evaluation.statistics import clustered_ratio
from model.training.batches import MicroBatch, micro_batch
from model.training.config import ExampleConfig
from model.training.measures import DISTANCES, Measures
from model.training.network import TrainerNetwork
from model.training.orders import special_ids
from model.training.rows import RowKind
from model.training.shards import read_corpus
from model.training.units import UnitSource
from model.training.visibility import dense_mask

_HEAD_ROWS = 512  # rows whose logits exist at a time


@torch.no_grad()
def held_out_loss(
    checkpoint: Checkpoint,
    corpus: Path,
    units: int,
    examples: ExampleConfig,
    seed: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
    log: Path | None = None,
) -> dict[str, Any]:
    """Return losses in nats and accuracies over `units` units, with intervals over units. Raises InputError.

    What each unit gave is kept in `log` as it comes, and what an interrupted run left there is taken from it.
    """
    source = _source(checkpoint, corpus, examples, seed)
    tensors = {name: checkpoint.float_tensor(name) for name in expected_shapes(checkpoint.config)}
    network = TrainerNetwork(checkpoint.config, tensors, torch.float32).eval()
    del tensors
    facts = {"model": checkpoint.name, "examples": asdict(examples), "seed": seed, "corpus": str(corpus.resolve())}
    with AnswerLog(log, facts) as kept:
        for number in range(len(kept.answers), units):
            progress(number, units)
            part = micro_batch([source.unit(number)], np.ones(len(RowKind), np.float32), 1)
            measures = Measures(torch.device("cpu"))
            losses, tops = _row_losses(network, part)
            measures.add(part, losses.sum(), losses, tops)
            kept.add(measures.summary())
        summaries = kept.answers[:units]
    progress(units, units)
    adapted = checkpoint.capabilities.adapted
    notes = [] if adapted else [
        "The model is not adapted: rows of gaps and masks show what training starts from; only island_next is what it "
        "was trained for."
    ]  # fmt: skip
    kinds = {kind: _joined([summary["kinds"][kind] for summary in summaries]) for kind in summaries[0]["kinds"]}
    distances = [_joined([summary["distances"][index] for summary in summaries]) for index in range(DISTANCES)]
    return {
        "kind": "loss", "model": checkpoint.name, "units": units, "notes": notes, "kinds": kinds,
        "mask_by_distance": distances,
    }  # fmt: skip


def loss_page(report: dict[str, Any]) -> str:
    """Return the losses as a plain table."""
    lines = [f"{report['model']}, {report['units']} units of held-out packages", ""]
    lines.append(f"{'rows':22}{'count':>9}{'nats':>8}{'95 %':>17}{'right':>8}{'agree':>8}")
    named = [*report["kinds"].items()]
    named += [(f"mask, distance {n}", row) for n, row in enumerate(report["mask_by_distance"], 1)]
    for name, row in named:
        interval = f"[{row['low']:.3f}, {row['high']:.3f}]"
        agreement = f"{row['agreement']:8.1%}" if "agreement" in row else ""
        lines.append(f"{name:22}{row['rows']:9}{row['loss']:8.3f}{interval:>17}{row['accuracy']:8.1%}{agreement}")
    return "\n".join([*lines, *report["notes"]])


def _row_losses(network: TrainerNetwork, part: MicroBatch) -> tuple[Tensor, Tensor]:
    """Return the loss [N] and the most probable token [N] of every target row."""
    hidden = network(part.token_ids, part.position_ids, dense_mask(part.sees)).flatten(0, 1)
    losses, tops = [], []
    for rows, targets in zip(part.target_rows.split(_HEAD_ROWS), part.targets.split(_HEAD_ROWS), strict=True):
        logits = hidden[rows] @ network.head_weight.T
        losses.append(torch.nn.functional.cross_entropy(logits, targets, reduction="none"))
        tops.append(logits.argmax(-1))
    return torch.cat(losses), torch.cat(tops)


def _joined(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of several units' means, weighted by their rows."""
    rows = [part["rows"] for part in parts]
    units = range(len(parts))

    def mean(name: str) -> Any:
        return clustered_ratio([part[name] * part["rows"] for part in parts], rows, units)

    loss = mean("loss")
    joined = {"rows": int(sum(rows)), "loss": loss.value, "low": loss.low, "high": loss.high}
    joined["accuracy"] = mean("accuracy").value
    return joined | ({"agreement": mean("agreement").value} if "agreement" in parts[0] else {})


def _source(checkpoint: Checkpoint, corpus: Path, examples: ExampleConfig, seed: int) -> UnitSource:
    shards = read_corpus(corpus)
    if not shards.chosen(held_out=True):
        raise InputError(f"{corpus} holds no packages out; mark some as held_out in the manifest and build it again")
    context = min(examples.context_length, checkpoint.config.context_length)
    config = replace(examples, context_length=context)
    tokenizer = ByteTokenizer(checkpoint.tokenizer, checkpoint.config.vocab_size)
    return UnitSource(shards, tokenizer, special_ids(checkpoint.capabilities), config, seed, held_out=True)
