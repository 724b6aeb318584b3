"""The whole pipeline in small, on a CPU in minutes: `python -m model.training.rehearse [DIRECTORY]`.

Corpus from three small packages, a tiny network trained, killed and resumed, and
checks that it learned: on gaps it has not seen, the loss of mask rows at the
frontier lies at least 1 nat below the unigram entropy of what they are to say,
and at least 0.3 nats below that of the same network blind to the suffix. Both
hold for new gaps of the packages trained on, and for the package held out.

Then what a user would do with it: exported as int8, evaluated on 20 gaps of the
package held out, and made to fill a gap, each by the command line.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from model.checkpoint.config import Capabilities, ModelConfig
from model.checkpoint.description import read_description
from model.checkpoint.own_format import save_checkpoint
from model.checkpoint.record import Checkpoint, expected_shapes
from model.checkpoint.tokenization import ByteTokenizer
from model.training.assemble import assemble
from model.training.batches import MicroBatch, micro_batch
from model.training.config import TrainingConfig, read_config
from model.training.corpus.build import build_corpus
from model.training.corpus.fetch import fetch, files_in
from model.training.corpus.manifest import Package, manifest_path, read_manifest
from model.training.orders import special_ids
from model.training.progress import read_log
from model.training.rows import FIRST_BEGIN, FIRST_END, GROUP_END, PackedRows
from model.training.state import load_state
from model.training.trainer import Machine, Trainer
from model.training.units import SourceSpec, open_source

ROOT = Path(__file__).parents[2]
VOCABULARY = 1024
EVALUATED_UNITS = 150
BELOW_UNIGRAM, BELOW_BLIND = 1.0, 0.3  # nats
INT8_COSTS_AT_MOST = 0.1  # nats a token; it costs about 0.005
REDONE_UPDATES = 3  # at least, after the kill: those that were logged and not saved
EVALUATED_GAPS = 20

# All is small and near: short windows, gaps of a few tokens within lines. So a small network soon finds the suffix.
NETWORK = ModelConfig("llama", 4, 96, 4, 4, 24, 256, VOCABULARY, 4096, rope_base=1000.0)
SETTINGS = """\
[data]
corpus = "corpus"
start = "start"

[examples]
unit_rows = 512
context_length = 4096
window_min = 32
window_max = 80
path_max = 8
gap_share = 2.0
drop_filename = 0.8
context_share = 0.05
context_tokens_min = 8
context_tokens_max = 24
characters_share = 0.9
lines_share = 0.05
nodes_share = 0.05
to_line_end = 0.0
span_max = 3
left_min = 6
right_min = 6
joint_window_share = 0.05
joint_between_max = 24
joint_span_max = 6
joint_free_ids = 64
walk_share = 0.0
left_to_right_share = 0.9
window_order_share = 0.05
subset_share = 0.05
set_max = 2
past_end_rows = 4
past_end_full = 0.05
island_target_share = 1.0

[optimiser]
peak_rate = 4e-3
warm_up_updates = 40
decay_share = 0.6
rows_per_update = 2048
island_next_weight = 1.0

[run]
updates = 2400
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
        check_export(directory)
        check_evaluation(directory)
        check_fill(directory)
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
    save_checkpoint(Checkpoint("start", NETWORK, capabilities, tokenizer, random_tensors(NETWORK)), directory / "start")
    weights = sum(map(np.prod, expected_shapes(NETWORK).values()))
    say(f"start: {len(texts)} files for the tokenizer, {weights:,} weights")


def random_tensors(config: ModelConfig) -> dict[str, torch.Tensor]:
    """Return initial weights: norms of one; matrices that keep the size of what they read, or take it to a fifth.

    The fifth is for what is added to the residual stream. A narrow network with the usual standard deviation of 0.02
    takes three times as many updates to get as far: its first attention scores are next to nothing.
    """
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in expected_shapes(config).items():
        if len(shape) == 1:
            tensors[name] = torch.ones(shape)
            continue
        into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
        deviation = shape[1] ** -0.5 * (0.2 if into_residual else 1.0)
        tensors[name] = torch.randn(shape, generator=generator) * deviation
    return tensors


def make_corpus(directory: Path) -> None:
    tokenizer = ByteTokenizer(Tokenizer.from_file(str(directory / "start" / "tokenizer.json")), VOCABULARY)
    build_corpus(packages(), tokenizer, directory / "corpus", directory / "packages", say=say)


def packages() -> list[Package]:
    return read_manifest(manifest_path("small"))


# -- training ---------------------------------------------------------------------------------


def train_killed_and_resumed(settings: Path, out: Path) -> None:
    """Train in a process of its own, kill it on the way, and go on; what is done again has the same losses."""
    process = start_run(settings, out)
    while not 0 < saved_updates(out) <= len(read_log(out / "log.jsonl")) - REDONE_UPDATES:
        expect(process.poll() is None, f"the run ended by itself: see {out}/console.txt")
        time.sleep(0.2)
    process.kill()
    process.wait()
    logged = read_log(out / "log.jsonl")
    saved = saved_updates(out)
    say(f"killed after {len(logged)} updates, {saved} of them saved")
    expect(saved < len(logged), "nothing was left to do again")
    expect(start_run(settings, out).wait() == 0, "the resumed run failed")
    resumed = read_log(out / "log.jsonl")
    same = [one["loss"] == other["loss"] for one, other in zip(logged, resumed, strict=False)]
    expect(all(same), f"losses differ after resuming, first at update {same.index(False) if False in same else -1}")
    last = resumed[-1]
    say(f"trained {len(resumed)} updates in {last['elapsed_s']:.0f} s, {last['rows_per_s']:.0f} rows/s at the end")


