"""The whole pipeline in small, on a CPU in minutes: `python -m model.training.rehearse [DIRECTORY]`.

Corpus from three small packages, a tiny network trained, killed and resumed, and
checks that it learned: on gaps it has not seen, the loss of mask rows at the
frontier lies at least 1 nat below the unigram entropy of what they are to say,
and at least 0.3 nats below that of the same network blind to the suffix. The
gaps are new, their packages are those trained on: so small a network learns the
names of two packages, and not yet those of a third, which is shown beside.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from model.checkpoint import Checkpoint, expected_shapes, save_checkpoint
from model.config import Capabilities, ModelConfig
from model.tokenization import ByteTokenizer
from model.training.assemble import assemble
from model.training.batches import MicroBatch, micro_batch
from model.training.config import TrainingConfig, read_config
from model.training.corpus.build import build_corpus
from model.training.corpus.fetch import fetch, files_in
from model.training.corpus.manifest import Package, manifest_path, read_manifest
from model.training.progress import read_log
from model.training.rows import FIRST_BEGIN, FIRST_END, GROUP_END, PackedRows
from model.training.state import load_state
from model.training.trainer import Machine, Trainer
from model.training.units import SourceSpec, open_source, special_ids

VOCABULARY = 2048
EVALUATED_UNITS = 150
BELOW_UNIGRAM, BELOW_BLIND = 1.0, 0.3  # nats
KILLED_AFTER_UPDATES = 25

# Free gaps are short, so that a small network soon finds the suffix: where it stands is then nearly known.
SETTINGS = """\
[data]
corpus = "corpus"
start = "start"

[examples]
unit_rows = 512
context_length = 4096
window_min = 48
window_max = 128
free_min = 40
free_max = 80
span_max = 16
left_min = 8
right_min = 8
context_tokens_min = 8
context_tokens_max = 24
joint_span_max = 6
joint_between_max = 24
joint_free_ids = 64
past_end_rows = 8
island_target_share = 1.0

[optimiser]
peak_rate = 2e-3
warm_up_updates = 20
rows_per_update = 2048
island_next_weight = 1.0

[run]
updates = 1200
device = "cpu"
micro_batch_units = 4
head_chunk_rows = 512
checkpoint_s = 10.0
"""


def main() -> int:
    """Rehearse in the directory given, or in one that goes away; return 0 if all went well."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        make_start(directory)
        make_corpus(directory)
        shutil.rmtree(directory / "run", ignore_errors=True)  # of an earlier rehearsal
        settings = directory / "rehearsal.toml"
        settings.write_text(SETTINGS, encoding="utf-8")
        train_killed_and_resumed(settings, directory / "run")
        check_what_was_learned(read_config(settings), directory / "run")
        make_model(directory)
        # HERE: export the model with `setfill models export`, int8, and check its size and loss.
        # HERE: evaluate it on 20 gaps of the package held out with `setfill eval infilling`.
        # HERE: load it with `setfill fill --model` and fill a gap.
    print(f"rehearsed in {time.monotonic() - began_s:.0f} s")
    return 0


# -- corpus and start -------------------------------------------------------------------------


