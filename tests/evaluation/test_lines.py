"""Gaps cut out of source trees: where they lie, what is measured, and the command on a tiny real network."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from model.errors import InputError
from model.evaluation.comparison import compare
from model.evaluation.cutting import CutGap, GapKind, Source, cut_gaps, in_drawn_order
from model.evaluation.line_gaps import LineAnswer, summarise_lines
from setfill import cli
from setfill.eval_lines_command import count_flaws, read_sources

ROOT = Path(__file__).parents[2]
CODE = (ROOT / "grammars" / "places.py").read_text(encoding="utf-8")


def source(name: str = "places.py", text: str = CODE) -> Source:
    return Source(f"tree/{name}", name, "python", text)


def cuts(kind: GapKind, count: int = 12, text: str = CODE, seed: int = 0) -> list[CutGap]:
    return cut_gaps([source(text=text)], [kind], count, seed)


# -- where gaps lie ---------------------------------------------------------------------------


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("kind", list(GapKind))
def test_what_is_cut_out_fills_the_gap(kind: GapKind, line_break: str) -> None:
    text = CODE.replace("\n", line_break)
    found = cuts(kind, 6, text)
    assert len(found) == 6
    for cut in found:
        assert cut.filled(cut.golds) == text
        assert cut.text == cut.filled([""] * len(cut.ranges))
        for cursor, gold in zip(cut.cursors, cut.golds, strict=True):
            assert len(gold.strip()) >= 2
            assert cursor.start == cursor.end
        for one, other in itertools.pairwise(cut.cursors):
            assert one.start < other.start
    assert len({cut.task_id for cut in found}) == 6


def ends(cut: CutGap) -> tuple[str, str]:
    """Return the two characters around each end of a gap."""
    text, gap = cut.source.text, cut.ranges[0]
    return text[gap.start - 1 : gap.start + 1], text[gap.end - 1 : gap.end + 1]


def test_kinds_of_gaps() -> None:
    for cut in cuts(GapKind.REST):
        assert not re.fullmatch(r"\w\w", ends(cut)[0])
        assert cut.text[cut.cursors[0].start] == "\n"
        assert "\n" not in cut.golds[0]
        assert cut.text[: cut.cursors[0].start].rpartition("\n")[2].strip()
    for cut in cuts(GapKind.LINE):
        assert (ends(cut)[0][0], cut.golds[0].count("\n"), cut.golds[0][-1]) == ("\n", 1, "\n")
    for cut in cuts(GapKind.LINES):
        assert (ends(cut)[0][0], cut.golds[0][-1]) == ("\n", "\n")
        assert 2 <= cut.golds[0].count("\n") <= 5
    inside = cuts(GapKind.WORD)
    for cut in inside:
        assert re.fullmatch(r"\w\w", ends(cut)[0])
        assert re.fullmatch(r"\w\w", ends(cut)[1]) or ends(cut)[1][1:] == "\n"
    assert any(re.fullmatch(r"\w\w", ends(cut)[1]) for cut in inside)
    for cut in cuts(GapKind.JOINT):
        assert len(cut.ranges) == 2
        assert 1 <= CODE.count("\n", cut.ranges[0].start, cut.ranges[1].start) <= 12


def test_cuts_follow_from_the_seed_and_the_file_alone() -> None:
    alone = cut_gaps([source()], list(GapKind), 10, seed=1)
    assert alone == cut_gaps([source()], list(GapKind), 10, seed=1)
    assert alone != cut_gaps([source()], list(GapKind), 10, seed=2)
    assert [cut.kind for cut in sorted(alone, key=lambda cut: cut.kind)] == sorted([*GapKind] * 2)
    other = Source("tree/x.go", "x.go", "go", CODE)
    beside = cut_gaps([other, source()], list(GapKind), 10, seed=1)
    assert [cut for cut in beside if cut.source.path == "places.py"] == alone
    names = [f"{number}.py" for number in range(30)]
    drawn = in_drawn_order(names, 3)
    assert drawn != names
    assert [name for name in drawn if name != "7.py"] == in_drawn_order([name for name in names if name != "7.py"], 3)


def test_gaps_of_a_file_do_not_overlap_and_small_files_have_few() -> None:
    many = cut_gaps([source()], list(GapKind), 1000, seed=0)
    places = sorted((cut.ranges[0].start, cut.ranges[-1].end) for cut in many)
    assert 15 < len(many) < 1000
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(places))
    for text in ("", "\n\n\n", "x", "a = 1\n", "é\n" * 9):
        assert cut_gaps([source(text=text)], list(GapKind), 10, seed=0) == []


# -- which files ------------------------------------------------------------------------------


def test_files_that_nobody_wrote_or_that_are_secret_are_left_out(tmp_path: Path) -> None:
    code = CODE[:3000]
    wanted = {"a.py": code, "sub/b.py": code}
    others = {
        "node_modules/c.py": code, ".hidden/d.py": code, "out/e.py": code, "secrets/f.py": code, "g_pb2.py": code,
        "vendor/h.py": code, "i.py": "x = 1\n", "j.py": "x = [" + "1, " * 2000 + "]\n", "k.txt": code,
        "kept.log.py": code,
    }  # fmt: skip
    for name, text in {**wanted, **others}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "l.py").write_bytes(b"\xff" * 1000)
    (tmp_path / "m.py").symlink_to(tmp_path / "a.py")
    (tmp_path / ".gitignore").write_text("out/\n*.log.py\n")
    found = read_sources([tmp_path], ["python"], 99, seed=0)
    assert {file.path for file in found} == set(wanted)
    assert {file.name for file in found} == {f"{tmp_path.name}/{name}" for name in wanted}
    assert len(read_sources([tmp_path], ["python"], 1, seed=0)) == 1
    assert read_sources([tmp_path], ["go"], 99, seed=0) == []
    (alone,) = read_sources([tmp_path / "a.py"], ["python"], 99, seed=0)
    assert (alone.name, alone.path) == ("a.py", "a.py")
    with pytest.raises(InputError, match="is not there"):
        read_sources([tmp_path / "none"], ["python"], 99, seed=0)


def test_syntax_errors_are_counted_by_the_grammars() -> None:
    assert count_flaws("python", "x = 1\n") == 0
    assert (count_flaws("python", "x = (\n") or 0) > 0
    assert (count_flaws("go", "package a\nfunc f() {\n") or 0) > 0
    assert count_flaws("plaintext", "x") is None


# -- measures ---------------------------------------------------------------------------------


def answer(problem: str, number: int, **changes: Any) -> LineAnswer:
    fields: dict[str, Any] = {
        "task_id": f"{problem}:{number}", "problem": problem, "language": "python", "kind": "rest",
        "policy": "verified", "length": "self", "golds": ["abcd"], "texts": ["abxd"], "stops": ["eoi"],
        "logprobs": [[-0.1]], "tokens": 4, "forwards": 2, "ms": 10.0, "context_chars": 0, "exact": False,
        "gold_chars": 4, "right_chars": 2, "right_share": 0.5, "similarity": 0.75, "parses": True,
        "empty_parses": False, "nats": 6.0, "nats_tokens": 3,
    }  # fmt: skip
    return LineAnswer(**(fields | changes))


def test_measures_are_those_computed_by_hand() -> None:
    answers = [
        answer("a", 0, exact=True, right_chars=4, right_share=1.0, similarity=1.0, ms=30.0),
        answer("a", 1, gold_chars=12, right_chars=0, parses=None, kind="joint", nats=None, nats_tokens=0),
        answer("b", 0, parses=False, nats=3.0, nats_tokens=1, language="go", tokens=6, forwards=1, ms=20.0),
    ]  # fmt: skip
    (row,) = summarise_lines(answers)
    assert (row["policy"], row["gaps"], row["problems"]) == ("verified", 3, 2)
    assert row["exact"]["value"] == round(1 / 3, 4)
    assert row["right_chars"]["value"] == round(6 / 20, 4)
    assert row["similarity"]["value"] == round(2.5 / 3, 4)
    assert row["parses"]["value"] == 1 / 2
    assert row["nats_per_token"]["value"] == 9 / 4
    assert row["tokens_per_forward"]["value"] == 14 / 5
    assert (row["ms"]["value"], row["ms_median"]) == (20.0, 20.0)
    assert row["by_language"]["go"]["gaps"] == 1
    assert row["by_kind"]["joint"]["nats_per_token"] is None


def test_two_runs_and_two_policies_of_one_are_compared() -> None:
    first = [answer("a", 0), answer("b", 0, nats=None)]
    second = [answer("a", 0, nats=4.5, right_share=1.0), answer("b", 0, exact=True)]
    reports = [
        {"kind": "lines", "settings": {"policies": ["verified"]}, "answers": [vars(each) for each in answers]}
        for answers in (first, second)
    ]
    (pair,) = compare(*reports)
    assert (pair["exact"]["value"], pair["exact"]["only_second"]) == (0.5, 1)
    assert (pair["nats"]["value"], pair["nats"]["only_first"]) == (-1.5, 1)
    assert (pair["right_share"]["value"], pair["right_share"]["only_second"]) == (0.25, 1)
    shown = [vars(each) | {"policy": "verified, all"} for each in second]
    both = {"kind": "lines", "settings": {"policies": ["verified", "verified, all"]}}
    (own,) = compare(both | {"answers": reports[0]["answers"] + shown}, None)
    assert own == pair | {"policies": ["verified", "verified, all"]}
    for other in (reports[1] | {"kind": "infilling"}, None):
        with pytest.raises(InputError, match="compar"):
            compare(reports[0], other)


# -- the command ------------------------------------------------------------------------------


def test_the_command_and_its_going_on(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run of 50 gaps that was stopped after twelve minutes once left nothing."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "places.py").write_text(CODE)
    (tree / "brackets.py").write_text((ROOT / "grammars" / "brackets.py").read_text())
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"

    def run(out: Path, *more: str) -> int:
        arguments = ["eval", "lines", str(tree), "--model", str(tiny_model), "--precision", "float32"]
        policies = ["--policy", "verified", "--policy", "beam:2"]
        return cli.run([*arguments, *policies, "--gaps", "10", "--max-tokens", "6", "--out", str(out), *more])

    assert run(whole) == 0
    told = capsys.readouterr()
    assert "| beam:2 | 10 |" in told.out
    assert "0 of 10 gaps" in told.err
    report = json.loads(whole.read_text())
    assert not whole.with_suffix(".jsonl").exists()
    assert "## By kind" in whole.with_suffix(".md").read_text()
    assert len(report["answers"]) == 20
    for each in report["answers"]:
        assert each["exact"] == (each["texts"] == each["golds"])
        assert (each["nats"] is None) == (each["kind"] == "joint")
        assert each["nats"] is None or each["nats"] > 0

    facts = {name: report[name] for name in ("model", "settings")}
    kept = part.with_suffix(".jsonl")
    kept.write_text(json.dumps({"run": facts | {"data": "others"}}) + "\n")
    assert run(part) == 2
    assert "another data" in capsys.readouterr().err

    # Exact where it went on: answers that were there are not computed again, half an answer is.
    kept.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.evaluation.line_gaps.summarise_lines", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(part)
    assert "goes on from there" in capsys.readouterr().err
    lines = kept.read_text().splitlines(keepends=True)
    marked = json.loads(lines[1]) | {"ms": 12345.0}
    kept.write_text("".join([lines[0], json.dumps(marked) + "\n", *lines[2:8], lines[8][:40]]))
    assert run(part) == 0
    again = json.loads(part.read_text())
    assert said(again) == said(report)
    assert [each["ms"] for each in again["answers"]].count(12345.0) == 1
    capsys.readouterr()
    assert cli.run(["eval", "compare", str(whole), str(part)]) == 0
    assert "+0.000 [+0.000, +0.000]" in capsys.readouterr().out


def said(report: dict[str, Any]) -> list[Any]:
    """Return what does not depend on how fast forwards were, which decides how many tokens are drafted."""
    names = ("task_id", "policy", "texts", "golds", "stops", "similarity", "parses", "nats")
    return sorted([each[name] for name in names] for each in report["answers"])


def interrupted(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_what_the_language_server_would_show_is_shown(tiny_model: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "kinds.py").write_text("class UnusualKind:\n    pass\n\n\n" + "# nothing\n" * 30)
    (tree / "user.py").write_text("from kinds import *\n\nfirst = 1\nfound = UnusualKind()\n" + "other = 2\n" * 30)
    out = tmp_path / "lines.json"
    arguments = ["eval", "lines", str(tree), "--model", str(tiny_model), "--gaps", "9", "--kind", "line"]
    assert cli.run([*arguments, "--cross-file", "--context", "signatures", "--context", "all", "--out", str(out)]) == 0
    answers = json.loads(out.read_text())["answers"]
    assert [each["policy"] for each in answers] == ["verified", "verified, signatures", "verified, all"]
    assert answers[0]["golds"] == ["found = UnusualKind()\n"], "the only one whose name is another file's"
    assert answers[0]["context_chars"] == 0 < answers[1]["context_chars"]
    assert len({each["nats"] for each in answers}) > 1, "the model has seen them"
    assert cli.run(["eval", "compare", str(out)]) == 0


def test_a_model_that_sees_the_prefix_only(tiny_prefix_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "places.py"
    file.write_text(CODE)
    out = tmp_path / "lines.json"
    arguments = ["eval", "lines", str(file), "--model", str(tiny_prefix_model), "--gaps", "4", "--max-tokens", "6"]
    assert cli.run([*arguments, "--kind", "line", "--kind", "joint", "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    assert any("before the gap only" in note for note in report["notes"])
    for each in report["answers"]:
        if each["kind"] == "line" and each["stops"] == ["lines"]:
            assert each["texts"][0].endswith("\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none"], "is not there"),
        ([".", "--language", "klingon"], "unknown language 'klingon'"),
        (["tests/data/tiny_tokenizer.txt"], "no gaps can be cut"),
    ],
)
def test_what_cannot_be_cut_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.run(["eval", "lines", *arguments]) == 2
    assert said in capsys.readouterr().err
