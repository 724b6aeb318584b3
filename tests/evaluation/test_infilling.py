"""Tasks, metrics against values computed by hand, intervals, reports, and the command on a tiny real network."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from model.errors import InputError
from model.evaluation.comparison import compare
from model.evaluation.infilling import Answer, parses, summarise
from model.evaluation.report import comparison_table, infilling_page, speed_quality_plot
from model.evaluation.sandbox import Sandbox
from model.evaluation.statistics import clustered_mean, clustered_ratio
from model.evaluation.tasks import Boundary, Task, read_tasks
from setfill import cli

DATA = Path(__file__).parents[1] / "data" / "human_eval_infilling-14.jsonl"


# -- tasks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "gold", "suffix", "expected"),
    [
        ("a = 1\n", "b = 2\n", "c = 3\n", Boundary.LINES),
        ("a = 1\n", "b = 2", "\nc = 3\n", Boundary.LINES),
        ("", "b = 2", "", Boundary.LINES),
        ("a = ", "1", "\nb", Boundary.INSIDE),
        ("a = 1\n", "b = ", "(2)\n", Boundary.INSIDE),
        ("na", "me = 1\n", "b", Boundary.WORD),
        ("x = ", "na", "me\n", Boundary.WORD),
        ("a\n", "\n", "b", Boundary.LINES),
    ],
)
def test_boundary_kinds(prefix: str, gold: str, suffix: str, expected: Boundary) -> None:
    assert Task("t", "p", prefix, suffix, gold, "").boundary is expected


def test_what_stood_in_a_gap_passes(sandbox: Sandbox) -> None:
    tasks = read_tasks(DATA)
    assert (len(tasks), len({task.problem for task in tasks})) == (14, 4)
    assert sum(task.is_single_line for task in tasks) == 10
    for task in tasks[::5]:
        assert sandbox.run(task.program(task.gold)).passed
        assert not sandbox.run(task.program("raise ValueError\n")).passed


def test_mbpp(sandbox: Sandbox, tmp_path: Path) -> None:
    row = {
        "text": "Write a function to add.",
        "code": "def add(a, b):\r\n  total = a + b\r\n  return total",
        "task_id": 7,
        "test_setup_code": "",
        "test_list": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
    }
    path = tmp_path / "mbpp.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(row).encode()))
    (task,) = read_tasks(path)
    assert task.problem == "MBPP/7"
    assert task.gold in ("  total = a + b\n", "  return total\n")
    assert sandbox.run(task.program(task.gold)).passed


def test_a_draw_of_tasks_is_repeatable_and_bad_files_are_refused(tmp_path: Path) -> None:
    assert read_tasks(DATA, 5, seed=1) == read_tasks(DATA, 5, seed=1) != read_tasks(DATA, 5, seed=2)
    for content in ("", "not json", '{"task_id": "x"}', "[]"):
        path = tmp_path / "bad.jsonl"
        path.write_text(content)
        with pytest.raises(InputError, match=r"bad\.jsonl"):
            read_tasks(path)
    with pytest.raises(InputError):
        read_tasks(tmp_path / "none.jsonl")


# -- measures ---------------------------------------------------------------------------------


def answer(problem: str, number: int, **changes: Any) -> Answer:
    fields: dict[str, Any] = {
        "task_id": f"{problem}/L{number}", "problem": problem, "boundary": "whole lines", "policy": "verified",
        "length": "self", "text": "", "stop": "eoi", "tokens": 4, "forwards": 2, "ms": 10.0, "exact": False,
        "passed": False, "ending": "failed", "parses": True, "empty_parses": False,
    }  # fmt: skip
    return Answer(**(fields | changes))


ANSWERS = [
    answer("A", 0, exact=True, passed=True, ending="passed", tokens=6, forwards=2),
    answer("A", 1, passed=True, ending="passed", tokens=2, forwards=2, ms=30.0),
    answer("A", 2, parses=False, tokens=3, forwards=3, stop="tokens"),
    answer("B", 0, empty_parses=True, boundary="inside a word", tokens=5, forwards=1, ms=20.0),
    answer("B", 0, length="gold", exact=True, passed=True, ending="passed"),
]


def test_measures_are_those_computed_by_hand() -> None:
    own, gold = summarise(ANSWERS)
    assert (own["policy"], own["length"], own["gaps"], own["problems"]) == ("verified", "self", 4, 2)
    assert own["exact"]["value"] == 1 / 4
    assert own["passed"]["value"] == 2 / 4
    assert own["parses"]["value"] == 3 / 4
    assert own["empty_parses"]["value"] == 1 / 4
    assert own["tokens_per_forward"]["value"] == 16 / 8
    assert (own["tokens"], own["forwards"], own["ms_median"]) == (16, 8, 15.0)
    assert own["stops"] == {"eoi": 3, "tokens": 1}
    assert own["endings"] == {"failed": 2, "passed": 2}
    assert own["by_boundary"]["inside a word"]["passed"]["value"] == 0
    assert own["by_boundary"]["whole lines"]["passed"]["value"] == round(2 / 3, 4)
    assert (gold["length"], gold["passed"]["value"], gold["gaps"]) == ("gold", 1, 1)


def test_what_parses() -> None:
    assert parses("x = 1\n")
    assert parses("'\\d'")  # a warning is no error
    for text in ("x = (", "def f():\n", "\0", "(" * 5000):
        assert not parses(text)


def test_intervals_know_clusters() -> None:
    values = [1.0] * 50 + [0.0] * 50
    alone = clustered_mean(values, range(100))
    together = clustered_mean(values, [index // 10 for index in range(100)])
    assert alone.value == together.value == 0.5
    assert alone.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.02)  # the standard error of 100 coins
    assert alone.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.02)
    assert together.high - together.low == pytest.approx((alone.high - alone.low) * 10**0.5, rel=0.15)
    assert clustered_mean(values, range(100)) == alone  # seeded
    same = clustered_mean([1.0, 1.0], "ab")
    assert (same.low, same.value, same.high) == (1, 1, 1)
    ratio = clustered_ratio([2, 4], [1, 1], "ab")
    assert (ratio.low, ratio.value, ratio.high) == (2, 3, 4)


def report(answers: list[Answer], policies: list[str]) -> dict[str, Any]:
    return {
        "kind": "infilling", "model": {"name": "tiny", "precision": "float32"}, "notes": ["A note."],
        "settings": {"policies": policies, "tasks": len(answers)}, "summary": summarise(answers),
        "answers": [vars(each) for each in answers],
    }  # fmt: skip


def test_paired_comparison() -> None:
    better = [answer("A", n, passed=True, exact=n == 0) for n in range(3)] + [answer("B", 0, parses=False)]
    (pair,) = compare(report(ANSWERS, ["verified"]), report(better, ["verified"]))
    assert (pair["length"], pair["gaps"]) == ("self", 4)
    assert pair["passed"]["value"] == 1 / 4
    assert (pair["passed"]["only_first"], pair["passed"]["only_second"]) == (0, 1)
    assert pair["parses"]["value"] == 0
    assert (pair["parses"]["only_first"], pair["parses"]["only_second"]) == (1, 1)
    assert "+25.0" in comparison_table([pair])
    other = [answer("A", 0, policy="uniform")]
    assert compare(report(ANSWERS, ["verified"]), report(other, ["uniform"]))[0]["policies"] == ["verified", "uniform"]
    with pytest.raises(InputError):
        compare(report(ANSWERS, ["verified"]), report([answer("C", 9)], ["verified"]))


def test_pages() -> None:
    made = report(ANSWERS, ["verified"])
    page = infilling_page(made, "plot.svg")
    assert "A note." in page
    assert "| verified | self | 25.0 [0.0, 33.3] | 50.0 [0.0, 66.7] |" in page
    assert "inside a word" in page
    plot = speed_quality_plot(made["summary"])
    assert plot.startswith("<svg")
    assert "verified, gold" in plot


# -- the command ------------------------------------------------------------------------------


def test_the_command(
    tiny_model: Path, isolation: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "reports" / "tiny.json"
    policies = [f"--policy={name}" for name in ("verified", "left_to_right", "block:4", "window:4", "uniform")]
    arguments = ["eval", "infilling", str(DATA), "--limit", "2", "--model", str(tiny_model), "--out", str(out)]
    assert cli.run([*arguments, "--max-tokens", "8", *isolation, *policies]) == 0
    shown = capsys.readouterr().out
    made = json.loads(out.read_text())
    assert [(row["policy"], row["length"]) for row in made["summary"]] == [
        (name, length)
        for name in ("verified", "left_to_right", "block:4", "window:4", "uniform")
        for length in ("self", "gold")
    ]
    assert len(made["answers"]) == 20
    assert "window:4" in shown
    assert out.with_suffix(".md").exists()
    assert out.with_suffix(".svg").read_text().startswith("<svg")
    texts = {(a["task_id"], a["policy"], a["length"]): a["text"] for a in made["answers"]}
    for (task_id, policy, length), text in texts.items():
        if policy == "verified":
            assert text == texts[task_id, "left_to_right", length]
    assert cli.run(["eval", "compare", str(out), str(out)]) == 0
    assert "+0.0 [+0.0, +0.0]" in capsys.readouterr().out


def test_a_model_that_sees_the_prefix_only(tiny_prefix_model: Path, isolation: list[str], tmp_path: Path) -> None:
    data = tmp_path / "lines.jsonl"
    data.write_text("".join(DATA.read_text().splitlines(keepends=True)[:2]))
    out = tmp_path / "prefix.json"
    arguments = ["eval", "infilling", str(data), "--model", str(tiny_prefix_model), "--out", str(out)]
    arguments += ["--max-tokens", "8", *isolation]
    assert cli.run([*arguments, "--policy", "verified", "--policy", "uniform"]) == 0
    made = json.loads(out.read_text())
    assert {row["policy"] for row in made["summary"]} == {"verified"}
    assert any("uniform" in note for note in made["notes"])
    assert any("before the gap only" in note for note in made["notes"])
    assert all(answer["text"].count("\n") == 1 for answer in made["answers"] if answer["length"] == "self")
    assert cli.run([*arguments, "--policy", "uniform"]) == 2
