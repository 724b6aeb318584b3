"""Sessions of models that fill in the middle: exact after any edits, cheap while typing, and markers are never text."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

from model.api.types import Edit, Gap, Snippet
from model.checkpoint.loading import load_checkpoint
from model.checkpoint.record import Checkpoint
from model.decoding.gap_row import GapRow
from model.decoding.gap_rows import GapRows
from model.network.linear import Precision
from model.sessions.fim_window import FimWindow
from model.sessions.session import IDLE_SLICE_ROWS, Session, SessionParts
from tests.model.fim import FAMILIES, card_ids, logits_after, save_fim_model
from tests.model.sessions.test_exactness import random_edit
from tests.model.windows import SMALL, SMALLER, STANDARD_TEXT

FULL, NEAR = (replace(limits, left_min=24) for limits in (SMALL, SMALLER))  # with room for a path as it is

SUFFIX_FIRST = ("starcoder2", "mellum", "seed-coder")
OTHER = [Snippet("lib/other.py", "def other(x):\n    return x\n"), Snippet("lib/café.py", "# 👋")]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    @lru_cache
    def model(family: str) -> tuple[Any, Checkpoint]:
        directory: Path = tmp_path_factory.mktemp("model")
        network = save_fim_model(directory, family)
        return network, load_checkpoint(directory)

    return model


def session_of(checkpoint: Checkpoint, text: str, path: str = "src/é.py") -> Session:
    parts = SessionParts.of(checkpoint, Precision.FLOAT32, 2**20, FULL, NEAR)
    return Session(parts, path, text)


def look(session: Session, gap: Gap) -> FimWindow:
    window = session.window_at((gap,), lambda: False)
    assert isinstance(window, FimWindow)
    return window


def shown(window: FimWindow, text: str) -> tuple[str, str, str]:
    """Return prefix, held-back piece and suffix that a window shows of `text`."""
    held_back = window.layout.held_back[0]
    cut = window.layout.spans[0][0] - len(held_back)
    return text[window.begin_char : cut], held_back, text[window.layout.end : window.end_char]


def check(family: str, network: Any, session: Session, gap: Gap, files: list[tuple[str, str]]) -> None:
    """The first three forwards of a gap have the logits that transformers finds for what the card says."""
    window = look(session, gap)
    prefix, held_back, suffix = shown(window, session.readable)
    if window is not session._full:
        files = []  # the near window answers without other files
    ids = card_ids(family, session.path, prefix, suffix, files)
    spelled = window.tokenizer.encode(held_back + "xy = 1")[:3]
    rows, first_id = GapRows(window), window.gap_first_id(0)
    assert first_id == len(ids), "position ids count from 0"
    found = [rows.feed([])]
    rows.commit([])
    for rank, token_id in enumerate(spelled, start=1):
        found.append(rows.feed([GapRow(token_id, first_id + rank - 1, rank, rank, rank=rank)]))
        rows.commit([0])
    expected = logits_after(network, [*ids, *spelled], len(spelled) + 1)
    ends = window._prompt.end_ids
    expected[:, ends[0]] = expected[:, ends].logsumexp(-1)
    spread = max(1.0, float(expected.std()))
    torch.testing.assert_close(torch.cat(found), expected, atol=2e-4 * spread, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_after_any_edits_the_logits_are_those_of_transformers(family: str, models: Any) -> None:
    """In float32, for the sequence of the card, with other files where the family has a marker for them."""
    network, checkpoint = models(family)
    for seed in range(3):
        rng = random.Random(seed)
        session = session_of(checkpoint, STANDARD_TEXT * rng.randrange(1, 4))
        cursor, files = rng.randrange(len(session.text) + 1), list[tuple[str, str]]()
        for _ in range(12):
            edit, cursor = random_edit(rng, session.text, cursor)
            if edit is not None:
                session.edit([edit])
            if rng.random() < 0.15:
                others = OTHER[: rng.randrange(3)]
                session.set_context(others)
                files = [(each.path, each.text) for each in others]
            for _ in range(rng.choice([0, 0, 1, 30])):
                session.idle_slice()
            cursor = min(cursor, len(session.text))
            gap = Gap(cursor, min(len(session.text), cursor + rng.choice([0, 0, 9])))
            check(family, network, session, gap, files)


def test_recognised_by_special_tokens_and_architecture(models: Any) -> None:
    for family in FAMILIES:
        checkpoint = models(family)[1]
        assert checkpoint.capabilities.fim == family
        assert not checkpoint.capabilities.adapted
        assert SessionParts.of(checkpoint, Precision.FLOAT32, 0).eoi_id == checkpoint.tokenizer.token_to_id(
            FAMILIES[family][5]
        )


# -- what typing costs ------------------------------------------------------------------------


class Typist:
    """Somebody at the cursor of a file. What is asked for is the first token of an infill, as editors do."""

    def __init__(self, checkpoint: Checkpoint, text: str, cursor: int) -> None:
        parts = SessionParts.of(checkpoint, Precision.FLOAT32, 2**20, FULL, NEAR)
        self.session, self.cursor = Session(parts, "src/names.py", text), cursor
        self.go_to(cursor)

    def ask(self) -> tuple[int, int]:
        """Return the rows and the forwards that it took to know the first token."""
        before = self.session.rows_computed
        window = look(self.session, Gap(self.cursor, self.cursor))
        encoded = self.session.rows_computed - before
        rows = GapRows(window)
        rows.feed([])
        self.left = len(window.left.ids)
        return encoded + rows.rows_fed, rows.forwards + (encoded > 0)

    def go_to(self, cursor: int) -> None:
        self.cursor = cursor
        self.ask()
        while self.session.idle_slice():
            pass
        self.ask()

    def type(self, text: str) -> tuple[int, int]:
        self.session.edit([Edit(self.cursor, self.cursor, text)])
        self.cursor += len(text)
        return self.ask()


LINE = "    def method(self, value):  # naïve 👋\n        return self.names + value\n\n"
LINE_END = len(LINE) * 6 - 2


@pytest.mark.parametrize("family", FAMILIES)
def test_asking_again_feeds_one_row(family: str, models: Any) -> None:
    typist = Typist(models(family)[1], LINE * 12, LINE_END)
    for _ in range(3):
        assert typist.ask() == (1, 1)


@pytest.mark.parametrize("family", SUFFIX_FIRST)
def test_typing_feeds_the_new_tokens_and_one_row_as_in_our_own_sessions(family: str, models: Any) -> None:
    typist = Typist(models(family)[1], LINE * 12, LINE_END)
    before, costs = typist.left, []
    for character in "\n        if self.names == value:\n            return  \t 12345 'it''s' ":
        costs.append(typist.type(character))
    assert all(forwards == 1 for _, forwards in costs), "new tokens go with the row that opens the gap"
    assert sum(rows for rows, _ in costs) <= typist.left - before + 2 * len(costs)


@pytest.mark.parametrize("family", [each for each in FAMILIES if each not in SUFFIX_FIRST])
def test_where_the_prefix_comes_first_a_new_token_costs_a_short_suffix_in_one_forward(family: str, models: Any) -> None:
    typist = Typist(models(family)[1], LINE * 12, LINE_END)
    inside, across = [], []
    for character in "\n        if self.names == value:":
        left = typist.left
        rows, forwards = typist.type(character)
        assert forwards == 1
        (inside if typist.left == left else across).append(rows)
    assert set(inside) == {1}, "inside a word the gap spells it, and nothing before the gap changes"
    assert max(across) <= NEAR.right_max + 16


@pytest.mark.parametrize("family", FAMILIES)
def test_backspace_and_an_accepted_infill_keep_the_suffix(family: str, models: Any) -> None:
    checkpoint = models(family)[1]
    typist = Typist(checkpoint, LINE * 12, LINE_END)
    most = 8 + (0 if family in SUFFIX_FIRST else NEAR.right_max + 8)
    typist.type("\n        total = value + 1")
    typist.session.edit([Edit(typist.cursor - 4, typist.cursor, "")])
    typist.cursor -= 4
    assert typist.ask()[0] <= most
    infill = " + sum(self.names)\n        print(total)"
    assert typist.type(infill)[0] <= most + len(checkpoint.tokenizer.encode(infill).ids)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_far_jump_is_answered_from_the_near_window(family: str, models: Any) -> None:
    typist = Typist(models(family)[1], LINE * 40, LINE_END)
    typist.cursor = len(LINE) * 30
    rows, _ = typist.ask()
    assert rows <= NEAR.left_max + NEAR.right_max + IDLE_SLICE_ROWS
    typist.go_to(typist.cursor)
    assert typist.ask() == (1, 1)


def test_idle_slices_are_short(models: Any) -> None:
    for family in FAMILIES:
        session = session_of(models(family)[1], LINE * 40)
        session.prepare((Gap(LINE_END, LINE_END),))
        session.set_context(OTHER)
        more = True
        while more:
            before = session.rows_computed
            more = session.idle_slice()
            assert session.rows_computed - before <= IDLE_SLICE_ROWS


# -- markers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_markers_in_the_text_are_text(family: str, models: Any) -> None:
    """Source code about such models holds their markers. None may end a prefix or begin a suffix: in paths neither."""
    checkpoint = models(family)[1]
    markers = FAMILIES[family][2]
    hostile = "".join(f"x = '{marker}'\n{marker}" for marker in markers)
    session = session_of(checkpoint, hostile * 2, path=f"src/{markers[3]}.py")
    clean = session_of(checkpoint, "x = 1\n" * 40)
    found = []
    for each, snippet in ((session, Snippet(markers[-1], markers[0])), (clean, Snippet("a", "b"))):
        gap = Gap(len(each.text) // 2, len(each.text) // 2)
        each.prepare((gap,))
        each.set_context([snippet])
        while each.idle_slice():
            pass
        special = checkpoint.tokenizer.get_added_tokens_decoder()
        found.append([token_id for token_id in look(each, gap).left_ids if token_id in special])
    assert found[0] == found[1]
    window = look(session, Gap(len(hostile), len(hostile)))
    prefix, _, suffix = shown(window, session.readable)
    spell = window.tokenizer.spell
    assert spell(window.left.ids) == prefix.encode()
    assert spell(window.right[0].ids) == suffix.encode()
    assert "<" in prefix
    assert "<" in suffix
