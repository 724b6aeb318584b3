"""Cutting out passages that evaluation texts contain, found by 13-gram hashes (model/training/data/README.md)."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.errors import InputError
from model.training.corpus.manifest import DATA

RUN = 13  # tokens of a run
WORDS = 8  # of them, at least so many begin with a letter or underscore
MARGIN_LINES = 3  # cut with a passage, before and after

_TOKEN = re.compile(r"[A-Za-z_]+|\d|[^\sA-Za-z_\d]")


def blocked_hashes(path: Path = DATA / "blocked_13grams.u64") -> NDArray[np.uint64]:
    """Return the sorted hashes of runs that must not be trained on. InputError where they are not: not in the wheel."""
    if not path.exists():
        raise InputError(f"{path} is missing; build the corpus from a clone of the repository, or its sdist")
    return np.fromfile(path, "<u8")


def run_hashes(tokens: list[str]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return where each run with enough words begins, and its hash."""
    is_word = np.array([token[0].isalpha() or token[0] == "_" for token in tokens], np.int64)
    if len(is_word) < RUN:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    words = np.convolve(is_word, np.ones(RUN, np.int64), "valid")
    begins = np.flatnonzero(words >= WORDS)
    digests = [blake2b("\x1f".join(tokens[i : i + RUN]).encode(), digest_size=8).digest() for i in begins.tolist()]
    return begins, np.frombuffer(b"".join(digests), "<u8")


def clean_passages(text: str, blocked: NDArray[np.uint64]) -> tuple[list[str], int]:
    """Return the passages of `text` between those that hold a blocked run, and the number of lines cut.

    Cuts are whole lines with `MARGIN_LINES` around them.
    """
    found = list(_TOKEN.finditer(text))
    begins, hashes = run_hashes([match[0] for match in found])
    if not len(hashes):
        return [text], 0
    places = np.minimum(np.searchsorted(blocked, hashes), len(blocked) - 1)
    hits = begins[blocked[places] == hashes]
    if not len(hits):
        return [text], 0
    lines = text.splitlines(keepends=True)
    line_begin = np.cumsum([0, *map(len, lines)])
    cut = np.zeros(len(lines), bool)
    for hit in hits.tolist():
        first, last = found[hit].start(), found[hit + RUN - 1].end() - 1
        begin, end = (int(np.searchsorted(line_begin, char, "right")) - 1 for char in (first, last))
        cut[max(0, begin - MARGIN_LINES) : end + MARGIN_LINES + 1] = True
    passages, passage = [], ""
    for line, is_cut in zip(lines, cut, strict=True):
        if not is_cut:
            passage += line
        elif passage:
            passages.append(passage)
            passage = ""
    return [*passages, passage] if passage else passages, int(cut.sum())
