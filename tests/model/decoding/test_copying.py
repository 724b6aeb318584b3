"""What the file says elsewhere: the mixture against its definition, what counts as said, and decoding by it."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from model.api.types import Gap, InfillRequest, Limits
from model.checkpoint.tokenization import ByteTokenizer
from model.decoding.copying import Copying
from model.decoding.file_tokens import MISSING, FileTokens
from model.decoding.spelling import Vocabulary
from model.network.linear import Precision
from model.worker.engine import Engine
from tests.model.decodes import eager_checkpoint
from tests.model.tiny import EOI, tiny_checkpoint

WEIGHTS = (0.0, 0.10, 0.15, 0.20, 0.25, 0.35, 0.45, 0.60)
CHECKPOINT = tiny_checkpoint()
TOKENIZER = ByteTokenizer(CHECKPOINT.tokenizer, CHECKPOINT.config.vocab_size)
VOCABULARY = Vocabulary(TOKENIZER, EOI)
ALL = VOCABULARY.allowed(b"", b"")


def mixed(left: str, right: str = "\n", known: str = "", max_lines: int | None = 1, allowed: Tensor = ALL) -> Tensor:
    """Return the mixture's probabilities [V] in the gap between two texts, of a model that expects all alike."""
    ids = TOKENIZER.encode(left)
    file = FileTokens([*ids, MISSING, *TOKENIZER.encode(right)], [len(ids)])
    log_probs = allowed.double().log().log_softmax(-1)
    return Copying(file, VOCABULARY, max_lines).mixed(log_probs, 0, TOKENIZER.encode(known), allowed).exp()


def likeliest(probs: Tensor) -> str | None:
    """Return what the token spells that is likelier than all others, `<eoi>`, or None where none is."""
    (first, second), (token_id, _) = (each.tolist() for each in probs.topk(2))
    if first <= second + 1e-9:
        return None
    return "<eoi>" if token_id == EOI else VOCABULARY.token_bytes[token_id].decode()


def naively_mixed(ids: list[int], at: int, known: list[int], log_probs: Tensor, allowed: Tensor) -> Tensor:
    """The definition, place by place: in gaps of several lines, before a text that begins with a line break."""
    before = [*ids[:at], *known]
    matches: dict[int, set[int]] = {}
    for place in range(1, len(ids)):
        following = ids[place]
        if following == MISSING or not allowed[following]:
            continue
        for length in range(1, min(8, place, len(before)) + 1):
            same = ids[place - length : place] == before[-length:]
            if same and MISSING not in before[-length:]:
                matches.setdefault(length, set()).add(following)
    probs = log_probs.exp()
    if matches and len(said := matches[max(matches)]) == 1:
        weight = WEIGHTS[max(matches) - 1]
        probs = (1 - weight) * probs
        probs[said.pop()] += weight
    return probs


def test_the_mixture_is_what_its_definition_says() -> None:
    rng, spoke = random.Random(0), 0
    newline = TOKENIZER.encode("\n")[0]
    words = list(range(300, 306))
    for _ in range(300):
        left, right = ([rng.choice(words) for _ in range(rng.randrange(40))] for _ in range(2))
        ids, known = [*left, MISSING, newline, *right], [rng.choice(words) for _ in range(rng.randrange(6))]
        allowed = torch.zeros_like(ALL)
        allowed[rng.sample(words, rng.randrange(2, 6))] = True
        log_probs = torch.randn(len(ALL), dtype=torch.float64).masked_fill(~allowed, -torch.inf).log_softmax(-1)
        copying = Copying(FileTokens(ids, [len(left)]), VOCABULARY, None)
        found = copying.mixed(log_probs, 0, known, allowed)
        expected = naively_mixed(ids, len(left), known, log_probs, allowed)
        torch.testing.assert_close(found.exp(), expected)
        assert float(found.exp().sum()) == pytest.approx(1)
        assert bool((found[~allowed] == -torch.inf).all())
        spoke += not torch.equal(found, log_probs)
    assert spoke > 60


def test_what_followed_the_same_words_is_copied() -> None:
    assert likeliest(mixed("a = x.width * 2\nb = x.width * 3\nc = x", known=".")) in ("width", "w")
    assert likeliest(mixed("x = left.first\nx = left.second\nz = x = left.")) is None, "the file says both"
    assert likeliest(mixed("alpha beta gamma")) is None


def test_a_line_that_ends_elsewhere_ends_here() -> None:
    file = "def area(self):\n    return self.width\n\n\ndef other(self)"
    assert likeliest(mixed(file + ":", right="\n    pass\n")) == "<eoi>"
    assert likeliest(mixed(file + ":", right="")) == "<eoi>", "the end of the text is that of a line"
    assert likeliest(mixed(file + ":", right=" # all\n")) is None, "this line goes on behind the gap"
    assert likeliest(mixed(file + ":", right="\n    pass\n", max_lines=None)) is None, "or goes on: the model says"
    repeated = "try:\n    run()\n\ntry:\n    run()\n\n"
    assert likeliest(mixed(repeated, known="try:\n   ", max_lines=None)) is None, "whether there is another line, too"
    assert likeliest(mixed(repeated, known="try", max_lines=None)) == ":", "inside a line the file has a say"


@pytest.mark.parametrize(
    ("behind", "ends"), [(b"\n", True), (b"\r\n", True), (b"", True), (b")\n", False), (b")", False)]
)
def test_a_line_ends_only_where_the_break_is_what_comes_next(behind: bytes, ends: bool) -> None:
    """Vocabularies of trained models have tokens like `)` and a break in one."""
    (newline,) = TOKENIZER.encode("\n")
    copying = Copying(FileTokens([MISSING], [0]), VOCABULARY, 1)
    assert copying._as_said_here(newline, behind) == (EOI if ends else None)


def test_what_stands_behind_is_not_said_again() -> None:
    file = "print(width)\nprint(height)\nprint(depth)\nprint(width"
    assert likeliest(mixed(file, right="\n")) == ")"
    assert likeliest(mixed(file, right=")\n")) is None


def test_only_what_may_stand_here_counts() -> None:
    """A piece that is held back decides which of the places go on as this one may."""
    begun = VOCABULARY.allowed(b"se", b"")
    assert likeliest(mixed("x = y.first\nx = y.second\nz = x = y.", allowed=begun)) in ("second", "sec", "se")


PIECE = "def area(width, height):\n    total = width * height\n    return total\n\n\n"


@pytest.mark.parametrize("max_lines", [1, None])
def test_verified_equals_one_token_at_a_time_where_the_file_is_copied(max_lines: int | None) -> None:
    changed = 0
    for seed in range(6):
        engine = Engine(eager_checkpoint(seed, layers=1), Precision.FLOAT32)
        engine.open("f", "f.py", PIECE * 3, 1)
        for place in (len(PIECE) + 9, len(PIECE) + 40, len(PIECE) * 2 + 25):
            answers = [
                engine.infill(
                    InfillRequest("f", 1, (Gap(place, place + 4),), policy, limits=Limits(12, max_lines), copies=copies)
                ).gaps[0]
                for policy, copies in (("verified", True), ("left_to_right", True), ("left_to_right", False))
            ]
            assert answers[0].text == answers[1].text
            assert answers[0].logprobs == pytest.approx(answers[1].logprobs, abs=1e-3)
            changed += answers[1].text != answers[2].text
    assert changed > 3, "the file must have had a say"
