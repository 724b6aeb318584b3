"""What the peer of replays is asked: its prompt must be one that llama.cpp can reuse, and about as long as ours."""

from __future__ import annotations

import random

from benchmarks.llama import LEAST_PROMPT_TOKENS, MOST_PROMPT_TOKENS, PromptWindow
from model.api.edits import common_prefix_chars
from tests.model.tiny import SINK, tiny_tokenizer

LINES = [f"let value_{number} = call({number}, other);\n" for number in range(900)]


def test_a_prompt_begins_where_the_one_before_did() -> None:
    """Typing on, the whole of the last prompt is the beginning of the next, until it has grown too long."""
    window, text, tokenizer = PromptWindow(tiny_tokenizer(), SINK), "".join(LINES), tiny_tokenizer()
    at = len("".join(LINES[:600]))
    before, begun_anew = window.tokens(text, at), 0
    for number in range(120):
        typed = f"foo({number});\n"
        text, at = text[:at] + typed + text[at:], at + len(typed)
        prompt = window.tokens(text, at)
        assert prompt[0] == SINK
        assert LEAST_PROMPT_TOKENS <= len(prompt) <= MOST_PROMPT_TOKENS + 1
        assert text[:at].endswith(tokenizer.decode(prompt[1:], skip_special_tokens=False))
        reused = common_prefix_chars("".join(map(chr, before)), "".join(map(chr, prompt)))
        begun_anew += reused < len(before) - 3  # the last token may have grown
        before = prompt
    assert begun_anew <= 2


def test_edits_above_and_jumps() -> None:
    window, text, draw = PromptWindow(tiny_tokenizer(), SINK), "".join(LINES), random.Random(0)
    for _ in range(60):
        cursor = draw.randint(0, len(text))
        window.tokens(text, cursor)
        above = draw.randint(0, cursor)
        text, cursor = text[:above] + "// é\n" + text[above:], cursor + 5
        prompt = window.tokens(text, cursor)
        assert len(prompt) <= MOST_PROMPT_TOKENS + 1
        assert text[:cursor].endswith(tiny_tokenizer().decode(prompt[1:], skip_special_tokens=False))
    assert window.tokens(text, 0) == [SINK]
