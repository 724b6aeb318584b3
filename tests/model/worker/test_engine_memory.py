"""The engine's memory: which session gives up its rows, and windows in contexts that are small."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from torch import Tensor

from model.api.types import (
    Edit,
    Gap,
    InfillRequest,
    Limits,
    Snippet,
)
from model.errors import Cancelled, InputError
from model.network.decoder import Decoder, Rows
from model.network.kv_cache import KVCache
from model.network.linear import Precision
from model.sessions.geometry import FULL, NEAR
from model.sessions.session import Session
from model.worker.engine import Engine
from tests.model.tiny import tiny_checkpoint
from tests.model.windows import SMALL, check_window
from tests.model.worker.engines import AT, TEXT, engine_of, fill, opened, session_of, texts

# -- memory -----------------------------------------------------------------------------------


NAMES = [f"file{n}" for n in range(24)]


def test_the_least_recently_used_session_gives_up_its_rows_and_answers_as_before() -> None:
    engine = engine_of(memory_budget_mb=1)
    for name in NAMES:
        engine.open(name, f"{name}.py", f"# {name}\n{TEXT}", 1)

    def ask(name: str) -> list[str]:
        request = InfillRequest(name, 1, (Gap(AT, AT),), "left_to_right", limits=Limits(max_tokens=8))
        return texts(engine.infill(request))

    first = {name: ask(name) for name in NAMES}
    stats = engine.stats()
    assert stats["evictions"] > 0
    assert stats["cached_bytes"] <= stats["budget_bytes"]
    held = [name for name in NAMES if session_of(engine, name).cached_bytes]
    assert held == NAMES[-len(held) :], "those used last"
    assert 0 < len(held) < len(NAMES)
    for name in NAMES:
        assert ask(name) == first[name]
    while engine.idle_slice():
        pass
    assert engine.stats()["cached_bytes"] <= engine.stats()["budget_bytes"]
    assert {name: ask(name) for name in reversed(NAMES)} == first


def test_an_evicted_session_is_built_again_in_idle_time() -> None:
    """Asked at the same place as before, it once stayed with the near window for good: nothing had moved."""
    engine = opened()
    fill(engine, AT)
    while engine.idle_slice():
        pass
    rows = engine._sessions["f"].rows_computed
    session_of(engine, "f").evict()
    assert not engine.idle_slice(), "only when it is used again"
    fill(engine, AT)
    assert engine.idle_slice()
    while engine.idle_slice():
        pass
    assert session_of(engine, "f").rows_computed >= rows + SMALL.left_rows // 2


def test_stats_count_what_is_held_and_done() -> None:
    engine = opened()
    before = engine.stats()
    assert (before["files"], before["cached_bytes"], before["infills"]) == (1, 0, 0)
    infill = fill(engine, AT)
    again = fill(engine, AT)
    stats = engine.stats()
    assert stats["infills"] == 2
    assert stats["forwards"] == infill.forwards + again.forwards
    assert stats["rows_computed"] == infill.rows_computed + again.rows_computed
    assert again.rows_computed < infill.rows_computed
    assert again.rows_reused > 0 == infill.rows_reused
    assert stats["cached_bytes"] > 0
    engine.close("f")
    assert engine.stats()["cached_bytes"] == 0


def test_stats_tell_what_was_computed_for_nobody_or_ahead_of_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows that the network is fed are counted once: for answers, for infills that were withdrawn, in idle time."""
    fed, forward = [], Decoder.forward

    def counted(network: Decoder, rows: Rows, cache: KVCache, logits_at: list[int] | None = None) -> Tensor | None:
        logits = forward(network, rows, cache, logits_at)
        fed.append(len(rows.token_ids))  # a forward that is ended in its middle feeds nothing
        return logits

    monkeypatch.setattr(Decoder, "forward", counted)
    engine, looks = opened(), itertools.count()
    with pytest.raises(Cancelled):
        fill(engine, AT, cancelled=lambda: next(looks) > 4)
    stats = engine.stats()
    assert (stats["infills"], stats["cancelled"], stats["rows_computed"]) == (0, 1, 0)
    assert stats["rows_cancelled"] == sum(fed) > 0
    infill = fill(engine, AT)
    assert 0 < infill.encode_ms < infill.ms
    assert engine.stats()["rows_idle"] == 0
    while engine.idle_slice():
        pass
    stats = engine.stats()
    assert stats["rows_idle"] > 0
    assert stats["rows_computed"] + stats["rows_cancelled"] + stats["rows_idle"] == sum(fed)


