"""How workers are started: with what of the environment, and by what name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from model.api import launch
from model.api.launch import WorkerOptions, clean_environment, worker_command
from tests.model.worker.helpers import ROOT


@pytest.mark.parametrize(
    ("flags", "turns"),
    [
        ({"avx2"}, "10000"),
        ({"avx2", "avx_vnni"}, "1000"),
        ({"avx2", "avx512_vnni"}, "1000"),
        ({"asimd"}, "1000"),
        (set(), "1000"),
    ],
)
def test_threads_spin_longer_where_forwards_choose_how_many_there_are(flags: set[str], turns: str) -> None:
    assert launch._spin_turns(flags) == turns


def test_the_environment_is_rid_of_what_changes_imports() -> None:
    given = {"PYTHONPATH": "/x", "PYTHONHOME": "/x", "PYTHONSTARTUP": "/x", "PYTHONUTF8": "1", "HOME": "/h"}
    cleaned = clean_environment(given)
    assert {name: value for name, value in cleaned.items() if name in given} == {"PYTHONUTF8": "1", "HOME": "/h"}


def test_waiting_threads_do_not_spin_unless_the_user_says_so() -> None:
    assert clean_environment({})["GOMP_SPINCOUNT"] in ("1000", "10000")
    assert clean_environment({"GOMP_SPINCOUNT": "7"})["GOMP_SPINCOUNT"] == "7"


def test_the_worker_is_run_by_path_and_without_the_working_directory() -> None:
    command = worker_command(WorkerOptions("name", precision="int8", threads=3, memory_budget_mb=100))
    assert command[:3] == [sys.executable, "-P", str(ROOT / "model" / "worker")]
    assert command[3:] == [
        *("--model", "name", "--memory-budget-mb", "100"),
        *("--precision", "int8", "--threads", "3"),
    ]


def test_a_relative_path_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert WorkerOptions("./model").model == os.path.join(os.getcwd(), "model")
    assert WorkerOptions("setfill-135m").model == "setfill-135m"
    assert WorkerOptions("a", running="./model").running == os.path.join(os.getcwd(), "model")
