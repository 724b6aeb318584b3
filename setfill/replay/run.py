"""A whole replay: a server in folders of its own, the file opened, the script played, the server ended."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grammars import detect_language
from setfill.replay.editor import Editor
from setfill.replay.player import Accept, Played, Player
from setfill.replay.script import Pace, Script


@dataclass(frozen=True)
class Server:
    """Which server is played against: its command, initialization options, and the name of the file it is shown."""

    command: Sequence[str]
    options: Mapping[str, Any]
    file_name: str


def replay(
    server: Server, script: Script, pace: Pace, follow: Mapping[int, Accept] | None, *, settle_s: float,
    until_s: float | None,
) -> tuple[Played, Mapping[str, Any]]:  # fmt: skip
    """Play a script; return what was seen, and what the server tells of itself. WorkerError when it fails.

    What the server counts goes to a folder of its own, for nobody typed this.
    """
    return asyncio.run(_replay(server, script, pace, follow, settle_s, until_s))


async def _replay(
    server: Server,
    script: Script,
    pace: Pace,
    follow: Mapping[int, Accept] | None,
    settle_s: float,
    until_s: float | None,
) -> tuple[Played, Mapping[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="setfill-replay-") as folder:
        language = detect_language(server.file_name)
        editor = Editor(Path(folder, server.file_name).as_uri(), language.name, script.text)
        try:
            await editor.start(server.command, server.options, {"XDG_STATE_HOME": folder})
            player = Player(editor, script, pace, follow)
            await player.warm_up(settle_s)
            status = await editor.status() or {}
            return await player.play(until_s), status
        finally:
            await editor.stop()