# -- small contexts ---------------------------------------------------------------------------


@pytest.mark.parametrize("adapted", [True, False])
@pytest.mark.parametrize("context_length", [64, 128, 512, 2048])
def test_a_window_fits_in_a_small_context(context_length: int, adapted: bool) -> None:
    checkpoint = tiny_checkpoint(adapted=adapted, context_length=context_length)
    engine = Engine(checkpoint, Precision.FLOAT32)
    text = TEXT * 12
    engine.open("f", "src/a/rather/long/path/to/a/file.py", text, 1)
    engine.set_context("f", [Snippet("b.py", TEXT), Snippet("c.py", "x = 1\n")])
    version = 1
    for cursor in (len(text), len(text) // 2, len(text) // 2 + 40, 0):
        engine.edit("f", [Edit(cursor, cursor, "x y")], version + 1)
        version += 1
        for _ in range(2):
            infill_ = fill(engine, cursor, version=version, max_tokens=5000)
            assert infill_.gaps[0].tokens > 0
            while engine.idle_slice():
                pass
        for window in session_of(engine, "f")._windows():
            islands = sum(island.rows for island in window.context)
            below = window.limits.right_ids if adapted else 0
            assert len(window.left_ids) + window.limits.joint_gap_ids + below + islands < context_length
            assert window.cache.rows <= context_length


def test_gaps_that_do_not_fit_together_are_refused_and_nothing_breaks() -> None:
    """Idle work went on to fail on gaps that did not fit, until the cursor moved."""
    engine = opened(TEXT * 20, full=FULL)
    engine._parts.network.config = replace(engine._parts.network.config, context_length=4096)
    gaps = [Gap(start, start) for start in range(0, 8000, 400)]
    with pytest.raises(InputError, match="ask for fewer"):
        fill(engine, *gaps)
    while engine.idle_slice():
        pass
    session = session_of(engine, "f")
    window = session.window_at([Gap(500, 500)], lambda: False)
    check_window(window, tiny_checkpoint(), session.text, [Gap(500, 500)])
    assert len(fill(engine, *gaps[:2]).gaps) == 2


# -- renaming, odd windows --------------------------------------------------------------------


@pytest.mark.parametrize("edit", [Edit(0, 0, "new\n"), Edit(-1, -1, "end"), Edit(0, -1, ""), Edit(0, -1, "x")])
def test_a_windows_ends_follow_an_edit(edit: Edit) -> None:
    text = TEXT * 4
    length = len(text)
    edit = Edit(edit.start % (length + 1), edit.end % (length + 1), edit.text)
    session = Session(engine_of()._parts, "a.py", text)
    session.window_at([Gap(length // 2, length // 2)], lambda: False)
    session.edit([edit])
    cursor = min(len(session.text), length // 2)
    gaps = [Gap(cursor, cursor)]
    check_window(session.window_at(gaps, lambda: False), tiny_checkpoint(), session.text, gaps)


@pytest.mark.parametrize("start_at", ["begin", "end"])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0), (0, 1), (3, 3), (40, 40)])
def test_edits_that_touch_or_straddle_a_windows_end(start_at: str, before: int, after: int) -> None:
    text = TEXT * 4
    for inserted in ("", "x", "y\n" * 30):
        session = Session(engine_of()._parts, "a.py", text)
        cursor = len(text) // 2
        window = session.window_at([Gap(cursor, cursor)], lambda: False)
        place = window.begin_char if start_at == "begin" else window.end_char
        assert 40 < place < len(text) - 40
        session.edit([Edit(place - before, place + after, inserted)])
        if start_at == "begin":
            cursor += len(inserted) - before - after
        gaps = [Gap(cursor, cursor)]
        check_window(session.window_at(gaps, lambda: False), tiny_checkpoint(), session.text, gaps)


def test_a_long_path_keeps_its_end() -> None:
    engine = engine_of(full=FULL, near=NEAR)
    session = Session(engine._parts, "very/" * 100 + "name.py", TEXT)
    window = session.window_at([Gap(AT, AT)], lambda: False)
    assert engine._parts.tokenizer.spell(window.header_ids).endswith(b"/name.py\n")
    assert len(window.header_ids) <= FULL.left_min
