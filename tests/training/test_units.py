"""Units: deterministic, resumable at any of them, the same with worker processes; and what gaps look like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from model.checkpoint.own_format import save_checkpoint
from model.errors import InputError
from model.sessions.seams import encode
from model.training.config import ExampleConfig
from model.training.examples import WindowText
from model.training.rows import PackedRows, RowKind
from model.training.shards import read_corpus
from model.training.spans import SpanSource, draw_span
from model.training.units import SourceSpec, open_source, units_from
from tests.model.tiny import EOI, INFILL, SINK, tiny_checkpoint
from tests.training.tiny_training import SMALL, SPECIAL, TEXT, builder

CONFIG = replace(SMALL, unit_rows=512, window_min=24, window_max=96)


@pytest.fixture(scope="module")
def spec(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> SourceSpec:
    start = tmp_path_factory.mktemp("start")
    checkpoint = tiny_checkpoint()
    save_checkpoint(checkpoint, start / "tiny")
    return SourceSpec(small_corpus, start / "tiny" / "tokenizer.json", checkpoint.config.vocab_size, SPECIAL, CONFIG, 7)


def test_a_gap_spells_all_that_stands_between_its_seams() -> None:
    """Of whole lines before an empty one, both breaks were once left out of the gap, and one was shown behind it."""
    built, text = builder(), TEXT * 2
    encoded, begins = encode(built.tokenizer, text), [0, *(at + 1 for at, char in enumerate(text) if char == "\n")]
    for begin in begins[:-1]:
        for end in begins[begins.index(begin) : begins.index(begin) + 5]:
            group = built.group(encoded, [(begin, end)], [SINK])
            *ids, last = group.gap_ids[0]
            between = text[begin : group.end]
            assert built.tokenizer.spell(ids) == (group.held_back[0] + between).encode()
            assert last == EOI


def check_equal(one: PackedRows, other: PackedRows) -> None:
    for item in fields(PackedRows):
        assert np.array_equal(getattr(one, item.name), getattr(other, item.name)), item.name


def taken(units: Iterator[PackedRows], count: int) -> list[PackedRows]:
    with closing(units):  # type: ignore[type-var]
        return list(islice(units, count))


def test_units_are_the_same_wherever_one_begins(spec: SourceSpec) -> None:
    whole = taken(units_from(spec, 0, 0), 8)
    for one, other in zip(whole[5:], taken(units_from(spec, 5, 0), 3), strict=True):
        check_equal(one, other)
    different = taken(units_from(replace(spec, seed=8), 0, 0), 1)[0]
    assert not np.array_equal(different.token_ids, whole[0].token_ids)


def test_worker_processes_change_nothing(spec: SourceSpec) -> None:
    for one, other in zip(taken(units_from(spec, 3, 2), 4), taken(units_from(spec, 3, 0), 4), strict=True):
        check_equal(one, other)


def test_epochs_follow_each_other(spec: SourceSpec) -> None:
    source = open_source(spec)
    count = len(source._plan(0))
    one, other = source.unit(0), source.unit(count)
    assert not np.array_equal(one.token_ids, other.token_ids)
    check_equal(other, open_source(spec).unit(count))


def test_units_are_full_and_whole(spec: SourceSpec) -> None:
    units = taken(units_from(spec, 0, 0), 12)
    assert np.mean([unit.used / unit.rows for unit in units]) > 0.8
    for unit in units:
        assert unit.rows == CONFIG.unit_rows
        assert (unit.token_ids == INFILL).sum() >= 1
        assert (unit.targets == EOI).any()
        assert unit.position_ids.max() < CONFIG.context_length
        assert (unit.targets[unit.kinds == RowKind.NONE] == -1).all()


def test_control_units_hold_the_same_kind_of_gaps(spec: SourceSpec) -> None:
    config = replace(CONFIG, objective="ar_fim")
    for unit in taken(units_from(replace(spec, config=config), 0, 0), 4):
        assert not (unit.kinds == RowKind.MASK).any()
        assert (unit.kinds == RowKind.GAP_NEXT).sum() > 10
        used = unit.position_ids[: unit.used]
        steps = np.diff(used)
        assert ((steps == 1) | (used[1:] == 0)).all(), "contiguous positions, from 0 in every sequence"


def test_held_out_packages_are_left_out(small_corpus: Path) -> None:
    corpus = read_corpus(small_corpus)
    corpus.documents = [replace(document, held_out=document.package == "model") for document in corpus.documents]
    assert {corpus.documents[index].package for index in corpus.chosen(True)} == {"model"}
    assert {corpus.documents[index].package for index in corpus.chosen(False)} == {"grammars"}


def test_a_damaged_corpus_is_refused(small_corpus: Path, tmp_path: Path) -> None:
    copy = tmp_path / "corpus"
    copy.mkdir()
    for path in small_corpus.iterdir():
        if not path.name.endswith(".unpacked"):
            (copy / path.name).write_bytes(path.read_bytes())
    piece = copy / "tokens-000.u16.xz"
    piece.write_bytes(piece.read_bytes()[:-10] + b"0123456789")
    with pytest.raises(InputError, match="damaged"):
        read_corpus(copy)
    with pytest.raises(InputError, match="setfill train corpus"):
        read_corpus(tmp_path / "nowhere")


def spans(config: ExampleConfig, count: int = 400) -> list[tuple[int, int]]:
    encoded = encode(builder().tokenizer, TEXT)
    source = SpanSource(encoded, [(10, 30), (50, 90)], 0, len(encoded.ids))
    rng = np.random.default_rng(0)
    return [draw_span(source, config, rng) for _ in range(count)]


def test_spans_lie_in_the_text_and_come_in_their_shares() -> None:
    drawn = spans(replace(SMALL, empty_share=0.25))
    assert all(0 <= begin <= end <= len(TEXT) for begin, end in drawn)
    assert 0.2 < np.mean([begin == end for begin, end in drawn]) < 0.35


def test_whole_lines_begin_and_end_at_lines() -> None:
    config = replace(SMALL, empty_share=0.0, lines_share=1.0, characters_share=0.0, nodes_share=0.0)
    whole = 0
    for begin, end in spans(config):
        line_begin = TEXT.rfind("\n", 0, begin) + 1
        whole += not TEXT[line_begin:begin].strip() and "\n" in TEXT[end - 1 : end + 1]
    assert whole > 340, "the last line of a text has none after it: gaps there are cut at characters"


def test_nodes_are_taken_as_they_are() -> None:
    config = replace(
        SMALL, empty_share=0.0, lines_share=0.0, characters_share=0.0, nodes_share=1.0, span_min=4, span_max=9
    )
    assert sum(span in ((10, 30), (50, 90)) for span in spans(config)) > 200


@pytest.mark.parametrize(
    "text", ["", "\n", "👋", "👋🏽👋🏽", "x", "\r\n\r\n", " " * 300, "a" * 400, "é" * 90, "\n" * 200]
)
def test_odd_texts_make_units(text: str) -> None:
    """Tiny, blank and endless texts: few gaps or none, and no error."""
    for seed in range(8):
        unit = builder(CONFIG).unit([WindowText("x.py", text, True, True)], np.random.default_rng(seed))
        assert unit.rows == CONFIG.unit_rows
