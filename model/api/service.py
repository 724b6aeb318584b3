"""Where a team's service is, and the token that lets a user in: checked before anything is sent.

Knows URLs, token files and what is too risky; opens no connection.
"""

from __future__ import annotations

import ipaddress
import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from model import store
from model.errors import WorkerError

TOKEN_VARIABLE = "SETFILL_TEAM_TOKEN"
PATH = "/setfill/v1"  # of the WebSocket, below the URL's own path
_LONGEST_TOKEN_CHARS = 4096


@dataclass(frozen=True)
class Service:
    """A team's service, as the user names it. What is wrong with it is told by whoever asks for its parts."""

    url: str  # https://HOST[:PORT][/PATH]; http:// of this machine
    token_file: str | None = None  # None: the variable SETFILL_TEAM_TOKEN holds the token
    allow_http: bool = False  # also to other machines, code and token unencrypted

    @property
    def host(self) -> str:
        """The host that a user's code goes to. WorkerError for what is no such URL, or too risky."""
        return self._parts().hostname or ""

    @property
    def socket_url(self) -> str:
        """The URL of the WebSocket. Errors as for `host`."""
        parts = self._parts()
        scheme = "wss" if parts.scheme == "https" else "ws"
        return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{PATH}"

    def token(self) -> str:
        """Read the token, which may be another one by now. WorkerError, which never quotes it."""
        token = _token_in(Path(self.token_file).expanduser()) if self.token_file else os.environ.get(TOKEN_VARIABLE, "")
        token = token.strip()
        if not token and not self.token_file:
            raise WorkerError(f"the team's service wants a token: name the file that holds it, or set {TOKEN_VARIABLE}")
        if not token or len(token) > _LONGEST_TOKEN_CHARS or not all("!" <= each <= "~" for each in token):
            raise WorkerError("the token for the team's service must be one line of printable ASCII without spaces")
        return token

    def _parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url)
            is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_complete = False
        if not is_complete or not self.url.isprintable():
            raise WorkerError("the URL of the team's service must be https://HOST or https://HOST:PORT")
        if parts.username is not None or parts.query or parts.fragment:
            raise WorkerError("the URL of the team's service must have no user, query or fragment")
        if parts.scheme == "http" and not self.allow_http and not is_loopback(parts.hostname or ""):
            raise WorkerError(
                f"http to {parts.hostname} would send your code and token unencrypted: use https, "
                "or allow http if all of the network between is yours"
            )
        return parts


def is_first_use(host: str) -> bool:
    """Return whether this user has not been told yet that code goes to `host`, and note that now they are."""
    path = store.state_folder() / "team-hosts"
    try:
        known = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        known = []
    if host in known:
        return False
    with suppress(OSError):  # else they are told again
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{each}\n" for each in [*known[-100:], host]), encoding="utf-8")
    return True


def is_loopback(host: str) -> bool:
    """Return whether what goes to `host` stays on this machine, as far as its name tells."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _token_in(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_TOKEN_CHARS + 1)
    except OSError as error:
        raise WorkerError(f"the token file {path} cannot be read: {error.strerror}") from None
    if sys.platform != "win32" and stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise WorkerError(f"other users can read the token file {path}: run chmod 600 {path}")
    return content.decode("ascii", "replace")
