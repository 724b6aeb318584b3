"""Where gaps lie in a window's text: cut at characters, whole lines, syntax nodes, or empty.

Knows text and token starts; knows no rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.sessions.seams import Encoded
from model.training.config import ExampleConfig
from model.training.orders import log_uniform


@dataclass(frozen=True)
class SpanSource:
    """A window's text as gaps are cut from it.

    `nodes` are syntax nodes [(begin, end)] in string indices; gaps start at
    token `first_tok` or later and end at `last_tok` or before.
    """

    encoded: Encoded
    nodes: Sequence[tuple[int, int]]
    first_tok: int
    last_tok: int

    @property
    def text(self) -> str:
        return self.encoded.text

    def char_of(self, token: int) -> int:
        """Return the string index at which `token` starts; the text's length for the token after the last."""
        starts = self.encoded.starts
        return starts[token] if token < len(starts) else len(self.text)

    def token_at(self, char: int) -> int:
        """Return the token that `char` lies in."""
        return bisect_right(self.encoded.starts, char) - 1


def draw_span(source: SpanSource, config: ExampleConfig, rng: np.random.Generator) -> tuple[int, int]:
    """Return a gap [begin, end) in string indices."""
    begin_char, end_char = source.char_of(source.first_tok), source.char_of(source.last_tok)
    if rng.random() < config.empty_share:
        return _empty(source.text, begin_char, end_char, rng)
    kind, length = rng.random(), log_uniform(rng, config.span_min, config.span_max)
    if kind < config.nodes_share and (found := _node(source, length, begin_char, end_char, rng)):
        return found
    if kind < config.nodes_share + config.lines_share and (found := _lines(source, length, begin_char, end_char, rng)):
        return found
    return _characters(source, length, begin_char, end_char, config, rng)


def draw_joint_spans(source: SpanSource, config: ExampleConfig, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return two or more gaps, ascending, with text between them; one where the window is too short for more."""
    count = int(rng.integers(2, config.joint_gaps_max + 1))
    token = int(rng.integers(source.first_tok, max(source.first_tok + 1, source.last_tok - 8 * count)))
    spans: list[tuple[int, int]] = []
    for _ in range(count):
        begin = _char_in(source, token, rng)
        length = 0 if rng.random() < config.empty_share else log_uniform(rng, config.span_min, config.joint_span_max)
        end = begin if not length else _char_in(source, token + length, rng)
        end = min(max(begin, end), source.char_of(source.last_tok))
        if spans and begin <= spans[-1][1]:
            break
        spans.append((begin, end))
        token = source.token_at(end) + log_uniform(rng, 1, config.joint_between_max)
        if token >= source.last_tok:
            break
    return spans


def walk_bounds(text: str, end: int, config: ExampleConfig, rng: np.random.Generator) -> list[int]:
    """Return chunk bounds that a cursor leaves which walked left to `end` in small steps, ascending."""
    bounds = [end]
    for _ in range(int(rng.integers(1, config.walk_steps_max + 1))):
        bounds.append(bounds[-1] + log_uniform(rng, 1, config.walk_step_chars_max))
    return [bound for bound in bounds if bound < len(text)]


def _char_in(source: SpanSource, token: int, rng: np.random.Generator) -> int:
    """Return a random character of `token`."""
    begin, end = source.char_of(token), source.char_of(token + 1)
    return int(rng.integers(begin, max(begin + 1, end)))


def _empty(text: str, begin_char: int, end_char: int, rng: np.random.Generator) -> tuple[int, int]:
    char = int(rng.integers(begin_char, end_char + 1))
    if rng.random() < 0.5:  # cursors rest at the ends of lines
        newline = text.find("\n", char, end_char)
        char = char if newline < 0 else newline
    return char, char


def _characters(
    source: SpanSource, length: int, begin_char: int, end_char: int, config: ExampleConfig, rng: np.random.Generator
) -> tuple[int, int]:
    token = int(rng.integers(source.first_tok, source.last_tok))
    begin = min(_char_in(source, token, rng), end_char)
    end = min(max(begin, _char_in(source, token + length, rng)), end_char)
    if rng.random() < config.to_line_end:
        newline = source.text.rfind("\n", begin, end + 1)
        newline = source.text.find("\n", end, end_char) if newline <= begin else newline
        end = newline if newline > begin else end
    return begin, end


def _lines(
    source: SpanSource, length: int, begin_char: int, end_char: int, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Whole lines of about `length` tokens: with or without the first one's indentation, and the last line's break."""
    text = source.text
    newline = text.find("\n", int(rng.integers(begin_char, end_char)), end_char)
    if newline < 0:
        return None
    begin = newline + 1
    wanted = source.char_of(min(source.token_at(begin) + length, source.last_tok))
    last = text.rfind("\n", begin, wanted + 1)
    if last < 0:
        last = text.find("\n", wanted, end_char)
    if last < 0:
        return None
    if rng.random() < 0.5:
        while begin < last and text[begin] in " \t":
            begin += 1
    return begin, last + int(rng.random() < 0.5)


def _node(
    source: SpanSource, length: int, begin_char: int, end_char: int, rng: np.random.Generator
) -> tuple[int, int] | None:
    """The syntax node, of some drawn at random, whose length comes nearest to `length` tokens."""
    first = bisect_left(source.nodes, (begin_char, 0))
    last = bisect_left(source.nodes, (end_char, 0))
    if first >= last:
        return None
    best, best_ratio = None, float("inf")
    for index in rng.integers(first, last, 12):
        begin, end = source.nodes[index]
        tokens = source.token_at(max(begin, end - 1)) - source.token_at(begin) + 1
        ratio = max(tokens / length, length / tokens)
        if end <= end_char and ratio < best_ratio:
            best, best_ratio = (begin, end), ratio
    return best if best_ratio < 2.5 else None
