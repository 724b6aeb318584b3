"""Seams: where text is cut, and that cutting and re-tokenising never changes what the text spells."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from model.api.edits import common_prefix_chars, common_suffix_chars
from model.api.types import Edit, Gap
from model.checkpoint.tokenization import ByteTokenizer
from model.sessions.seams import (
    HELD_BACK_BYTES,
    chunk_texts,
    encode,
    left_cut,
    re_encode,
    shared_break,
)
from model.sessions.session import Session, SessionParts
from tests.model.windows import STANDARD_TEXT, parts

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
KINDS = ["smollm2", "gpt2", "llama3", "qwen2"]

# Pieces that pre-tokenizers treat differently, whole or across a seam.
PIECES = [
    "x", "foo", "_bar", "Ünï", "é", "e\u0301", "👋🏽", "日本", "0", "42", "1234567", " ", "  ", "    ", "\t", "\n",
    "\r", "\r\n", "\n\n", "\u00a0", "\u3000", "'", "'s", "'re", "'LL", "don't", "\"", "(", "):", "):\n", "{}\r\n",
    "->", "...", "#!", "self.", "/*", "<|endoftext|>", "\x0b", "\x1c", "\u200d", "\u0085",
]  # fmt: skip


def pre_tokenizer(kind: str) -> pre_tokenizers.PreTokenizer:
    """Return the pre-tokenizer of a kind of models, as their tokenizer.json has it."""
    if kind == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if kind == "smollm2":
        steps = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    else:
        pattern = Regex({"llama3": LLAMA3, "qwen2": QWEN2}[kind])
        steps = [
            pre_tokenizers.Split(pattern, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    return pre_tokenizers.Sequence(steps)


@lru_cache
def small_tokenizer(kind: str) -> ByteTokenizer:
    """Return a BPE of this kind, trained on source code with line breaks of both sorts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer(kind)
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    source = "".join(path.read_text() for path in sorted(Path(__file__).parents[1].rglob("t*.py")))
    tokenizer.train_from_iterator([source, source.replace("\n", "\r\n"), "don't we're it's " * 50], trainer)
    return ByteTokenizer(tokenizer, tokenizer.get_vocab_size())


class Counted(ByteTokenizer):
    """A tokenizer that counts the characters it is given."""

    def __init__(self, tokenizer: ByteTokenizer) -> None:
        self.__dict__.update(tokenizer.__dict__)
        self.chars = 0

    def encode(self, text: str) -> list[int]:
        self.chars += len(text)
        return super().encode(text)

    def encode_words(self, text: str) -> tuple[list[int], list[int], list[bool]]:
        self.chars += len(text)
        return super().encode_words(text)

    def pre_token_starts(self, text: str) -> list[int]:
        self.chars += len(text)
        return super().pre_token_starts(text)


texts = st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=60).map("".join)


# -- tokens -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(text=texts)
def test_tokens_spell_the_text_and_say_where_they_start(kind: str, text: str) -> None:
    tokenizer = small_tokenizer(kind)
    encoded = encode(tokenizer, text)
    assert encoded.ids == tokenizer.encode(text)
    assert tokenizer.spell(encoded.ids) == text.encode()
    assert encoded.starts == sorted(encoded.starts)
    for index, start in enumerate(encoded.starts):
        before = len(tokenizer.spell(encoded.ids[:index]))
        assert len(text[:start].encode()) <= before < len(text[: start + 1].encode())
    begins = [start for start, begins in zip(encoded.starts, encoded.begins_pre_token, strict=True) if begins]
    assert begins == tokenizer.pre_token_starts(text)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(before=texts, old=texts, new=texts, after=texts)
def test_re_encoding_an_edited_text_is_encoding_it(kind: str, before: str, old: str, new: str, after: str) -> None:
    tokenizer = small_tokenizer(kind)
    edited = before + new + after
    assert re_encode(tokenizer, encode(tokenizer, before + old + after), edited) == encode(tokenizer, edited)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_re_encoding_many_edits_in_a_row_never_drifts(kind: str, seed: int) -> None:
    """Each edit starts from what the last one left, so an error in what is re-used would add up."""
    rng, tokenizer = random.Random(seed), small_tokenizer(kind)
    text = STANDARD_TEXT
    encoded = encode(tokenizer, text)
    for step in range(300):
        start = rng.randrange(len(text) + 1) if rng.random() < 0.5 else max(0, len(text) - rng.randrange(6))
        end = min(len(text), start + rng.choice([0, 0, 1, 2, 9]))
        text = text[:start] + "".join(rng.choices(PIECES, k=rng.randrange(3))) + text[end:]
        encoded = re_encode(tokenizer, encoded, text)
        assert encoded == encode(tokenizer, text), step


