"""Storms: edits, requests and cancels faster than any typist; workers that die; large files. The text is never wrong.

The stand-in answers with a checksum of the whole text it saw, so an answer for another text would show.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lsp_server.client import Client, start, talk
from tests.lsp_server.stand_in import echo

URI = "file:///w/storm.txt"
PIECES = ["x", "\n", "\r\n", "\r", "\t", "🐍", "漢字 ", "\u2028", "\x85", "\x0b\x0c", "(", ")", "y = ", ""]
HALVES = ["\ud83d", "\udc0d"]  # of an emoji
PATCHES = Path(__file__).resolve().parents[1] / "data" / "rustcode-5000.json.gz"
Script = Callable[..., str]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_edits_requests_and_cancels_in_any_order(script: Script, encoding: str) -> None:
    draw = random.Random(encoding)
    pieces = [*PIECES, *HALVES]

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True, delay_ms=3), debounceMs=0)
        client.open(URI, "one\ntwo 🐍\r\nthree\rfour", "plaintext")
        asked: list[tuple[int, asyncio.Future[Any], str]] = []
        for step in range(250):
            text = client.texts[URI].text
            changes: list[Any] = []
            for _ in range(draw.choice([1, 1, 1, 3])):
                changes.append(a_change(client, draw, pieces))
                client.change(URI, changes[-1])
            for _ in range(draw.randrange(3)):
                cursor = draw.randint(0, len(client.texts[URI].text))
                params = client.inline_params(URI, cursor)
                asked.append((*client.begin("textDocument/inlineCompletion", params), client.texts[URI].text))
                if draw.random() < 0.2:
                    client.cancel(draw.choice(asked)[0])
            if step % 7 == 0 and asked:
                await asyncio.wait([asked[-1][1]])
            if step % 5 == 0:
                assert await client.server_text(URI) == client.texts[URI].text, (text, changes)
                for _, answer, seen in asked:
                    if seen != client.texts[URI].text:
                        assert answer.done(), "overtaken by an edit, it must have been answered"
        last = await client.suggest(URI, len(client.texts[URI].text), kind=1)
        assert [item["insertText"] for item in last] in ([], [echo(client.texts[URI].text)])
        shown = 0
        for _, answer, seen in asked:
            await asyncio.wait([answer], timeout=5)
            if answer.exception() is None and answer.result():
                shown += 1
                assert [item["insertText"] for item in answer.result()] == [echo(seen)]
        assert shown > 5

    talk(conversation, encoding=encoding)


def a_change(client: Client, draw: random.Random, pieces: list[str]) -> tuple[dict[str, Any], str] | str:
    text = client.texts[URI].text
    if draw.random() < 0.1:  # the whole text, as by a formatter
        return normal(text.replace("x", "xx") if draw.random() < 0.5 else draw.choice(pieces) + text[::2])
    first, second = sorted(draw.randint(0, len(text)) for _ in range(2))
    second = min(second, first + draw.randint(0, 3))
    span = {"start": client.texts[URI].place(first), "end": client.texts[URI].place(second)}
    # A position between CR and LF is outside the line, and another place for the server.
    if any(text[max(0, char - 1) : char + 1] == "\r\n" for char in (first, second)):
        return "".join(pieces[:3])
    new = draw.choice(pieces)
    after = text[:first] + new + text[second:]
    return (span, new) if normal(after) == after else (span, "-")


def normal(text: str) -> str:
    """The halves of a character, once together, are one: our plain text does not join them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def test_a_request_with_every_key_leaves_no_queue(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True, delay_ms=100))
        client.open(URI, "", "plaintext")
        answers = []
        for _ in range(200):
            client.type(URI, len(client.texts[URI].text), "z")
            params = client.inline_params(URI, len(client.texts[URI].text))
            answers.append(client.begin("textDocument/inlineCompletion", params)[1])
        started = time.monotonic()
        found = await answers[-1]
        assert [item["insertText"] for item in found] == [echo(client.texts[URI].text)]
        assert time.monotonic() - started < 5
        assert [await answer for answer in answers[:-1]] == [None] * 199
        assert (await client.request("setfill/status", {"worker": True}))["worker"]["infills"] < 20

    talk(conversation)


