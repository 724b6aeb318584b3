"""The commands end to end: arguments, worker process and a tiny real network, output, exit status."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model import store
from model.api.types import Alternative, Gap, GapInfill, Infill, ModelDescription
from setfill import cli, demo_command, display, fill_command
from setfill.arguments import Parser
from setfill.demo_gaps import LEAST_CHAR, MOST_CHAR, drawn_pieces
from setfill.text_files import MAX_FILE_BYTES, SourceFile

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "def area(w, h):\r\n    return w * h\r\n\r\nprint('🐍', area(2, 3))\r\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the models of whoever runs it."""
    monkeypatch.setenv("SETFILL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(store, "WEIGHTS_PACKAGE", "no_such_distribution")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "area.py"
    path.write_bytes(SOURCE.encode())
    return path


def check_refused(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One clear line on standard error, exit status 2, nothing on standard output."""
    try:
        status = cli.run(arguments)
    except SystemExit as exit:
        status = exit.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert re.fullmatch(r"setfill[ a-z]*: error: [^\n]+\n", err), err
    assert expected in err


def test_bad_input(file: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binary").write_bytes(b"\0")
    (tmp_path / "latin.py").write_bytes(b"\xe9")
    (tmp_path / "empty-model").mkdir()
    fill, missing = ["fill", str(file)], tmp_path / "missing"
    for arguments, expected in [
        ([], "the following arguments are required: COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["fill"], "required: FILE"),
        (fill, "say what to fill: --at LINE:COL"),
        ([*fill, "--at", "1"], "expected LINE:COL, as in 12:5, not '1'"),
        ([*fill, "--at", "1:-1"], "expected LINE:COL"),
        ([*fill, "--at", "9:1"], "has 5 lines: there is no line 9"),
        ([*fill, "--at", "1:17"], "columns go from 1 to 16, not 17"),
        ([*fill, "--range", "2:1-1:1"], "reversed"),
        ([*fill, "--range", "1:1"], "expected L:C-L:C"),
        ([*fill, "--range", "1:1-1:5", "--at", "1:2"], "overlap"),
        (
            [*fill, "--at", "1:1", "--policy", "magic"],
            "unknown policy 'magic': choose verified, left_to_right, beam:B, block:B, window:S or uniform",
        ),
        ([*fill, "--at", "1:1", "--max-lines", "0"], "a whole number above 0, not '0'"),
        ([*fill, "--at", "1:1", "--max-tokens", "²"], "a whole number above 0"),
        ([*fill, "--at", "1:1", "--temperature", "nan"], "a number of 0 or more"),
        ([*fill, "--at", "1:1", "--top-p", "1.5"], "at most 1"),
        ([*fill, "--at", "1:1", "--seed", "x"], "a whole number below 2**63, not 'x'"),
        ([*fill, "--at", "1:1", "--max", "3"], "unrecognized arguments"),
        (["fill", str(tmp_path / "none.py"), "--at", "1:1"], "No such file"),
        (["fill", str(tmp_path), "--at", "1:1"], "is a directory"),
        (["fill", str(tmp_path / "binary"), "--at", "1:1"], "binary file"),
        (["fill", str(tmp_path / "latin.py"), "--at", "1:1"], "not UTF-8"),
        ([*fill, "--at", "1:1"], "setfill models fetch"),  # the default model is not there, and nobody to ask
        ([*fill, "--at", "1:1", "--model", "other"], "no model is called other"),
        ([*fill, "--at", "1:1", "--model", "./other"], "other does not exist"),
        ([*fill, "--at", "1:1", "--model", str(tmp_path / "empty-model")], "empty-model"),
        ([*fill, "--at", "1:1", "--model", str(file)], str(file)),
        ([*fill, "--at", "1:1", "--trace", str(tmp_path)], f"cannot write {tmp_path}: it is a folder"),
        ([*fill, "--at", "1:1", "--trace", str(tmp_path / "no" / "x")], f"there is no folder {tmp_path}/no"),
        ([*fill, "--at", "1:1", "--stdin-filename", "a.py"], "--stdin-filename goes with - as FILE"),
        (["fill", "-", "--at", "1:1", "--write"], "--write goes with a file"),
        (["fill", "-", "--at", "1:1", "--team", "https://team.example"], "--team wants --stdin-filename with -"),
        (["demo"], "setfill models fetch"),
        (["models"], "required: ACTION"),
        (["models", "info", "other"], "no model is called other"),
        (["models", "fetch", "hub:other"], "'hub:other' is not hub:OWNER/NAME"),
        (["models", "fetch", "hub:owner/name", "--from", "x"], "--from does not go with a model of the hub"),
        (["models", "fetch", "--name", "mine"], "--name goes with a model of the hub"),
        (["models", "fetch", "--fim", "starcoder2"], "--fim goes with a model of the hub"),
        (["eval", "infilling", str(missing)], f"cannot read {missing}: No such file or directory\n"),
        (["eval", "compare", str(missing)], f"cannot read {missing}: No such file or directory\n"),
        (["eval", "compare", str(file)], "is not a report of setfill eval"),
        (["eval", "session", str(tmp_path)], f"cannot read {tmp_path}: Is a directory\n"),
        (
            ["eval", "loss", str(missing), "--model", str(tiny_model)],
            f"{missing} holds no corpus (index.json: No such file",
        ),
        (["train", "run", str(missing)], f"cannot read {missing}: No such file or directory\n"),
        (["models", "import", str(tiny_model), "--name", "a/b"], "is not a model name"),
        (["models", "import", str(tmp_path / "none"), "--name", "none"], str(tmp_path / "none")),
    ]:
        check_refused(arguments, expected, capsys)
    assert file.read_bytes() == SOURCE.encode()


def test_a_port_in_use_is_told_in_the_systems_words(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check_refused(
            ["serve", "--socket", str(port)], f"cannot listen on port {port}: Address already in use\n", capsys
        )


def fill(file: Path, model: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    status = cli.run(["fill", str(file), "--model", str(model), "--max-tokens", "6", *arguments])
    out, err = capsys.readouterr()
    assert status == 0, err
    return out


def test_fill_as_json(file: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = fill(file, tiny_model, "--range", "4:12-4:22", "--at", "2:5", "--json", capsys=capsys)
    answer = json.loads(out)
    assert list(answer) == ["model", "gaps"]
    assert answer["model"] == "tiny"
    first, second = answer["gaps"]
    assert first["range"] == {"start": {"line": 2, "column": 5}, "end": {"line": 2, "column": 5}}
    assert second["range"] == {"start": {"line": 4, "column": 12}, "end": {"line": 4, "column": 22}}
    for gap in answer["gaps"]:
        assert list(gap) == ["range", "text", "logprobs", "forwards", "tokens", "ms", "alternatives"]
        assert len(gap["logprobs"]) == gap["tokens"]  # the held-back piece is spelled too
        assert all(logprob <= 0 for logprob in gap["logprobs"])
        assert gap["forwards"] >= 1
        assert gap["ms"] > 0
    assert file.read_bytes() == SOURCE.encode()


def test_fill_reads_standard_input(
    file: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It said that there is no file `-`. What it is called tells the language, and where it may go."""

    def filled(data: bytes, *arguments: str) -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return cli.run(["fill", "-", "--model", str(tiny_model), "--max-tokens", "6", "--json", *arguments])

    at = ("--at", "2:12", "--temperature", "1", "--seed", "1")
    from_file = json.loads(fill(file, tiny_model, *at, "--json", capsys=capsys))
    assert filled(SOURCE.encode(), *at, "--stdin-filename", file.name) == 0
    from_stream = json.loads(capsys.readouterr().out)
    assert [gap["text"] for gap in from_stream["gaps"]] == [gap["text"] for gap in from_file["gaps"]]
    assert filled(SOURCE.encode(), *at) == 0
    capsys.readouterr()
    for data, arguments, expected in [
        (b"\0", (), "stdin is a binary file"),
        (b"\xe9", ("--stdin-filename", "a.py"), "a.py is not UTF-8"),
        (b"a" * (MAX_FILE_BYTES + 1), (), "stdin is larger than 16 MiB"),
        (b"", ("--team", "https://team.example", "--stdin-filename", "/w/.env"), "/w/.env is excluded by default"),
    ]:
        assert filled(data, "--at", "1:1", *arguments) == 2
        assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "said", "stop", "shown", "others"),
    [
        ("a.py", 'with open("‸.json") as f:\n    pass\n', ["test.json", "test", '"'], "eoi", "test", []),
        ("a.py", 'with open("‸.json") as f:\n    pass\n', ['"', "a.json"], "eoi", "", ["a"]),
        ("a.py", "for v in ‸:\n    pass\n", ["values:", "enumerate(values", "items"], "tokens", "values", ["items"]),
        ("a.rs", "fn f() -> Vec<‸> {\r\n}\r\n", ["u32> {", "u8>"], "eoi", "u32", ["u8"]),
        ("Makefile", "a: b\n‸", ["    c\n    d"], "eoi", "\tc\n\td", []),
        ("a.txt", "a\r\n‸", ["b\nc"], "eoi", "b\r\nc", []),
    ],
)
def test_fill_shows_what_an_editor_would(
    name: str, text: str, said: list[str], stop: str, shown: str, others: list[str]
) -> None:
    """At `open("‸.json")` the command line showed `"`, and wrote it."""
    cursor = text.index("‸")
    source = SourceFile(Path(name), b"", text.replace("‸", ""))
    alternatives = tuple(Alternative(each, 1, (-0.1,), "eoi") for each in said[1:])
    infill = Infill(1, (GapInfill(Gap(cursor, cursor), said[0], 1, (-0.1,), stop, alternatives),), 1, 1, 1, 1.0)
    (gap,) = fill_command.fitted(source, infill).gaps
    assert (gap.text, [each.text for each in gap.alternatives]) == (shown, others)


