"""What the benchmark of lines counts, by hand; and that faults are planted as they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.line_cases import Case, ScoredCase, seeded_cases
from benchmarks.line_fit import Sheet, reliability
from benchmarks.line_ranking import RankedFile, ngram_surprises
from benchmarks.seeded_faults import seeded_files

PACKAGES = Path(__file__).resolve().parents[2]


def ranked(scores: tuple[float, ...], wrong: set[int]) -> RankedFile:
    return RankedFile("c", "python", "name", scores, tuple(index in wrong for index in range(len(scores))))


def test_area_counts_ties_half() -> None:
    assert ranked((3.0, 2.0, 1.0), {0}).area() == 1.0
    assert ranked((3.0, 2.0, 1.0), {1}).area() == 0.5
    assert ranked((2.0, 2.0, 1.0), {0}).area() == 0.75
    assert ranked((3.0, 2.0, 1.0, 0.0), {0, 3}).area() == 0.5


def test_top_lines_are_drawn_among_ties() -> None:
    assert ranked((3.0, 2.0, 1.0), {1}).found_in_top(1) == 0.0
    assert ranked((3.0, 2.0, 1.0), {1}).found_in_top(2) == 1.0
    assert ranked((1.0, 1.0, 1.0, 1.0), {2}).found_in_top(3) == pytest.approx(0.75)
    assert ranked((1.0, 1.0, 1.0, 1.0), {0, 1}).found_in_top(1) == pytest.approx(0.5)
    assert ranked((1.0,), {0}).found_in_top(3) == 1.0


def test_a_line_does_not_explain_itself() -> None:
    """What stands in no other line surprises most; what stands in every other, least."""
    odd, *others = (sum(line) for line in ngram_surprises(["x = qq(z)", "y = f(a)", "y = f(a)", "y = f(a)"]))
    assert odd > 2 * max(others)


def test_faults_are_planted_where_they_say() -> None:
    """In files of this repository: one line is wrong, or missing, or doubled; always the same ones."""
    files = list(seeded_files([PACKAGES], [".py"]))[:6]
    assert files == list(seeded_files([PACKAGES], [".py"]))[:6]
    assert len(files) == 6
    for file in files:
        lines = file.text.split("\n")
        for fault in file.faults:
            if fault.was is not None:
                assert lines[fault.line - 1] != fault.was
            if fault.kind == "doubled":
                assert lines[fault.line - 1] == lines[fault.line - 2]
            if fault.kind == "name":
                assert len(lines[fault.line - 1].split()) == len((fault.was or "").split())
    assert [case.kinds for case in seeded_cases(files)] == [{f.line: f.kind for f in file.faults} for file in files]


def test_reliability_counts_lines_between_edges() -> None:
    """Two files with odds of a half and of nearly nothing; the share is of all lines, its interval of whole files."""
    files = []
    for cluster, is_wrong in (("a", (True, False, False)), ("b", (True, True, False))):
        case = Case(cluster, cluster, "python", "a.py", "", {}, {})
        files.append(Sheet(ScoredCase(case, {}), (1, 2, 3), [], [], is_wrong))
    low, middle, high = reliability(files, [[0.0, 0.0, -9.0], [0.0, 0.0, -9.0]], (0.0, 0.3, 0.6, 1.0))
    assert low[1:3] == (2, 0)
    assert middle[:3] == (0.5, 4, 3)
    share = middle[3]
    assert share is not None
    assert (share.low, share.value, share.high) == (0.5, 0.75, 1.0)
    assert high == (0.0, 0, 0, None)
