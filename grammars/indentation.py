"""How a file is laid out: its unit of indentation and its line ending.

This module reads text only, and never more of it than the first few hundred kilobytes.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from grammars.syntax_document import SyntaxSnapshot

_READ_CHAR = 200_000
_INDENTS = re.compile(r"^([ \t]*)[^\s#*/]", re.MULTILINE)
_LINE_BREAK = re.compile(r"\r\n|\n|\r")


def indentation_unit(snapshot: SyntaxSnapshot) -> str:
    """One step of indentation: a tab, or some spaces. The language's usual one when the file shows none.

    The step is the commonest difference between one indented line and a shallower one before it; lines that begin
    like comments are left out, because their continuation lines are aligned rather than indented.
    """
    indents = [found[1] for found in _INDENTS.finditer(snapshot.text[:_READ_CHAR].replace("\r", "\n"))]
    steps: Counter[str] = Counter()
    for before, after in pairwise(indents):
        step = after[len(before) :]
        if step and after.startswith(before):
            steps["\t" if "\t" in step else step] += 1
    steps.pop(" ", None)  # one space is alignment, or the inside of a comment
    usual = max(steps, key=lambda step: (steps[step], -len(step)), default="")
    return usual if usual == "\t" or 0 < len(usual) <= 8 else snapshot.language.indentation


def line_ending(snapshot: SyntaxSnapshot) -> str:
    """The commonest of LF, CR LF and CR at the beginning of the file; LF when it has no line break."""
    breaks = Counter(_LINE_BREAK.findall(snapshot.text[:_READ_CHAR]))
    return breaks.most_common(1)[0][0] if breaks else "\n"
