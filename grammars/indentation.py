"""How a file is laid out: its unit of indentation and its line ending; and putting a text into that style.

This module reads text only, and never more of it than the first few hundred kilobytes.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from grammars.offsets import LINE_BREAK, line_start
from grammars.snapshot import SyntaxSnapshot

_READ_CHAR = 200_000
_INDENTS = re.compile(r"^([ \t]*)[^\s#*/]", re.MULTILINE)
_INDENT = re.compile(r"[ \t]*")
_TAB_SPACES = 4  # that stand for a tab where a text is indented by spaces, and its file by tabs
_LINES_ABOVE = 200  # read to find out whether a recipe goes on
_RULE = re.compile(r"[^\s#=:][^#=]*?::?(?![:=])")
_NO_RULE_NOR_RECIPE = re.compile(r"\s*(?:#|-?include\b|ifn?def\b|ifn?eq\b|else\b|endif\b|$)")


def indentation_unit(snapshot: SyntaxSnapshot) -> str:
    """One step of indentation: a tab, or some spaces. The language's usual one when the file shows none; empty for a
    language that has none.

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
    breaks = Counter(LINE_BREAK.findall(snapshot.text[:_READ_CHAR]))
    return breaks.most_common(1)[0][0] if breaks else "\n"


def in_file_style(snapshot: SyntaxSnapshot, start_char: int, text: str) -> str:
    """``text``, which is to be put at ``start_char``, with the line ending and the kind of indentation of the file.

    Only indentation of the other kind is changed: blanks that align behind tabs are left as they are.
    """
    unit, ending = indentation_unit(snapshot), line_ending(snapshot)
    line_prefix = snapshot.text[line_start(snapshot.text, start_char) : start_char]
    lines = LINE_BREAK.split(text)
    in_recipe = snapshot.language.tab_recipes and _is_recipe_above(snapshot.text, start_char)
    styled: list[str] = []
    for number, line in enumerate(lines):
        begun = line_prefix if number == 0 else ""
        if not begun.strip():
            indent = _INDENT.match(line)[0]  # type: ignore[index]  # it matches anything
            if snapshot.language.tab_recipes:
                new_indent = _recipe_indent(begun, indent) if in_recipe and line.strip() else indent
            else:
                new_indent = _converted(indent, unit)
            line = new_indent + line[len(indent) :]
        if snapshot.language.tab_recipes:
            in_recipe = _is_in_recipe_behind(begun + line, in_recipe)
        styled.append(line)
    return ending.join(styled)


def _converted(indent: str, unit: str) -> str:
    if unit == "\t":
        return indent if "\t" in indent else indent.replace(" " * _TAB_SPACES, "\t")
    return indent.replace("\t", unit) if unit else indent


def _recipe_indent(begun: str, indent: str) -> str:
    """The indentation of a line of a recipe, which must begin with a tab."""
    if begun or not indent or indent.startswith("\t"):
        return indent
    return "\t" + indent[_TAB_SPACES:]


def _is_recipe_above(text: str, offset_char: int) -> bool:
    """Whether a line at this place that is indented belongs to the recipe of a rule."""
    start_char = line_start(text, offset_char)
    above = LINE_BREAK.split(text[max(0, start_char - _LINES_ABOVE * 80) : start_char])[-_LINES_ABOVE:]
    in_recipe = False
    for line in above:
        in_recipe = _is_in_recipe_behind(line, in_recipe)
    return in_recipe


def _is_in_recipe_behind(line: str, in_recipe: bool) -> bool:
    if line.startswith("\t"):
        return True
    if _NO_RULE_NOR_RECIPE.match(line):
        return in_recipe
    return _RULE.match(line) is not None
