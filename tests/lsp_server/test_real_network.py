"""The server with a real network behind it: tiny and random, so only what holds for any answer is checked."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from grammars import infill_damage, language_named, snapshot_of
from tests.lsp_server.client import Client, RequestError, talk
from tests.model.real import real_model

COMMAND = (sys.executable, "-m", "setfill", "serve")
URI = "file:///w/shapes.py"
TEXT = "import math\r\n\r\n\r\ndef area(r):\r\n    return math.pi * r\r\n\r\n\r\ndef volume(r):\r\n    \r\n"


@pytest.mark.parametrize("adapted", [True, False], ids=["adapted", "sees the prefix only"])
def test_typing_filling_dying(adapted: bool, tiny_model: Path, tiny_prefix_model: Path) -> None:
    draw = random.Random(4)

    async def conversation(client: Client) -> None:
        model = str(tiny_model if adapted else tiny_prefix_model)
        await client.initialize(
            model=model, precision="float32", confidenceFloor=0.0, threads=1, timeLimitMs=400, fillMaxLines=3
        )
        client.open(URI, TEXT)
        shown = 0
        for step in range(12):
            char = len(TEXT) - 2 if step == 0 else draw.choice([10, 30, 49, len(client.texts[URI].text) - 2])
            client.type(URI, char, draw.choice(["x", " = ", "f(", "\r\n    "]))
            cursor = min(char + 1, len(client.texts[URI].text))
            for item in await client.suggest(URI, cursor, kind=draw.choice([1, 2])) or []:
                shown += 1
                check_item(client, item)
        assert shown
        ranges = [
            {"start": client.texts[URI].place(place), "end": client.texts[URI].place(place)} for place in (11, 40)
        ]
        filled = await client.request("setfill/infill", {"textDocument": {"uri": URI}, "ranges": ranges})
        assert [each["range"] for each in filled["infills"]] == ranges
        await check_trace(client)
        pid = (await client.request("setfill/status", None))["workerPid"]
        asking = asyncio.create_task(client.suggest(URI, kind=1))
        await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        assert isinstance(await asking, list), "asked once more of the next worker"
        while "worker" not in (status := await client.request("setfill/status", {"worker": True})):
            await asyncio.sleep(0.1)  # the next worker is starting
        assert status["worker"]["files"] == 1

    talk(conversation, command=COMMAND, timeout_s=150)


async def check_trace(client: Client) -> None:
    """The page holds the decode that was asked for last, though the file has changed since.

    In a file that was just opened: in one with a history the text behind may be cut elsewhere than when it is read
    anew, and a network with random weights then says something else.
    """
    uri = "file:///w/traced.py"
    client.open(uri, TEXT)
    places = [client.texts[uri].place(char) for char in (4, 11, 25, 40, 52, 60, 70, 84)]
    ranges = [{"start": place, "end": place} for place in places]
    filled = await client.request("setfill/infill", {"textDocument": {"uri": uri}, "ranges": ranges})
    client.type(uri, 0, "x")
    page = await client.request("setfill/traceLastInfill", {"textDocument": {"uri": uri}})
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert page["title"] == "How traced.py was filled"
    data = json.loads(page["html"].split('id="data">')[1].split("</script>")[0])
    shown = [each["text"] for each in filled["infills"]]
    assert any(shown), "what a random network says is mostly left open, and so not shown; here one is"
    for gap, text in zip(data["gaps"], shown, strict=True):
        assert gap["text"].startswith("".join(text.splitlines()[:1]))
    assert data["trace"]["steps"]
    with pytest.raises(RequestError, match="not open"):
        await client.request("setfill/traceLastInfill", {"textDocument": {"uri": "file:///w/other.py"}})


def check_item(client: Client, item: dict[str, Any]) -> None:
    text, snapshot = client.texts[URI].text, snapshot_of(client.texts[URI].text, language_named("python"))
    start, end = (client.texts[URI].char(item["range"][side]) for side in ("start", "end"))
    assert item["range"]["start"]["line"] == item["range"]["end"]["line"]
    assert item["insertText"].strip()
    assert "\n" not in item["insertText"].replace("\r\n", ""), "the document's own line ending"
    damage = infill_damage(snapshot, start, end, item["insertText"])
    assert damage is None or not damage.is_worse
    assert text[end:].split("\r\n")[0].strip() not in (item["insertText"].strip(), *[]) or not text[end:].strip()


@pytest.mark.slow
def test_the_default_model_suggests_something_sensible() -> None:
    model = str(real_model())

    async def conversation(client: Client) -> None:
        await client.initialize(model=model, timeLimitMs=20_000)
        head = "import json\n\n\ndef load(path):\n    with open(path) as file:\n        return json."
        client.open(URI, head)
        (item, *_) = await client.suggest(URI, kind=1)
        assert item["insertText"].startswith("load")
        status = await client.request("setfill/status", {"worker": True})
        print(json.dumps(status))
        memory = Path(f"/proc/{status['workerPid']}/smaps_rollup").read_text().split("Pss:")[1].split()[0]
        assert int(memory) < 1_000_000, "kilobytes"

    talk(conversation, command=COMMAND, timeout_s=250)
