"""Why a place stays silent: every reason, by the request that any client can send."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_server import why_silent
from lsp_server.settings import Settings, wire_name
from lsp_server.silence import Reason
from model.errors import all_errors
from tests.lsp_server.client import Client, RequestError, talk

URI = "file:///w/area.py"
HEAD = "import math\n\n\ndef area(r):\n    return"
TARGET = HEAD + " math.pi * r**2\n"
Script = Callable[..., str]


async def why(client: Client, uri: str = URI) -> dict[str, Any]:
    answer: dict[str, Any] = await client.request("setfill/whySilent", {"textDocument": {"uri": uri}})
    return answer


def check(
    model: str, text: str, reason: str, char: int | None = None, kind: int = 2, **settings: Any
) -> dict[str, Any]:
    """Ask for a suggestion that stays out, and for the reason."""

    async def conversation(client: Client) -> dict[str, Any]:
        await client.initialize(model=model, **settings)
        client.open(URI, text)
        assert await client.suggest(URI, char, kind) == []
        answer = await why(client)
        assert answer["reason"] == reason, answer
        return answer

    found: dict[str, Any] = talk(conversation)
    return found


@pytest.mark.parametrize(
    ("settings", "reason", "setting"),
    [
        ({"enabled": False}, "off", "enabled"),
        ({"automatic": False}, "onDemand", "automatic"),
        ({"disabledLanguages": ["python"]}, "languageOff", "disabledLanguages"),
        ({"disabledPaths": ["/w/*.py"]}, "pathOff", "disabledPaths"),
        ({"exclude": ["area.*"]}, "excluded", "exclude"),
    ],
)
def test_what_is_switched_off(script: Script, settings: dict[str, Any], reason: str, setting: str) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET), **settings)
        client.open(URI, HEAD)
        await client.until_ready()
        assert await client.suggest(URI) == []
        answer = await why(client)
        assert (answer["reason"], answer["setting"]) == (reason, setting)

    talk(conversation)


def test_places_that_are_not_asked_about(script: Script) -> None:
    check(script(TARGET), " \n", "emptyFile")
    check(script(TARGET), HEAD, "insideWord", char=3)
    check(script("", phrases=[["", "x"]], adapted=False), "f( + b)", "textBehind", char=2)
    assert check(script(TARGET), "# a\n", "comment", char=3, inComments=False)["setting"] == "inComments"


def test_what_became_of_what_the_model_said(script: Script) -> None:
    answer = check(script(TARGET, logprob=-3.0), HEAD, "unlikely")
    assert answer["confidence"] == pytest.approx(0.0498)
    assert (answer["eagerness"], answer["least"], answer["against"]) == ("balanced", 0.2, "confidence")
    assert answer["message"] == (
        f"A suggestion was held back: those like it are right {answer['chance']:.0%} of the time, and with the "
        "eagerness balanced they are shown from 20% on. The model was unsure of its words."
    )
    answer = check(script(TARGET, logprob=-3.0), HEAD, "belowFloor", confidenceFloor=0.55)
    assert (answer["confidence"], answer["floor"]) == (pytest.approx(0.0498), 0.55)
    assert answer["message"] == "The model was not sure enough: 0.05, and the floor is 0.55."
    assert answer["position"] == {"line": 4, "character": 10}
    assert answer["invoked"] is False
    check(script("", phrases=[["return", ""]]), HEAD, "nothingMissing")
    check(script("", phrases=[["return", ""]]), HEAD, "nothingMissing", kind=1)
    check(script("", phrases=[["f(", "a)"], ["x = 1", "\ny = 2"]]), "x = 1\ny = 2\n", "nothingLeft", char=5, kind=1)


def test_a_time_limit_that_left_nothing(script: Script) -> None:
    answer = check(script("", phrases=[["return", ""]], stop="time"), HEAD, "timeLimit", timeLimitMs=700)
    assert "700 ms" in answer["message"]


def test_requests_that_came_to_nothing_and_one_that_did_not(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET, delay_ms=300))
        client.open(URI, HEAD)
        await client.until_ready()
        assert (await why(client))["reason"] == "notAsked"
        number, first = client.begin("textDocument/inlineCompletion", client.inline_params(URI, len(HEAD)))
        assert (await why(client))["reason"] == "running"
        client.cancel(number)
        with pytest.raises(RequestError, match="-32800"):
            await first
        assert (await why(client))["reason"] == "withdrawn"
        _, second = client.begin("textDocument/inlineCompletion", client.inline_params(URI, len(HEAD)))
        client.type(URI, len(HEAD), "\n")
        assert await second is None
        assert (await why(client))["reason"] == "overtaken"
        client.change(URI, HEAD)
        assert await client.suggest(URI) != []
        answer = await why(client)
        assert answer["reason"] == "shown"
        assert answer["spent"]["source"] == "model"
        assert (await why(client, "file:///w/other.py"))["reason"] == "notOpen"

    talk(conversation)


def test_where_the_time_of_an_answer_went(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET, delay_ms=50), debounceMs=60)
        client.open(URI, HEAD)
        await client.until_ready()
        assert (await why(client))["spent"] is None
        (shown,) = await client.suggest(URI)
        spent = (await why(client))["spent"]
        assert spent["source"] == "model"
        assert spent["waitedMs"] >= 60
        assert spent["queuedMs"] >= 45, "the stand-in says that its decodes take a millisecond"
        assert (spent["encodeMs"], spent["decodeMs"]) == (0, 1)
        assert (spent["forwards"], spent["rowsComputed"], spent["rowsReused"]) == (1, 10, 90)
        client.type(URI, len(HEAD), shown["insertText"][:3])
        (rest,) = await client.suggest(URI)
        assert rest["insertText"] == shown["insertText"][3:]
        spent = (await why(client))["spent"]
        assert (spent["source"], spent["forwards"]) == ("memory", 0)

    talk(conversation)


def test_what_was_decoded_ahead_is_told_apart(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(HEAD + " w\n\n\nprint(1)\n"))
        client.open(URI, HEAD)
        (shown,) = await client.suggest(URI)
        client.type(URI, len(HEAD), shown["insertText"])
        asked = (await client.request("setfill/status", {"worker": True}))["worker"]["infills"]
        while asked < 2:  # what is behind the suggestion is being decoded
            asked = (await client.request("setfill/status", {"worker": True}))["worker"]["infills"]
        assert await client.suggest(URI) != []
        assert (await why(client))["spent"]["source"] == "ahead"

    talk(conversation)


def test_a_cursor_where_nothing_was_asked_for(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET))
        client.open(URI, HEAD)
        assert await client.suggest(URI) != []

        async def at(line: int, character: int) -> str:
            place = {"textDocument": {"uri": URI}, "position": {"line": line, "character": character}}
            return str((await client.request("setfill/whySilent", place))["reason"])

        assert await at(3, 6) == "insideWord"
        assert await at(3, 12) == "shown", "nothing speaks against it: the last request is what there is to tell"
        assert await at(4, 10) == "shown"

    talk(conversation)


def test_loading_and_a_model_that_cannot_be_had(script: Script, tmp_path: Path) -> None:
    async def loading(client: Client) -> None:
        await client.initialize(model=script(TARGET, load_ms=2000))
        client.open(URI, HEAD)
        answer = await why(client)
        assert answer["reason"] == "loading"
        assert "%" in answer["message"]

    async def missing(client: Client) -> None:
        await client.initialize(model=str(tmp_path / "missing.json"))
        client.open(URI, HEAD)
        await client.suggest(URI)
        answer = await why(client)
        assert answer["reason"] == "workerDown"
        assert answer["problem"] in answer["message"]
        assert answer["problemCode"] in all_errors()

    talk(loading)
    talk(missing)


def test_a_question_that_makes_no_sense(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(TARGET))
        for params in (None, {}, {"textDocument": {"uri": 1}}):
            with pytest.raises(RequestError, match="-32602"):
                await client.request("setfill/whySilent", params)

    talk(conversation)


def test_every_reason_has_words_and_every_setting_that_decides_exists() -> None:
    assert set(why_silent._MESSAGES) == set(Reason)
    names = {wire_name(name) for name in Settings.__dataclass_fields__}
    assert names.issuperset(why_silent._SETTINGS.values())
