"""Suggestions end to end: a server process, a stand-in for the model, a client that checks every answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lsp_server.client import INLINE, SERVE, Client, RequestError, talk

URI = "file:///w/area.py"
HEAD = "import math\n\n\ndef area(r):\n    return"
TARGET = HEAD + " math.pi * r**2\n\n\ndef volume(r):\n    return 4 / 3 * math.pi * r**3\n"
Script = Callable[..., str]


def texts(items: list[dict[str, Any]] | None) -> list[str] | None:
    return None if items is None else [item["insertText"] for item in items]


def test_a_line_is_suggested_with_a_range_and_a_command(script: Script) -> None:
    async def conversation(client: Client) -> None:
        answer = await client.initialize(model=script(TARGET))
        assert answer["capabilities"]["inlineCompletionProvider"] == {}
        assert "completionProvider" not in answer["capabilities"]
        client.open(URI, HEAD)
        (item,) = await client.suggest(URI)
        assert item["insertText"] == " math.pi * r**2"
        end = {"line": 4, "character": 10}
        assert item["range"] == {"start": end, "end": end}
        assert item["command"]["command"] == "setfill.accepted"

    talk(conversation)


def test_typing_through_and_accepting_ask_the_model_nothing(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET))
        client.open(URI, HEAD)
        await client.suggest(URI)
        for typed in " math":
            client.type(URI, len(client.texts[URI].text), typed)
            (item,) = await client.suggest(URI)
            assert client.texts[URI].text + item["insertText"] == HEAD + " math.pi * r**2"

        async def infills() -> int:
            return (await client.request("setfill/status", {"worker": True}))["worker"]["infills"]

        async def settled() -> int:
            """Return how many infills there were once no more come: what follows is decoded ahead."""
            before = -1
            while (now := await infills()) != before:
                before = now
                await asyncio.sleep(0.5)
            return now

        asked = await settled()
        assert asked == 2
        client.type(URI, len(client.texts[URI].text), item["insertText"])
        (item,) = await client.suggest(URI)
        assert item["insertText"] == "\n\n\ndef volume(r):\n    return 4 / 3 * math.pi * r**3"
        assert await infills() == asked
        asked = await settled()
        client.type(URI, len(client.texts[URI].text), "!")
        assert await client.suggest(URI) == []
        assert await infills() == asked + 1

    talk(conversation)


def test_what_follows_behind_a_blank_line_is_judged_by_where_it_stands(script: Script) -> None:
    """With the blank line's indentation in place of its own, the statement behind the `if` belonged to it."""
    head = "def f(x):\n    y ="

    async def conversation(client: Client) -> None:
        model = script(head + " 1\n\n    if x:\n        y = 2\n    z = 3\n")
        await client.initialize(model=model, confidenceFloor=0.0)
        client.open(URI, head)
        assert texts(await client.suggest(URI)) == [" 1"]
        await asyncio.sleep(0.5)  # what follows is decoded ahead
        client.type(URI, len(head), " 1")
        assert texts(await client.suggest(URI)) == ["\n\n    if x:\n        y = 2"]

    talk(conversation)


@pytest.mark.parametrize("method", ["textDocument/inlineCompletion", "textDocument/completion"])
@pytest.mark.parametrize(("said", "more", "expected"), [("a, ", "", []), ("a,\t ", "", []), ("a, ", "b, ", ["b,"])])
def test_a_rest_of_blanks_is_no_suggestion(
    script: Script, method: str, said: str, more: str, expected: list[str]
) -> None:
    """Typed through up to its last blank, a suggestion was answered as `[" "]`, and as a completion by an error."""
    text = "def f(a, b):\n    return f(*b)\n"
    cursor = text.index("*")
    phrases = [["return f(", said], ["return f(" + said, more], ["return f(a,", ""]]
    capabilities: dict[str, Any] = INLINE if "inline" in method else {}

    async def conversation(client: Client) -> None:
        async def shown(char: int) -> list[str]:
            answer = await client.request(method, client.inline_params(URI, char))
            return texts(answer) or [] if "inline" in method else [item["label"] for item in answer["items"]]

        await client.initialize(model=script(phrases=phrases), capabilities=capabilities)
        client.open(URI, text)
        assert [each.strip() for each in await shown(cursor)] == ["a,"]
        await asyncio.sleep(0.3)  # what follows is decoded ahead
        client.type(URI, cursor, "a,")
        assert [each.strip() for each in await shown(cursor + 2)] == expected

    talk(conversation)


