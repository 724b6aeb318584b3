"""Where a team's service may be, what its token may look like, and what becomes of those who answer oddly there."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from model.api import remote, wire
from model.api.messages import Hello, Welcome
from model.api.service import TOKEN_VARIABLE, Service, is_first_use
from model.errors import FrameError, SetfillError, UnauthorizedError, WorkerError

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "setfill_not-to-be-seen"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://team.example", "wss://team.example/setfill/v1"),
        ("https://team.example:8443/models/", "wss://team.example:8443/models/setfill/v1"),
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/setfill/v1"),
        ("http://[::1]:8000", "ws://[::1]:8000/setfill/v1"),
        ("http://localhost", "ws://localhost/setfill/v1"),
        ("http://127.0.0.2.example", "unencrypted"),
        ("http://team.example", "unencrypted"),
        ("http://10.0.0.1", "unencrypted"),
        ("http://0.0.0.0", "unencrypted"),
        ("https://user:word@team.example", "no user, query or fragment"),
        ("https://team.example?token=1", "no user, query or fragment"),
        ("https://team.example#1", "no user, query or fragment"),
        ("https://", "must be https://HOST"),
        ("https://team.example:port", "must be https://HOST"),
        ("https://[team.example", "must be https://HOST"),
        ("ftp://team.example", "must be https://HOST"),
        ("team.example", "must be https://HOST"),
        ("", "must be https://HOST"),
    ],
)
def test_urls(url: str, expected: str) -> None:
    try:
        found = Service(url).socket_url
    except WorkerError as error:
        found = str(error)
    assert expected in found
    assert ("://" in found) == (expected == found or "HOST" in expected)


def test_http_that_is_wanted() -> None:
    assert Service("http://team.example", allow_http=True).socket_url == "ws://team.example/setfill/v1"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"{TOKEN}\n", TOKEN),
        (f" {TOKEN} ", TOKEN),
        ("", "one line"),
        (f"{TOKEN}\n{TOKEN}", "one line"),
        (f"{TOKEN}\r\nX-Header: 1", "one line"),
        ("\N{SNAKE}", "one line"),
        (TOKEN * 1000, "one line"),
    ],
)
def test_tokens(content: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text(content, encoding="utf-8")
    monkeypatch.setenv(TOKEN_VARIABLE, content)
    for service in (Service("", str(file)), Service("")):
        try:
            found = service.token()
        except WorkerError as error:
            found = str(error)
            assert TOKEN not in found
            expected = expected if content or service.token_file else "name the file that holds it"
        assert expected in found


def test_token_files_that_others_can_read_or_that_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o640)
    with pytest.raises(WorkerError, match="chmod 600"):
        Service("", str(file)).token()
    with pytest.raises(WorkerError, match="No such file"):
        Service("", str(tmp_path / "none")).token()


def test_the_default_does_not_import_what_only_a_service_needs() -> None:
    code = "import model.api.client, lsp_server.run, setfill.cli, sys; "
    code += "sys.exit(bool({'websockets', 'ray'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_user_is_told_once_for_each_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    told = [is_first_use(host) for host in ("a.example", "a.example", "b.example", "a.example")]
    assert told == [True, False, True, False]


def connect(
    answer: Callable[[ServerConnection], Any], refuse: Callable[[Any, Request], Response | None] | None = None
) -> Any:
    """Connect to a server that does `answer`; return the error, or None."""

    async def run() -> SetfillError | None:
        async with serve(answer, "127.0.0.1", 0, process_request=refuse) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            try:
                link = await remote.open_service(Service(f"http://127.0.0.1:{port}"), "0" * 32)
            except SetfillError as error:
                return error
            await link.close()
            return None

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def token_of_little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    monkeypatch.setattr(remote, "_REACH_SECONDS", 0.2)
    monkeypatch.setattr(remote, "_ANSWER_SECONDS", 0.2)


def test_a_service_is_told_who_asks_and_waited_for() -> None:
    seen: list[Any] = []

    async def answer(socket: ServerConnection) -> None:
        seen.append(socket.request and socket.request.headers["Authorization"])
        if len(seen) == 1:
            await socket.close(1012)
            return
        seen.append(wire.decode_body(wire.split_frames(await socket.recv(decode=False))[0])[1])
        await socket.send(wire.encode_frame(0, Welcome(wire.PROTOCOL, "1", 0)))
        await socket.wait_closed()

    assert connect(answer) is None
    assert seen[:2] == [f"Bearer {TOKEN}"] * 2
    assert isinstance(seen[2], Hello)
    assert seen[2].client == "0" * 32


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, UnauthorizedError, "lets nobody in with this token"),
        (404, WorkerError, "there is no team's service"),
        (503, WorkerError, "cannot be reached: status 503"),
        (307, WorkerError, "answers with status 307"),
    ],
)
def test_who_answers_with_a_status(status: int, kind: type[SetfillError], says: str) -> None:
    """A redirection is not followed: the user was told where their code goes."""
    elsewhere = "http://127.0.0.1:1/setfill/v1"

    def refuse(socket: ServerConnection, request: Request) -> Response:
        response = socket.respond(status, "")
        response.headers["Location"] = elsewhere
        return response

    async def answer(socket: ServerConnection) -> None: ...

    error = connect(answer, refuse)
    assert type(error) is kind
    assert says in str(error)
    assert TOKEN not in str(error)


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        (b"", WorkerError, "no answer within"),
        (b"\0\0", FrameError, "ended inside"),
        (b"\0\0\0\1x", FrameError, "not \\[kind"),
        (wire.encode_frame(0, Hello(wire.PROTOCOL, "1")), FrameError, "not a setfill service"),
    ],
)
def test_who_answers_something_else(data: bytes, kind: type[SetfillError], says: str) -> None:
    async def answer(socket: ServerConnection) -> None:
        await socket.send(data)
        await socket.wait_closed()

    with pytest.raises(kind, match=says):
        raise connect(answer)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Return a certificate of 127.0.0.1's that nobody vouches for, and its key."""
    pytest.importorskip("cryptography")
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "setfill test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        made.serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    )
    certificate = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return files


def test_tls_only_with_a_certificate_that_is_vouched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    seen: list[str | None] = []

    async def answer(socket: ServerConnection) -> None:
        seen.append(socket.request and socket.request.headers["Authorization"])
        await socket.recv()
        await socket.send(wire.encode_frame(0, Welcome(wire.PROTOCOL, "1", 0)))
        await socket.wait_closed()

    async def run() -> None:
        async with serve(answer, "127.0.0.1", 0, ssl=context) as server:
            service = Service(f"https://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
            with pytest.raises(WorkerError, match="is not to be trusted: self-signed"):
                await remote.open_service(service, "0" * 32)
            assert not seen
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            link = await remote.open_service(service, "0" * 32)
            await link.close()
            assert seen == [f"Bearer {TOKEN}"]

    asyncio.run(run())


def test_nobody_there() -> None:
    with pytest.raises(WorkerError, match=r"cannot be reached: Connection refused$"):
        asyncio.run(remote.open_service(Service("http://127.0.0.1:9"), "0" * 32))
