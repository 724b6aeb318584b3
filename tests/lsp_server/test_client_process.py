"""The end of an editor's process, as it is noticed on systems of one kind and another."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from lsp_server import client_process

posix_only = pytest.mark.skipif(os.name != "posix", reason="this machine cannot look at processes by their number")


async def waits(pid: int) -> bool:
    """Whether it is still waited for the end of a process after some turns of the event loop."""
    waiting = asyncio.create_task(client_process.ended(pid))
    for _ in range(20):
        await asyncio.sleep(0)
    is_waiting = not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return is_waiting


async def gone() -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await process.wait()
    return process.pid


@posix_only
def test_what_was_never_there_has_not_ended() -> None:
    """An editor in a container, or none at all."""

    async def run() -> None:
        assert await waits(await gone())
        assert await waits(0)
        assert await waits(-1)
        assert await waits(2**80), "more than the system has"
        assert await waits(os.getpid())

    asyncio.run(run())


@posix_only
@pytest.mark.parametrize("has_descriptors", [True, False])
def test_the_end_of_a_process_is_noticed(monkeypatch: pytest.MonkeyPatch, has_descriptors: bool) -> None:
    """macOS has no descriptors of processes, and some kernels and sandboxes refuse them: there it is looked at."""
    if not has_descriptors:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
        monkeypatch.setattr(client_process, "_LOOK_SECONDS", 0.01)

    async def run() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "600")
        try:
            assert await waits(process.pid)
            ended = asyncio.create_task(client_process.ended(process.pid))
            await asyncio.sleep(0)
            process.kill()
            await process.wait()
            async with asyncio.timeout(60):
                await ended
        finally:
            if process.returncode is None:
                process.kill()

    asyncio.run(run())