@pytest.mark.parametrize(
    ("opened", "closed", "shown"), [("(", ")", '"x"'), ('("', '")', "x"), ("(", "", '"x")'), ("[", "]", None)]
)
def test_typing_through_leaves_the_closers_that_the_editor_added(
    script: Script, opened: str, closed: str, shown: str | None
) -> None:
    """An editor closes what the user opens; the rest of a suggestion then stands before that, and has it no more."""

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(phrases=[["print", '("x")']]), decodeAhead=False)
        client.open(URI, "print")
        assert texts(await client.suggest(URI)) == ['("x")']
        client.type(URI, len("print"), opened + closed)
        assert texts(await client.suggest(URI, len("print" + opened))) == ([] if shown is None else [shown])
        asked = (await client.request("setfill/status", {"worker": True}))["worker"]["infills"]
        assert asked == (2 if shown is None else 1)

    talk(conversation)


@pytest.mark.parametrize(("on_battery", "infills"), [(True, 1), (False, 2)])
def test_nothing_is_decoded_ahead_on_battery(script: Script, on_battery: bool, infills: int) -> None:
    async def conversation(client: Client) -> None:
        async def asked() -> int:
            return int((await client.request("setfill/status", {"worker": True}))["worker"]["infills"])

        await client.initialize(model=script(TARGET))
        client.open(URI, HEAD)
        await client.suggest(URI)
        await asyncio.sleep(0.5)  # what follows would be decoded by now
        while await asked() < infills:
            await asyncio.sleep(0.02)
        assert await asked() == infills

    talk(conversation, command=(*SERVE, "--on-battery" if on_battery else "--on-mains"))


def test_the_latest_request_wins_and_edits_overtake(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET, delay_ms=150))
        client.open(URI, HEAD)
        params = client.inline_params(URI, len(HEAD))
        answers = [client.begin("textDocument/inlineCompletion", params)[1] for _ in range(5)]
        assert [texts(await answer) for answer in answers] == [None] * 4 + [[" math.pi * r**2"]]
        client.type(URI, len(HEAD), "\n    x")
        overtaken = client.begin("textDocument/inlineCompletion", client.inline_params(URI, len(HEAD)))[1]
        client.type(URI, len(HEAD), "#")
        assert await overtaken is None
        number, withdrawn = client.begin("textDocument/inlineCompletion", client.inline_params(URI, len(HEAD)))
        client.cancel(number)
        with pytest.raises(RequestError, match="-32800"):
            await withdrawn

    talk(conversation)


@pytest.mark.parametrize("kind", [1, 2], ids=["by hand", "while typing"])
@pytest.mark.parametrize(
    ("language", "text", "says", "expected"),
    [
        ("python", "total = 1\nprint(‸)\n", ["total)"], ["total"]),
        ("python", "for i, item in ‸:\n    pass\n", ["enumerate(items):", "enumerate(items"], ["enumerate(items)"]),
        ("python", "def f(‸):\n    pass\n", ["a, b):"], ["a, b"]),
        ("python", 'with open("‸.json") as f:\n    pass\n', ["test.json", '"'], ["test"]),
        ("typescript", "function f(list: Array<‸>): T {\n}\n", ["T>", "T[]>"], ["T", "T[]"]),
        ("json", '{"test": ‸},\n', ["[", "{", '"a"'], ['"a"']),
    ],
)
def test_what_stands_right_of_the_cursor_is_not_repeated(
    script: Script, kind: int, language: str, text: str, says: list[str], expected: list[str]
) -> None:
    cursor = text.index("‸")
    phrases = [[text[:cursor], says[0]]]

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(phrases=phrases, alternatives=says[1:]), decodeAhead=False)
        client.open("file:///w/a", text.replace("‸", ""), language)
        found = texts(await client.suggest("file:///w/a", cursor, kind=kind))
        assert found == (expected if kind == 1 else expected[:1] if says[0] not in "[{" else [])

    talk(conversation)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"logprob": -3.0}, []),
        ({"logprob": -0.1}, [" math.pi * r**2"]),
    ],
)
def test_a_weak_answer_is_worse_than_none(script: Script, settings: dict[str, Any], expected: list[str]) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET, **settings))
        client.open(URI, HEAD)
        assert texts(await client.suggest(URI)) == expected
        assert texts(await client.suggest(URI, kind=1)) != [], "asked by hand, anything is shown"

    talk(conversation)


