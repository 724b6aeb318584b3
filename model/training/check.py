"""Before a run on a new machine: does the fast path compute what the slow one does, and how fast is it?

    python -m model.training.check CONFIG [--corpus DIR] [--start DIR]

Compares loss and gradients of a micro-batch between float32 with a dense mask and
the path the run would take, then times micro-batches of several sizes, and the
building of examples.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from model.checkpoint.description import read_description
from model.errors import SetfillError
from model.training.arguments import add_run_arguments
from model.training.batches import UpdateBatch, update_batch
from model.training.config import TrainingConfig
from model.training.orders import special_ids
from model.training.rows import PackedRows
from model.training.run import settings_from
from model.training.state import load_start
from model.training.trainer import Machine, Trainer
from model.training.units import SourceSpec, open_source

COMPARED_UNITS = 8  # as many as one of the sizes: every size is compiled anew
TIMED_SIZES = (8, 16)  # units of a micro-batch
TIMED_REPEATS = 5


def main(arguments: list[str] | None = None) -> int:
    """Check and print; exit status 0 if the fast path agrees with the slow one."""
    parser = argparse.ArgumentParser(prog="model.training.check", description="Check a machine before training on it.")
    add_run_arguments(parser)
    try:
        config = settings_from(parser.parse_args(arguments))
        units = build_units(config)
        machine = Machine.of(config.run)
        print(json.dumps({"device": str(machine.device), "attention": machine.attention, "torch": torch.__version__}))
        fast = new_trainer(config, machine)
        agrees = compare(config, units[:COMPARED_UNITS], fast)
        if machine.device.type == "cuda":
            for size in TIMED_SIZES:
                time_micro_batch(config, units[:size], fast)
    except SetfillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if agrees else 2


def build_units(config: TrainingConfig) -> list[PackedRows]:
    start = Path(config.data.start)
    about, corpus, tokenizer = read_description(start), Path(config.data.corpus), start / "tokenizer.json"
    special = special_ids(about.capabilities)
    source = open_source(SourceSpec(corpus, tokenizer, about.config.vocab_size, special, config.examples, 0))
    source.unit(0)  # plans the epoch
    began_s = time.perf_counter()
    units = [source.unit(number) for number in range(max(TIMED_SIZES))]
    rows_per_s = len(units) * config.examples.unit_rows / (time.perf_counter() - began_s)
    print(json.dumps({"examples_rows_per_s_of_one_process": round(rows_per_s)}), flush=True)
    return units


def new_trainer(config: TrainingConfig, machine: Machine) -> Trainer:
    model_config, tensors = load_start(Path(config.data.start))
    return Trainer(model_config, tensors, config.optimiser, machine, config.run.head_chunk_rows)


def compare(config: TrainingConfig, units: list[PackedRows], fast: Trainer) -> bool:
    """Compare the fast path's loss and gradients with float32 and a dense mask, by norm of the difference."""
    slow = new_trainer(config, Machine(fast.machine.device, torch.float32, "dense", False))
    torch.set_float32_matmul_precision("highest")
    batch = batch_of(config, units)
    losses, gradients = [], []
    for trainer in (slow, fast):
        (part,) = batch.parts
        loss = trainer.loss(part.to(trainer.machine.device))
        loss.backward()
        losses.append(float(loss.detach()))
        gradients.append([weight.grad.clone() for weight in trainer.network.parameters() if weight.grad is not None])
        trainer.network.zero_grad(set_to_none=True)
    difference = sum(float((a - b).double().pow(2).sum()) for a, b in zip(*gradients, strict=True)) ** 0.5
    relative = difference / sum(float(a.double().pow(2).sum()) for a in gradients[0]) ** 0.5
    tolerance = 0.05 if fast.machine.compute_dtype == torch.bfloat16 else 1e-3
    agrees = relative < tolerance and abs(losses[0] - losses[1]) < 0.02 * abs(losses[0])
    print(json.dumps({"losses": losses, "gradient_difference": relative, "agrees": agrees}), flush=True)
    return agrees


def time_micro_batch(config: TrainingConfig, units: list[PackedRows], trainer: Trainer) -> None:
    """Print rows/s of updates of one micro-batch, and the memory it takes."""
    batch = batch_of(config, units)
    trainer.update(batch, 0.0).summary()  # compiles
    torch.cuda.reset_peak_memory_stats()
    began_s = time.perf_counter()
    for _ in range(TIMED_REPEATS):
        measures = trainer.update(batch, 0.0)
    measures.summary()  # waits for the device
    took_s = (time.perf_counter() - began_s) / TIMED_REPEATS
    print(
        json.dumps(
            {
                "units": len(units),
                "rows_per_s": round(batch.rows / took_s),
                "tflops": round(trainer.flops(batch) / took_s / 1e12, 1),
                "gib": round(torch.cuda.max_memory_allocated() / 2**30, 1),
            }
        ),
        flush=True,
    )


def batch_of(config: TrainingConfig, units: list[PackedRows]) -> UpdateBatch:
    """Return `units` as an update of one micro-batch."""
    rows = len(units) * config.examples.unit_rows
    run, optimiser = replace(config.run, micro_batch_units=len(units)), replace(config.optimiser, rows_per_update=rows)
    return update_batch(units, replace(config, run=run, optimiser=optimiser))


if __name__ == "__main__":
    sys.exit(main())
