"""How well rankings of lines find the wrong ones, with intervals that know what belongs together.

Also the rankings to be better than: by length, by an n-gram model of the file.
Knows lines and numbers; knows no model.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from model.evaluation.statistics import Estimate, clustered_mean

_PIECE = re.compile(r"[^\W\d]\w*|\d+|[^\w\s]")
_WEIGHTS = (0.5, 0.3, 0.2)  # of three, two and one pieces


@dataclass(frozen=True)
class RankedFile:
    """The lines of a file, each with its score (greater is more suspicious) and whether it is wrong."""

    cluster: str
    language: str
    kind: str  # of the fault
    scores: tuple[float, ...]
    is_wrong: tuple[bool, ...]

    def area(self) -> float:
        """Return the chance that a wrong line has a greater score than a right one, ties counting half."""
        wrong = [score for score, is_wrong in zip(self.scores, self.is_wrong, strict=True) if is_wrong]
        right = [score for score, is_wrong in zip(self.scores, self.is_wrong, strict=True) if not is_wrong]
        wins = sum((a > b) + 0.5 * (a == b) for a in wrong for b in right)
        return wins / (len(wrong) * len(right))

    def found_in_top(self, count: int) -> float:
        """Return the chance that a wrong line is among the `count` most suspicious; ties are drawn."""
        worst = sorted(set(self.scores), reverse=True)
        chance_of_none, left = 1.0, count
        for score in worst:
            tied = [is_wrong for s, is_wrong in zip(self.scores, self.is_wrong, strict=True) if s == score]
            drawn, wrong = min(left, len(tied)), sum(tied)
            chance_of_none *= math.comb(len(tied) - wrong, drawn) / math.comb(len(tied), drawn)
            left -= drawn
            if not left:
                break
        return 1 - chance_of_none


def is_usable(is_wrong: Sequence[bool]) -> bool:
    """Whether a file tells anything: it has wrong lines and right ones."""
    return any(is_wrong) and not all(is_wrong)


def measured(files: Sequence[RankedFile], of: Callable[[RankedFile], float]) -> Estimate:
    """Return the mean of a measure over files, clustered."""
    return clustered_mean([of(file) for file in files], [file.cluster for file in files])


def gain(files: Sequence[RankedFile], others: Sequence[RankedFile], of: Callable[[RankedFile], float]) -> Estimate:
    """Return by how much a ranking of the same files is better than another: paired, clustered."""
    gains = [of(file) - of(other) for file, other in zip(files, others, strict=True)]
    return clustered_mean(gains, [file.cluster for file in files])


def ngram_surprises(lines: Sequence[str]) -> list[list[float]]:
    """Return the surprise (nats) of each piece of each line under a model of three pieces, made of the other lines."""
    pieces = [["<line>", "<line>", *_PIECE.findall(line), "<end>"] for line in lines]
    counts = [Counter(gram for line in pieces for gram in _grams(line, size)) for size in (1, 2, 3)]
    return [_line_surprises(line, counts) for line in pieces]


def _grams(pieces: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(pieces[index - size + 1 : index + 1]) for index in range(2, len(pieces))]


def _line_surprises(line: Sequence[str], counts: Sequence[Counter[tuple[str, ...]]]) -> list[float]:
    own = [Counter(_grams(line, size)) for size in (1, 2, 3)]
    others = [
        Counter({gram: n - mine[gram] for gram, n in all_.items()}) for all_, mine in zip(counts, own, strict=True)
    ]
    befores = [_befores(each) for each in others]
    words = len(counts[0]) + 1
    surprises = []
    for index in range(2, len(line)):
        probability = _WEIGHTS[2] / words  # of what was never seen; the rest of its share is by count
        for size, weight in zip((3, 2, 1), _WEIGHTS, strict=True):
            gram = tuple(line[index - size + 1 : index + 1])
            if total := befores[size - 1][gram[:-1]]:
                probability += weight * others[size - 1][gram] / total
        surprises.append(-math.log(min(1.0, probability)))
    return surprises


def _befores(counts: Counter[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    totals: Counter[tuple[str, ...]] = Counter()
    for gram, count in counts.items():
        totals[gram[:-1]] += count
    return totals


BASELINES: dict[str, Callable[[Sequence[str]], list[float]]] = {
    "length": lambda lines: [float(len(line.strip())) for line in lines],
    "n-gram, greatest": lambda lines: [max(each) for each in ngram_surprises(lines)],
    "n-gram, mean": lambda lines: [fmean(each) for each in ngram_surprises(lines)],
    "n-gram, sum": lambda lines: [sum(each) for each in ngram_surprises(lines)],
}
