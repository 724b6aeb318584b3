"""Whole runs on a tiny network: killed and resumed to the bit, the control, schedules, settings, what is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.checkpoint.loading import load_checkpoint
from model.checkpoint.own_format import save_checkpoint
from model.errors import CheckpointError, InputError
from model.training.config import OptimiserConfig, RunConfig, TrainingConfig, parse_config, read_config
from model.training.progress import read_log
from model.training.run import Run, main
from model.training.schedule import Schedule
from model.training.state import PIECE_BYTES, load_start, read_pieces, write_pieces
from tests.model.tiny import EOI, INFILL, MASK, tiny_checkpoint
from tests.training.tiny_training import SPECIAL

ROOT = Path(__file__).parents[2]
WriteSettings = Callable[..., Path]


def losses(directory: Path) -> list[float]:
    return [entry["loss"] for entry in read_log(directory / "log.jsonl")]


def test_a_run_learns_and_writes_what_it_says(training_directory: WriteSettings, tmp_path: Path) -> None:
    config = training_directory("tiny", updates=30, checkpoint_s=1000.0)
    assert main([str(config), "--out", str(tmp_path / "run")]) == 0
    log = read_log(tmp_path / "run" / "log.jsonl")
    assert [entry["update"] for entry in log] == list(range(30))
    assert log[-1]["kinds"]["gap_next"]["loss"] < log[0]["kinds"]["gap_next"]["loss"] - 0.3
    assert log[0]["rate"] == pytest.approx(5e-4)
    assert log[-1]["rate"] < 1e-4
    assert (tmp_path / "run" / "plots.svg").read_text().startswith("<svg")
    about, tensors = read_pieces(tmp_path / "run" / "checkpoints" / "update-000030")
    assert about["update"] == 30
    assert about["capabilities"]["infill"]
    assert set(tensors) == set(tiny_checkpoint().tensors)


def test_special_tokens_of_an_untrained_start_mean_something_and_learn_faster(
    training_directory: WriteSettings, tmp_path: Path
) -> None:
    """The embeddings of <mask> and <eoi> to begin with, and how far one update moves all three."""
    config = read_config(training_directory("tiny", updates=1))
    base = tiny_checkpoint(scale=0.1, adapted=False)
    save_checkpoint(base, tmp_path / "start", "float32")
    moved = []
    for factor in (1.0, 5.0):
        settings = replace(
            config,
            data=replace(config.data, eoi_like=20),
            optimiser=replace(config.optimiser, special_rate=factor, warm_up_updates=1, decay_share=0.0),
        )
        run = Run(settings, tmp_path / f"run-{factor}")
        special = [run.special.mask, run.special.infill, run.special.eoi]
        weights = run.trainer.network.embed_tokens.weight.detach()
        before = weights.clone()
        torch.testing.assert_close(before[run.special.mask], base.tensors["embed_tokens.weight"].mean(0))
        assert torch.equal(before[run.special.eoi], base.tensors["embed_tokens.weight"][20])
        run.train()
        moved.append((weights[special] - before[special], weights[30:60] - before[30:60]))
    (special_1, others_1), (special_5, others_5) = moved
    assert float(special_1.abs().max()) > 1e-4
    torch.testing.assert_close(special_5, 5 * special_1, atol=1e-6, rtol=1e-4)
    assert torch.equal(others_5, others_1)


def start_run(config: Path, out: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "model.training.run", str(config), "--out", str(out)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def test_a_killed_run_goes_on_with_the_same_losses(training_directory: WriteSettings, tmp_path: Path) -> None:
    """To the bit: SIGKILL at any moment, begun again, and the losses are those of a run that was left alone."""
    config = training_directory("tiny", updates=8)
    run = start_run(config, tmp_path / "killed")
    deadline = time.monotonic() + 120
    while len(losses(tmp_path / "killed")) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = losses(tmp_path / "killed")
    assert 3 <= len(before) < 8
    assert start_run(config, tmp_path / "killed").wait(timeout=120) == 0
    assert start_run(config, tmp_path / "whole").wait(timeout=120) == 0
    whole = losses(tmp_path / "whole")
    assert losses(tmp_path / "killed") == whole
    assert before == whole[: len(before)]


def test_a_run_with_other_settings_does_not_go_on(training_directory: WriteSettings, tmp_path: Path) -> None:
    config = read_config(training_directory("tiny", updates=1))
    Run(config, tmp_path / "run").train()
    other = replace(config, optimiser=replace(config.optimiser, peak_rate=1e-5))
    with pytest.raises(InputError, match="other settings"):
        Run(other, tmp_path / "run")


def test_the_control_trains(training_directory: WriteSettings, tmp_path: Path) -> None:
    config = read_config(training_directory("tiny", updates=3))
    config = replace(config, examples=replace(config.examples, objective="ar_fim"))
    assert Run(config, tmp_path / "run").train()
    entry = read_log(tmp_path / "run" / "log.jsonl")[-1]
    assert entry["kinds"]["mask"]["rows"] == 0
    assert entry["kinds"]["gap_next"]["rows"] > 0


def test_the_run_needs_no_gguf_and_no_transformers(training_directory: WriteSettings, tmp_path: Path) -> None:
    """A copied folder on a GPU machine has neither, nor grammars or a language server."""
    config = training_directory("tiny", updates=1)
    blocked = "gguf", "transformers", "pygls", "tree_sitter", "rich", "msgpack"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); "
        f"from model.training.run import main; sys.exit(main({[str(config), '--out', str(tmp_path / 'run')]!r}))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).returncode == 0


# -- pieces -----------------------------------------------------------------------------------


def test_pieces_are_small_whole_and_checked(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    tensors = {**checkpoint.tensors, "embed_tokens.weight": torch.randn(30_000, 600)}  # 36 MB in bfloat16
    write_pieces(tmp_path / "update-000001", "tiny", checkpoint.config, SPECIAL, 512, tensors, 1)
    pieces = sorted((tmp_path / "update-000001").glob("*.safetensors"))
    assert len(pieces) == 3
    assert all(path.stat().st_size < 16 << 20 for path in pieces)
    assert PIECE_BYTES < 16 << 20
    _, found = read_pieces(tmp_path / "update-000001")
    for name, tensor in tensors.items():
        torch.testing.assert_close(found[name].float(), tensor, atol=0, rtol=1e-2)
    pieces[1].write_bytes(pieces[1].read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="damaged"):
        read_pieces(tmp_path / "update-000001")


# -- schedules --------------------------------------------------------------------------------


def schedule(**changes: object) -> Schedule:
    return Schedule.of(OptimiserConfig(warm_up_updates=10, decay_share=0.4), RunConfig(**changes))


def test_warm_up_constant_and_linear_decay() -> None:
    plan = schedule(updates=100)
    rates = [plan.rate(update) / plan.optimiser.peak_rate for update in range(100)]
    assert rates[:10] == pytest.approx([n / 10 for n in range(1, 11)])
    assert rates[10:60] == [1.0] * 50
    assert rates[60:] == pytest.approx([(100 - update) / 40 for update in range(60, 100)])
    assert plan.finished(100)
    assert not plan.finished(99)


@pytest.mark.parametrize("slower", [1.0, 1.5])
def test_time_fixes_the_updates(slower: float) -> None:
    """A minute of measuring, then a schedule that ends in time, even if updates grow slower before the decay."""
    plan = schedule(updates=100_000, finish_within_s=1300.0, measure_s=60.0, reserve_s=20.0)
    now_s, done, rates = 90.0, 0, []  # 90 seconds to start and compile
    while not plan.finished(done):
        rates.append(plan.rate(done))
        done += 1
        now_s += 1.0 if now_s < 300 else slower
        plan.tick(done, now_s)
        assert now_s < 1400
    assert 1265 < now_s <= 1300
    assert min(rates[10:600]) == plan.optimiser.peak_rate
    assert rates[-1] < 0.01 * plan.optimiser.peak_rate


# -- settings ---------------------------------------------------------------------------------


def check_settings(data: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_config(data)


def test_settings_are_checked() -> None:
    assert parse_config({}) == TrainingConfig()
    assert parse_config({"examples": {"window_sizes": [4]}}).examples.window_sizes == (4,)
    check_settings({"examples": {"windw_min": 3}}, "unknown setting examples.windw_min")
    check_settings({"examples": {"empty_share": 1.5}}, "empty_share = 1.5 must lie between 0 and 1")
    check_settings({"examples": {"lines_share": 0.9}}, "must be 1")
    check_settings({"examples": {"unit_rows": "many"}}, "must be of type int")
    check_settings({"optimiser": {"rows_per_update": 1000}}, "must be a multiple")
    check_settings({"run": {"device": "tpu"}}, "none of")


def test_bad_settings_are_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("[run]\nupdates = ")
    assert main([str(tmp_path / "bad.toml")]) == 1
    assert "bad.toml" in capsys.readouterr().err


def test_pieces_become_a_checkpoint(training_directory: WriteSettings, tmp_path: Path) -> None:
    """What the run leaves loads as a model that fills."""
    from model.training.assemble import assemble

    Run(read_config(training_directory("tiny", updates=2)), tmp_path / "run").train()
    assemble(
        tmp_path / "run" / "checkpoints" / "update-000002", tmp_path / "start" / "tokenizer.json", tmp_path / "out"
    )
    checkpoint = load_checkpoint(tmp_path / "out")
    assert checkpoint.capabilities.adapted
    assert json.loads((tmp_path / "out" / "setfill.json").read_text())["name"] == "run"


def test_weights_are_moved_towards_the_base(training_directory: WriteSettings, tmp_path: Path) -> None:
    from model.training.assemble import assemble, towards

    Run(read_config(training_directory("tiny", updates=2)), tmp_path / "run").train()
    start, pieces = tmp_path / "start", tmp_path / "run" / "checkpoints" / "update-000002"
    for name, share in (("none", 0.0), ("half", 0.5)):
        assemble(pieces, start / "tokenizer.json", tmp_path / name, "float32", start, share)
    trained, mixed = load_checkpoint(tmp_path / "none"), load_checkpoint(tmp_path / "half")
    base = load_start(start)[1]
    special = [MASK, INFILL, EOI]
    for name, tensor in mixed.tensors.items():
        mean = (trained.tensors[name] + base[name]) / 2
        if name == "embed_tokens.weight":
            mean[special] = trained.tensors[name][special]
        torch.testing.assert_close(tensor, mean)
        assert not torch.equal(tensor, trained.tensors[name])
    with pytest.raises(InputError, match="at least 0 and below 1"):
        assemble(pieces, start / "tokenizer.json", tmp_path / "bad", base=start, base_share=1.0)
    assert not (tmp_path / "bad").exists()
    with pytest.raises(InputError, match="other weights"):
        towards(tiny_checkpoint(layers=1), base, 0.5)
