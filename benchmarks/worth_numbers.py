"""Numbers about a suggestion that were tried beside those that ship (`lsp_server.worth`), and do not.

Knows texts, their syntax and what a decode says of itself; knows no model.
"""

from __future__ import annotations

import math
import re
from statistics import fmean

from grammars import PlaceKind, SyntaxSnapshot, names_in, place_at
from lsp_server.lengths import around_on_line
from model.api.line_breaks import LINE_BREAK
from model.api.types import Gap, GapInfill

_WORD = re.compile(r"[^\W\d]\w*")
_BEGUN_WORD = re.compile(r"\w*$")
_PIECE = re.compile(r"\w+|[^\w\s]")
_PARSE_SECONDS = 5.0
_NEAR_CHAR = 1500  # on either side
_LINES_ABOVE = 3


def tried_numbers(syntax: SyntaxSnapshot, gap: Gap, shown: str, said: GapInfill) -> dict[str, float]:
    """Return numbers by name; `shown` is what is left of `said`."""
    losses = [-logprob for logprob in said.logprobs] or [3.0]
    infilled = syntax.edited(gap.start, gap.end, shown, _PARSE_SECONDS)
    line, behind = around_on_line(syntax.text, gap.start, gap.end)
    place = place_at(syntax, gap.start).kind
    return {
        "mean": fmean(losses),
        "most": max(losses),
        "first": losses[0],
        "tokens": math.log1p(len(losses)),
        "by_eoi": float(said.stop == "eoi"),
        "cut_off": float(said.stop in ("tokens", "time", "context")),
        "chars": math.log1p(len(shown.strip())),
        "lines": math.log1p(len(LINE_BREAK.findall(shown.strip()))),
        "kept": len(shown.strip()) / max(1, len(said.text.strip())),
        "unknown_names": float(min(3, len(_unknown_names(syntax, infilled, gap, shown)))),
        **_likeness(syntax.text, gap, shown, line),
        "line_start": float(not line.strip()),
        "text_behind": float(bool(behind.strip())),
        **{kind.value: float(place is kind) for kind in PlaceKind if kind is not PlaceKind.CODE},
    }


def _likeness(text: str, gap: Gap, shown: str, line: str) -> dict[str, float]:
    """Return how much a suggestion repeats itself and what stands around it."""
    pieces = _PIECE.findall(shown)
    triples = list(zip(pieces, pieces[1:], pieces[2:], strict=False))
    near = set(_PIECE.findall(f"{text[max(0, gap.start - _NEAR_CHAR) : gap.start]}\0{text[gap.end :][:_NEAR_CHAR]}"))
    words = [piece for piece in pieces if _WORD.match(piece)]
    whole = (line + LINE_BREAK.split(shown)[0]).strip()
    above = [each.strip() for each in LINE_BREAK.split(text[: gap.start])[:-1] if each.strip()]
    return {
        "repeats": 1 - len(set(triples)) / len(triples) if triples else 0.0,
        "line_above": float(whole in above[-_LINES_ABOVE:]),
        "line_elsewhere": float(whole in {each.strip() for each in LINE_BREAK.split(text)}),
        "words_near": fmean(float(word in near) for word in words) if words else 1.0,
    }


def _unknown_names(syntax: SyntaxSnapshot, infilled: SyntaxSnapshot, gap: Gap, shown: str) -> list[str]:
    """Return the names that `shown` uses and does not define, and that stand nowhere else in the file."""
    begun = _BEGUN_WORD.search(syntax.text[: gap.start][-200:])
    start = gap.start - (len(begun[0]) if begun else 0)
    names = names_in(infilled, start, gap.start + len(shown), _PARSE_SECONDS)
    known = {name.text for name in names.defined}
    known.update(_WORD.findall(syntax.text[:start]), _WORD.findall(syntax.text[gap.end :]))
    return [name for name in dict.fromkeys(name.text for name in names.used) if name not in known]
