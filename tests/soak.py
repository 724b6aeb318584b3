"""A long time at the keyboard: texts stay equal, memory stays flat, every request is answered.

    python -m tests.soak [--minutes N] [--model NAME|PATH] [--json]

Three parts, one after the other:

    fidelity   random edits of all kinds, also of halves of characters; the model worker is a stand-in that tells the
               text it holds, and answers with a checksum of the text it saw
    kills      a recorded editing session, in which the stand-in dies at random moments, once by hanging
    typing     the recorded session with the real model, a request for inline completion after every edit and now and
               then another file; the memory of the server and of the worker is looked at all the while. Every file was
               opened once before: a language's grammar is loaded when it is first met, all of them take 33 MB. What
               the worker holds of the cache that it is allowed (512 MB) is not counted as growth

Exits with status 1 when a text differs, a request is not answered, or memory grows by more than 10 MB once warm.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grammars import detect_language
from model import store
from tests.lsp_server.client import Client, RequestError, start
from tests.lsp_server.stand_in import echo
from tests.lsp_server.test_storms import HALVES, PIECES, URI, a_change, place, worker_pid
from tests.memory import resident_mb

DATA = Path(__file__).parent / "data" / "rustcode-5000.json.gz"
SAMPLES = sorted(path for path in (Path(__file__).parent / "grammars" / "samples").iterdir() if path.suffix)
RUST = "file:///w/skiplist.rs"
SERVE = (sys.executable, "-P", "-m", "setfill", "serve")

LARGEST_GROWTH_MB = 10.0
ANSWER_SECONDS = 60.0  # until a request counts as lost
SHARES = {"fidelity": 0.1, "kills": 0.15, "typing": 0.75}  # of the time
WARM_SHARE = 0.3  # of the typing
GAP_SECONDS, PAUSE_SECONDS, PAUSES = 0.06, 1.5, 1 / 10  # between two edits, on average; now and then, to read


class Failure(Exception):
    """Something that must not be."""


@dataclass
class Tally:
    """What one part has done, and how the processes' memory went: (seconds, server MB, worker MB, its cache's MB)."""

    edits: int = 0
    asked: int = 0
    answered: int = 0
    shown: int = 0
    deaths: int = 0
    answer_ms: list[float] = field(default_factory=list)
    memory: list[tuple[float, float, float, float]] = field(default_factory=list)

    @staticmethod
    def counted(look: tuple[float, float, float, float], column: int) -> float:
        return look[column] - (look[3] if column == 2 else 0.0)

    def growth_mb(self, column: int, since_s: float) -> float:
        """Return by how much the end lies above the time just warm; medians, for single looks vary."""
        warm = [self.counted(look, column) for look in self.memory if look[0] >= since_s]
        fifth = max(1, len(warm) // 5)
        return statistics.median(warm[-fifth:]) - statistics.median(warm[:fifth])


async def ask(client: Client, uri: str, params: dict[str, Any], tally: Tally) -> Any:
    """Ask for inline completion; a failure when no answer comes. An error is an answer."""
    tally.asked += 1
    began = time.monotonic()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            found = await client.request("textDocument/inlineCompletion", params)
    except TimeoutError:
        raise Failure(f"a request about {uri} was not answered in {ANSWER_SECONDS:.0f} s") from None
    except RequestError:
        found = None
    tally.answered += 1
    tally.shown += bool(found)
    tally.answer_ms.append((time.monotonic() - began) * 1000)
    return found


async def expect_text(client: Client, uri: str) -> None:
    held = await client.server_text(uri)
    if held != client.texts[uri].text:
        raise Failure(f"the text of {uri} differs: {len(held)} characters here, {len(client.texts[uri].text)} there")


async def fidelity(client: Client, seconds: float, draw: random.Random) -> Tally:
    """Random edits; the stand-in tells what it holds."""
    tally, pieces = Tally(), [*PIECES, *HALVES]
    client.open(URI, "one\ntwo 🐍\r\nthree\rfour", "plaintext")
    pids = client.process.pid, await worker_pid(client)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if len(client.texts[URI].text) > 5_000:
            client.change(URI, client.texts[URI].text[:100])
        for _ in range(draw.choice([1, 1, 1, 5])):
            client.change(URI, a_change(client, draw, pieces))
            tally.edits += 1
        text = client.texts[URI].text
        found = await ask(client, URI, client.inline_params(URI, draw.randint(0, len(text)), 1), tally)
        if found and [item["insertText"] for item in found] != [echo(text)]:
            raise Failure("a suggestion is for another text")
        if tally.asked % 10 == 0:
            await expect_text(client, URI)
            tally.memory.append(look(seconds - until + time.monotonic(), *pids))
    await expect_text(client, URI)
    return tally


async def kills(client: Client, seconds: float, draw: random.Random) -> Tally:
    """The recorded session, while workers die. What is asked meanwhile is answered all the same."""
    tally, until, stop_at = Tally(), time.monotonic() + seconds, seconds / 2
    next_death = time.monotonic() + 2.0
    client.open(RUST, "", "rust")
    asking: set[asyncio.Task[Any]] = set()
    while time.monotonic() < until:
        for char, deleted, inserted in recorded():
            replay(client, char, deleted, inserted)
            tally.edits += 1
            if tally.edits % 20 == 0:
                task = asyncio.create_task(ask(client, RUST, params_at(client, char + len(inserted)), tally))
                asking.add(task)
                await asyncio.sleep(0.005)
            if tally.edits % 500 == 0:
                await expect_text(client, RUST)
            if time.monotonic() > next_death:
                is_hang = tally.deaths > 0 and until - time.monotonic() < stop_at
                stop_at = 0.0 if is_hang else stop_at
                os.kill(await worker_pid(client), signal.SIGSTOP if is_hang else signal.SIGKILL)
                tally.deaths += 1
                next_death = time.monotonic() + draw.uniform(25.0, 35.0)  # five in two minutes would be too many
            if time.monotonic() > until:
                break
        client.change(RUST, "")
    await asyncio.gather(*asking)
    await expect_text(client, RUST)
    if (restarts := (await client.request("setfill/status", None))["workerRestarts"]) != tally.deaths:
        raise Failure(f"{tally.deaths} workers died, but {restarts} were started again")
    return tally


async def typing(client: Client, seconds: float, draw: random.Random) -> Tally:
    """The recorded session with the real model, at the pace of a typist, and other files now and then."""
    tally = Tally()
    client.open(RUST, "", "rust")
    pids, cache_mb = (client.process.pid, await worker_pid(client)), 0.0
    for path in SAMPLES:
        await another_file(client, path, tally)
    began = time.monotonic()
    asking: set[asyncio.Task[Any]] = set()
    while time.monotonic() - began < seconds:
        for number, (char, deleted, inserted) in enumerate(recorded()):
            replay(client, char, deleted, inserted)
            tally.edits += 1
            task = asyncio.create_task(ask(client, RUST, params_at(client, char + len(inserted)), tally))
            asking.add(task)
            task.add_done_callback(asking.discard)
            is_pause = draw.random() < PAUSES
            await asyncio.sleep(PAUSE_SECONDS if is_pause else draw.expovariate(1 / GAP_SECONDS))
            if number % 40 == 0:
                cache_mb = await held_mb(client, cache_mb)
                tally.memory.append(look(time.monotonic() - began, *pids, cache_mb))
                for done in [each for each in asking if each.done()]:
                    done.result()
            if number % 300 == 299:
                await another_file(client, draw.choice(SAMPLES), tally)
            if time.monotonic() - began > seconds:
                break
        client.change(RUST, "")
    await asyncio.gather(*asking)
    status = await client.request("setfill/status", {"worker": True})
    if status["workerRestarts"]:
        raise Failure(f"the worker died: {status['lastDeath']}")
    for column, name in ((1, "server"), (2, "worker")):
        if (growth := tally.growth_mb(column, WARM_SHARE * seconds)) > LARGEST_GROWTH_MB:
            raise Failure(f"the {name} grew by {growth:.1f} MB; megabytes after seconds: {curve(tally, column)}")
    return tally


async def held_mb(client: Client, before: float) -> float:
    """Return what the worker holds of its budget, or what it held `before` when it is too busy to say."""
    stats = (await client.request("setfill/status", {"worker": True})).get("worker", {})
    return (stats["cached_bytes"] + stats["island_bytes"]) / 1e6 if stats else before


async def another_file(client: Client, path: Path, tally: Tally) -> None:
    """Open a file, type a line in its middle, and close it."""
    uri, text = path.as_uri(), path.read_text("utf-8")
    client.open(uri, text, detect_language(path.name).name)
    char = text.find("\n", len(text) // 2) + 1
    client.type(uri, char, "\n")
    await ask(client, uri, client.inline_params(uri, char), tally)
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def recorded() -> list[tuple[int, int, str]]:
    patches: list[tuple[int, int, str]] = json.loads(gzip.decompress(DATA.read_bytes()))["patches"]
    return patches


def replay(client: Client, char: int, deleted: int, inserted: str) -> None:
    text = client.texts[RUST].text
    span = {"start": place(text, char), "end": place(text, char + deleted)}
    client.versions[RUST] += 1
    client.texts[RUST].text = text[:char] + inserted + text[char + deleted :]
    identity = {"uri": RUST, "version": client.versions[RUST]}
    change = {"textDocument": identity, "contentChanges": [{"range": span, "text": inserted}]}
    client.notify("textDocument/didChange", change)


def params_at(client: Client, char: int) -> dict[str, Any]:
    where = place(client.texts[RUST].text, char)
    return {"textDocument": {"uri": RUST}, "position": where, "context": {"triggerKind": 2}}


def look(seconds: float, server: int, worker: int, cache_mb: float = 0.0) -> tuple[float, float, float, float]:
    return round(seconds, 1), round(resident_mb(server), 1), round(resident_mb(worker), 1), round(cache_mb, 1)


def curve(tally: Tally, column: int) -> str:
    step = max(1, len(tally.memory) // 12)
    return ", ".join(f"{each[0]:.0f} s: {tally.counted(each, column):.0f}" for each in tally.memory[::step])


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run all parts; return what there is to tell of each."""
    found: dict[str, Any] = {}
    parts = {"fidelity": fidelity, "kills": kills, "typing": typing}
    for name, part in parts.items():
        seconds, draw = 60 * options.minutes * SHARES[name], random.Random(f"{name} {options.seed}")
        with tempfile.TemporaryDirectory() as folder:
            environment = {"XDG_STATE_HOME": folder}
            if name == "typing":
                client, settings = await start(SERVE, **environment), {"model": options.model}
            else:
                script = Path(folder, "script.json")
                script.write_text(json.dumps({"echo": True}))
                client, settings = await start(**environment), {"model": str(script), "debounceMs": 0}
            try:
                await client.initialize(**settings)
                tally = await part(client, seconds, draw)
                if await client.stop() != 0:
                    raise Failure("the server did not end in good order")
            finally:
                if client.process.returncode is None:
                    client.process.kill()
                    await client.process.wait()
        found[name] = told(tally, seconds)
        if not options.json:
            print(f"{name}: " + "; ".join(f"{key} {value}" for key, value in found[name].items()), flush=True)
    return found


def told(tally: Tally, seconds: float) -> dict[str, Any]:
    answer = {"edits": tally.edits, "asked": tally.asked, "answered": tally.answered, "shown": tally.shown}
    if tally.deaths:
        answer["deaths"] = tally.deaths
    for column, name in ((1, "server"), (2, "worker")):
        if tally.memory:
            answer[f"{name} MB"] = f"{tally.memory[0][column]} to {tally.memory[-1][column]}"
            answer[f"{name} grew by MB once warm"] = round(tally.growth_mb(column, WARM_SHARE * seconds), 1)
    return answer


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=4.0, help="in all (default: %(default)s)")
    parser.add_argument("--model", default=store.DEFAULT_MODEL, help="a model's name or path (default: %(default)s)")
    parser.add_argument("--seed", default="0", help="of what is drawn (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        found = asyncio.run(run(options))
    except Failure as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
