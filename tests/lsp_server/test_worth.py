"""What is known of a suggestion, how likely it is right, and what each setting shows of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.worth_cases import Asked, suggested
from benchmarks.worth_fit import chances
from grammars import PLAIN_TEXT, SyntaxSnapshot, language_named, snapshot_of
from lsp_server import why_silent
from lsp_server.settings import Settings
from lsp_server.shaping import damage_of, worthy_beginning
from lsp_server.worth import Standard, Verdict, classifier_that_ships, confidence, judged, least_chances, numbers
from model.api.types import Gap, GapInfill
from model.evaluation.cutting import Source
from tests.lsp_server.client import Client, talk

URI = "file:///w/area.py"
HEAD = "import math\n\n\ndef area(radius):\n    return"
TARGET = HEAD + " math.pi * radius**2\n"
Script = Callable[..., str]


def said(*logprobs: float) -> GapInfill:
    return GapInfill(Gap(0, 0), "radius", len(logprobs), logprobs, "eoi")


def python(text: str) -> SyntaxSnapshot:
    return snapshot_of(text, language_named("python") or PLAIN_TEXT)


def verdict_of(*logprobs: float, before: str = HEAD, text: str = " radius", **settings: Any) -> Verdict:
    standard = Standard.of(replace(Settings(), **settings), invoked=False)
    return judged(said(*logprobs), damage_of(python(before + "\n"), Gap(len(before), len(before)), text), standard)


def test_confidence_is_the_geometric_mean_whatever_the_length() -> None:
    """The product would let no long suggestion pass the floor."""
    for count in (1, 2, 3, 40):
        assert confidence([math.log(0.8)] * count) == pytest.approx(0.8)
    assert confidence([math.log(0.9), math.log(0.4)]) == pytest.approx(0.6)
    assert confidence([]) == 0


def test_what_ships_weighs_numbers_that_are_measured_and_that_have_words() -> None:
    weighed = {each.name for each in classifier_that_ships().weighed}
    assert weighed == set(numbers(said(-1.0), None)) == set(why_silent._AGAINST)


@pytest.mark.parametrize(
    ("before", "text", "behind", "flaws", "mends"),
    [
        ("x = ", "1", "\n", 0, 1),
        ("x = ", "f(", "\n", 1, 0),
        ("x = 1", " + 1", "\n", 0, 0),
        ("x = 1", " + (", "\n", 1, 0),
        ("def f(:\n    pass\nx = ", "1", "\n", 1, 1),
    ],
)
def test_what_a_suggestion_does_to_the_syntax(before: str, text: str, behind: str, flaws: int, mends: int) -> None:
    found = numbers(said(-0.1), damage_of(python(before + behind), Gap(len(before), len(before)), text))
    assert (found["flaws"], found["mends"]) == (flaws, mends)


def test_syntax_that_is_not_known_speaks_neither_way() -> None:
    found = numbers(said(-0.1, -0.3), damage_of(snapshot_of("x = \n", PLAIN_TEXT), Gap(4, 4), "1"))
    assert found == pytest.approx({"confidence": math.exp(-0.2), "loss": math.log(1.4), "flaws": 0, "mends": 0})


def test_surer_is_likelier_and_longer_is_less_likely() -> None:
    by_loss = [verdict_of(*[-loss] * 3).chance for loss in (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)]
    assert by_loss == sorted(by_loss, reverse=True)
    by_length = [verdict_of(*[-0.2] * count).chance for count in (1, 3, 10, 40)]
    assert by_length == sorted(by_length, reverse=True)
    assert verdict_of(-2.0, before="x = 1", text="").against == "confidence"
    assert verdict_of(*[-0.1] * 90).against == "loss"
    assert verdict_of(-0.01, text=" f(").against == "flaws"
    assert verdict_of(-0.01, before="x = ", text="1").against is None
    assert verdict_of().chance < least_chances()["eager"], "an answer without tokens is nothing to rely on"


def test_each_level_shows_what_reaches_its_chance() -> None:
    assert [*least_chances()] == ["eager", "balanced", "quiet"]
    assert [*least_chances().values()] == sorted(set(least_chances().values()))
    for loss in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0):
        for name, least in least_chances().items():
            verdict = verdict_of(*[-loss] * 3, eagerness=name)
            assert verdict.is_shown == (verdict.chance >= least)
    assert verdict_of(-0.001, eagerness="quiet").is_shown
    assert not verdict_of(-5.0, -5.0, eagerness="eager").is_shown


def test_a_floor_decides_alone() -> None:
    """Who sets `confidenceFloor` gets what it says, whatever the chance: 0 shows everything, 1 nothing."""
    assert verdict_of(-5.0, -5.0, confidence_floor=0.0, eagerness="quiet").is_shown
    assert not verdict_of(-0.001, confidence_floor=1.0, eagerness="eager").is_shown
    assert verdict_of(math.log(0.56), confidence_floor=0.55, eagerness="quiet").is_shown


def test_by_hand_everything_is_shown() -> None:
    settings = Settings(eagerness="quiet", confidence_floor=1.0)
    standard = Standard.of(settings, invoked=True)
    assert judged(said(-9.0, -9.0), None, standard).is_shown


def test_other_candidates_are_judged_less_strictly() -> None:
    """They are looked at on purpose."""
    for settings in (Settings(eagerness="quiet"), Settings(confidence_floor=0.5)):
        standard = Standard.of(settings, invoked=False)
        assert (standard.lowered(0.5).least, standard.lowered(0.5).floor or 0) == (
            standard.least / 2,
            (standard.floor or 0) / 2,
        )


def test_the_fit_measures_what_the_server_measures(tmp_path: Path) -> None:
    """The same functions: what a record of the fit says of a suggestion is what the server would say of it."""
    text = "def area(radius):\n    return radius * radius\n"
    start = text.index("radius * radius")
    record = {
        "gap": {"start": start, "end": start}, "text": "radius * height\n", "tokens": 3,
        "logprobs": [-0.1, -0.2, -0.9], "stop": "eoi", "alternatives": [],
    }  # fmt: skip
    source = {"name": "p/a.py", "path": "a.py", "language": "python", "text": text}
    place = {"key": "k", "name": "p/a.py", "kind": "rest", "start": start, "end": start + len("radius * radius")}
    path = tmp_path / "answers.jsonl"
    lines = [{"run": {}}, {"file": source}, place | {"said": record}, place | {"key": "l", "said": None}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (found,), places = suggested(path)
    verdict = verdict_of(-0.1, -0.2, -0.9, before=text[:start], text="radius * height")
    assert (len(places), found.shown, found.is_right) == (1, "radius * height", False)
    assert chances(classifier_that_ships(), [found]) == pytest.approx([verdict.chance])


@pytest.mark.parametrize(
    ("text", "shown", "expected"),
    [
        ("return ‹radius›\n", "radius", True),
        ("return ‹radius›\n", "radius\nx = 1", True),
        ("return ‹radius›\n", "radi", False),
        ("return ‹radius›\n", "radius + 1", False),
        ("return ‹radius›", "radius", True),
        ("return ‹radius›  \n", "radius", True),
        ("f(‹radius›)\n", "radius", True),
        ("f(‹radius›)\n", "radius, 1", False),
        ("f(‹radius›)\n", "radius)", False),
        ("‹x = 1\ny = 2›\nz = 3\n", "x = 1", True),
        ("‹x = 1\ny = 2›\nz = 3\n", "x = 1\ny = 3", True),
        ("‹x = 1\ny = 2›\nz = 3\n", "y = 2", False),
    ],
)
def test_what_counts_as_right(text: str, shown: str, *, expected: bool) -> None:
    """The first line, all of it: users take suggestions by the line. Where text stands behind, the whole."""
    start, end = text.index("‹"), text.index("›") - 1
    source = Source("p/a.py", "a.py", "python", text.replace("‹", "").replace("›", ""))
    assert Asked(source, "rest", start, end).is_right(shown) == expected


def test_of_what_is_decoded_ahead_the_lines_are_kept_that_are_likely() -> None:
    """Judged as a whole, several lines are hardly ever right, and nothing would be known ahead of need."""
    before = "x = 1\n"
    gap = Gap(len(before), len(before))
    text = "y = 2\nz = 3\nsomething = unsure\nof = it\n"
    logprobs = (-0.01,) * 10 + (-3.0,) * 10
    answer = GapInfill(gap, text, len(logprobs), logprobs, "lines")

    def kept(**settings: Any) -> str:
        standard = Standard.of(replace(Settings(), **settings), invoked=False)
        return worthy_beginning(python(before), gap, answer, standard)

    assert kept() == "y = 2\nz = 3"
    assert kept(confidence_floor=0.0) == "y = 2\nz = 3\nsomething = unsure\nof = it"
    assert kept(confidence_floor=1.0) == ""


# -- through the server -----------------------------------------------------------------------


def check(model: str, expected: list[str], **settings: Any) -> dict[str, Any]:
    """Ask for a suggestion behind HEAD while typing; return why there is none."""

    async def conversation(client: Client) -> dict[str, Any]:
        await client.initialize(model=model, **settings)
        client.open(URI, HEAD)
        assert [item["insertText"] for item in await client.suggest(URI)] == expected
        found: dict[str, Any] = await client.request("setfill/whySilent", {"textDocument": {"uri": URI}})
        return found

    return talk(conversation)


def test_each_level_shows_what_it_should(script: Script) -> None:
    """An answer of middling chance: shown by who is eager, not by who wants quiet."""
    text, middling = " math.pi * radius**2", _middling()
    check(script(TARGET, logprob=-middling), [text], eagerness="eager")
    check(script(TARGET, logprob=-middling), [text])
    answer = check(script(TARGET, logprob=-middling), [], eagerness="quiet")
    assert (answer["reason"], answer["setting"]) == ("unlikely", "eagerness")
    assert answer["chance"] == pytest.approx(_chance(middling), abs=1e-3)
    said = f"are right {_chance(middling):.0%} of the time, and with the eagerness quiet they are shown from 50% on."
    assert said in answer["message"]
    check(script(TARGET, logprob=-middling), [text], eagerness="quiet", confidenceFloor=0.0)
    answer = check(script(TARGET, logprob=-middling), [], eagerness="eager", confidenceFloor=1.0)
    assert (answer["reason"], answer["setting"]) == ("belowFloor", "confidenceFloor")


def test_lists_of_completions_are_judged_likewise(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(capabilities={}, model=script(TARGET, logprob=-_middling()))
        for eagerness, shown in (("balanced", 1), ("quiet", 0)):
            client.notify("workspace/didChangeConfiguration", {"settings": {"setfill": {"eagerness": eagerness}}})
            uri = f"file:///w/{eagerness}.py"  # of its own: nothing is answered from memory
            client.open(uri, HEAD)
            answer = await client.request("textDocument/completion", client.inline_params(uri, len(HEAD)))
            assert len(answer["items"]) == shown, eagerness

    talk(conversation)


def _middling() -> float:
    """Return a loss for each of three tokens that is good enough for balanced, and not for quiet."""
    least = least_chances()
    return next(n / 20 for n in range(100) if least["balanced"] < _chance(n / 20) < least["quiet"])


def _chance(loss: float) -> float:
    return verdict_of(*[-loss] * 3, text=" math.pi * radius**2").chance
