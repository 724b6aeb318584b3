"""A worker that hangs or dies and dies: the client is answered, told, and a restart is one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.lsp_server.client import Client, RequestError, talk

Script = Callable[..., str]
URI = "file:///w/a.py"
AT_END = {"start": {"line": 0, "character": 3}, "end": {"line": 0, "character": 3}}
RESTART = {"command": "setfill.restart", "arguments": [None]}


async def status_of(client: Client, **asked: Any) -> dict[str, Any]:
    status: dict[str, Any] = await client.request("setfill/status", asked)
    return status


async def started(client: Client, script: Script, **options: Any) -> int:
    """Open a file and get a suggestion; return the worker's process."""
    await client.initialize(model=script("x = 1\n", phrases=[["x =", " 1"], ["y =", " 2"]]), **options)
    client.open(URI, "x =")
    assert (await client.suggest(URI))[0]["insertText"] == " 1"
    return int((await status_of(client))["workerPid"])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a silent worker has a minute")
def test_a_stopped_worker_is_replaced_and_requests_are_answered(script: Script) -> None:
    """An inline request with `timeLimitMs` 3000 was unanswered after 60 s, `setfill/status` for ever."""

    async def conversation(client: Client) -> None:
        pid = await started(client, script, timeLimitMs=3000)
        os.kill(pid, signal.SIGSTOP)
        client.type(URI, 0, "y =\n")
        asking = asyncio.create_task(client.suggest(URI, 3))
        filling = {"textDocument": {"uri": URI}, "ranges": [AT_END]}
        infilling = asyncio.create_task(client.request("setfill/infill", filling))
        status = await status_of(client, worker=True)
        assert (status["problem"], status["problemCode"]) == ("the model worker does not answer", "worker")
        assert "worker" not in status
        assert await asking in ([], None) or asking.result()[0]["insertText"] == " 2"
        assert (await infilling)["infills"][0]["text"] == " 2"
        await client.until_ready()  # the answer may be here before the new worker has said what it runs
        status = await status_of(client)
        assert (status["state"], status["problem"], status["workerRestarts"]) == ("ready", None, 1)
        assert status["problemCode"] is None
        assert status["workerPid"] not in (pid, None)
        assert "it was stopped" in status["lastDeath"]
        (shown,) = client.messages("window/showMessage")
        assert "the model worker is started again: it was stopped" in shown["message"]

    talk(conversation, timeout_s=120)


@pytest.mark.parametrize("stopped", [True, False])
def test_a_restart_is_one(script: Script, stopped: bool) -> None:
    """It reported success at once, and changed nothing."""

    async def conversation(client: Client) -> None:
        pid = await started(client, script)
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        await client.request("workspace/executeCommand", RESTART)
        status = await status_of(client)
        assert status["state"] == "ready"
        assert status["workerPid"] not in (pid, None)
        client.change(URI, "y =")
        assert (await client.suggest(URI))[0]["insertText"] == " 2"

    talk(conversation)


def test_after_many_deaths_the_state_is_told_and_a_restart_helps(script: Script) -> None:
    """Status said that all was well, restart that it had restarted, and requests failed for minutes."""

    async def conversation(client: Client) -> None:
        await started(client, script)
        pids = set()
        async with asyncio.timeout(60):
            while (status := await status_of(client))["state"] != "failed":
                pid = status["workerPid"]
                if status["state"] == "ready" and pid not in pids:
                    pids.add(pid)
                    os.kill(pid, signal.SIGKILL)
                await asyncio.sleep(0.02)
        assert len(pids) == 5
        assert "died 5 times" in status["problem"]
        assert status["workerPid"] is None
        with pytest.raises(RequestError, match="not started again for now"):
            await client.suggest(URI, kind=1)
        assert any("died 5 times" in shown["message"] for shown in client.messages("window/showMessage"))
        await client.request("workspace/executeCommand", RESTART)
        status = await status_of(client)
        assert (status["state"], status["problem"]) == ("ready", None)
        assert status["workerPid"] not in (None, *pids)
        client.change(URI, "y =")
        assert (await client.suggest(URI))[0]["insertText"] == " 2"

    talk(conversation, timeout_s=120)


def test_after_a_death_the_state_is_loading_until_the_model_is_there(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script("x = 1\n", load_ms=1500))
        client.open(URI, "x =")
        assert (await client.suggest(URI))[0]["insertText"] == " 1"
        os.kill((await status_of(client))["workerPid"], signal.SIGKILL)
        states = []
        async with asyncio.timeout(30):
            while states[-2:] != ["loading", "ready"]:
                state = (await status_of(client))["state"]
                states += [state] if state not in states[-1:] else []
                await asyncio.sleep(0.05)
        assert "SIGKILL" in (await status_of(client))["lastDeath"]

    talk(conversation)
