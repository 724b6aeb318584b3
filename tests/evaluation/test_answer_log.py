"""Answers kept as they come: by every measurement, on any disk, and told without a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model.checkpoint.loading import load_checkpoint
from model.errors import InputError
from model.evaluation.answer_log import AnswerLog
from model.evaluation.drift import session_drift
from model.evaluation.edit_trace import read_trace
from model.evaluation.infilling import Settings, evaluate
from model.evaluation.sandbox import Sandbox
from model.evaluation.tasks import read_tasks
from setfill.eval_progress import progress_of

DATA = Path(__file__).parents[1] / "data"


def add(path: Path, *answers: int, run: Any = 1) -> list[Any]:
    """Open a log, return what it had, and add answers."""
    with AnswerLog(path, {"run": run, "length": (1, 2)}) as log:
        before = list(log.answers)
        for answer in answers:
            log.add({"n": answer})
        assert [each["n"] for each in log.answers[len(before) :]] == list(answers)
    return [answer["n"] for answer in before]


def test_answers_are_there_again(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "run.jsonl"
    assert add(path, 1, 2) == []
    assert add(path, 3) == [1, 2]
    with path.open("a") as file:
        file.write('{"n": 4')  # the process ended while it wrote
    assert add(path, 5) == [1, 2, 3]
    assert add(path) == [1, 2, 3, 5]
    path.write_text(path.read_text()[:20])  # while it wrote the very first line
    assert add(path, 1) == []
    assert add(path) == [1]
    path.write_text("\n")
    assert add(path, 1) == []
    assert add(path) == [1]


def test_another_run_is_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    add(path, 1)
    before = path.read_bytes()
    with pytest.raises(InputError, match="another run:"):
        add(path, 2, run=2)
    assert path.read_bytes() == before
    for content in ("[1]\n", "no\n", '{"n": 1}\n', '{"run": 3}\n'):
        path.write_text(content)
        with pytest.raises(InputError, match=r"run\.jsonl does not hold answers"):
            add(path)
    path.write_bytes(b"\xff\n")
    with pytest.raises(InputError, match=r"run\.jsonl"):
        add(path)
    with pytest.raises(InputError, match="cannot keep answers"):
        add(tmp_path)


def test_an_interrupted_benchmark_goes_on(tiny_model: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    log, checkpoint = tmp_path / "run.jsonl", load_checkpoint(tiny_model)
    tasks = read_tasks(DATA / "human_eval_infilling-14.jsonl", 2)
    settings = Settings(("verified", "left_to_right"), ("self",), "float32", max_tokens=4)
    whole = evaluate(checkpoint, tasks, sandbox, settings, log=log)
    lines = log.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 4
    log.write_text("".join([lines[0], lines[1].replace('"ms": ', '"ms": 777')]))
    again = evaluate(checkpoint, tasks, sandbox, settings, log=log)
    assert [{**each, "ms": 0} for each in again["answers"]] == [{**each, "ms": 0} for each in whole["answers"]]
    assert str(again["answers"][0]["ms"]).startswith("777")
    with pytest.raises(InputError, match="another data"):
        evaluate(checkpoint, tasks[:1] * 2, sandbox, settings, log=log)


def test_an_interrupted_session_goes_on(tiny_model: Path, tmp_path: Path) -> None:
    log, checkpoint = tmp_path / "run.jsonl", load_checkpoint(tiny_model)
    trace = read_trace(DATA / "rustcode-5000.json.gz")
    whole = session_drift(checkpoint, trace, samples=5, first=200, edits=12, log=log)
    lines = log.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 5
    log.write_text("".join(lines[:3]))
    assert session_drift(checkpoint, trace, samples=5, first=200, edits=12, log=log) == whole
    assert log.read_text().splitlines(keepends=True) == lines


def test_progress_is_told_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with progress_of("gaps", lambda: now) as tell:
        for done, seconds in [(5, 0.0), (6, 10.0), (7, 29.0), (8, 33.0), (9, 40.0), (105, 1000.0), (1005, 2000.0)]:
            now = seconds
            tell(done, 1005)
    assert capsys.readouterr().err.splitlines() == [
        "5 of 1005 gaps",
        "8 of 1005 gaps, about 3.0 h to go",
        "105 of 1005 gaps, about 2.5 h to go",
        "1005 of 1005 gaps",
    ]


def test_reports_of_losses_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from setfill import cli

    out = tmp_path / "loss.json"
    monkeypatch.setattr("model.evaluation.held_out.held_out_loss", _losses)
    monkeypatch.setattr("setfill.eval_command.checkpoint_of", lambda name: None)
    assert cli.run(["eval", "loss", str(tmp_path), "--json", "--out", str(out)]) == 0
    assert json.loads(out.read_text()) == {"units": 16}
    assert not out.with_suffix(".jsonl").exists()


def _losses(checkpoint: object, corpus: Path, units: int, examples: object, progress: Any, log: Path) -> dict[str, int]:
    with AnswerLog(log, {}) as kept:
        kept.add({"n": 1})
    assert log.exists()
    return {"units": units}
