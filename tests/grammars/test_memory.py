"""Memory over thousands of parses and edits."""

from __future__ import annotations

from grammars import SyntaxSnapshot, language_named, snapshot_of
from grammars.captures import captures_between
from grammars.snapshot import _Reader
from tests.memory import needs_proc, resident_mb

PYTHON = language_named("python")
LINE = "a line that takes a parser next to no time, and as much memory as any other\n"


@needs_proc
def test_memory_stays_flat_over_2000_parses_and_20000_edits() -> None:
    """The binding keeps what its read callback returns, for ever: 55 kB a parse of a file of 60 kB were lost."""

    def parse(times: int) -> None:
        for _ in range(times):
            assert snapshot_of(f'"""{LINE * 800}"""', PYTHON).tree is not None

    def edit(snapshot: SyntaxSnapshot, times: int) -> None:
        middle = len(snapshot.text) // 2
        for _ in range(times // 2):
            snapshot = snapshot.edited(middle, middle, "x", 5.0).edited(middle, middle + 1, "", 5.0)

    shorter = snapshot_of(f'"""{LINE * 250}"""', PYTHON)
    parse(100)
    edit(shorter, 500)
    before_mb = resident_mb()
    parse(2_000)
    assert resident_mb() - before_mb < 10
    edit(shorter, 20_000)
    assert resident_mb() - before_mb < 10


def test_predicates_read_the_text_after_its_parse() -> None:
    """The binding asks the callback of a parse for the text of a node, long after another parse used its buffer."""
    one = snapshot_of("require 'json'\nprint 'no'\n", language_named("ruby"))
    assert snapshot_of("x = 1\n" * 20_000, PYTHON).tree is not None
    found = [capture.node for capture in captures_between(one, frozenset({"import"}), 0, len(one.text))]
    assert [node.text for node in found] == [b"require 'json'"]


def test_parses_at_the_same_time_do_not_share_a_buffer() -> None:
    first, second = _Reader(b"first"), _Reader(b"second")
    assert first(0, None) == b"first"
    assert second(0, None) == b"second"
    assert first(1, None) == b"irst"
    first.give_back()
    third = _Reader(b"third")
    assert third(0, None) == b"third"
    assert second(0, None) == b"second"
    assert first(0, None) == b"first"
    second.give_back()
    third.give_back()
