"""What a list of completions shows of one: its name, and all of it beside the list."""

from __future__ import annotations

import pytest

from lsp_server.completion import _documentation, _label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("x = 1", "x = 1"),
        ("a" * 60, "a" * 60),  # as long as a label may be
        ("a" * 61, "a" * 60 + "…"),
        ("\n    y = x\n    return y", "y = x…"),
        ("a" * 61 + "\nb", "a" * 60 + "…"),
    ],
)
def test_a_completion_is_named_by_its_beginning(text: str, label: str) -> None:
    assert _label(text) == label


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("x = 1", "```python\nx = 1\n```"),
        ("x = '``'", "```python\nx = '``'\n```"),
        ("x = '```'", "````python\nx = '```'\n````"),  # else the fence ends there
        ("'`````' + '```'", "``````python\n'`````' + '```'\n``````"),
    ],
)
def test_a_completion_is_shown_whole_beside_the_list(text: str, markdown: str) -> None:
    """Clients that know no Markdown get the text alone: they would show fences as they are."""
    shown = _documentation(text, "python", in_markdown=True)
    assert (shown.kind.value, shown.value) == ("markdown", markdown)
    shown = _documentation(text, "python", in_markdown=False)
    assert (shown.kind.value, shown.value) == ("plaintext", text)