def make_start(directory: Path) -> None:
    """Write a small network with random weights, and a tokenizer trained on the packages' Python files."""
    texts = [
        content.decode("utf-8", "replace")
        for package in packages()
        for path, content in files_in(fetch(package, directory / "packages"))
        if path.endswith(".py") and not package.held_out
    ]
    tokenizer = Tokenizer(models.BPE())
    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    tokenizer.decoder = decoders.ByteLevel()
    names = ["<|endoftext|>", "<filename>", "<mask>", "<infill>", "<eoi>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(name, special=True, normalized=False) for name in names],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    capabilities = Capabilities(True, sink_id=0, filename_id=1, mask_id=2, infill_id=3, eoi_id=4, window=4096)
    config = ModelConfig("llama", 4, 192, 3, 3, 64, 512, VOCABULARY, 4096)
    save_checkpoint(Checkpoint("start", config, capabilities, tokenizer, random_tensors(config)), directory / "start")
    say(f"start: {len(texts)} files for the tokenizer, {sum(map(np.prod, expected_shapes(config).values())):,} weights")


def random_tensors(config: ModelConfig) -> dict[str, torch.Tensor]:
    """Return initial weights: norms of one, matrices of standard deviation 0.02."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.ones(shape) if len(shape) == 1 else torch.randn(shape, generator=generator) * 0.02
        for name, shape in expected_shapes(config).items()
    }


def make_corpus(directory: Path) -> None:
    tokenizer = ByteTokenizer(Tokenizer.from_file(str(directory / "start" / "tokenizer.json")), VOCABULARY)
    build_corpus(packages(), tokenizer, directory / "corpus", directory / "packages", say=say)


def packages() -> list[Package]:
    return read_manifest(manifest_path("small"))


# -- training ---------------------------------------------------------------------------------


def train_killed_and_resumed(settings: Path, out: Path) -> None:
    """Train in a process of its own, kill it on the way, and go on; what is done again has the same losses."""
    process = start_run(settings, out)
    while len(logged := read_log(out / "log.jsonl")) < KILLED_AFTER_UPDATES or not list(out.glob("state/update-*")):
        expect(process.poll() is None, f"the run ended by itself: see {out}/console.txt")
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    logged = read_log(out / "log.jsonl")
    state = load_state(out / "state")
    assert state is not None
    say(f"killed after {len(logged)} updates, {state[1]['update']} of them saved")
    expect(start_run(settings, out).wait() == 0, "the resumed run failed")
    resumed = read_log(out / "log.jsonl")
    same = [one["loss"] == other["loss"] for one, other in zip(logged, resumed, strict=False)]
    expect(all(same), f"losses differ after resuming, first at update {same.index(False) if False in same else -1}")
    last = resumed[-1]
    say(f"trained {len(resumed)} updates in {last['elapsed_s']:.0f} s, {last['rows_per_s']:.0f} rows/s at the end")


def start_run(settings: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "model.training.run", str(settings), "--out", str(out)]
    root = str(Path(__file__).parents[2])
    out.mkdir(parents=True, exist_ok=True)
    with (out / "console.txt").open("a", encoding="utf-8") as console:
        return subprocess.Popen(command, cwd=root, env={**os.environ, "PYTHONPATH": root}, stderr=console)


# -- what was learned -------------------------------------------------------------------------


def check_what_was_learned(config: TrainingConfig, out: Path) -> None:
    """Measure mask rows at the frontier, in the packages trained on and in the one held out."""
    start = Path(config.data.start)
    checkpoint_config = json.loads((start / "setfill.json").read_text())["config"]
    state = load_state(out / "state")
    assert state is not None
    weights = {name.removeprefix("weight/"): tensor for name, tensor in state[0].items() if name.startswith("weight/")}
    machine = Machine.of(config.run)
    trainer = Trainer(
        ModelConfig.from_dict(checkpoint_config), weights, config.optimiser, machine, config.run.head_chunk_rows
    )
    special = special_ids(start)
    # Only left to right has frontiers.
    examples = replace(config.examples, left_to_right_share=1.0, window_order_share=0.0, subset_share=0.0)
    for held_out in (True, False):
        spec = SourceSpec(
            Path(config.data.corpus), start / "tokenizer.json", VOCABULARY, special, examples, seed=1, held_out=held_out
        )
        source = open_source(spec)
        units = [source.unit(number) for number in range(EVALUATED_UNITS)]
        entropy = frontier_entropy(units)
        seeing = frontier_loss(trainer, config, units)
        blind = frontier_loss(trainer, config, [blind_to_suffix(unit, special.sink) for unit in units])
        where = "package held out" if held_out else "packages trained on"
        say(f"frontier masks, {where}: {seeing:.3f} nats; blind to the suffix {blind:.3f}; unigram {entropy:.3f}")
    expect(seeing <= entropy - BELOW_UNIGRAM, f"not {BELOW_UNIGRAM} nats below the unigram entropy")
    expect(seeing <= blind - BELOW_BLIND, f"not {BELOW_BLIND} nats below the network blind to the suffix")


def frontier_entropy(units: list[PackedRows]) -> float:
    """Return the entropy of the tokens that mask rows at distance 1 are to say, in nats."""
    targets = np.concatenate([unit.targets[is_frontier(unit)] for unit in units])
    share = np.bincount(targets) / len(targets)
    return -float((share[share > 0] * np.log(share[share > 0])).sum())


@torch.no_grad()
def frontier_loss(trainer: Trainer, config: TrainingConfig, units: list[PackedRows]) -> float:
    """Return the mean loss of mask rows at distance 1, in nats."""
    losses = []
    for part in parts_of(units, config):
        hidden = trainer.network(part.token_ids, part.position_ids, trainer.mask(part))
        frontier = (part.distances == 1) & (part.verifier_slots >= 0)
        wanted = hidden.flatten(0, 1)[part.target_rows[frontier]]
        logits = wanted @ trainer.network.head_weight.T
        losses.append(torch.nn.functional.cross_entropy(logits, part.targets[frontier], reduction="none"))
    return float(torch.cat(losses).mean())


def parts_of(units: list[PackedRows], config: TrainingConfig) -> Iterator[MicroBatch]:
    size = config.run.micro_batch_units
    for begin in range(0, len(units), size):
        yield micro_batch(units[begin : begin + size], np.ones(4, np.float32), 1)


def is_frontier(unit: PackedRows) -> np.ndarray:
    return (unit.distances == 1) & (unit.verifiers >= 0)


def blind_to_suffix(unit: PackedRows, sink_id: int) -> PackedRows:
    """Return the unit with its gap rows seeing the right island no longer.

    A gap's first range holds context islands, then the right island, which begins with the last sink row in it.
    """
    sees = unit.sees.copy()
    sinks = np.flatnonzero(unit.token_ids == sink_id)
    for row in np.flatnonzero(sees[:, GROUP_END] > 0):
        before = sinks[(sinks >= sees[row, FIRST_BEGIN]) & (sinks < sees[row, FIRST_END])]
        sees[row, FIRST_END] = before[-1]
    return replace(unit, sees=sees)


def make_model(directory: Path) -> None:
    """Put the last checkpoint's pieces together to a model directory."""
    last = sorted((directory / "run" / "checkpoints").glob("update-*"))[-1]
    assemble(last, directory / "start" / "tokenizer.json", directory / "model")
    say(f"model written from {last.name}")


def say(text: str) -> None:
    print(f"rehearsal: {text}", flush=True)


def expect(holds: bool, complaint: str) -> None:
    if not holds:
        raise SystemExit(f"rehearsal failed: {complaint}")


if __name__ == "__main__":
    sys.exit(main())
