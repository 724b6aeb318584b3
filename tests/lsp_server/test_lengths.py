"""How long suggestions become, with models that stop by themselves and with those that only stop at limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grammars import language_named, snapshot_of, without_loose_end
from grammars.spans import Stop
from lsp_server.lengths import cut, plan_fill, plan_suggestion
from lsp_server.settings import Settings
from lsp_server.shaping import shaped
from model.api.types import Gap


def check(text: str, said: str, expected: str | None, *, language: str = "python", invoked: bool = False) -> None:
    """`|` is the cursor; None: nothing is asked."""
    cursor = text.index("|")
    snapshot = snapshot_of(text.replace("|", "", 1), language_named(language))
    plan = plan_suggestion(snapshot, cursor, Settings(), invoked=invoked, sees_suffix=False)
    if expected is None:
        assert plan is None
    else:
        assert plan is not None
        assert shaped(snapshot, plan, said, "tokens" if said.endswith("…") else "eoi").text == expected


@pytest.mark.parametrize(
    ("text", "said", "expected"),
    [
        ("x = |", "1 + 2\ny = 3", "1 + 2"),
        ("x = |\n", "1\n", "1"),
        ("print(|)", "x)\nprint(y)", "x"),
        ("print(|)\n", "'a')", "'a'"),
        ("a = [|]", "1, 2]", "1, 2"),
        ("def f(x):\n    |\n", "return x\n\n\ndef g():\n    pass", "return x"),
        ("def f(x):|\n", "\n    y = x\n    return y\n\n\ndef g():\n", "\n    y = x\n    return y"),
        (
            "def f(x):|\n",
            "\n    if x:\n        return 1\n    return 2\nz = 1\n",
            "\n    if x:\n        return 1\n    return 2",
        ),
        ("x = 1\n|\n", "if x:\n    y = 2\nz = 3\n", "if x:\n    y = 2"),
        ("x = 1\n|\n", "y = f(\n    x,\n)\nz = 3\n", "y = f(\n    x,\n)"),
        ("foo(|\n", "a,\n    b)\nbar()\n", "a,\n    b)"),
        ("def f():\n    |return 1\n", "x", None),
        ("na|me = 1\n", "x", None),
        ("|", "import os", None),
        ("f(|, g(2))\n", "1", None),
    ],
)
def test_python(text: str, said: str, expected: str | None) -> None:
    check(text, said, expected)


@pytest.mark.parametrize(
    ("text", "said", "expected"),
    [
        ("fn f(x: i32) -> i32 {|\n", "\n    x + 1\n}\n\nfn g() {", "\n    x + 1\n}"),
        ("fn f(x: i32) -> i32 {\n    |\n}\n", "x + 1\n}\n\nfn g() {", "x + 1"),
        ("fn f() {\n    let x = |\n}\n", "1;\n    let y = 2;", "1;"),
    ],
)
def test_rust(text: str, said: str, expected: str) -> None:
    check(text, said, expected, language="rust")


def test_asked_by_hand_a_statement_is_suggested_behind_a_whole_line() -> None:
    check("x = 1|\n", "\ny = f(\n    2\n)\nz = 3\n", "\ny = f(\n    2\n)", invoked=True)


@pytest.mark.parametrize(
    ("said", "stop", "expected"),
    [
        ("a b", "eoi", "a b"),
        ("one two thr", "tokens", "one two"),
        ("x = 1\ny = 2\nz =", "tokens", "x = 1\ny = 2"),
        ("x = 1\n", "time", "x = 1"),
        ("word", "tokens", ""),
        ("x += 1\n" * 3, "tokens", "x += 1"),  # said over and over: three times, and not twice
        ("x += 1\n" * 3, "eoi", "x += 1"),
        ("value += 1\n" * 2, "tokens", "value += 1\nvalue += 1"),
        ("value += 1\n" * 2, "eoi", "value += 1\nvalue += 1"),
        ("x " * 6, "tokens", ""),
        ("x " * 5, "tokens", "x x x x x"),  # too short to be sure
        ("y = 1\nz = " + "a or " * 9, "context", "y = 1"),
        ("y = 1\rz = " + "a or " * 9, "context", "y = 1"),
        ("- - - - - - - - ", "tokens", ""),
        ("a\n" + "-\n" * 9, "tokens", "a\n" + "-\n" * 8 + "-"),  # nothing is said
        ("a\n" + "1, 2\n" * 9, "eoi", "a\n" + "1, 2\n" * 8 + "1, 2"),
    ],
)
def test_what_a_limit_cut_off_is_dropped(said: str, stop: str, expected: str) -> None:
    assert without_loose_end(said, stop).rstrip() == expected


def test_a_new_syntax_error_is_not_shown() -> None:
    check("def f():\n    return 1\n|\n", "def g(:\n", "")


def test_what_the_next_line_says_is_not_suggested() -> None:
    check("def f(x):\n    |\n    return x\n", "return x", "")


@pytest.mark.parametrize(("line", "expected"), [("each do", "\n  x\nend"), ("redo", "\n  x")])
def test_a_keyword_opens_a_block_only_as_a_word(line: str, expected: str) -> None:
    ruby = language_named("ruby")
    plan = plan_fill(snapshot_of(line + "\n", ruby), Gap(len(line), len(line)), Settings())
    plan = replace(plan, stop=Stop.STATEMENT, line_prefix=line)
    assert cut("\n  x\nend\ny\n", plan, ruby) == expected


def test_an_empty_body_is_filled_with_a_block() -> None:
    snapshot = snapshot_of("def f():\n    \n", language_named("python"))
    assert plan_fill(snapshot, Gap(13, 13), Settings()).stop is Stop.BLOCK
    assert plan_fill(snapshot_of("x = 1\n\n", language_named("python")), Gap(6, 6), Settings()).stop is Stop.STATEMENT


def test_limits_grow_with_what_is_wanted() -> None:
    settings = Settings(max_lines=10, fill_max_lines=30)
    snapshot = snapshot_of("def f():\n    old\n    lines\n", language_named("python"))
    plan = plan_fill(snapshot, Gap(13, 26), settings)
    assert plan.limits.max_lines == 31
    assert plan.limits.max_ms is None
    assert cut("a\n    b\nc\n", plan, snapshot.language) == "a\n    b"
