"""Places where suggestions are asked for, what is kept of the answers, and what is fitted to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.worth_cases import Asked, Suggested, asked_places, collect, suggested
from benchmarks.worth_fit import auc, calibrated, chances, fitted, folded, folded_calibration, gain, rightness
from lsp_server.lengths import Growth
from model.api.types import Infill, InfillRequest
from model.evaluation.cutting import Source
from model.worker.engine import Engine

CODE = "".join(f"def area_{n}(radius):\n    square = radius * radius\n    return {n} * square\n\n\n" for n in range(6))


def source(package: str = "p") -> Source:
    return Source(f"{package}/areas.py", "areas.py", "python", CODE)


def test_places_look_as_while_typing() -> None:
    """Whole lines are asked for behind their indentation; nothing that is to come stands in the text yet."""
    places = asked_places([source()], 16, seed=1)
    assert {asked.kind for asked in places} == {"rest", "line", "lines", "word"}
    for asked in places:
        assert asked.text == CODE[: asked.start] + CODE[asked.end :]
        assert CODE[asked.start : asked.end].strip()
        if asked.kind in ("line", "lines"):
            assert CODE[asked.end] == "\n"
        if asked.kind == "line":
            assert not CODE[CODE.rindex("\n", 0, asked.start) + 1 : asked.start].strip()
            assert not CODE[asked.start].isspace()


def test_an_interrupted_collection_goes_on(tiny_model: Path, tmp_path: Path) -> None:
    engine = Engine.load(tiny_model, "float32")
    places, path = asked_places([source()], 6, seed=1), tmp_path / "answers.jsonl"
    seen: list[int] = []
    collect(engine, places[:3], path, lambda done, total: seen.append(done))
    first = path.read_text()
    collect(engine, places, path, lambda done, total: seen.append(done))
    assert path.read_text().startswith(first)
    assert seen == [1, 2, 3, 4, 5, 6]
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["key"] for record in records if "key" in record] == [asked.key for asked in places]
    assert sum("file" in record for record in records) == 1
    found, asked_about = suggested(path)
    assert asked_about == [asked for asked in places if asked in asked_about]
    assert {example.asked.key for example in found} <= {asked.key for asked in places}


def test_of_a_text_that_goes_on_the_lines_that_are_shown_are_kept(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are what the model says there if nobody stops it, and it is asked once."""
    asked: list[InfillRequest] = []
    infill = Engine.infill

    def noted(engine: Engine, request: InfillRequest, *watching: Any) -> Infill:
        asked.append(request)
        return infill(engine, request, *watching)

    def said(name: str) -> list[dict[str, Any]]:
        collect(engine, places, tmp_path / name, lambda done, total: None)
        records = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        return [record["said"] for record in records if record.get("said")]

    monkeypatch.setattr(Engine, "infill", noted)
    engine, places = Engine.load(tiny_model, "float32"), asked_places([source()], 16, seed=1)
    stopped = said("stopped.jsonl")
    assert len(asked) == len(stopped)
    monkeypatch.setattr(Growth, "take", lambda growth, partial: None)
    whole = said("whole.jsonl")
    for short, long in zip(stopped, whole, strict=True):
        assert long["text"].startswith(short["text"])
        assert long["logprobs"][: short["tokens"]] == pytest.approx(short["logprobs"], abs=1e-5)
    assert stopped != whole, "some texts go on"


def example(package: str, confidence: float, *, is_right: bool) -> Suggested:
    return Suggested(Asked(source(package), "rest", 1, 2), "", {"confidence": confidence}, is_right)


def test_what_tells_right_from_wrong_is_weighed() -> None:
    examples = [example(f"p{n % 5}", n / 40, is_right=n % 40 > 19) for n in range(40)]
    classifier = fitted(examples, ["confidence"])
    assert classifier.weighed[0].weight > 1
    assert chances(classifier, examples) == sorted(chances(classifier, examples))
    right = np.array([float(each.is_right) for each in examples])
    assert auc(folded(examples, ["confidence"]), right) > 0.9


def test_chances_that_were_too_high_are_calibrated() -> None:
    """Weights stay, so the order of suggestions does; as many are right as the chances say, in all."""
    before = [example(f"p{n % 5}", n / 40, is_right=n % 40 > 9) for n in range(40)]
    now = [example(f"p{n % 5}", n / 40, is_right=n % 40 > 19 and n % 3 > 0) for n in range(40)]
    shipped = fitted(before, ["confidence"])
    assert sum(chances(shipped, now)) > 25
    found = calibrated(shipped, now)
    assert found.weighed == shipped.weighed
    assert sum(chances(found, now)) == pytest.approx(sum(each.is_right for each in now), abs=1e-3)
    right = np.array([float(each.is_right) for each in now])
    assert folded_calibration(shipped, now).sum() == pytest.approx(right.sum(), rel=0.15)
    assert auc(folded_calibration(shipped, now), right) > 0.7


def test_measures_by_hand() -> None:
    right = np.array([1.0, 0.0, 1.0, 0.0])
    scores, before = np.array([0.9, 0.2, 0.8, 0.1]), np.array([0.1, 0.9, 0.2, 0.8])
    assert auc(scores, right) == 1
    assert auc(np.ones(4), right) == 0.5
    assert rightness(scores, right, 2) == 1
    assert rightness(scores, right, 4) == 0.5
    found = gain(scores, before, right, 0.5, ["a", "a", "b", "b"])
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))