def test_fill_writes_what_it_tells(file: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.chmod(0o640)
    sampled = ("--temperature", "1", "--seed", "1")
    told = json.loads(fill(file, tiny_model, "--at", "2:12", "--json", "--write", *sampled, capsys=capsys))
    text = told["gaps"][0]["text"]
    index = SOURCE.index("w * h")
    assert text
    assert file.read_bytes().decode() == SOURCE[:index] + text + SOURCE[index:]
    assert file.stat().st_mode & 0o777 == 0o640
    file.write_bytes(SOURCE.encode())
    again = json.loads(fill(file, tiny_model, "--at", "2:12", "--json", *sampled, capsys=capsys))
    assert again["gaps"][0]["text"] == text


def test_fill_shows_the_infill_in_its_lines(file: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = fill(file, tiny_model, "--at", "2:12", "--temperature", "1", "--seed", "1", capsys=capsys)
    assert plain.startswith(f"{file}:2:12\n    1 │ def area(w, h):\n    2 │     return ⟦")
    assert re.search(r"\d+ tokens, \d+ forwards, \d+ ms \(ended by \w+\) · tiny, \w+\n$", plain)


def test_control_characters_are_shown_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a = '\x1b[2J\x07'\r\nb = ‹\x9b›\n"
    display.show_infill(display.console("never"), text, Gap(5, 9))
    assert capsys.readouterr().out == "    1 │ a = '⟦␛[2J⟧␇'\n    2 │ b = ‹�›\n    3 │\n"


def test_colour_instead_of_marks(capsys: pytest.CaptureFixture[str]) -> None:
    display.show_infill(display.console("always"), "return 1", Gap(7, 8))
    coloured = capsys.readouterr().out
    assert "\x1b[1;32m1" in coloured
    assert "⟦" not in coloured


def test_models(home: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def out(*arguments: str) -> str:
        assert cli.run(["models", *arguments]) == 0
        return capsys.readouterr().out

    assert out("list") == "no models are installed; run: setfill models fetch\n"
    assert out("import", str(tiny_model), "--name", "mine").startswith(f"imported mine to {home}/models/mine")
    assert re.search(r"^mine +llama +\d+ MB +yes +\S+/models/mine$", out("list"), re.MULTILINE)
    assert re.search(r"^layers +2$", out("info", "mine"), re.MULTILINE)
    assert "window" in out("info", str(tiny_model))


def test_fetch_asks_only_a_person_at_a_terminal(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(store, "fetch", lambda *_: pytest.fail("fetched without a yes"))
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True)
    for answer in ("\n", "n\n", ""):
        monkeypatch.setattr(sys.stdin, "readline", lambda answer=answer: asked.append(answer) or answer)
        assert cli.run(["fill", str(file), "--at", "1:1"]) == 2
        said = capsys.readouterr().err
        assert "its base, which sees no text behind a gap" in said
        assert "Download 93 MB now, to take 541 MB of disk? [y/N]" in said
    assert asked == ["\n", "n\n", ""]


def test_doctor(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor", "--model", str(tiny_model)]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[1] for line in lines]
    assert names == [
        *("setfill", "python", "torch", "cpu", "runtime", "model"),
        *("worker", "weights", "precision", "threads", "forward"),
    ]
    assert all(line.startswith("ok") for line in lines)


def test_doctor_finds_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^wrong +model .*setfill models fetch", out, re.MULTILINE)


def test_demo(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo_command, "_SINGLES", 1)
    assert cli.run(["demo", "--seed", "5", "--model", str(tiny_model), "--color", "always"]) == 0
    out = capsys.readouterr().out
    assert out.count("forwards") == 2
    assert "\x1b[" in out
    assert re.search(r"\b[0-3] of 3 as in the file\n", re.sub(r"\x1b\[[0-9;]*m", "", out))
    assert "drawn with the seed 5" in re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert "may have been in the data" in out


def test_the_demo_counts_what_is_as_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    (piece,) = drawn_pieces(1, singles=0, pairs=1)
    description = ModelDescription(
        "m", adapted=True, precision="float32", precision_reason="", parameters=1, context_length=1
    )
    texts = [piece.source.text[gap.start : gap.end] for gap in piece.gaps]
    for said, right in ((texts, 2), ([texts[0], "nonsense"], 1), ([" ", ""], 0)):
        gaps = tuple(GapInfill(gap, text, 1, (-0.1,), "eoi") for gap, text in zip(piece.gaps, said, strict=True))
        out = display.console("never")
        assert demo_command._show(out, piece, Infill(1, gaps, 1, 1, 1, 1.0), description) == right
    assert "the file itself has: " in capsys.readouterr().out


def test_the_demo_draws_and_does_not_pick() -> None:
    pieces = drawn_pieces(0, singles=6, pairs=1)
    assert [len(piece.gaps) for piece in pieces] == [1] * 6 + [2]
    assert pieces == drawn_pieces(0, singles=6, pairs=1)
    assert [piece.source.path for piece in pieces] != [piece.source.path for piece in drawn_pieces(1, 6, 1)]
    places = set()
    for number in range(40):
        for piece in drawn_pieces(number, singles=6, pairs=1):
            piece.source.gaps(
                [(piece.source.position(gap.start), piece.source.position(gap.end)) for gap in piece.gaps]
            )
            for gap in piece.gaps:
                taken, rest = piece.source.text[gap.start : gap.end], piece.source.text[gap.end :].partition("\n")[0]
                assert LEAST_CHAR <= len(taken) <= MOST_CHAR
                assert "\n" not in taken
                assert not rest.strip() or rest.strip().startswith(("#", "\\"))
                places.add((piece.source.path.name, gap.start))
    assert len(places) > 300, "every seed draws others"


def test_interrupt_ends_with_130_and_leaves_no_process(file: Path, tiny_model: Path, tmp_path: Path) -> None:
    # Whoever runs the tests in the background of a shell has SIGINT ignored, and so would the command.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from setfill.entry import main; sys.exit(main())"
    arguments = ["fill", str(file), "--at", "2:12", "--model", str(tiny_model), "--max-tokens", "100000"]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not (children := _children(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_output_into_a_closed_pipe(tiny_model: Path) -> None:
    code = "import sys; from setfill.entry import main; sys.exit(main(['fill', '--help']))"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(20)


HELP_PAGES = Path(__file__).with_name("help.txt")


def all_help() -> str:
    """Return the help of every command, one after the other."""
    return "\n".join(f"$ {parser.prog} --help\n{parser.format_help()}" for parser in _parsers(cli.build_parser()))


def _parsers(parser: Parser) -> list[Parser]:
    found = [parser]
    for action in parser._actions:
        if isinstance(action.choices, dict):
            found += [inner for each in action.choices.values() for inner in _parsers(each)]
    return found


def test_help_is_what_was_last_agreed_on() -> None:
    """After a change that is meant: `python -m tests.setfill.test_commands > tests/setfill/help.txt`."""
    assert all_help().split() == HELP_PAGES.read_text().split()


def test_help_tells_the_truth() -> None:
    """Every default that a help text names is the default, and the examples are accepted."""
    parser = cli.build_parser()
    for line in re.findall(r"^  setfill (fill .*)$", all_help(), re.MULTILINE):
        parser.parse_args(line.split())
    options = vars(parser.parse_args(["fill", "x", "--at", "1:1"]))
    checked = 0
    page = next(each.format_help() for each in _parsers(parser) if each.prog == "setfill fill")
    for name, told in re.findall(r"--([a-z-]+) [^-]*?\(default: ([^)]*)\)", page):
        default = options[name.replace("-", "_")]
        checked += 1
        assert told == ("no limit" if default is None else str(default))
    assert checked >= 6


if __name__ == "__main__":
    print(all_help())
