"""What clients send of their files: forgiven, or the file is unknown until it is opened again. Never another text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.documents import LARGEST_FILE_CHAR
from lsp_server.framing import LARGEST_MESSAGE_BYTES, Messages, Skipped
from tests.lsp_server.client import Client, RequestError, talk
from tests.lsp_server.stand_in import echo
from tests.memory import needs_proc, resident_mb

Script = Callable[..., str]
URI, OTHER = "file:///w/a.txt", "file:///w/other.txt"
AT_0 = {"line": 0, "character": 0}
END = {"line": 2**31 - 1, "character": 2**31 - 1}


def identity(**version: Any) -> dict[str, Any]:
    return {"uri": URI, **version}


def whole(text: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"text": text, **more}]


def part(text: Any, start: Any, end: Any) -> list[dict[str, Any]]:
    return [{"range": {"start": start, "end": end}, "text": text}]


async def sees(client: Client, text: str, uri: str = URI) -> bool:
    """Whether the model is shown that text."""
    params = {"textDocument": {"uri": uri}, "position": END, "context": {"triggerKind": 1}}
    found = await client.request("textDocument/inlineCompletion", params)
    return [item["insertText"] for item in found] == [echo(text)]


ACCEPTED = {
    "version null": ({"version": None}, whole("new"), "new"),
    "no version": ({}, whole("new"), "new"),
    "version 2.0": ({"version": 2.0}, whole("new"), "new"),
    "version text": ({"version": "two"}, whole("new"), "new"),
    "range null": ({"version": 2}, whole("new", range=None), "new"),
    "rangeLength null": ({"version": 2}, whole("new", rangeLength=None), "new"),
    "place past all": ({"version": 2}, part("new", AT_0, {"line": 1.8e308, "character": 2**40}), "new"),
    "place before all": ({"version": 2}, part("new ", {"line": -1, "character": -1}, AT_0), "new old"),
}

LOST: dict[str, dict[str, Any]] = {
    "text null": {"contentChanges": whole(None)},
    "text number": {"contentChanges": whole(5)},
    "no changes": {"contentChanges": None},
    "changes missing": {},
    "change null": {"contentChanges": [None]},
    "range empty": {"contentChanges": whole("new", range={})},
    "line null": {"contentChanges": part("x", {"line": None, "character": 0}, AT_0)},
    "column NaN": {"contentChanges": part("x", {"line": 0, "character": float("nan")}, AT_0)},
    "second change bad": {"contentChanges": whole("new") + whole(None)},
}


@pytest.mark.parametrize("oddity", ACCEPTED)
def test_changes_with_one_meaning_are_made(script: Script, oddity: str) -> None:
    version, changes, expected = ACCEPTED[oddity]

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        client.open(URI, "old", "plaintext")
        client.notify("textDocument/didChange", {"textDocument": identity(**version), "contentChanges": changes})
        assert await sees(client, expected)
        client.notify("textDocument/didChange", {"textDocument": identity(version=3), "contentChanges": whole("newer")})
        assert await sees(client, "newer")
        assert client.messages("window/showMessage") == []

    talk(conversation)


@pytest.mark.parametrize("item", [{"text": "new"}, {"text": "new", "version": None, "languageId": None}])
def test_files_are_opened_without_version_and_language(script: Script, item: dict[str, Any]) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        client.notify("textDocument/didOpen", {"textDocument": {"uri": URI, **item}})
        assert await sees(client, "new")
        ranges = [{"start": AT_0, "end": AT_0}]
        for version in ({}, {"version": None}, {"version": 7}):
            answer = await client.request("setfill/infill", {"textDocument": {"uri": URI, **version}, "ranges": ranges})
            assert answer["version"] is None

    talk(conversation)


@pytest.mark.parametrize("oddity", LOST)
def test_what_cannot_be_read_leaves_the_file_unknown(script: Script, oddity: str) -> None:
    """The old text was kept and answered for, and the user not told."""

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        client.open(URI, "old", "plaintext")
        client.open(OTHER, "other", "plaintext")
        client.notify("textDocument/didChange", {"textDocument": identity(version=2), **LOST[oddity]})
        assert await client.suggest(URI) == []
        with pytest.raises(RequestError, match=r"no suggestions in a\.txt until it is opened again"):
            await client.suggest(URI, kind=1)
        ranges = [{"start": AT_0, "end": AT_0}]
        with pytest.raises(RequestError, match="opened again"):
            await client.request("setfill/infill", {"textDocument": {"uri": URI}, "ranges": ranges})
        why = await client.request("setfill/whySilent", {"textDocument": {"uri": URI}})
        assert why["reason"] == "lost"
        assert "opened again" in why["message"]
        client.notify("textDocument/didChange", {"textDocument": identity(version=3), "contentChanges": whole("newer")})
        assert await client.suggest(URI) == []
        assert await sees(client, "other", OTHER)
        assert [shown["message"] for shown in client.messages("window/showMessage")] == [
            "Setfill: there are no suggestions in a.txt until it is opened again: the editor sent what cannot be read"
        ]
        client.open(URI, "again", "plaintext")
        assert await sees(client, "again")

    talk(conversation)


@pytest.mark.parametrize("item", [{"text": None}, {}, {"text": ["a"]}])
def test_a_file_that_is_opened_unreadably_is_unknown(script: Script, item: dict[str, Any]) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        client.open(URI, "old", "plaintext")
        client.notify("textDocument/didOpen", {"textDocument": {"uri": URI, "languageId": "x", "version": 2, **item}})
        assert await client.suggest(URI) == []
        assert len(client.messages("window/showMessage")) == 1

    talk(conversation)


def test_a_change_that_is_no_json_leaves_its_file_unknown(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        client.open(URI, "old", "plaintext")
        client.open(OTHER, "other", "plaintext")
        change = {"textDocument": identity(version=2), "contentChanges": whole("new")}
        body = json.dumps({"jsonrpc": "2.0", "method": "textDocument/didChange", "params": change}).encode()
        send(client, body[:-1])
        assert await client.suggest(URI) == []
        assert await sees(client, "other", OTHER)
        send(client, b"{nonsense")
        send(client, b'{"jsonrpc": "2.0", "method": "$/other", "params": {')
        send(client, b"[" * 100_000)
        assert await sees(client, "other", OTHER)
        send(client, b'{"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {')
        assert await client.suggest(OTHER) == [], "it may have been about any file"

    talk(conversation)


def send(client: Client, body: bytes) -> None:
    client.send_raw(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


@needs_proc
@pytest.mark.parametrize("size", [LARGEST_MESSAGE_BYTES + 1, 300_000_000])
def test_a_message_that_is_too_large_is_skipped(script: Script, size: int) -> None:
    """300 MB ended the server for all files; 200 MB blocked it for 13 s and took 1.9 GB."""
    head, tail = json.dumps(
        {"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": {
            "languageId": "sql", "version": 1, "text": "|", "uri": "file:///w/dump.sql"}}}
    ).encode().split(b"|")  # fmt: skip

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        client.open(URI, "old", "plaintext")
        assert await sees(client, "old")
        before_mb = resident_mb(client.process.pid)
        left = size - len(head) - len(tail)
        client.send_raw(b"Content-Length: %d\r\n\r\n%b" % (size, head))
        while left:
            piece = min(left, 2**20)
            client.send_raw(b"x" * piece)
            left -= piece
            await client.process.stdin.drain()
        client.send_raw(tail)
        assert await sees(client, "old"), "the rest goes on"
        assert resident_mb(client.process.pid) - before_mb < 30
        (shown,) = client.messages("window/showMessage")
        assert "no suggestions in dump.sql" in shown["message"]
        assert f"too large ({size:,} bytes" in shown["message"]
        asked = {"textDocument": {"uri": "file:///w/dump.sql"}, "position": AT_0, "context": {"triggerKind": 1}}
        with pytest.raises(RequestError, match="too large"):
            await client.request("textDocument/inlineCompletion", asked)

    talk(conversation)


def test_a_request_that_is_too_large_is_answered(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        with pytest.raises(RequestError, match=r"-32600: the message is too large"):
            await client.request("setfill/infill", {"padding": "x" * LARGEST_MESSAGE_BYTES})

    talk(conversation)


def test_a_text_that_is_too_large_is_not_held(script: Script) -> None:
    large = "x" * (LARGEST_FILE_CHAR + 1)

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        client.open(OTHER, "other", "plaintext")
        item = {"uri": URI, "languageId": "plaintext", "version": 1, "text": large}
        client.notify("textDocument/didOpen", {"textDocument": item})
        assert await client.suggest(OTHER, kind=1)
        (shown,) = client.messages("window/showMessage")
        assert (
            f"no suggestions in a.txt until it is opened again: it is too large ({len(large):,} char"
            in shown["message"]
        )
        for _ in range(3):
            change = {
                "textDocument": {"uri": OTHER, "version": 2},
                "contentChanges": part(large[: len(large) // 3], END, END),
            }
            client.notify("textDocument/didChange", change)
        assert await client.suggest(OTHER) == [], "it has grown too large"
        assert len(client.messages("window/showMessage")) == 2

    talk(conversation)


FRAMES = [
    b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
    b"Content-Length: 99999999999\r\n\r\n{}",
    b"Content-Length: -5\r\n\r\n{}",
    b"Content-Length: \r\n\r\n{}",
    b'Content-Length: 3\r\n\r\n{"jsonrpc": "2.0", "method": "$/cut"}',
    b"nonsense\r\n\r\nnonsense",
    b"x" * 3_000_000,
    b"\xff\x00\r\n" * 1000,
]


@pytest.mark.parametrize("frame", FRAMES, ids=range(len(FRAMES)))
def test_the_next_message_is_found_behind_what_is_none(script: Script, frame: bytes) -> None:
    """A header with 5,000 digits was a ValueError that ended the server."""

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        client.open(URI, "old", "plaintext")
        client.send_raw(frame)
        assert await sees(client, "old")

    talk(conversation)


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n", b"\n", b'{"uri": "', b"Content-Type: x\r\n"])),
        max_size=6,
    )
)
def test_whatever_stands_between_messages_the_next_is_found(pieces: list[bytes]) -> None:
    async def run() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"".join(pieces) + b"Content-Length: 2\r\n\r\n{}" + b"content-length:3\n\n{ }")
        reader.feed_eof()
        messages = Messages(reader)
        found = []
        while (message := await messages.next()) is not None:
            if not isinstance(message, Skipped):
                found.append(message)
        assert found[-2:] == [b"{}", b"{ }"]

    if b"ontent-length" not in b"".join(pieces).lower():
        asyncio.run(run())


def test_what_a_skipped_message_was_about_is_seen() -> None:
    def skipped(message: dict[str, Any]) -> Skipped:
        body = json.dumps(message).encode()
        return Skipped(len(body), body[:200], body[-200:])

    text = json.dumps({"uri": "no", "method": "no", "id": 5}) * 50
    document = {"text": text, "uri": URI}
    first = skipped({"method": "textDocument/didOpen", "params": {"textDocument": document}})
    assert (first.method, first.uri, first.request_id) == ("textDocument/didOpen", URI, None)
    last = skipped({"params": {"textDocument": document}, "method": "textDocument/didOpen", "id": "seven"})
    assert (last.method, last.uri, last.request_id) == ("textDocument/didOpen", URI, "seven")
    escaped = Skipped(
        10**9, b'{"method":"textDocument\\/didOpen","params":{"textDocument":{"uri":"file:\\/\\/\\/w\\/a.txt",'
    )
    assert (escaped.method, escaped.uri) == ("textDocument/didOpen", URI)