@pytest.mark.parametrize(
    "off",
    [
        {"enabled": False},
        {"automatic": False},
        {"disabledLanguages": ["python"]},
        {"disabledPaths": ["/w/*.py"]},
        {"exclude": ["area.*"]},
    ],
)
def test_off_switches(script: Script, off: dict[str, Any]) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET), **off)
        client.open(URI, HEAD)
        assert await client.suggest(URI) == []
        assert not client.messages("window/showMessage")

    talk(conversation)


def test_comments_can_be_left_alone(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script("# the area\n"), inComments=False)
        client.open(URI, "# the")
        assert await client.suggest(URI) == []
        assert texts(await client.suggest(URI, kind=1)) == [" area"]

    talk(conversation)


def test_neovim_and_those_who_ask_by_hand_get_several(script: Script) -> None:
    alternatives = [" 3.14 * r * r", " math.pi * r**2", " r * math.pi"]

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET, alternatives=alternatives), client_name="Neovim", candidates=4)
        client.open(URI, HEAD)
        line = "    return"  # with what stands before: Neovim goes on offering a suggestion after other keys
        found = await client.suggest(URI)
        assert texts(found) == [f"{line} math.pi * r**2", f"{line} 3.14 * r * r", f"{line} r * math.pi"]
        assert {(each["range"]["start"]["character"], each["range"]["end"]["character"]) for each in found} == {(0, 10)}
        client.type(URI, len(HEAD), " 3")
        assert texts(await client.suggest(URI)) == [f"{line} 3.14 * r * r"]

    talk(conversation)


@pytest.mark.parametrize("ending", ["\r\n", "\r"], ids=["CR LF", "CR"])
def test_neovim_which_keeps_lines_without_endings_gets_line_feeds(script: Script, ending: str) -> None:
    target = "def f(r):\n    a = one\n    b = two\n    return a + b\n".replace("\n", ending)
    head = f"def f(r):{ending}    "

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(target), client_name="Neovim")
        client.open(URI, head)
        assert texts(await client.suggest(URI)) == ["    a = one\n    b = two\n    return a + b"]

    talk(conversation)


@pytest.mark.parametrize(
    ("settings", "adapted", "policies"),
    [
        ({}, True, ["beam:4", "beam:4", "beam:4", "verified"]),  # by typing, by hand, one place, a block
        ({"beams": 2, "candidates": 6}, True, ["beam:2", "beam:6", "beam:2", "verified"]),
        ({"beams": 1}, True, ["verified"] * 4),
        ({}, False, ["verified"] * 4),
    ],
)
def test_beams_where_they_can_be_had(
    script: Script, settings: dict[str, Any], adapted: bool, policies: list[str]
) -> None:
    text = HEAD + "\n\ndef f(x):\n    y = x\n    return y\n"

    async def conversation(client: Client) -> None:
        await client.initialize(model=script("", adapted=adapted), decodeAhead=False, **settings)
        client.open(URI, text)
        line = HEAD.count("\n")
        for kind in (2, 1):
            await client.suggest(URI, len(HEAD), kind=kind)
        for lines in (0, 1):
            span = {
                "start": {"line": line + 3, "character": 4},
                "end": {"line": line + 3 + lines, "character": 8},
            }
            await client.request("setfill/infill", {"textDocument": {"uri": URI}, "ranges": [span]})
        status = await client.request("setfill/status", {"worker": True})
        assert status["worker"]["policies"].split() == policies

    talk(conversation)


def test_a_slow_machine_has_beams_for_who_asks_by_hand(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script("", delay_ms=400), decodeAhead=False)
        client.open(URI, HEAD)
        for kind in (2, 2, 1):
            await client.suggest(URI, len(HEAD), kind=kind)
        status = await client.request("setfill/status", {"worker": True})
        assert status["worker"]["policies"].split() == ["beam:4", "verified", "beam:4"]

    talk(conversation)


@pytest.mark.parametrize(("tells_lines", "infills"), [(True, 1), (False, 2)])
def test_a_model_that_runs_on_is_stopped_where_the_block_ends(script: Script, tells_lines: bool, infills: int) -> None:
    """What it said of the block is the answer, which was asked for once more, with all its lines, to be confirmed."""
    body = "def f(x):\n    y = x\n    return y\n"

    async def conversation(client: Client) -> None:
        model = script(body + "\n\nx = 1\n" * 20, line_ms=1000, tells_lines=tells_lines)
        await client.initialize(model=model, decodeAhead=False)
        client.open(URI, "def f(x):\n    ")
        started = time.monotonic()
        assert texts(await client.suggest(URI)) == ["y = x\n    return y"]
        assert time.monotonic() - started < 8, "and not the 12 seconds of 12 lines"
        assert (await client.request("setfill/status", {"worker": True}))["worker"]["infills"] == infills

    talk(conversation)