def saved_updates(out: Path) -> int:
    """Return how many updates the newest state in a run's directory holds, 0 where there is none."""
    return max((int(path.name.removeprefix("update-")) for path in out.glob("state/update-*")), default=0)


def start_run(settings: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "model.training.run", str(settings), "--out", str(out)]
    out.mkdir(parents=True, exist_ok=True)
    with (out / "console.txt").open("a", encoding="utf-8") as console:
        return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=console)


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
    special = special_ids(read_description(start).capabilities)
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


# -- what a user does with it -----------------------------------------------------------------


def check_export(directory: Path) -> None:
    """Export the model as int8: what the weights weigh falls, and hardly anything is lost."""
    setfill("models", "export", str(directory / "model"), str(directory / "exported"), "--run", str(directory / "run"))
    exported = json.loads((directory / "exported" / "export.json").read_text())
    loss_before, difference = exported["loss_before"], exported["difference"]["value"]
    before, after = (weights_bytes(directory / name) / 1e6 for name in ("model", "exported"))
    say(f"exported: weights of {before:.2f} MB now take {after:.2f} MB, {loss_before:.3f} nats {difference:+.4f}")
    expect(after < 0.7 * before, "int8 weights are hardly smaller")
    expect(difference < INT8_COSTS_AT_MOST, f"int8 costs more than {INT8_COSTS_AT_MOST} nats")


def weights_bytes(model: Path) -> int:
    return sum(path.stat().st_size for path in model.glob("weights-*.safetensors"))


def check_evaluation(directory: Path) -> None:
    """Evaluate the export on gaps of the package held out; how good it is matters little here, that it ends does."""
    tasks, report = directory / "tasks.jsonl", directory / "report.json"
    write_tasks(held_out_sources(directory), tasks)
    command = ["--model", str(directory / "exported"), "--length", "self", "--max-tokens", "32", "--out", str(report)]
    setfill("eval", "infilling", str(tasks), *command)
    answers = json.loads(report.read_text())["answers"]
    counts = {fact: sum(answer[fact] for answer in answers) for fact in ("exact", "passed", "parses")}
    say(f"evaluated on {len(answers)} gaps: " + ", ".join(f"{count} {fact}" for fact, count in counts.items()))
    expect(len(answers) == EVALUATED_GAPS, f"{EVALUATED_GAPS} gaps were to be evaluated, not {len(answers)}")


def held_out_sources(directory: Path) -> list[tuple[str, str]]:
    """Return (path, text) of the Python files held out."""
    return [
        (path, content.decode("utf-8", "replace"))
        for package in packages()
        if package.held_out
        for path, content in files_in(fetch(package, directory / "packages"))
        if path.endswith(".py")
    ]


def write_tasks(sources: list[tuple[str, str]], path: Path) -> None:
    """Write one gap in each of some functions of `sources`, in the format of human-eval-infilling.

    The gap goes from within a line to its end. A program is one function alone,
    and passes if it is one: nothing is imported and nothing called.
    """
    rows = []
    for file, text in sorted(sources):
        for number, (name, function) in enumerate(functions(text)):
            lines = function.splitlines(keepends=True)
            # Of the last lines: in the first ones stand docstrings.
            line = max(range(max(1, len(lines) - 5), len(lines)), key=lambda index: len(lines[index].strip()))
            end = sum(map(len, lines[:line])) + len(lines[line].rstrip())
            begin = end - len(lines[line].strip()) // 2
            rows.append(
                {
                    "task_id": f"{file}/{name}/{number}",
                    "entry_point": name,
                    "prompt": "from __future__ import annotations\n\n\n" + function[:begin],
                    "canonical_solution": function[begin:end],
                    "suffix": function[end:],
                    "test": "def check(function):\n    assert callable(function)",
                }
            )
    expect(len(rows) >= EVALUATED_GAPS, f"the package held out has {len(rows)} functions to cut a gap into")
    chosen = [rows[index * len(rows) // EVALUATED_GAPS] for index in range(EVALUATED_GAPS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in chosen), encoding="utf-8")


def functions(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and source of every function and method that can stand alone: undecorated, without defaults."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.decorator_list:
            continue
        if node.args.defaults or any(node.args.kw_defaults) or node.body[0].lineno == node.lineno:
            continue
        lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
        yield node.name, textwrap.dedent("\n".join(lines)) + "\n"


def check_fill(directory: Path) -> None:
    """Fill a gap of one of the tasks as a user would."""
    task = json.loads((directory / "tasks.jsonl").read_text(encoding="utf-8").splitlines()[0])
    file = directory / "gap.py"
    file.write_text(task["prompt"] + task["suffix"], encoding="utf-8")
    line, column = task["prompt"].count("\n") + 1, len(task["prompt"]) - task["prompt"].rfind("\n")
    place = ["--at", f"{line}:{column}", "--max-tokens", "32", "--json"]
    answer = json.loads(setfill("fill", str(file), "--model", str(directory / "exported"), *place))
    (gap,) = answer["gaps"]
    expect(answer["model"] == "exported" and gap["forwards"] > 0, f"setfill fill answered {answer}")
    say(f"setfill fill: {task['prompt'].splitlines()[-1].strip()!r} goes on with {gap['text']!r}")


def setfill(*arguments: str) -> str:
    """Run the command line in a process of its own; return what it prints."""
    done = subprocess.run([sys.executable, "-m", "setfill", *arguments], cwd=ROOT, capture_output=True, text=True)
    expect(done.returncode == 0, f"setfill {' '.join(arguments[:2])} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def say(text: str) -> None:
    print(f"rehearsal: {text}", flush=True)


def expect(holds: bool, complaint: str) -> None:
    if not holds:
        raise SystemExit(f"rehearsal failed: {complaint}")


if __name__ == "__main__":
    sys.exit(main())
