"""The editor's process, which the protocol has a server end with: its pipes may be held open by others.

Knows a process id, and no protocol.
"""

from __future__ import annotations

import asyncio
import os

_LOOK_SECONDS = 3.0  # where the system cannot wait for a process that is no child of ours


async def ended(pid: int) -> None:
    """Return once the process has ended; never if there is none of that id here, as with an editor in a container.

    Nor on Windows, where looking at a process by `os.kill` would end it: there the pipes have to tell.
    """
    if pid <= 0 or os.name != "posix" or not _is_there(pid):
        await asyncio.Event().wait()
    try:
        descriptor = getattr(os, "pidfd_open", _unknown)(pid)
    except ProcessLookupError:
        return
    except OSError:  # no Linux, or a kernel or a sandbox without it
        while _is_there(pid):
            await asyncio.sleep(_LOOK_SECONDS)
        return
    loop, has_ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, has_ended.set)
        await has_ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _unknown(pid: int) -> int:
    raise OSError("this system has no pidfd_open")


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