def test_who_asks_by_hand_is_not_given_what_typing_brought(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET, alternatives=[" 3 * r"]))
        client.open(URI, HEAD)
        assert texts(await client.suggest(URI)) == [" math.pi * r**2"]
        assert texts(await client.suggest(URI, kind=1)) == [" math.pi * r**2", " 3 * r"]
        assert texts(await client.suggest(URI, kind=1)) == [" math.pi * r**2", " 3 * r"]

    talk(conversation)


def test_what_was_shown_is_a_draft_of_what_is_asked_next(script: Script, tmp_path: Path) -> None:
    """The file does not say it, so the worker knows it from there alone."""
    frames = tmp_path / "script.frames"

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET), decodeAhead=False)
        client.open(URI, HEAD)
        assert texts(await client.suggest(URI)) == [" math.pi * r**2"]
        assert b" math.pi * r**2" not in frames.read_bytes()
        client.type(URI, len(HEAD), " m")
        assert texts(await client.suggest(URI, kind=1)) == ["ath.pi * r**2"]
        assert b"ath.pi * r**2" in frames.read_bytes()
        assert b" math.pi * r**2" not in frames.read_bytes(), "what is typed of it is none"

    talk(conversation)


def test_a_chosen_completion_is_where_the_suggestion_begins(script: Script) -> None:
    cursor = len(HEAD + " ma")
    text = HEAD + " ma" + TARGET.partition("r**2")[2]

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET))
        client.open(URI, text)
        span = {"start": client.texts[URI].place(len(HEAD) + 1), "end": client.texts[URI].place(cursor)}
        chosen = {"range": span, "text": "math"}
        (item,) = await client.suggest(URI, cursor, selectedCompletionInfo=chosen)
        assert (item["insertText"], item["range"]) == ("math.pi * r**2", span)
        assert await client.server_text(URI) == text, "the worker was only asked to suppose it"
        assert await client.suggest(URI, cursor, selectedCompletionInfo={"range": span, "text": "matrix"}) == []

    talk(conversation)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ending_and_indentation_are_the_documents_own(script: Script, ending: str) -> None:
    lines = ["def f(x):", "\tif x:", "\t\treturn 1", "", "", "def g(x):", ""]

    async def conversation(client: Client) -> None:
        await client.initialize(
            model=script(phrases=[["def g(x):" + ending, "    if x:\n        return 2\n    return 3\n"]])
        )
        client.open(URI, ending.join(lines))
        assert texts(await client.suggest(URI)) == [f"\tif x:{ending}\t\treturn 2{ending}\treturn 3"]

    talk(conversation)


def test_malformed_params_are_answered_with_an_error(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET))
        client.open(URI, HEAD)
        for params in ({}, None, [], {"textDocument": {"uri": URI}, "position": {"line": "x"}, "context": {}}):
            with pytest.raises(RequestError, match="-32602"):
                await client.request("textDocument/inlineCompletion", params)
        with pytest.raises(RequestError, match="-32601"):
            await client.request("no/such/method", {})
        client.send_raw(b"content-length: 3\r\n\r\n{x}")
        assert texts(await client.suggest(URI)) == [" math.pi * r**2"]
        assert not client.messages("window/showMessage")

    talk(conversation)


def test_initialize_is_answered_while_the_worker_loads(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(
            model=script(TARGET, load_ms=1500),
            capabilities={"window": {"workDoneProgress": True}, "textDocument": {"inlineCompletion": {}}},
        )
        client.open(URI, HEAD)
        early = await client.request("setfill/status", None)
        assert early["state"] == "loading"
        assert texts(await client.suggest(URI)) == [" math.pi * r**2"]
        assert (await client.request("setfill/status", None))["state"] == "ready"
        values = [params["value"] for params in client.messages("$/progress")]
        assert values[0]["kind"] == "begin"
        assert values[-1]["kind"] == "end"
        assert 50 in [value.get("percentage") for value in values]

    talk(conversation)
