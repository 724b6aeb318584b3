"""The worker with its real engine and a tiny random network: what it answers is what the engine says in-process."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from pathlib import Path

import pytest

from model.api.client import WorkerClient, WorkerOptions
from model.api.types import Edit, Gap, Infill, InfillRequest, Limits, PartialInfill, ScoreRequest, Snippet
from model.errors import CheckpointError, RangeError
from tests.model.worker.helpers import Owner, talk, until

TEXT = "def area(w, h):\r\n    return w * h\r\n\r\nprint('🐍', area(2, 3))\r\n" * 3
SNIPPET = Snippet("shapes.py", "def perimeter(w, h):\n    return 2 * (w + h)\n")


def options(model: Path, shared: bool = False) -> WorkerOptions:
    return WorkerOptions(str(model), shared=shared, precision="float32", threads=1, linger_s=0.3)


def ask(file_id: str, version: int, cursor: int, max_tokens: int = 12) -> InfillRequest:
    limits = Limits(max_tokens=max_tokens)
    return InfillRequest(file_id, version, (Gap(cursor, cursor),), policy="left_to_right", limits=limits)


def in_process(model: Path, path: str, text: str, cursor: int, snippets: tuple[Snippet, ...] = ()) -> Infill:
    """Return what a fresh engine, with no worker and no history, puts at `cursor`."""
    from model.worker.engine import Engine

    engine = Engine.load(model, precision="float32", threads=1)
    engine.open("fresh", path, text, 1)
    engine.set_context("fresh", snippets)
    return engine.infill(ask("fresh", 1, cursor))


def check_same(infill: Infill, expected: Infill) -> None:
    assert infill.gaps[0].text == expected.gaps[0].text
    assert infill.gaps[0].logprobs == pytest.approx(expected.gaps[0].logprobs, abs=1e-3)


def test_edited_killed_and_restarted_it_answers_as_a_fresh_engine(tiny_prefix_model: Path) -> None:
    async def conversation(client: WorkerClient) -> None:
        owner = Owner(client, "a", "area.py", TEXT, 1)
        client.set_context("a", [SNIPPET])
        owner.edit([Edit(28, 33, "h * w"), Edit(0, 0, "# 🐍\r\n")], 2)
        edited = owner.text
        expected = in_process(tiny_prefix_model, "area.py", edited, 34, (SNIPPET,))
        check_same(await client.infill(ask("a", 2, 34)), expected)

        partials: list[PartialInfill] = []
        long = asyncio.create_task(client.infill(ask("a", 2, 34, max_tokens=400), partials.append))
        await until(lambda: bool(partials) or long.done())
        os.kill(client.pid, signal.SIGKILL)
        owner.edit([Edit(0, 0, "#")], 3)
        owner.edit([Edit(0, 1, "")], 4)
        await asyncio.wait([long])  # asked again of the new worker, where its version is no longer held, or answered
        check_same(await client.infill(ask("a", 4, 34)), expected)
        assert client.restarts == 1

    talk(conversation, options(tiny_prefix_model), timeout_s=120)


def test_two_clients_of_one_engine_never_mix(tiny_prefix_model: Path) -> None:
    texts = {"left.py": TEXT, "right.py": "class Shape:\n    def name(self):\n        return 'circle'\n"}

    async def work(client: WorkerClient, path: str) -> Infill:
        owner = Owner(client, "same id", path, "", 1)
        for version, character in enumerate(texts[path][:40], start=2):
            owner.edit([Edit(version - 2, version - 2, character)], version)
            client.prepare("same id", version - 1)
            if version % 10 == 0:
                await client.infill(ask("same id", version, version - 1, max_tokens=2))
        owner.edit([Edit(40, 40, texts[path][40:])], 100)
        return await client.infill(ask("same id", 100, 40))

    async def conversation(left: WorkerClient, right: WorkerClient) -> None:
        answers = await asyncio.gather(work(left, "left.py"), work(right, "right.py"))
        for path, infill in zip(texts, answers, strict=True):
            check_same(infill, in_process(tiny_prefix_model, path, texts[path], 40))

    talk(conversation, options(tiny_prefix_model, shared=True), options(tiny_prefix_model, shared=True), timeout_s=120)


def test_cancel_errors_surrogates_and_privacy(tiny_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def conversation(client: WorkerClient) -> None:
        client.open("a", "area.py", TEXT, 1)
        partials: list[PartialInfill] = []
        long = asyncio.create_task(client.infill(ask("a", 1, 28, max_tokens=2000), partials.append))
        await until(lambda: bool(partials) or long.done(), timeout_s=60)
        long.cancel()
        check_same(await client.infill(ask("a", 1, 28)), in_process(tiny_model, "area.py", TEXT, 28))

        with pytest.raises(RangeError):
            await client.infill(ask("a", 1, len(TEXT) + 1))
        score = await client.score(ScoreRequest("a", 1, (Gap(28, 33),), ("h * w",)))
        assert "".join(token.text for token in score.gaps[0].tokens).endswith("h * w")
        client.open("s", "\udc0d.py", "key = '\ud83d hunter2'\n", 1)  # as a JSON editor may send it
        assert (await client.infill(ask("s", 1, 8))).gaps[0].tokens >= 0
        assert (await client.stats())["files"] == 2
        assert client.restarts == 0

    talk(conversation, options(tiny_model), timeout_s=120)
    assert "hunter2" not in caplog.text
    assert "area(" not in caplog.text


def test_a_damaged_checkpoint_is_the_answer_and_the_worker_stays(tiny_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_model, damaged)
    for weights in damaged.glob("*.safetensors"):
        weights.write_bytes(weights.read_bytes()[:1000])

    async def conversation(client: WorkerClient) -> None:
        pid = client.pid
        client.open("a", "a.py", TEXT, 1)
        for _ in range(2):
            with pytest.raises(CheckpointError, match="damaged"):
                await client.infill(ask("a", 1, 0))
        assert (await client.status()).state == "failed"
        assert client.pid == pid

    talk(conversation, options(damaged), timeout_s=60)
