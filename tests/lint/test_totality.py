"""Every rule answers any text, in time that grows with its length."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lint.records import ChangedFile, split_lines
from lint.rules import RULES
from lint.work_tree import MAX_FILE_BYTES

PATHS = ["a.py", "a.js", "a.tsx", "a.go", "a.rs", "a.java", "a.c", "a.hpp", "a.cs", "a.rb", "a.php", "a.sh", "a.json",
         "a.yaml", "a.toml", "a.html", "a.css", "a.md", "Makefile", "no-extension"]  # fmt: skip
PIECES = st.sampled_from(
    ["```py", "# ... rest of the code", "<|endoftext|>", "<<<<<<< a", "=======", ">>>>>>> b", "Sure, here is",
     "{{ x }}", "result = 1", "reuslt", "return f(x, result)", "#if 0", "#else", "#endif", "'''", '"', "(", "]",
     "}", "\\", "\r", "\x00", "\ud83d", "\u2028", "😀é", "\t", " ", ",", "\n", "\r\n", "//", "/*", "<?php",
     "from a import *"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    path=st.sampled_from(PATHS),
    pieces=st.lists(PIECES, max_size=30),
    before=st.none() | st.lists(PIECES, max_size=20),
    data=st.data(),
)
def test_any_text(path: str, pieces: list[str], before: list[str] | None, data: st.DataObject) -> None:
    text = "".join(pieces)
    lines = split_lines(text)
    added = data.draw(st.frozensets(st.integers(1, len(lines)))) if lines else frozenset()
    file = ChangedFile(path, text, None if before is None else "".join(before), added, added)
    for rule, check in RULES:
        for finding in check(file):
            span = finding.span
            assert (finding.rule, finding.path) == (rule, path)
            assert (span.line, span.column) <= (span.end_line, span.end_column)
            assert 1 <= span.line <= span.end_line <= max(1, len(lines) + 1)
            assert finding.message
            assert "\n" not in finding.message


@pytest.mark.slow
@pytest.mark.parametrize("path", ["a.py", "a.js", "a.c", "a.md", "a.json"])
@pytest.mark.parametrize(
    "pattern",
    ["x = f(y)\n", "result = reuslt\n", "```\n", "... rest of the ", "<<<<<<< a\n", "(", '"', "a", "#if 0\n",
     "existing code ", "here is the updated ", "```", "{{ ", "<｜", "\n",
     "return other(value)\nvalue = other(value)\n"],
)  # fmt: skip
def test_the_largest_file_of_one_pattern(path: str, pattern: str) -> None:
    """The time limit of a test is what a quadratic rule would exceed. Larger files are refused before."""
    text = pattern * (MAX_FILE_BYTES // len(pattern.encode()))
    lines = frozenset(range(1, len(split_lines(text)) + 1))
    file = ChangedFile(path, text, text[: len(text) // 2], lines, lines)
    for _rule, check in RULES:
        list(check(file))
