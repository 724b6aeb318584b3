"""The numbers about a line, by hand."""

from __future__ import annotations

import pytest

from lint.features import CODE, NAMED, NEW, NUMBER, OPERATOR, QUIET, FileWords, classes, score_features, text_features
from lint.scoring import LineScore
from model.api.types import TokenScore

LINES = ["total = 0", "for item in items:", "    total += item.price - 1  # less one", "return total"]
WORDS = FileWords.of(LINES)
KINDS = {CODE: ".", NAMED: "n", NEW: "w", NUMBER: "1", OPERATOR: "o", QUIET: "q"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (LINES[2], "....nnnnn.oo.nnnn.wwwww.o.1.qqqqqqqqqqq"),
        (LINES[3], ".......nnnnn"),
        ("x = 'it''s' + \"a\\\"b\"", "w.o.qqqqqqq.o.qqqqqq"),
        ("#include <total>", ".wwwwwww.onnnnno".replace(".wwwwwww.o", ".wwwwwww.o")),
        ("total != 0x1F;", "nnnnn.oo.1111."),
        ("", ""),
    ],
)
def test_what_each_character_is_part_of(line: str, expected: str) -> None:
    assert "".join(KINDS[kind] for kind in classes(line, WORDS)) == expected


def test_a_word_that_stands_in_its_own_line_only_is_new() -> None:
    assert NAMED not in classes(LINES[1], FileWords.of([LINES[1]]))


def test_the_kind_of_a_line() -> None:
    features = text_features("    if total - 1 > 0 and not done:", WORDS)
    assert (features["branches"], features["returns"], features["declares"], features["opens"]) == (1, 0, 0, 1)
    assert (features["operators"], features["numbers"], features["names"]) == (2, 2, 2)
    assert text_features("}", WORDS)["no_word"] == text_features("# all of it", WORDS)["comment"] == 1
    assert text_features("pub static fn total() {", WORDS)["declares"] == 1
    assert text_features("x += 1", WORDS)["assigns"] == text_features("a.b(c)", WORDS)["calls"] == 1
    assert text_features("x == 1", WORDS)["assigns"] == 0


def score(*tokens: tuple[int, float, float, float, float, float], line: int = 3) -> LineScore:
    """Tokens as (column, log-probability, likeliest, entropy; log-probability and likeliest as text)."""
    return LineScore(
        line,
        tokens[0][0],
        tuple(token[0] for token in tokens),
        tuple(TokenScore("t", token[1], "clean", token[2], token[3]) for token in tokens),
        tuple(TokenScore("t", token[4], "clean", token[5], 0.0) for token in tokens),
        -0.5,
    )


def test_how_a_line_surprises() -> None:
    """`total`, ` +=`, ` item`, `price`, ` -`, ` 1`, and a comment that surprises most and counts for little."""
    scored = score(
        (4, -1.0, -1.0, 0.5, -2.0, -0.5),
        (9, -3.0, -0.25, 1.0, -1.0, -1.0),
        (12, -2.0, -0.5, 2.5, -4.0, -1.0),
        (18, -6.0, -0.5, 1.0, -1.0, -0.5),
        (23, -0.5, -0.5, 0.25, -0.75, -0.5),
        (25, -4.0, -0.125, 0.5, -0.5, -0.5),
        (27, -9.0, -1.0, 1.0, -1.0, -1.0),
    )
    features = score_features(LINES[2], scored, None, WORDS)
    expected = {
        "max": 9.0,
        "mean": 25.5 / 7,
        "first": 1.0,
        "excess": 8.0,  # of the comment
        "loud_excess": 5.0,  # of the new name
        "named_excess": 0.5,
        "operator_excess": 2.0,
        "number_excess": 3.5,
        "new_excess": 5.0,
        "margin": 8.0,
        "loud_margin": 3.875,  # of the number: new names surprise always
        "operator_margin": 2.75,
        "named_margin": 1.5,
        "text_max": 4.0,
        "text_margin": 3.0,
        "both_margin": 1.5,
        "contrast": 8.0,
        "explained": -8.0,  # 10.25 - 25.5, cut off at -8
        "stop": 0.5,
        "behind_mean": 0.0,
    }
    assert {name: features[name] for name in expected} == pytest.approx(expected)


def test_what_follows_counts_as_text() -> None:
    behind = score((0, -9.0, -1.0, 1.0, -1.0, -0.5), (6, -9.0, -1.0, 1.0, -4.0, -0.5), line=4)
    features = score_features(LINES[2], score((4, -1.0, -1.0, 0.5, -2.0, -0.5)), behind, WORDS)
    assert (features["behind_mean"], features["behind_first"], features["behind_excess"]) == (2.5, 1.0, 4.0)
    assert features["behind_gap"] == 9.0


def test_a_token_without_a_distribution_surprises_by_itself() -> None:
    """What a worker may leave out: scores of mask rows have neither entropy nor likeliest token."""
    scored = LineScore(1, 0, (0,), (TokenScore("t", -2.0, "mask"),), (TokenScore("t", -1.0, "mask"),), None)
    features = score_features("total", scored, None, WORDS)
    assert (features["excess"], features["margin"], features["stop"]) == (2.0, 0.0, 0.0)
