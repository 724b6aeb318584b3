"""Filling selections and holes, and the fallback for editors without inline completion, end to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.lsp_server.client import Client, RequestError, talk

URI = "file:///w/shapes.py"
HOLES = "import math\n\n\ndef area(r):\n    return ???\n\n\ndef volume(r):\n    return ???\n"
FILLED = HOLES.replace("???", "math.pi * r**2", 1).replace("???", "4 / 3 * math.pi * r**3")
Script = Callable[..., str]


def span(client: Client, start: int, end: int) -> dict[str, Any]:
    return {"start": client.texts[URI].place(start), "end": client.texts[URI].place(end)}


async def actions(client: Client, start: int, end: int, **context: Any) -> list[dict[str, Any]]:
    params = {
        "textDocument": {"uri": URI},
        "range": span(client, start, end),
        "context": {"diagnostics": [], **context},
    }
    found: list[dict[str, Any]] = await client.request("textDocument/codeAction", params)
    return found


async def execute(client: Client, action: dict[str, Any]) -> Any:
    command = action["command"]
    return await client.request("workspace/executeCommand", {key: command[key] for key in ("command", "arguments")})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("versioned", [True, False])
def test_two_holes_are_filled_jointly_by_one_edit(script: Script, encoding: str, versioned: bool) -> None:
    holes, filled = ("# 漢🐍\n" + text.replace("r)", "r, é='🐍')") for text in (HOLES, FILLED))

    async def conversation(client: Client) -> None:
        capabilities = {"workspace": {"workspaceEdit": {"documentChanges": True}} if versioned else {}}
        await client.initialize(model=script(filled), capabilities=capabilities)
        client.open(URI, holes)
        fill_here, fill_all = await actions(client, 0, 0)
        assert fill_all["title"] == "Setfill: fill all 2 holes together"
        assert fill_here["kind"] == "refactor.rewrite.setfill"
        await execute(client, fill_all)
        assert client.texts[URI].text == filled == await client.server_text(URI)
        (asked,) = [params for method, params in client.asked if method == "workspace/applyEdit"]
        assert set(asked["edit"]) == {"documentChanges" if versioned else "changes"}

    talk(conversation, encoding=encoding)


def test_a_selection_of_whole_lines_keeps_its_indentation_and_line_break(script: Script) -> None:
    wrong = FILLED.replace("math.pi * r**2", "wrong")
    begin = wrong.index("    return wrong")

    async def conversation(client: Client) -> None:
        tags = {"codeAction": {"tagSupport": {"valueSet": [1]}}}
        await client.initialize(model=script(FILLED), capabilities={"textDocument": tags})
        client.open(URI, wrong)
        (action,) = await actions(client, begin, begin + len("    return wrong\n"), only=["refactor"])
        assert action["tags"] == [1]
        for other in ("quickfix", "source"):  # one before ours in the alphabet, one behind
            assert await actions(client, 0, 0, only=[other]) == []
        await execute(client, action)
        assert client.texts[URI].text == FILLED

    talk(conversation)


@pytest.mark.parametrize("indent", ["    ", "\t", " \t "])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_the_model_fills_begins_behind_a_selections_indentation(script: Script, indent: str, ending: str) -> None:
    """Asked for the indentation too, a model may leave it away; this one answers only behind it."""
    text = f"def f():{ending}{indent}a = 1{ending}{indent}b = 2{ending}"
    start, end = text.index(indent), text.index(f"{indent}b")

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(phrases=[[f"def f():{ending}{indent}", "c = 3"]]))
        client.open(URI, text)
        await execute(client, (await actions(client, start, end))[0])
        assert client.texts[URI].text == text.replace("a = 1", "c = 3")

    talk(conversation)


def test_edits_are_refused_when_the_file_has_moved_on(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(FILLED, delay_ms=30_000), decodeAhead=False)
        client.open(URI, HOLES)
        _, fill_all = await actions(client, 0, 0)
        filling = asyncio.create_task(execute(client, fill_all))
        await asyncio.sleep(0.1)
        client.type(URI, 0, "#")
        with pytest.raises(RequestError, match="-32801"):
            await filling
        with pytest.raises(RequestError, match="-32801"):
            await execute(client, fill_all)
        assert client.texts[URI].text == "#" + HOLES
        assert not [method for method, _ in client.asked if method == "workspace/applyEdit"]

    talk(conversation)


def test_an_editor_may_refuse_the_edit(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(FILLED))
        client.open(URI, HOLES)
        client.apply_edits = False  # as one whose buffer is ahead of us
        with pytest.raises(RequestError, match="-32801"):
            await execute(client, (await actions(client, 0, 0))[1])
        assert client.texts[URI].text == HOLES

    talk(conversation)


def test_infill_streams_and_touches_nothing(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(FILLED))
        client.open(URI, HOLES)
        first, second = HOLES.index("???"), HOLES.rindex("???")
        ranges = [span(client, second, second + 3), span(client, first, first + 3)]
        params = {"textDocument": {"uri": URI, "version": 1}, "ranges": ranges, "partialResultToken": "stream"}
        answer = await client.request("setfill/infill", params)
        assert [each["text"] for each in answer["infills"]] == ["math.pi * r**2", "4 / 3 * math.pi * r**3"]
        assert [each["range"] for each in answer["infills"]] == ranges[::-1], "in the order of the file"
        partials = [params["value"] for params in client.messages("$/progress") if params["token"] == "stream"]
        assert {"index": 0, "text": "math.pi"} in partials
        assert client.texts[URI].text == HOLES == await client.server_text(URI)
        for wrong in ({}, {"ranges": []}, {"ranges": [{"start": 1}]}, {"ranges": ranges, "candidates": "many"}):
            with pytest.raises(RequestError, match="-32602"):
                await client.request("setfill/infill", {"textDocument": {"uri": URI}, **wrong})
        with pytest.raises(RequestError, match="overlap"):
            await client.request("setfill/infill", {**params, "ranges": [span(client, 0, 9), span(client, 3, 10)]})

    talk(conversation)


def test_filling_can_be_cancelled_and_says_what_is_wrong(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(FILLED, delay_ms=20_000))
        client.open(URI, HOLES)
        _, fill_all = await actions(client, 0, 0)
        command = {key: fill_all["command"][key] for key in ("command", "arguments")}
        number, filling = client.begin("workspace/executeCommand", command)
        await asyncio.sleep(0.2)
        client.cancel(number)
        with pytest.raises(RequestError, match="-32800"):
            await filling
        with pytest.raises(RequestError, match="-32602"):
            await client.request("workspace/executeCommand", {"command": "setfill.nonsense", "arguments": [1]})
        client.change(URI, "x = 1\n")
        fill_all = {"command": "setfill.fillHoles", "arguments": [{"textDocument": {"uri": URI, "version": 2}}]}
        with pytest.raises(RequestError, match=r"write \?\?\? where"):
            await client.request("workspace/executeCommand", fill_all)

    talk(conversation)


def test_what_was_cancelled_changes_no_file(script: Script) -> None:
    """The answer said that it was, and a moment later the edit came all the same."""

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(FILLED, delay_ms=500))
        client.open(URI, HOLES)
        action = (await actions(client, 0, 0))[1]["command"]
        number, filling = client.begin(
            "workspace/executeCommand", {key: action[key] for key in ("command", "arguments")}
        )
        await asyncio.sleep(0.1)
        client.cancel(number)
        with pytest.raises(RequestError, match="-32800"):
            await filling
        hole = span(client, HOLES.index("???"), HOLES.index("???") + 3)
        await client.request("setfill/infill", {"textDocument": {"uri": URI}, "ranges": [hole]})  # takes as long again
        assert not [method for method, _ in client.asked if method == "workspace/applyEdit"]
        assert client.texts[URI].text == HOLES

    talk(conversation)


def test_the_marker_of_holes_is_a_setting(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(FILLED), holeMarker="<hole>")
        client.open(URI, HOLES.replace("???", "<hole>"))
        assert len(await actions(client, 0, 0)) == 2
        client.change(URI, HOLES)
        assert len(await actions(client, 0, 0)) == 1

    talk(conversation)


def test_marked_holes_can_be_asked_for_without_an_edit(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script("a = one\nb = two\nc\n"))
        client.open(URI, "a = ???\nb = ???\nc\n")
        answer = await client.request("setfill/infill", {"textDocument": {"uri": URI}, "holes": True})
        assert [each["text"] for each in answer["infills"]] == ["one", "two"]
        assert [each["range"]["start"]["line"] for each in answer["infills"]] == [0, 1]
        client.change(URI, "c\n")
        with pytest.raises(RequestError, match="no hole is marked"):
            await client.request("setfill/infill", {"textDocument": {"uri": URI}, "holes": True})

    talk(conversation)


def test_the_trace_of_a_fill_follows_the_policy_that_filled(script: Script) -> None:
    """What beams have filled was replayed greedily, and might say something else."""

    async def conversation(client: Client) -> None:
        await client.initialize(model=script("a = one\nb = two\nc\n"))
        client.open(URI, "a = ???\nb = ???\nc\n")
        file = {"textDocument": {"uri": URI}}
        place = client.texts[URI].place(4)
        for asked in ({"ranges": [{"start": place, "end": place}]}, {"holes": True}):
            await client.request("setfill/infill", {**file, **asked})
            page = await client.request("setfill/traceLastInfill", file)
            assert page["title"] == "How shapes.py was filled"
        status = await client.request("setfill/status", {"worker": True})
        assert status["worker"]["policies"].split() == ["beam:4", "beam:4", "verified", "verified"]

    talk(conversation)


def test_editors_without_inline_completion_get_completions(script: Script) -> None:
    text = FILLED[: FILLED.index(".pi")]

    async def conversation(client: Client) -> None:
        answer = await client.initialize(model=script(FILLED), capabilities={"textDocument": {"completion": {}}})
        assert " " in answer["capabilities"]["completionProvider"]["triggerCharacters"]
        client.open(URI, text)
        params = client.inline_params(URI, len(text))
        answer = await client.request("textDocument/completion", {**params, "context": {"triggerKind": 1}})
        assert answer["isIncomplete"] is True
        (item,) = answer["items"]
        assert item["label"] == item["filterText"] == item["textEdit"]["newText"] == "math.pi * r**2"
        assert item["textEdit"]["range"] == span(client, len(text) - len("math"), len(text))
        assert item["command"]["command"] == "setfill.accepted"

    talk(conversation)
