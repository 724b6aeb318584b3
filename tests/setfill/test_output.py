"""Where the output goes: closed, full, without a reader, or in an encoding without our characters. In a real shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shell(line: str, model: Path, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line where `$setfill` is the command and `$fill` fills a place of a file. It never says a traceback."""
    file = tmp_path / "naïve.py"
    file.write_text("def f(x):\n    return 'naïve 🐍'\n")
    python = f"{sys.executable} -m setfill"
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        env={
            **os.environ,
            "setfill": python,
            "fill": f"{python} fill {file} --at 2:12 --max-tokens 4 --model {model}",
            "SETFILL_HOME": str(tmp_path / "home"),
            **environment,
        },
    )
    assert b"Traceback" not in done.stderr + done.stdout, done.stderr.decode()
    assert b"Exception ignored" not in done.stderr, done.stderr.decode()
    return done


@pytest.mark.parametrize("command", ["$fill", "$setfill models list", "$setfill stats --json", "$setfill --version"])
@pytest.mark.parametrize(
    ("where", "told"),
    [(">&-", "standard output is closed"), ("1</dev/null", "standard output is closed"),
     (">/dev/full", "No space left on device"), (">&- 2>&-", ""), (">/dev/full 2>/dev/full", ""),
     ('>"$TMPDIR/out"', "File too large")],
)  # fmt: skip
def test_output_that_cannot_be_printed(tiny_model: Path, tmp_path: Path, command: str, where: str, told: str) -> None:
    """A closed standard output was an AttributeError, a full device an OSError, also with --json and --help."""
    limit = "ulimit -f 0; " if "TMPDIR" in where else ""  # a device that fills up later looks like this
    done = shell(f"{limit}{command} {where}", tiny_model, tmp_path, TMPDIR=str(tmp_path))
    assert done.returncode == 2
    assert told in done.stderr.decode()
    assert done.stderr.count(b"\n") == (1 if told else 0)


def test_a_closed_standard_input_or_error_is_no_matter(tiny_model: Path, tmp_path: Path) -> None:
    done = shell("$fill --json <&- 2>&-", tiny_model, tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b'{"model": "tiny"')


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "ascii:strict", "utf-8"])
def test_characters_that_the_output_lacks(tiny_model: Path, tmp_path: Path, encoding: str) -> None:
    """It was a UnicodeEncodeError, after the whole decode."""
    done = shell("$fill", tiny_model, tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode(encoding.partition(":")[0])
    assert ("2 │" if encoding == "utf-8" else "2 |") in shown
    assert {"ascii": "na?ve ?", "utf-8": "naïve 🐍"}.get(encoding.partition(":")[0], "naïve ?") in shown


def test_a_locale_without_characters(tiny_model: Path, tmp_path: Path) -> None:
    # The tiny model says something else of each file's name, and now and then nothing but blanks: so more of it.
    done = shell("$fill --max-tokens 16", tiny_model, tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0, done.stderr
    assert b"2 |" in done.stdout


def test_what_is_to_be_written_is_written_though_nobody_reads(tiny_model: Path, tmp_path: Path) -> None:
    shell("$fill --write | true", tiny_model, tmp_path)
    assert (tmp_path / "naïve.py").read_text() != "def f(x):\n    return 'naïve 🐍'\n"


@pytest.mark.parametrize("command", ["--rules", "--help", "--no-model --format text", "--no-model --format json"])
def test_a_reader_that_left_is_no_finding(tmp_path: Path, command: str) -> None:
    """The status was 1, as where `lint` has found something."""
    file = tmp_path / "a.py"
    file.write_text("```python\n")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "setfill", "lint", *command.split(), "--root", str(tmp_path), str(file)],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=120,
        env={**os.environ, "SETFILL_HOME": str(tmp_path / "home")},
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
