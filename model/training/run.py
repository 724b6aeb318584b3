"""One training run: `setfill train run CONFIG`, or `python -m model.training.run CONFIG` from a copied folder.

    RUN/config.json    the settings, as understood
    RUN/log.jsonl      see model.training.progress
    RUN/checkpoints/   see model.training.state
    RUN/state/

Started again on the same directory it goes on where the last state was saved,
and on a CPU with the same losses to the bit. SIGTERM and Ctrl-C end it after the
update at hand, with everything saved.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

import torch

from model.checkpoint.description import read_description
from model.errors import InputError, SetfillError
from model.training.arguments import add_run_arguments
from model.training.batches import UpdateBatch, batches_ahead
from model.training.config import TrainingConfig, read_config
from model.training.measures import Measures
from model.training.orders import special_ids
from model.training.progress import ProgressLog
from model.training.schedule import Schedule
from model.training.state import (
    checkpoint_path,
    keep_newest,
    load_start,
    load_state,
    save_state,
    with_special_embeddings,
    write_pieces,
)
from model.training.trainer import Machine, Trainer
from model.training.units import SourceSpec, units_from

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8  # of glibc's mallopt

# Dense bfloat16 rates by the vendor's data sheets, in operations a second; part of the device's name -> rate.
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}


class Run:
    """A run and its directory."""

    def __init__(self, config: TrainingConfig, directory: Path) -> None:
        self.config, self.directory = config, directory
        self.began_s = time.monotonic()
        start = Path(config.data.start)
        self.special = special_ids(read_description(start).capabilities)
        self.machine = Machine.of(config.run)
        if self.machine.device.type == "cpu":
            keep_freed_memory()
        model_config, tensors = load_start(start)
        if not read_description(start).capabilities.adapted:
            tensors = with_special_embeddings(tensors, self.special, config.data.eoi_like)
        special_rows = (self.special.mask, self.special.infill, self.special.eoi)
        self.trainer = Trainer(
            model_config, tensors, config.optimiser, self.machine, config.run.head_chunk_rows, special_rows
        )
        self.schedule = Schedule.of(config.optimiser, config.run)
        self.update = 0  # done so far
        self.spec = SourceSpec(
            Path(config.data.corpus), start / "tokenizer.json", model_config.vocab_size, self.special,
            config.examples, config.run.seed,
        )  # fmt: skip
        self._resume()
        self._saved_s = self._elapsed_s()

    def train(self) -> bool:
        """Train to the end, or until told to stop; return whether the end was reached."""
        self._write_config()
        log = ProgressLog(self.directory, self.config.run.plot_s, self.update)
        units = units_from(self.spec, self.update * self.config.units_per_update, self.config.data.workers)
        batches = batches_ahead(units, self.config, pin=self.machine.device.type == "cuda")
        with stop_signals() as stop, closing(log), closing(units), closing(batches):
            while not self.schedule.finished(self.update) and not stop:
                self._one_update(batches, log)
            self.save()
        return self.schedule.finished(self.update)

    def _one_update(self, batches: Iterator[UpdateBatch], log: ProgressLog) -> None:
        begun_s = self._elapsed_s()
        batch = next(batches)
        waited_s = self._elapsed_s() - begun_s
        rate = self.schedule.rate(self.update)
        measures = self.trainer.update(batch, rate)
        log.add(self._entry(batch, measures, rate, begun_s, waited_s))
        self.update += 1
        if self.schedule.tick(self.update, self._elapsed_s()):
            log.note(f"{self.schedule.total} updates fit into the time, with decay from {self.schedule.decay_begin}")
        if self._elapsed_s() - self._saved_s >= self.config.run.checkpoint_s:
            self.save()

    def save(self) -> None:
        """Write weights and, unless it is switched off, the full state."""
        network, config = self.trainer.network, self.config
        weights = dict(network.state_dict())
        path, window = checkpoint_path(self.directory, self.update), config.examples.context_length
        write_pieces(path, self.directory.name, network.config, self.special, window, weights, self.update)
        keep_newest(path.parent, config.run.keep_checkpoints)
        if config.run.save_state:
            facts = {"update": self.update, "schedule": self.schedule.to_dict(), "config": _essentials(config)}
            save_state(self.directory / "state", self.trainer.state(), facts)
        self._saved_s = self._elapsed_s()

    def _resume(self) -> None:
        saved = load_state(self.directory / "state")
        if saved is None:
            return
        tensors, facts = saved
        if facts["config"] != json.loads(json.dumps(_essentials(self.config))):
            raise InputError(f"{self.directory} holds a run with other settings; choose another directory")
        self.trainer.load(tensors)
        self.update = facts["update"]
        self.schedule.resume(facts["schedule"])

    def _entry(
        self, batch: UpdateBatch, measures: Measures, rate: float, begun_s: float, waited_s: float
    ) -> dict[str, object]:
        summary = measures.summary()  # waits for the device, so that the clock is right
        took_s = self._elapsed_s() - begun_s
        peak = next((peak for part, peak in PEAK_FLOPS.items() if part in self._device_name()), 0.0)
        return {
            "update": self.update,
            "of": self.schedule.total,
            "elapsed_s": round(self._elapsed_s(), 3),
            "took_s": round(took_s, 4),
            "waited_s": round(waited_s, 4),  # for examples
            "rate": rate,
            "rows": batch.rows,
            "used_rows": batch.used_rows,
            "rows_per_s": batch.rows / took_s,
            "tokens_per_s": batch.targets / took_s,  # target rows
            "mfu": self.trainer.flops(batch) / took_s / peak if peak else 0.0,
            **summary,
        }

    def _device_name(self) -> str:
        return torch.cuda.get_device_name() if self.machine.device.type == "cuda" else "cpu"

    def _write_config(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        about = {**asdict(self.config), "torch": torch.__version__, "device": self._device_name()}
        (self.directory / "config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")

    def _elapsed_s(self) -> float:
        return time.monotonic() - self.began_s


def _essentials(config: TrainingConfig) -> dict[str, object]:
    """Return the settings that a run must not change half-way."""
    run = {name: value for name, value in asdict(config.run).items() if name in ("seed", "micro_batch_units")}
    return {"examples": asdict(config.examples), "optimiser": asdict(config.optimiser), "run": run}


def keep_freed_memory() -> None:
    """Tell glibc, where there is one, to keep what is freed.

    Every update allocates the same large tensors; given back and taken again,
    the page faults cost a CPU a quarter of its time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in (
            (_M_MMAP_MAX, 0),
            (_M_TRIM_THRESHOLD, 2**31 - 1),
            (_M_TOP_PAD, 1 << 28),
            (_M_ARENA_MAX, 1),
        ):
            mallopt(option, value)


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT in the list yielded, instead of dying of them."""
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def settings_from(arguments: argparse.Namespace) -> TrainingConfig:
    """Return the settings that a command line asks for."""
    config = read_config(arguments.config)
    data, run = config.data, config.run
    if arguments.corpus is not None:
        data = replace(data, corpus=str(arguments.corpus.absolute()))
    if arguments.start is not None:
        data = replace(data, start=str(arguments.start.absolute()))
    if arguments.finish_within is not None:
        run = replace(run, finish_within_s=arguments.finish_within)
    return replace(config, data=data, run=run)


def run_command(arguments: argparse.Namespace) -> int:
    """Carry out the command; return its exit status: 0 when trained to the end, 3 when stopped before it."""
    directory = arguments.out or Path("runs") / arguments.config.stem
    return 0 if Run(settings_from(arguments), directory.absolute()).train() else 3


def main(arguments: list[str] | None = None) -> int:
    """Entry of `python -m model.training.run`; exit status 0 when trained to the end, 3 when stopped before it."""
    parser = argparse.ArgumentParser(prog="model.training.run", description="Train a set-causal infilling model.")
    add_run_arguments(parser)
    try:
        return run_command(parser.parse_args(arguments))
    except SetfillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
