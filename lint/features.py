"""Numbers about a line that tell wrong lines from right ones: what kind of line it is, and how it surprises the model.

Plain arithmetic over text and scores, for any language: what a name, a number, a
string or a comment looks like is guessed from characters alone. What the numbers
weigh is not known here (`classifier.py`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lint.scoring import LineScore, next_scored
from model.api.types import TokenScore

_WORD = re.compile(r"[^\W\d]\w*")
_PIECE = re.compile(r"[^\W\d]\w*|\d[\w.]*|[^\w\s]+")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`")
_COMMENT = re.compile(r"(?:^|\s)(?:#(?!include|define|if|else|endif|pragma|\[)|//|/\*|--\s).*$|^\s*\*.*$")
_OPERATORS = frozenset("+-*/%<>=!&|^~?")
_KEYWORDS = frozenset(
    {
        "if", "elif", "else", "for", "while", "return", "and", "or", "not", "in", "is",
        "true", "false", "none", "null", "nil", "self", "this", "def", "fn", "func", "function",
        "let", "var", "const", "int", "float", "double", "bool", "string", "str", "new", "try",
        "except", "catch", "throw", "raise", "match", "case", "switch", "break", "continue",
    }
)  # fmt: skip
_DECLARES = re.compile(
    r"\s*(?:import|from|use|using|package|namespace|#|@|(?:export |pub |public |private |static |async |default )*"
    r"(?:class|struct|enum|trait|interface|impl|def|fn|func|function|type|template)\b)"
)
_BRANCHES = re.compile(r"\s*(?:\}\s*)?(?:else\s+)?(?:if|elif|while|for|switch|match|case|unless|until)\b")

CODE, NAMED, NEW, NUMBER, OPERATOR, QUIET = range(6)  # what a character is part of: QUIET is in strings and comments


@dataclass(frozen=True)
class FileWords:
    """How often each word stands in a file."""

    counts: Mapping[str, int]

    @classmethod
    def of(cls, lines: Sequence[str]) -> FileWords:
        return cls(Counter(word for line in lines for word in _WORD.findall(line)))


def classes(line: str, words: FileWords) -> list[int]:
    """Return what each character of `line` is part of. A word is NAMED if it stands elsewhere in the file, else NEW."""
    found = [CODE] * len(line)
    own = Counter(_WORD.findall(line))
    for match in _PIECE.finditer(line):
        piece = match[0]
        if piece[0].isdigit():
            kind = NUMBER
        elif piece[0] in _OPERATORS:
            kind = OPERATOR
        elif piece.lower() in _KEYWORDS or not _WORD.match(piece):
            kind = CODE
        else:
            kind = NAMED if words.counts.get(piece, 0) > own[piece] else NEW
        found[match.start() : match.end()] = [kind] * len(piece)
    for pattern in (_QUOTED, _COMMENT):
        for match in pattern.finditer(line):
            found[match.start() : match.end()] = [QUIET] * (match.end() - match.start())
    return found


def text_features(line: str, words: FileWords) -> dict[str, float]:
    """Return what kind of line it is, without the model."""
    text = line.strip()
    kinds = classes(line, words)
    pieces = _PIECE.findall(text)
    quiet = sum(kind == QUIET for kind in kinds)
    return {
        "chars": min(len(text), 120) / 40,
        "log_chars": math.log1p(len(text)),
        "pieces": min(len(pieces), 40) / 10,
        "operators": min(sum(piece[0] in _OPERATORS for piece in pieces), 6),
        "numbers": min(sum(piece[0].isdigit() for piece in pieces), 6),
        "names": min(len(set(_WORD.findall(text)) - _KEYWORDS), 10),
        "returns": float(bool(re.match(r"(?:return|yield|raise|throw)\b", text))),
        "branches": float(bool(_BRANCHES.match(text))),
        "declares": float(bool(_DECLARES.match(text))),
        "assigns": float(bool(re.search(r"[\w\])]\s*(?::=|[-+*/|&]?=)(?!=)", text))),
        "calls": float(bool(re.search(r"\w\(", text))),
        "no_word": float(not _WORD.search(text)),
        "few_words": float(len(_WORD.findall(text)) == 1),
        "comment": float(quiet >= len(text) * 0.9),
        "quiet": quiet / max(1, len(line)),
        "opens": float(text.endswith(("{", ":", "(", "["))),
    }


def score_features(line: str, score: LineScore, following: LineScore | None, words: FileWords) -> dict[str, float]:
    """Return how a line surprises the model, in nats; `following` is the score of the next line, if it has one."""
    kinds = classes(line, words)
    at = [_kind_at(line, kinds, start) for start in score.starts]
    both = [-token.logprob for token in score.tokens]
    text = [-token.logprob for token in score.as_text]
    excess = [s - _entropy(token) for s, token in zip(both, score.tokens, strict=True)]
    excess_text = [s - _entropy(token) for s, token in zip(text, score.as_text, strict=True)]
    margin = [_best(token) - token.logprob for token in score.tokens]
    margin_text = [_best(token) - token.logprob for token in score.as_text]
    features = {
        "max": max(both),
        "sum": math.log1p(sum(both)),
        "mean": fmean(both),
        "text_max": max(text),
        "text_mean": fmean(text),
        "excess": max(excess),
        "text_excess": max(excess_text),
        "both_excess": max(min(a, b) for a, b in zip(excess, excess_text, strict=True)),
        "margin": max(margin),
        "margin_sum": math.log1p(sum(margin)),
        "text_margin": max(margin_text),
        "both_margin": max(min(a, b) for a, b in zip(margin, margin_text, strict=True)),
        "first": both[0],
        "contrast": max(a - b for a, b in zip(both, text, strict=True)),
        "explained": sum(text) - sum(both),
        "stop": -(score.stop_logprob or 0.0),
    }
    for name, kind in (("code", CODE), ("named", NAMED), ("new", NEW), ("number", NUMBER), ("operator", OPERATOR)):
        features[f"{name}_excess"] = max((e for e, k in zip(excess, at, strict=True) if k == kind), default=0.0)
        features[f"{name}_text_excess"] = max(
            (e for e, k in zip(excess_text, at, strict=True) if k == kind), default=0.0
        )
        features[f"{name}_margin"] = max((m for m, k in zip(margin, at, strict=True) if k == kind), default=0.0)
    loud = [e for e, k in zip(excess, at, strict=True) if k != QUIET]
    features["loud_excess"] = max(loud, default=0.0)
    features["loud_margin"] = max((m for m, k in zip(margin, at, strict=True) if k not in (QUIET, NEW)), default=0.0)
    behind = [-token.logprob for token in following.as_text] if following else []
    behind_excess = [-token.logprob - _entropy(token) for token in following.as_text] if following else []
    features["behind_mean"] = fmean(behind) if behind else 0.0
    features["behind_first"] = behind[0] if behind else 0.0
    features["behind_excess"] = max(behind_excess, default=0.0)
    features["behind_gap"] = fmean(-token.logprob for token in following.tokens) if following else 0.0
    return {name: max(-8.0, min(value, 16.0)) for name, value in features.items()}


def line_features(
    lines: Sequence[str], scores: Mapping[int, LineScore]
) -> tuple[dict[int, dict[str, float]], dict[int, dict[str, float]]]:
    """Return `text_features` and `score_features` of the lines of a file that have scores, by number."""
    words = FileWords.of(lines)
    text, surprise = {}, {}
    for number in sorted(scores):
        line, following = lines[number - 1], next_scored(lines, number)
        text[number] = text_features(line, words)
        surprise[number] = score_features(line, scores[number], scores.get(following or 0), words)
    return text, surprise


def _kind_at(line: str, kinds: Sequence[int], column: int) -> int:
    """Return what the first character from `column` on that is no space is part of."""
    while column < len(line) - 1 and line[column].isspace():
        column += 1
    return kinds[column] if column < len(kinds) else CODE


def _entropy(token: TokenScore) -> float:
    return token.entropy or 0.0


def _best(token: TokenScore) -> float:
    return token.logprob if token.best_logprob is None else token.best_logprob
