"""The installed model looks at real code with a planted fault."""

from __future__ import annotations

import asyncio

import pytest

from lint.expected import with_expected
from lint.records import ChangedFile, Finding
from lint.scoring import score_lines
from lint.surprise import finding_of, probabilities
from model.api.client import WorkerClient, WorkerOptions
from tests.lint.checks import changed
from tests.model.real import real_model

RIGHT = '''\
def binary_search(values, wanted):
    """Return the index of `wanted` in the sorted list `values`, or -1."""
    low = 0
    high = len(values) - 1
    while low <= high:
        middle = (low + high) // 2
        if values[middle] == wanted:
            return middle
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle - 1
    return -1
'''
WRONG = RIGHT.replace("high = middle - 1", "high = wanted - 1")
LINE = 12


async def look(file: ChangedFile) -> tuple[dict[int, float], Finding]:
    """How likely each line is to be wrong, and what is said of the one with the fault."""
    async with WorkerClient(WorkerOptions(str(real_model()))) as client:
        scores = await score_lines(client, file, range(1, len(file.lines) + 1))
        likely = probabilities(file, scores)
        return likely, await with_expected(client, file, finding_of(file, scores[LINE], likely[LINE]))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_planted_fault_is_found_and_the_right_line_expected() -> None:
    likely, finding = asyncio.run(look(changed("search.py", WRONG)))
    assert max(likely, key=lambda line: likely[line]) == LINE
    assert finding.expected == "high = middle - 1"
    unharmed, _ = asyncio.run(look(changed("search.py", RIGHT)))
    assert unharmed[LINE] < likely[LINE] / 2
    assert asyncio.run(look(changed("search.py", WRONG))) == (likely, finding), "another run says something else"
