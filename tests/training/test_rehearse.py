"""The pieces of `make rehearse` that go wrong silently: blindness, and gaps to evaluate. It runs whole by hand."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch

from model.evaluation.tasks import read_tasks
from model.training.config import parse_config
from model.training.rehearse import EVALUATED_GAPS, SETTINGS, blind_to_suffix, functions, write_tasks
from model.training.rows import FIRST_BEGIN, GROUP_END
from model.training.visibility import dense_mask
from tests.model.tiny import SINK
from tests.training.tiny_training import built_window


def test_settings_are_read() -> None:
    assert parse_config(tomllib.loads(SETTINGS)).run.device == "cpu"


@pytest.mark.parametrize("seed", range(6))
def test_a_blind_gap_row_sees_all_but_the_right_island(seed: int) -> None:
    built = built_window(seed)
    unit, islands = built.unit, len(built.window.islands)
    sinks = (unit.token_ids == SINK).nonzero()[0]
    right = slice(int(sinks[islands]), int(sinks[islands + 1]))
    seeing, blind = (dense_mask(torch.from_numpy(each.sees)[None])[0] for each in (unit, blind_to_suffix(unit, SINK)))
    # Rows of a gap's own before its `<infill>`, and islands between gaps, have no first range of this kind.
    gap_rows = torch.from_numpy((unit.sees[:, GROUP_END] > 0) & (unit.sees[:, FIRST_BEGIN] <= right.start))
    assert gap_rows.any()
    assert seeing[gap_rows, right].any(1).all()
    assert not blind[gap_rows, right].any()
    seeing[gap_rows, right] = False
    assert torch.equal(seeing, blind)


SOURCE = '''
class Cache:
    """Keeps."""

    @property
    def size(self): return 3

    def one_line(self): return 4

    def get{number}(self, key: Unknown) -> Missing | None:
        """Return what is kept."""
        value = self._entries.setdefault(key, "naïve")

        return value

    def put(self, key, value=[]):
        self._entries[key] = value
'''


def test_functions_that_stand_alone() -> None:
    """Not those with decorators or defaults, which would be evaluated, nor those of one line."""
    ((name, source),) = functions(SOURCE.replace("{number}", ""))
    assert name == "get"
    assert source.startswith("def get(self, key: Unknown)")
    assert source.endswith("\n    return value\n")


def test_evaluated_gaps(tmp_path: Path) -> None:
    """What stood in a gap passes, and an infill that does not parse fails."""
    write_tasks([(f"{n}.py", SOURCE.replace("{number}", str(n))) for n in range(50)], tmp_path / "tasks.jsonl")
    tasks = read_tasks(tmp_path / "tasks.jsonl")
    assert len({task.problem for task in tasks}) == EVALUATED_GAPS
    for task in tasks:
        assert task.gold == 'etdefault(key, "naïve")'
        exec(task.program(task.gold), {})
        with pytest.raises(SyntaxError):
            exec(task.program("("), {})
