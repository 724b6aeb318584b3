"""Replays against real servers: a scripted one that is always right, and `setfill serve` with a tiny model."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.errors import WorkerError
from model.evaluation.edit_trace import EditTrace, Patch
from setfill import cli
from setfill.replay import editor
from setfill.replay import run as running
from setfill.replay.editor import Editor
from setfill.replay.player import Asked, Played, Player
from setfill.replay.reports import read_report
from setfill.replay.run import Server
from setfill.replay.script import Pace, Script
from tests.lsp_server.client import SERVE

HEAD = "import math\n\n\ndef area(r):\n    return 0\n\n\n"
LINES = ("x = area(11)", "y = area(22) + x", "z = 'é👋'", "print(x, y, z)")
# Fast enough for a test, and every kind of gap is in it.
FAST = Pace(
    key_ms=5.0, least_pause_ms=20.0, pause_ms=40.0, pause_share=0.2, ask_after_ms=6.0, accept_share=0.5, reaction_ms=1.0
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def recording() -> EditTrace:
    """Lines typed key by key at the end, one key wrong and taken back, one edit far above, and a paste."""
    patches: list[Patch] = []
    at = len(HEAD)
    for line in LINES:
        for character in line + "\n":
            patches.append((at, 0, character))
            at += 1
    patches += [(at, 0, "q"), (at, 1, ""), (5, 0, "  "), (at + 2, 0, "w = " + "area(3) + " * 5 + "1"), (5, 2, "")]
    return EditTrace(HEAD, patches)


def save(trace: EditTrace, path: Path) -> Path:
    path.write_text(json.dumps({"startContent": trace.text, "patches": trace.patches}))
    return path


def scripted(tmp_path: Path, **settings: Any) -> Server:
    """Return a server that knows how the file is to end up."""
    model = tmp_path / "script.json"
    model.write_text(json.dumps({"target": Script(recording(), 0, None).end_text, **settings}))
    options = {"model": str(model), "sharedWorker": False, "debounceMs": 0}
    return Server(SERVE, options, "area.py")


def check(played: Played) -> None:
    """What must hold of every replay."""
    assert played.asked
    assert {each.outcome for each in played.asked} <= {"shown", "silent", "overtaken", "refused"}
    assert played.text_as_recorded
    for each in played.asked:
        assert (each.characters > 0) == (each.outcome == "shown")
        assert each.right_characters <= each.characters
        assert each.ms is not None
        if each.outcome == "silent":
            assert each.characters == 0


def play(server: Server, follow: Any = None, pace: Pace = FAST) -> Played:
    played, _ = running.replay(server, Script(recording(), 0, None), pace, follow, settle_s=0.0, until_s=None)
    check(played)
    return played


def requests(played: Played) -> list[tuple[int, str]]:
    return [(each.number, each.kind) for each in played.asked]


def test_what_is_right_is_accepted_or_typed_through(tmp_path: Path) -> None:
    played = play(scripted(tmp_path))
    assert played.texts_equal is True
    shown = [each for each in played.asked if each.outcome == "shown"]
    accepted = [each for each in shown if each.accepted_ms is not None]
    assert accepted
    assert all(each.is_right and each.accepted_characters == each.characters for each in accepted)
    assert any(each.typed_through for each in shown)
    assert sum(each.kind == "after accept" for each in played.asked) >= len(accepted) - 1
    assert "append" in {each.kind for each in played.asked}
    told = [each.spent["source"] for each in shown if each.spent]
    assert "memory" in told
    assert {"model", "ahead"} & set(told), "on a busy machine all may have been decoded ahead of need"
    assert played.worker["infills"] >= told.count("model")
    assert played.edits < len(recording().patches), "what was accepted is not typed"
    assert played.pings_ms


def test_a_replay_that_follows_another_asks_the_same(tmp_path: Path) -> None:
    """The second server shows nothing; yet the same is accepted, and every request comes after the same text."""
    first = play(scripted(tmp_path))
    report = tmp_path / "first.json"
    report.write_text(json.dumps({"kind": "replay", "server": "first", "played": first.to_json()}))
    follow = read_report(report).accepted
    assert follow
    assert list(read_report(report).asked) == first.asked
    silent = tmp_path / "silent.json"
    silent.write_text(json.dumps({"phrases": []}))
    second = play(Server(SERVE, {"model": str(silent), "sharedWorker": False}, "area.py"), follow)
    assert requests(second) == requests(first)
    assert not any(each.characters for each in second.asked)
    assert [each.accepted_characters for each in second.asked] == [each.accepted_characters for each in first.asked]


def test_kinds_of_edits() -> None:
    text = "def f(x):\n    return x\n\n" + "# far\n" * 300 + "y = 1\n"
    end, many = len(text) - 1, "words" * 10

    def check(patches: list[Patch], expected: str, **since: bool) -> None:
        script = Script(EditTrace(text, patches), 0, None)
        player = Player(Editor("file:///a.py", "python", text), script, FAST)
        while script:
            player._make(script.next())
        player._since = replace(player._since, **since)
        assert player._kind() == expected

    check([(end, 0, "2")], "append")
    check([(7, 0, ", y")], "append")  # closers behind the cursor are no text
    check([(6, 0, "z, ")], "mid-line")
    check([(12, 0, "#"), (end + 1, 0, "2")], "far jump")
    check([(end, 0, "2"), (12, 0, "#")], "far jump")
    check([(end, 0, many)], "paste")
    check([(end, 0, "\n" + " " * 60)], "append")
    check([(0, 0, "#"), (24, 0, "z")], "edit above")
    check([(24, 0, "z"), (0, 0, "#")], "mid-line")
    check([(0, 0, many), (65, 0, "z")], "edit above")
    check([(end, 0, "2")], "after accept", accepted=True)


def test_a_slow_server_is_overtaken_and_still_answers_all(tmp_path: Path) -> None:
    played = play(scripted(tmp_path, delay_ms=40), pace=Pace(key_ms=8.0, least_pause_ms=20.0, pause_ms=30.0))
    assert any(each.outcome == "overtaken" for each in played.asked)
    assert played.texts_equal is True


def test_the_real_server_with_a_tiny_model(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, report = save(recording(), tmp_path / "trace.json"), tmp_path / "replay.json"
    arguments = [
        *("bench", "replay", str(trace), "--model", str(tiny_model), "--file-name", "area.py", "--out", str(report)),
        *("--key-ms", "20", "--pause-ms", "400", "--settle", "0", "--edits", "40", "--json"),
        *("--settings", '{"confidenceFloor": 0, "debounceMs": 0}'),
    ]
    assert cli.run(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["texts_equal"]
    assert found["text_as_recorded"]
    of = found["by_kind"]["all"]
    assert of["requests"] == of["shown"] + of["silent"] + of["overtaken"] + of["refused"] > 10
    assert found["rows"]["infills"] > 0
    assert report.with_suffix(".svg").read_text().startswith("<svg")
    written = json.loads(report.read_text())
    assert "return 0" not in report.read_text(), "no text is kept"
    assert [Asked(**each) for each in written["played"]["asked"]]
    assert cli.run(["bench", "compare", str(report), str(report)]) == 0
    assert "append" in capsys.readouterr().out


def test_servers_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cat` was given a minute to answer, and another one to end; `yes` was read for ever."""

    def refused(command: tuple[str, ...], expected: str) -> None:
        with pytest.raises(WorkerError, match=expected):
            play(Server(command, {}, "area.py"))

    refused((str(tmp_path / "missing"),), "cannot start")
    refused((sys.executable, "-c", "pass"), "ended before it answered initialize")
    refused(("cat",), "is no language server: it sends back what it is sent")
    refused((sys.executable, "-c", "while True: print('y')"), "it writes other things than messages")
    refused((sys.executable, "-c", "while True: print('y', end='')"), "it writes other things than messages")
    monkeypatch.setattr(editor, "_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(editor, "_PATIENT_SECONDS", 0.0)
    monkeypatch.setattr(editor, "_LEAVE_SECONDS", 0.1)
    capsys.readouterr()
    refused((sys.executable, "-c", "import time; time.sleep(600)"), "has not answered initialize")
    assert "has not said yet what it can do" in capsys.readouterr().err
    left = tmp_path / "left"
    refused(("sh", "-c", f"sleep 600 & echo $! > {left}; wait"), "has not answered initialize")
    os.kill(int(left.read_text()), signal.SIGTERM)  # it is still there, and was not waited for


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = save(recording(), tmp_path / "trace.json")
    for arguments, expected in (
        (["replay", str(tmp_path / "missing.json")], "missing.json: No such file or directory\n"),
        (["replay", __file__], "is not an editing trace"),
        (["replay", str(trace), "--out", str(tmp_path / "no" / "x")], "there is no folder"),
        (["compare", str(tmp_path / "missing.json"), str(trace)], "missing.json: No such file or directory\n"),
        (["replay", str(trace), "--first", "999"], "begin before its end"),
        (["replay", str(trace), "--settings", "[]"], "expected settings in JSON"),
        (["replay", str(trace), "--server", " "], "names no command"),
        (["replay", str(trace), "--follow", str(trace)], "is not a report"),
        (["compare", str(trace), str(trace)], "is not a report"),
    ):
        assert cli.run(["bench", *arguments]) == 2
        assert expected in capsys.readouterr().err
