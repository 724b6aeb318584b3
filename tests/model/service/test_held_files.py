"""Which messages fit what an engine holds, and which files it lets go of."""

from __future__ import annotations

from typing import Any

import pytest

from model.api.messages import CloseFile, EditFile, Held, OpenFile, Prepare, SetContext
from model.api.types import Edit, Snippet
from model.errors import NeedFullError, VersionError
from model.service.held_files import HeldFiles, Key

KEY: Key = ("alice", "c", "f")


def opening(text: str = "text") -> OpenFile:
    return OpenFile("f", "", text, 1)


def edit(text: str = "") -> EditFile:
    return EditFile("f", (Edit(0, 0, text),), 2)


def holding(
    *messages: Any, epoch: int = 1, key: Key = KEY, held: HeldFiles | None = None, now_s: float = 0
) -> HeldFiles:
    """Return what is held after `messages` of one epoch, each of which must fit."""
    held = HeldFiles(1000, 10, 60) if held is None else held
    changes = 0
    for message in messages:
        assert held.problem(key, Held("f", epoch, changes), message) is None
        held.count(key, Held("f", epoch, changes), message, now_s)
        changes += not isinstance(message, Prepare)
    return held


@pytest.mark.parametrize(
    ("epoch", "changes", "problem"),
    [(1, 3, None), (1, 2, VersionError), (1, 4, NeedFullError), (2, 3, NeedFullError), (0, 3, NeedFullError)],
)
def test_only_what_goes_on_from_what_is_held_fits(epoch: int, changes: int, problem: type | None) -> None:
    held = holding(opening(), edit(), Prepare("f", 0), SetContext("f", ()))
    found = held.problem(KEY, Held("f", epoch, changes), edit())
    assert found is None if problem is None else type(found) is problem


def test_a_file_of_another_user_or_client_is_another() -> None:
    held = holding(opening())
    for key in (("bob", "c", "f"), ("alice", "d", "f"), ("alice", "c", "g")):
        assert isinstance(held.problem(key, Held("f", 1, 1), edit()), NeedFullError)


def test_an_opening_replaces_what_is_held() -> None:
    held = holding(opening(), edit())
    holding(opening(), epoch=2, held=held)
    assert held.problem(KEY, Held("f", 2, 1), edit()) is None
    assert isinstance(held.problem(KEY, Held("f", 1, 2), edit()), NeedFullError)
    assert isinstance(held.problem(KEY, Held("f", 3, 1), opening()), NeedFullError)


def test_a_closed_file_and_one_whose_change_failed_are_not_held() -> None:
    held = holding(opening(), edit())
    assert not held.drop(KEY, Held("f", 2, 1))  # of an epoch that is not the one any more
    assert held.drop(KEY, Held("f", 1, 1))
    assert isinstance(held.problem(KEY, Held("f", 1, 2), edit()), NeedFullError)
    assert not list(holding(opening(), CloseFile("f")).outlived(1000.0))


def test_files_go_by_age_by_room_and_by_user() -> None:
    held = HeldFiles(most_chars=100, most_files_per_user=3, most_idle_s=60)
    for number in range(5):
        holding(opening("x"), held=held, key=("alice", "c", str(number)))
    holding(opening("x"), held=held, key=("bob", "c", "0"))
    assert [key[2] for key in held.outlived(0)] == ["0", "1"]
    holding(opening("x" * 97), held=held, key=("bob", "c", "1"))  # one too many
    assert list(held.outlived(0)) == [("alice", "c", "2")]
    holding(opening("x" * 200), held=held, key=("bob", "c", "2"), now_s=50)  # alone, it may be as large as it is
    assert len(list(held.outlived(50))) == 4
    assert len(held) == 1
    assert list(held.outlived(110)) == []
    assert list(held.outlived(111)) == [("bob", "c", "2")]


def test_snippets_and_edits_take_room() -> None:
    held = holding(opening(), edit("x" * 60), SetContext("f", (Snippet("", "x" * 60),)))
    holding(opening("x"), held=held, key=("bob", "c", "0"))
    held._most_chars = 100
    assert list(held.outlived(0)) == [KEY]
