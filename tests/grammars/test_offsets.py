"""Where lines begin and end, against a list of all line breaks."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from grammars.offsets import line_end, line_start, next_line_start

BREAK = re.compile(r"\r\n|\n|\r")


def check(text: str) -> None:
    breaks = [found.span() for found in BREAK.finditer(text)]
    for offset_char in range(len(text) + 1):
        begin = max((end for _, end in breaks if end <= offset_char), default=0)
        end, following = next(((start, end) for start, end in breaks if end > offset_char), (len(text), len(text)))
        assert line_start(text, offset_char) == begin
        assert line_end(text, offset_char) == end, "between CR and LF is the end of a line"
        assert next_line_start(text, offset_char) == following


@given(st.text(st.sampled_from("a\r\n\x0b\u2028😀"), max_size=20))
def test_lines_end_at_line_feeds_and_carriage_returns_only(text: str) -> None:
    check(text)


def test_a_line_may_be_long() -> None:
    """Its beginning is looked for near by first."""
    for line_break in ("\n", "\r", "\r\n"):
        for size_char in (4095, 4096, 4097, 9000):
            text = f"a{line_break}{'b' * size_char}{line_break}c"
            begin = 1 + len(line_break)
            for offset_char in (begin, begin + 1, begin + size_char - 1, begin + size_char):
                assert line_start(text, offset_char) == begin
            assert line_start(text, len(text)) == len(text) - 1