def test_re_encoding_at_the_end_tokenises_only_the_end() -> None:
    tokenizer = Counted(small_tokenizer("smollm2"))
    text = STANDARD_TEXT * 50
    encoded = encode(tokenizer, text)
    tokenizer.chars = 0
    re_encode(tokenizer, encoded, text + "x")
    assert tokenizer.chars < 64


# -- the left cut -----------------------------------------------------------------------------


def check_left_cut(kind: str, prefix: str, piece: str) -> None:
    cut = left_cut(small_tokenizer(kind), prefix)
    assert prefix[cut:] == piece


@pytest.mark.parametrize(
    ("prefix", "piece"),
    [
        ("", ""),
        ("x", "x"),
        ("def greet", " greet"),
        ("def greet(", "("),
        ("x = ", " "),
        ("x =", " ="),
        ("    x\n        ", "\n        "),
        ("    x\n\n\t", "\n\n\t"),
        ("x\r\n", "\r\n"),
        ("x\r", "\r"),
        ("a " + "b" * 100, "b" * HELD_BACK_BYTES),
        ("a " + "é" * 100, "é" * (HELD_BACK_BYTES // 2)),
        ("a " + "日" * 100, "日" * (HELD_BACK_BYTES // 3)),
        ("a" + " " * 100, " " * HELD_BACK_BYTES),
        ("hello 👋", " 👋"),
    ],
)
def test_the_left_cut_holds_back_the_last_word_or_all_white_space(prefix: str, piece: str) -> None:
    check_left_cut("smollm2", prefix, piece)


def test_the_left_cut_follows_the_pre_tokenizer() -> None:
    check_left_cut("llama3", "x = 1234567", "7")
    check_left_cut("qwen2", "x = 1234567", "7")
    check_left_cut("gpt2", "x = 1234567", " 1234567")
    check_left_cut("llama3", "self.name", ".name")
    check_left_cut("smollm2", "self.name", "name")
    check_left_cut("smollm2", "x:\n    ", "\n    ")
    check_left_cut("llama3", "x:\n    ", "    ")
    check_left_cut("llama3", "x\n    ", "\n    ")


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(prefix=texts)
def test_the_left_cut_is_a_pre_token_boundary_unless_the_piece_is_too_long(kind: str, prefix: str) -> None:
    tokenizer = small_tokenizer(kind)
    cut = left_cut(tokenizer, prefix)
    piece = prefix[cut:]
    assert len(piece.encode()) <= HELD_BACK_BYTES
    assert bool(piece) == bool(prefix)
    starts = tokenizer.pre_token_starts(prefix)
    last = starts[-1] if starts else 0
    if len(prefix[last:].encode()) <= HELD_BACK_BYTES:
        assert cut <= last, "the last pre-token is held back whole"
    if len(piece.encode()) < HELD_BACK_BYTES - 3 and cut:
        assert cut in starts, "the left stack ends at a boundary"
        before = prefix[starts[starts.index(cut) - 1] : cut]
        assert not (piece.isspace() and before.isspace()), "pre-tokens of white space are held back together"


# -- chunks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(text=texts, chunk_tokens=st.integers(1, 20))
def test_chunks_make_up_the_text(kind: str, text: str, chunk_tokens: int) -> None:
    """A chunk never begins in the middle of a character or a CRLF, and has about the size asked for.

    With a vocabulary that has a token like ":\\n" (Llama 3, Qwen), a chunk once could begin where it ended,
    at the line break inside that token, and cutting never came to an end.
    """
    tokenizer = small_tokenizer(kind)
    chunks = chunk_texts(tokenizer, text, chunk_tokens)
    assert "".join(reversed(chunks)) == text
    assert all(chunks)
    encoded = encode(tokenizer, text)
    end = len(text)
    for chunk in chunks:
        begin = end - len(chunk)
        assert text[begin - 1 : begin + 1] != "\r\n"
        inside = sum(begin <= start < end for start in encoded.starts)
        most = max(len(character.encode()) for character in chunk)
        assert inside <= chunk_tokens + most + 1
        end = begin


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_chunks_of_code_begin_with_a_line_break(kind: str, newline: str) -> None:
    text = STANDARD_TEXT.replace("\r\n", "\n").replace("\n", newline) * 4
    chunks = chunk_texts(small_tokenizer(kind), text, 40)
    assert len(chunks) > 4
    assert all(chunk.startswith(newline) for chunk in chunks[:-1])
    assert text.startswith(chunks[-1])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("marked", "shared"),
    [
        ("a\n[]b\n", True),  # a cursor before a line
        ("a\n[b\n]c\n", True),
        ("a\n[b\nc\n]d", True),
        ("[a\n]b", True),
        ("a\n[b\n]", True),
        ("a\n[]", True),
        ("a\n[\n]b", True),
        ("[]a\n", False),  # no line break stands before it
        ("[]", False),
        ("a[]\n", False),
        ("a\n[]\nb", False),  # a cursor on an empty line: its break is behind it as it is
        ("a\n[b]\n", False),
        ("a\n[b]c\n", False),
        ("a[b\n]c", False),  # begins inside a line: its infill may go on in the one behind
        ("a[\n]c", False),
        ("a\n[b\n]\nc", False),
    ],
)
def test_gaps_of_whole_lines_share_their_last_break(marked: str, shared: bool, newline: str) -> None:
    marked = marked.replace("\n", newline)
    start, end = marked.index("["), marked.index("]") - 1
    text = marked.replace("[", "").replace("]", "")
    assert shared_break(text, start, end) == (newline if shared else "")


def test_a_gap_that_cuts_a_line_break_shares_none() -> None:
    text = "a\r\nb"
    assert [shared_break(text, *gap) for gap in [(2, 2), (2, 3), (1, 2), (0, 2)]] == ["", "", "", ""]


def test_a_line_break_inside_a_token_ends_the_search() -> None:
    """See `test_chunks_make_up_the_text`: one long line that ends in ":\\n", cut small."""
    tokenizer = small_tokenizer("llama3")
    assert any(b":\n" in spelled for spelled in tokenizer.token_bytes)
    text = "if " + "x " * 50 + "):\n        return\n" + "y " * 50 + "):\n"
    for chunk_tokens in range(1, 40):
        assert "".join(reversed(chunk_texts(tokenizer, text, chunk_tokens))) == text


# -- where two texts differ -------------------------------------------------------------------


@settings(deadline=None)
@given(same=st.text(max_size=5), times=st.sampled_from([0, 1, 3000, 4096]), a=texts, b=texts)
def test_common_ends(same: str, times: int, a: str, b: str) -> None:
    def plain(a: str, b: str) -> int:
        return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))

    def check(a: str, b: str) -> None:
        assert common_prefix_chars(a, b) == plain(a, b)
        assert common_suffix_chars(a[::-1], b[::-1]) == plain(a, b)

    check(same * times + a, same * times + b)
    check(same * times, same * times)


# -- large files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("one line of 5 MB", lambda: "x = [" + "1234, " * 850_000 + "]"),
        ("5 MB of spaces", lambda: " " * 5_000_000),
        ("5 MB of one letter", lambda: "a" * 5_000_000),
        ("50,000 lines", lambda: "def function(argument):\r\n    return argument + 1\r\n" * 25_000),
        ("5 MB of emoji", lambda: "👋🏽" * 600_000),
    ],
)
def test_only_windows_of_a_large_file_are_tokenised(name: str, make: Callable[[], str]) -> None:
    shared = parts()
    tokenizer = Counted(shared.tokenizer)
    shared = SessionParts(shared.network, tokenizer, shared.capabilities, shared.islands, shared.full, shared.near)
    text = make()
    session = Session(shared, "big.py", text)
    cursors = [0, len(text), len(text) // 2, len(text) // 3]
    for cursor in cursors:
        session.window_at([Gap(cursor, cursor)], lambda: False)
    session.window_at([Gap(10, 10), Gap(len(text) - 10, len(text) - 5)], lambda: False)
    assert tokenizer.chars < 100_000

    session.window_at([Gap(cursor, cursor)], lambda: False)
    while session.idle_slice():
        pass
    tokenizer.chars = 0
    computed = session.rows_computed
    for _ in range(10):
        session.edit([Edit(cursor, cursor, "x")])
        cursor += 1
        session.window_at([Gap(cursor, cursor)], lambda: False)
    assert tokenizer.chars < 10_000
    assert session.rows_computed - computed < 60
