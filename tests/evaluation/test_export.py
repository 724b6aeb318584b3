"""The weights distribution: what is written, what it costs, and that an installed one is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from model import store
from model.checkpoint.description import verify_files
from model.checkpoint.loading import load_checkpoint
from model.errors import CheckpointError, InputError
from model.release import export
from model.release.export import export_model
from model.training.network import TrainerNetwork
from setfill import cli
from tests.model.checkpoint_files import save_huggingface

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def exported(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("weights") / "setfill-135m"
    export_model(tiny_model, target)
    return target


def test_round_trip(tiny_model: Path, exported: Path) -> None:
    verify_files(exported)
    before, after = load_checkpoint(tiny_model), load_checkpoint(exported)
    assert after.name == "setfill-135m"
    assert after.config == before.config
    assert after.capabilities == before.capabilities
    for name in before.tensors:
        original, rounded = before.float_tensor(name), after.float_tensor(name)
        if original.dim() == 1:
            assert torch.equal(original, rounded)
            continue
        assert after.tensors[name].dtype == torch.int8
        step = original.abs().amax(1, keepdim=True) / 127
        assert bool(((original - rounded).abs() <= step * 0.51).all())


def test_the_loss_difference_is_measured(tiny_model: Path, exported: Path) -> None:
    record = json.loads((exported / "export.json").read_text())
    before, clusters = export.losses(load_checkpoint(tiny_model))
    after, _ = export.losses(load_checkpoint(exported))
    assert record["gaps"] == len(before) == len(after) >= 40
    assert len(set(clusters)) >= 5
    assert record["loss_before"] == pytest.approx(sum(before) / len(before))
    assert record["difference"]["value"] == pytest.approx((sum(after) - sum(before)) / len(before))
    assert 0 < abs(record["difference"]["value"]) < 0.2
    assert record["difference"]["low"] <= record["difference"]["value"] <= record["difference"]["high"]


def test_what_is_too_large_or_in_the_way_is_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(CheckpointError, match="something else"):
        export_model(tiny_model, tmp_path / "mine")
    with pytest.raises(CheckpointError, match="something else"):
        export_model(tiny_model, tmp_path / "mine" / "file")
    assert (tmp_path / "mine" / "file").read_text() == "x"
    monkeypatch.setattr(export, "MOST_BYTES", 10_000)
    with pytest.raises(CheckpointError, match="too large"):
        export_model(tiny_model, tmp_path / "large")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_card_is_filled_from_the_records(tiny_model: Path, exported: Path, tmp_path: Path) -> None:
    run, corpus = tmp_path / "run", tmp_path / "corpus"
    for directory, name, content in (
        (corpus, "index.json", {"tokens": 12345678, "documents": 4321, "tokens_by_language": {"python": 9999},
                                 "packages": [{"licence": "MIT"}, {"licence": "ISC"}, {"licence": "MIT"}]}),
        (run, "config.json", {"data": {"corpus": str(corpus)}, "examples": {"objective": "set_causal"},
                              "optimiser": {"rows_per_update": 262144, "peak_rate": 4e-4, "warm_up_updates": 40},
                              "run": {"seed": 3}, "device": "NVIDIA X"}),
    ):  # fmt: skip
        directory.mkdir()
        (directory / name).write_text(json.dumps(content))
    (run / "log.jsonl").write_text(json.dumps({"kinds": {"mask": {"loss": 1.234}}, "elapsed_s": 77}) + "\n")
    rate = {"value": 0.25, "low": 0.2, "high": 0.3}
    rates = dict.fromkeys(("exact", "passed", "parses", "empty_parses", "tokens_per_forward"), rate)
    evaluation: dict[str, Any] = {
        "kind": "infilling", "model": {"precision": "int8"}, "settings": {"tasks": 60}, "notes": [],
        "data": {"name": "single_line.jsonl.gz"},
        "summary": [{"policy": "verified", "length": "self", "ms_median": 5, **rates}],
    }  # fmt: skip
    (tmp_path / "eval.json").write_text(json.dumps(evaluation))
    target = tmp_path / "weights" / "tiny"
    export_model(tiny_model, target, [run], [tmp_path / "eval.json"], "Said beside.")
    card = (target / "README.md").read_text()
    for expected in ("12,345,678 tokens", "python 9,999", "NVIDIA X", "mask 1.234", "single_line.jsonl.gz: 60 gaps",
                     "25.0 [20.0, 30.0]", "## Limits", "Apache-2.0", "nats per token", "Said beside.",
                     "3 packages: MIT 2, ISC 1"):  # fmt: skip
        assert expected in card, expected
    assert (exported / "README.md").read_text().count("No record of this was given") == 3
    with pytest.raises(InputError, match="cannot read"):
        export_model(tiny_model, target, [tmp_path / "no-run"])


def test_the_wheel_is_found(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built, unpacked where packages are, and found by name without a word."""
    monkeypatch.setenv("SETFILL_HOME", str(tmp_path / "home"))
    project = tmp_path / "weights"
    shutil.copytree(ROOT / "weights", project, ignore=shutil.ignore_patterns("setfill-135m", "build", "*.egg-info"))
    shutil.copytree(exported, project / "setfill-135m")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(project)]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("setfill_weights-*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    monkeypatch.syspath_prepend(str(site))
    assert store.find() == site / "setfill_weights"
    assert store.fetch().path == store.find(), "there is nothing to fetch"
    info = store.info()
    assert info.problem is None
    assert info.capabilities is not None
    assert info.capabilities.adapted


def test_the_command(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "setfill-135m"
    assert cli.run(["models", "export", str(tiny_model), str(target)]) == 0
    out = capsys.readouterr().out
    assert "nats per token before" in out
    assert cli.run(["models", "export", str(tiny_model), str(target)]) == 0  # ours is replaced
    assert load_checkpoint(target).name == "setfill-135m"


def test_a_model_that_is_only_run_is_neither_exported_nor_trained(tmp_path: Path) -> None:
    """Behind GELU no channel can be scaled, and the trainer has no LayerNorm: both say so at once."""
    save_huggingface(tmp_path / "starcoder2", "Starcoder2")
    with pytest.raises(CheckpointError, match="starcoder2 models cannot be exported"):
        export_model(tmp_path / "starcoder2", tmp_path / "target")
    assert not (tmp_path / "target").exists()
    checkpoint = load_checkpoint(tmp_path / "starcoder2")
    with pytest.raises(InputError, match="starcoder2 models cannot be trained"):
        TrainerNetwork(checkpoint.config, checkpoint.tensors, torch.float32)