def test_the_worker_is_killed_while_a_real_session_is_replayed(script: Script) -> None:
    """The first 5,000 patches of a recorded editing session, and four deaths of the worker at random moments."""
    patches = json.loads(gzip.decompress(PATCHES.read_bytes()))["patches"]
    draw = random.Random(6)
    deaths = sorted(draw.sample(range(200, len(patches) - 200), 4))
    uri = "file:///w/skiplist.rs"
    pids: list[int] = []

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True), confidenceFloor=0.0)
        client.open(uri, "", "plaintext")
        for number, (char, deleted, inserted) in enumerate(patches):
            text = client.texts[uri].text
            span = {"start": place(text, char), "end": place(text, char + deleted)}
            client.versions[uri] += 1
            client.texts[uri].text = text[:char] + inserted + text[char + deleted :]
            identity = {"uri": uri, "version": client.versions[uri]}
            change = {"textDocument": identity, "contentChanges": [{"range": span, "text": inserted}]}
            client.notify("textDocument/didChange", change)
            if number in deaths:
                pid = await worker_pid(client)
                assert pid not in pids
                pids.append(pid)
                asking = asyncio.create_task(client.suggest(uri, kind=1))
                await asyncio.sleep(draw.random() / 50)
                os.kill(pid, signal.SIGKILL)
                assert await asking in (None, []) or asking.result()[0]["insertText"] == echo(client.texts[uri].text)
            elif number % 250 == 0:
                assert await client.server_text(uri) == client.texts[uri].text
        found = await client.suggest(uri, kind=1)
        assert [item["insertText"] for item in found] == [echo(client.texts[uri].text)], "suggestions come back"
        status = await client.request("setfill/status", None)
        assert status["workerRestarts"] == 4
        pids.append(status["workerPid"])

    talk(conversation)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "orphans"


def place(text: str, char: int) -> dict[str, int]:
    """A position, quickly, in a text that has but line feeds and no wide characters."""
    return {"line": text.count("\n", 0, char), "character": char - text.rfind("\n", 0, char) - 1}


async def worker_pid(client: Client) -> int:
    async with asyncio.timeout(20):
        while not (pid := (await client.request("setfill/status", {"worker": True}))["workerPid"]):
            await asyncio.sleep(0.05)
    return int(pid)


def test_two_editors_on_one_worker_never_mix(script: Script) -> None:
    async def run() -> None:
        model = script(echo=True)
        clients = [await start() for _ in range(2)]
        try:
            async with asyncio.timeout(60):
                for index, client in enumerate(clients):
                    await client.initialize(model=model, sharedWorker=True, lingerSeconds=1)
                    client.open(URI, f"client {index} ", "plaintext")
                for step in range(30):
                    for client in clients:
                        client.type(URI, len(client.texts[URI].text), str(step) + " ")
                    found = await asyncio.gather(*(client.suggest(URI) for client in clients))
                    for client, items in zip(clients, found, strict=True):
                        assert [item["insertText"] for item in items] == [echo(client.texts[URI].text)]
                statuses = [await client.request("setfill/status", None) for client in clients]
                pids = {status["workerPid"] for status in statuses}
                assert len(pids) == 1
                assert [await client.stop() for client in clients] == [0, 0]
                while Path(f"/proc/{pids.pop()}").exists() if pids else False:
                    await asyncio.sleep(0.05)
        finally:
            for client in clients:
                if client.process.returncode is None:
                    client.process.kill()
                    await client.process.wait()

    asyncio.run(run())


def test_large_and_strange_files(script: Script) -> None:
    lines = [f"value_{number} = old_name + {number}\n" for number in range(50_000)]
    large, one_line = "".join(lines), "x = " + "1 + " * 1_250_000
    tidy = large.replace(" = ", "=")
    files = {"file:///w/large.txt": large, "file:///w/line.txt": one_line, "untitled:Untitled-1": ""}

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True))
        for uri, text in files.items():
            client.notify("textDocument/didOpen", {"textDocument": {
                "uri": uri, "languageId": "plaintext", "version": 1, "text": text}})  # fmt: skip
            middle = len(text) // 2
            edited = text[:middle] + " zz " + text[middle:]
            at = place(text, middle)
            seconds = await seconds_to_change(client, uri, [{"range": {"start": at, "end": at}, "text": " zz "}])
            assert seconds < 2
            assert await client.server_text(uri) == edited
            asked = {
                "textDocument": {"uri": uri},
                "position": place(edited, len(edited)),
                "context": {"triggerKind": 1},
            }
            (item,) = await client.request("textDocument/inlineCompletion", asked)
            assert item["insertText"] == echo(edited)
        # A formatter on saving, with a client that sends whole texts.
        assert await seconds_to_change(client, "file:///w/large.txt", [{"text": tidy}]) < 3
        assert await client.server_text("file:///w/large.txt") == tidy

    talk(conversation)


async def seconds_to_change(client: Client, uri: str, changes: list[dict[str, Any]]) -> float:
    """Return how long it takes until the server has taken in a change, and answers the next message."""
    started = time.monotonic()
    client.versions[uri] = client.versions.get(uri, 1) + 1
    identity = {"uri": uri, "version": client.versions[uri]}
    client.notify("textDocument/didChange", {"textDocument": identity, "contentChanges": changes})
    await client.request("setfill/status", None)
    return time.monotonic() - started
