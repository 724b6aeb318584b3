"""Which windows make which unit, and units in order, built by worker processes.

The plan of an epoch (windows cut from documents, shuffled, packed into units)
is a pure function of corpus, settings, seed and epoch, and a unit a pure
function of its plan entry and its number. So a run resumes at any unit, and the
number of workers changes nothing.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from model.checkpoint.tokenization import ByteTokenizer
from model.training.ar_fim import AutoregressiveBuilder
from model.training.config import ExampleConfig
from model.training.examples import ExampleBuilder, WindowText
from model.training.orders import SpecialIds, log_uniform
from model.training.rows import PackedRows
from model.training.shards import Corpus, read_corpus

# A right island has more tokens than the text's canonical ones (chunks are canonical in isolation), about so many.
_ISLAND_INFLATION = 2.1
_HEADER_ROWS = 24
_OPEN_UNITS = 16  # units that wait for a window that still fits
_AHEAD = 4  # units in work for every worker


@dataclass(frozen=True)
class PlannedWindow:
    """Tokens [begin, end) of a document, and whether islands go with it."""

    document: int
    begin: int
    end: int
    with_context: bool


@dataclass(frozen=True)
class SourceSpec:
    """All that a worker process needs to build units."""

    corpus: Path
    tokenizer: Path  # a tokenizer.json
    vocab_size: int
    special: SpecialIds
    config: ExampleConfig
    seed: int
    held_out: bool = False


@dataclass
class UnitSource:
    """Units by number. Plans are made when an epoch is first asked for; the last two are kept."""

    corpus: Corpus
    tokenizer: ByteTokenizer
    special: SpecialIds
    config: ExampleConfig
    seed: int
    held_out: bool = False
    _plans: dict[int, list[list[PlannedWindow]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._documents = self.corpus.chosen(self.held_out)
        assert self._documents, "the corpus has no documents of this kind"
        self._by_package: dict[str, list[int]] = {}
        for index in self._documents:
            self._by_package.setdefault(self.corpus.documents[index].package, []).append(index)
        self._token_bytes = np.array([len(spelled) for spelled in self.tokenizer.token_bytes], np.int64)
        kind = AutoregressiveBuilder if self.config.objective == "ar_fim" else ExampleBuilder
        self._builder = kind(self.tokenizer, self.special, self.config)
        self._epoch_begin = [0]  # number of the first unit of each epoch planned so far

    def unit(self, number: int) -> PackedRows:
        """Return unit `number` of the endless sequence of epochs."""
        epoch = 0
        while True:
            if epoch + 1 == len(self._epoch_begin):
                self._epoch_begin.append(self._epoch_begin[epoch] + len(self._plan(epoch)))
            if number < self._epoch_begin[epoch + 1]:
                break
            epoch += 1
        planned = self._plan(epoch)[number - self._epoch_begin[epoch]]
        rng = np.random.default_rng((self.seed, 1, number))
        return self._builder.unit([self._window(window, rng) for window in planned], rng)

    def _plan(self, epoch: int) -> list[list[PlannedWindow]]:
        if epoch not in self._plans:
            rng = np.random.default_rng((self.seed, 0, epoch))
            self._plans = {other: plan for other, plan in self._plans.items() if other >= epoch - 1}
            self._plans[epoch] = self._packed(self._cut_windows(rng))
        return self._plans[epoch]

    def _cut_windows(self, rng: np.random.Generator) -> list[PlannedWindow]:
        """Cut every document into windows of log-uniform length, where a short rest joins the window before it."""
        config, windows = self.config, []
        for index in self._documents:
            total, begin = self.corpus.documents[index].tokens, 0
            while begin < total:
                end = begin + log_uniform(rng, config.window_min, config.window_max)
                if total - end < config.window_min:
                    end = total if total - begin <= config.window_max else min(end, total)
                windows.append(PlannedWindow(index, begin, end, bool(rng.random() < config.context_share)))
                begin = end
        return [windows[place] for place in rng.permutation(len(windows))]

    def _packed(self, windows: list[PlannedWindow]) -> list[list[PlannedWindow]]:
        """Put each window into the fullest open unit that it fits in, as islands and gaps are expected to need."""
        open_units: list[tuple[int, list[PlannedWindow]]] = []  # (room, windows)
        full: list[list[PlannedWindow]] = []
        for window in windows:
            rows = self._expected_rows(window)
            fitting = [index for index, (room, _) in enumerate(open_units) if rows <= room]
            if fitting:
                best = min(fitting, key=lambda index: open_units[index][0])
                room, unit = open_units[best]
                unit.append(window)
                open_units[best] = (room - rows, unit)
                continue
            if len(open_units) == _OPEN_UNITS:
                fullest = min(range(_OPEN_UNITS), key=lambda index: open_units[index][0])
                full.append(open_units.pop(fullest)[1])
            open_units.append((self.config.unit_rows - rows, [window]))
        return full + [unit for _, unit in open_units]

    def _expected_rows(self, window: PlannedWindow) -> int:
        config, tokens = self.config, window.end - window.begin
        rows = _HEADER_ROWS + tokens * (_ISLAND_INFLATION + config.gap_share)
        if window.with_context:
            rows += config.context_islands_max * config.context_tokens_max / 2
        return min(int(rows), config.unit_rows)

    def _window(self, planned: PlannedWindow, rng: np.random.Generator) -> WindowText:
        """Return the text of a planned window, from the beginning of a line to before the end of one."""
        document = self.corpus.documents[planned.document]
        prefix = self.corpus.ids(planned.document, 0, planned.begin)
        spelled = self.tokenizer.spell(self.corpus.ids(planned.document, planned.begin, planned.end).tolist())
        begin_byte = int(self._token_bytes[prefix].sum())
        skipped, at_end = 0, planned.end == document.tokens
        if planned.begin:
            skipped = spelled.find(b"\n", 0, len(spelled) // 4) + 1
            spelled = spelled[skipped:]
        if not at_end:
            newline = spelled.rfind(b"\n", len(spelled) * 3 // 4)
            spelled = spelled[:newline] if newline >= 0 else spelled
        # Where there was no line to cut at, a character may be cut: `replace` keeps going.
        text = self.tokenizer.readable(spelled.decode("utf-8", "replace"))
        nodes = self._nodes(planned.document, begin_byte + skipped, spelled, text)
        snippets = self._snippets(planned, rng) if planned.with_context else ()
        return WindowText(document.path, text, planned.begin == 0, at_end, nodes, snippets)

    def _nodes(self, document: int, begin_byte: int, spelled: bytes, text: str) -> list[tuple[int, int]]:
        """Return the syntax nodes inside a window, in string indices."""
        nodes = self.corpus.nodes_of(document).astype(np.int64) - begin_byte
        inside = nodes[(nodes[:, 0] >= 0) & (nodes[:, 1] <= len(spelled))]
        if len(spelled) != len(text):  # bytes that begin a character, counted before each byte
            begins = (np.frombuffer(spelled, np.uint8) & 0xC0) != 0x80
            inside = np.concatenate(([0], np.cumsum(begins)))[inside]
        return [(int(begin), int(end)) for begin, end in inside if end <= len(text)]

    def _snippets(self, planned: PlannedWindow, rng: np.random.Generator) -> list[tuple[str, str]]:
        """Return (path, text) of passages from other files of the same package."""
        config, documents = self.config, self.corpus.documents
        others = self._by_package[documents[planned.document].package]
        snippets = []
        for _ in range(int(rng.integers(1, config.context_islands_max + 1))):
            index = others[int(rng.integers(len(others)))]
            if index == planned.document:
                continue
            length = log_uniform(rng, config.context_tokens_min, config.context_tokens_max)
            begin = int(rng.integers(max(1, documents[index].tokens - length)))
            spelled = self.tokenizer.spell(self.corpus.ids(index, begin, begin + length).tolist())
            passage = spelled[spelled.find(b"\n") + 1 :] if begin else spelled
            snippets.append((documents[index].path, self.tokenizer.readable(passage.decode("utf-8", "replace"))))
        return snippets


def open_source(spec: SourceSpec) -> UnitSource:
    """Return the units that `spec` describes."""
    tokenizer = ByteTokenizer(Tokenizer.from_file(str(spec.tokenizer)), spec.vocab_size)
    return UnitSource(read_corpus(spec.corpus), tokenizer, spec.special, spec.config, spec.seed, spec.held_out)


def units_from(spec: SourceSpec, first: int, workers: int) -> Generator[PackedRows, None, None]:
    """Yield units `first`, `first` + 1, ... without end, built by `workers` processes, or here if there are none.

    The processes end when the generator is closed.
    """
    if not workers:
        source = open_source(spec)
        while True:
            yield source.unit(first)
            first += 1
    read_corpus(spec.corpus)  # unpacked once, before all workers want it
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        pending: deque[Future[PackedRows]] = deque()
        try:
            while True:
                while len(pending) < _AHEAD * workers:
                    pending.append(pool.submit(_build, spec, first))
                    first += 1
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@lru_cache(maxsize=1)
def _source_of(spec: SourceSpec) -> UnitSource:
    return open_source(spec)


def _build(spec: SourceSpec, number: int) -> PackedRows:
    return _source_of(spec).unit(number)
