"""Who may use a team's service. Its tokens are kept as hashes, each with its user and perhaps its last day.

A token is 256 random bits, so that a plain hash of it tells nothing. Knows no connections and no limits.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from model.errors import InputError, UnauthorizedError

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = "setfill_"  # so that scanners for leaked secrets can know one


@dataclass(frozen=True)
class Token:
    """A user's token: its SHA-256, and the last day that it is good for, in UTC."""

    user: str
    digest: str
    last_day: datetime.date | None = None

    def line(self) -> str:
        """Return the token's line in a tokens file."""
        return " ".join([self.user, self.digest, *([self.last_day.isoformat()] if self.last_day else [])])


def new_token(user: str, last_day: datetime.date | None = None) -> tuple[str, Token]:
    """Draw a token; return what its user is given, and what the service keeps. InputError for no name of a user."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, parse_line(Token(user, _digest(secret), last_day).line())


def parse_line(line: str) -> Token:
    """Read one line: USER SHA256 [YYYY-MM-DD]. InputError, which never quotes a hash."""
    user, digest, day = [*line.split(), "", "", ""][:3]
    if len(line.split()) > 3 or not _USER.fullmatch(user) or not _DIGEST.fullmatch(digest):
        raise InputError("expected USER SHA256 [YYYY-MM-DD]; a user is letters, digits and . _ @ -")
    try:
        return Token(user, digest, datetime.date.fromisoformat(day) if day else None)
    except ValueError:
        raise InputError("the last day of a token must be a date, as in 2027-01-31") from None


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Read a tokens file: a token a line; blank lines and those that begin with # say nothing. InputError, OSError."""
    tokens = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                tokens.append(parse_line(line))
            except InputError as error:
                raise InputError(f"{path}:{number}: {error}") from None
    return tuple(tokens)


class Tokens:
    """The tokens that are good, by their hashes."""

    def __init__(self, tokens: Iterable[Token], today: Callable[[], datetime.date] | None = None) -> None:
        self._by_digest = {token.digest: token for token in tokens}
        self._today = today or (lambda: datetime.datetime.now(datetime.UTC).date())

    def user_of(self, authorization: str | None) -> str:
        """Return whose token an Authorization header bears. UnauthorizedError, which says what is wrong with it."""
        kind, _, secret = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not secret:
            raise UnauthorizedError("the service wants a token: see your editor's settings for teams")
        token = self._by_digest.get(_digest(secret.strip()))
        if token is None:
            raise UnauthorizedError("the service does not know this token: ask whoever runs it for one")
        if token.last_day and self._today() > token.last_day:
            raise UnauthorizedError(f"this token was good until {token.last_day}: ask whoever runs it for another")
        return token.user


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
