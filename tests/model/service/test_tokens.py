"""Tokens: kept as hashes, told apart by what is wrong with them."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from model.errors import InputError, UnauthorizedError
from model.service.tokens import Tokens, new_token, parse_line, read_tokens

DAY = datetime.date(2027, 1, 31)
DIGEST = "0" * 64


def test_a_token_goes_through_its_line_and_the_line_does_not_have_it() -> None:
    secret, token = new_token("alice", DAY)
    assert parse_line(token.line()) == token
    assert secret not in token.line()
    assert len(secret) > 40
    assert new_token("alice")[0] != secret


def test_a_file_of_tokens(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# ours\n\nalice {DIGEST}\n  bob {'1' * 64} 2027-01-31\n")
    assert [(each.user, each.last_day) for each in read_tokens(file)] == [("alice", None), ("bob", DAY)]
    file.write_text(f"alice {DIGEST}\nbob {'1' * 63}\n")
    with pytest.raises(InputError, match=r"tokens:2: expected USER SHA256") as caught:
        read_tokens(file)
    assert "111" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        f"a/b {DIGEST}",
        f"../alice {DIGEST}",
        f"{'a' * 65} {DIGEST}",
        "alice",
        f"alice {DIGEST} soon",
        f"alice {DIGEST} 2027-01-31 more",
        f"älice {DIGEST}",
    ],
)
def test_lines_that_are_none(line: str) -> None:
    with pytest.raises(InputError):
        parse_line(line)


def test_whose_token_it_is() -> None:
    (alice, kept), (bob, of_bob) = new_token("alice"), new_token("bob", DAY)
    days = [DAY]
    tokens = Tokens([kept, of_bob], today=lambda: days[-1])
    assert tokens.user_of(f"Bearer {alice}") == "alice"
    assert tokens.user_of(f"bearer  {bob}") == "bob"  # on its last day
    days.append(DAY + datetime.timedelta(days=1))
    with pytest.raises(UnauthorizedError, match="good until 2027-01-31"):
        tokens.user_of(f"Bearer {bob}")
    for header, says in (
        (None, "wants a token"),
        ("", "wants a token"),
        ("Bearer", "wants a token"),
        (f"Basic {alice}", "wants a token"),
        (f"Bearer {alice}x", "does not know"),
        (f"Bearer {kept.digest}", "does not know"),
    ):
        with pytest.raises(UnauthorizedError, match=says) as caught:
            tokens.user_of(header)
        assert alice not in str(caught.value)
