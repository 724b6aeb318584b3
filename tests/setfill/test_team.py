"""The command line and a team's service: answers come from there, users are told, and excluded files never go."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from setfill import cli
from tests.model.service.in_process import InProcess, loader, service_in_a_thread
from tests.model.service.on_ray import free_port
from tests.setfill.test_commands import check_refused

SOURCE = "def area(w, h):\n    return w * h\n"
SECRET = "password = 'hunter2'\nvalue = password\n"


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SETFILL_HOME", str(tmp_path / "home"))  # where there is no model
    monkeypatch.delenv("SETFILL_TEAM_TOKEN", raising=False)


def options(running: InProcess) -> list[str]:
    return ["--team", running.url, "--team-token-file", running.token_file()]


def sent(running: InProcess) -> bytes:
    return b"".join(running.sent)


def test_fill_asks_the_service_and_tells_so_once(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "app.py"
    file.write_text(SOURCE)
    with service_in_a_thread(loader(tiny_model, precision=None)) as running:
        fill = ["fill", str(file), "--at", "2:5", "--max-tokens", "4", "--policy", "left_to_right", "--json"]
        for _ in range(2):
            assert cli.run([*fill, *options(running)]) == 0
        out, err = capsys.readouterr()
        assert b"return w * h" in sent(running)
    assert cli.run([*fill, "--model", str(tiny_model)]) == 0
    local, _ = capsys.readouterr()
    answers = [json.loads(line)["gaps"][0]["text"] for line in out.splitlines()]
    assert answers == [json.loads(local)["gaps"][0]["text"]] * 2
    assert err.count("goes to 127.0.0.1, from now on") == 1


@pytest.mark.parametrize("name", [".env", "prod.ENV", "id_rsa.bak", ".ssh/config"])
def test_an_excluded_file_never_goes(
    name: str, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(SECRET)
    link = tmp_path / "app.py"
    link.symlink_to(file)
    with service_in_a_thread(loader(tiny_model)) as running:
        for each in (file, link):
            check_refused(
                ["fill", str(each), "--at", "2:1", *options(running)], "never goes to a team's service", capsys
            )
        assert not running.sent


def test_lint_scores_there_what_is_not_excluded(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(SOURCE)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "keys.py").write_text(SECRET)
    subprocess.run(["git", "init", "-q"], check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})
    with service_in_a_thread(loader(tiny_model)) as running:
        files = ["app.py", "secrets/keys.py"]
        assert cli.run(["lint", *files, "--format", "json", *options(running)]) in (0, 1)
        assert b"return w * h" in sent(running)
        assert b"hunter2" not in sent(running)
    capsys.readouterr()


def test_what_is_wrong_with_the_service_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "app.py"
    file.write_text(SOURCE)
    fill = ["fill", str(file), "--at", "2:5"]
    check_refused([*fill, "--team", "http://team.example"], "unencrypted: use https", capsys)
    check_refused([*fill, "--team", "team.example"], "must be https://HOST", capsys)
    check_refused([*fill, "--team-token-file", "token"], "--team-token-file goes with --team: without it a", capsys)
    status = cli.run([*fill, "--team", "http://127.0.0.1:9"])
    assert (status, "wants a token" in capsys.readouterr().err) == (2, True)


def test_a_port_that_is_in_use_is_not_shared(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"alice {'0' * 64}")
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = str(taken.getsockname()[1])
        for options in (["--port", port], ["--port", str(free_port()), "--metrics-port", port]):
            serve = ["serve-team", "--tokens", str(tokens), "--model", str(tiny_model), *options]
            check_refused(serve, f"127.0.0.1 port {port} is not to be had (Address already in use)", capsys)


def test_what_is_wrong_with_the_service_is_all_that_is_printed(tmp_path: Path) -> None:
    """No warning that a log would have, where there is none."""
    file = tmp_path / "app.py"
    file.write_text(SOURCE)
    command = [sys.executable, "-P", "-m", "setfill", "fill", str(file), "--at", "2:5", "--team", "http://127.0.0.1:9"]
    told = subprocess.run(command, capture_output=True, text=True).stderr.splitlines()
    assert ["goes to 127.0.0.1" in told[0], "wants a token" in told[-1], len(told)] == [True, True, 2]


def test_tokens_are_made_and_a_service_without_any_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = tmp_path / "tokens"
    for user in ("alice", "bob"):
        assert cli.run(["serve-team", "--tokens", str(tokens), "--new-token", user, "--last-day", "2099-12-31"]) == 0
    secrets = capsys.readouterr().out.split()
    assert len({*secrets}) == 2
    assert not any(secret in tokens.read_text() for secret in secrets)
    assert tokens.stat().st_mode & 0o777 == 0o600
    assert [line.split()[0] for line in tokens.read_text().splitlines()] == ["alice", "bob"]
    (tmp_path / "empty").touch()
    elsewhere = [["--tokens", str(tmp_path / name)] for name in ("empty", "none")]
    for wrong in (["--stop"], ["--last-day", "2099-12-31"], ["--certificate", "x"], ["--engines", "3-2"], *elsewhere):
        try:
            status = cli.run(["serve-team", "--tokens", str(tokens), *wrong])
        except SystemExit as ended:
            status = int(ended.code or 0)
        assert status == 2
    err = capsys.readouterr().err
    for says in (
        "--stop goes with --address",
        "--last-day goes with --new-token",
        "go together",
        "N below M",
        "has no tokens",
        "does not exist: make it by",
    ):
        assert says in err
