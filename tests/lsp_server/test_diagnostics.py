"""Diagnostics: what `setfill lint` finds in lines that are not committed, as an editor asks for it."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lint.baseline import Baseline
from lint.flow import known_rules
from lint.records import split_lines
from lint.settings import Settings
from lint.uncommitted import Committed, change_to, committed
from lsp_server import diagnostics
from model.errors import InputError
from tests.lsp_server.client import Client, talk

ASKS = {"textDocument": {"diagnostic": {}}}
Script = Callable[..., str]
BROKEN = "def half(x):\n    return (x / 2\n"


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    """A repository with one committed file, which has a trace of generation in it already."""
    git(tmp_path, "init", "-q")
    (tmp_path / "area.py").write_text("# ... rest of the code unchanged ...\nx = 1\n")
    (tmp_path / ".gitignore").write_text("made/\n")
    git(tmp_path, "add", ".")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def commit(folder: Path) -> None:
    git(folder, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qam", "a change")


async def diagnosed(client: Client, uri: str) -> list[dict[str, Any]]:
    report = await client.request("textDocument/diagnostic", {"textDocument": {"uri": uri}})
    assert report["kind"] == "full"
    items: list[dict[str, Any]] = report["items"]
    return items


def rules(items: list[dict[str, Any]]) -> list[str]:
    return [each["code"] for each in items]


def test_lines_that_are_not_committed_are_looked_at(work_tree: Path, script: Script) -> None:
    path = work_tree / "area.py"

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(), capabilities=ASKS)
        client.open(path.as_uri(), path.read_text())
        assert await diagnosed(client, path.as_uri()) == []  # what is committed is nobody's change
        client.change(path.as_uri(), path.read_text() + "y = 2\n# ... existing code ...\n")
        [found] = await diagnosed(client, path.as_uri())
        assert found["code"] == "placeholder-comment"
        assert found["range"]["start"]["line"] == 3
        assert (found["source"], found["severity"]) == ("setfill", 1)
        client.change(path.as_uri(), path.read_text())
        assert await diagnosed(client, path.as_uri()) == []

    talk(conversation)


def test_what_is_committed_meanwhile_is_found_no_more(
    work_tree: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = work_tree / "area.py"
    path.write_text(path.read_text() + "# ... existing code ...\n")

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(), capabilities=ASKS)
        client.open(path.as_uri(), path.read_text())
        assert len(await diagnosed(client, path.as_uri())) == 1
        commit(work_tree)
        async with asyncio.timeout(60):
            while await diagnosed(client, path.as_uri()):
                await asyncio.sleep(0.2)

    talk(conversation)


def test_columns_are_the_clients(work_tree: Path, script: Script) -> None:
    """Code points here, UTF-16 there; and a carriage return alone ends a line for the client only."""
    uri = (work_tree / "new.py").as_uri()

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(), capabilities=ASKS)
        client.open(uri, "# one\r# two\nb = '𝄞' + <|endoftext|>\r\n")
        [found] = [each for each in await diagnosed(client, uri) if each["code"] == "special-token"]
        assert found["range"]["start"] == {"line": 2, "character": 11}

    talk(conversation)


def test_files_that_git_does_not_look_after_have_none(
    work_tree: Path, script: Script, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (work_tree / "made").mkdir()
    outside = tmp_path_factory.mktemp("outside") / "a.py"
    uris = [outside.as_uri(), (work_tree / "made" / "a.py").as_uri(), "untitled:Untitled-1"]

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(), capabilities=ASKS)
        for uri in uris:
            client.open(uri, BROKEN)
            assert await diagnosed(client, uri) == []

    talk(conversation)


def test_settings_of_the_project_count(work_tree: Path, script: Script) -> None:
    async def asked(client: Client, name: str) -> list[str]:
        uri = (work_tree / name).as_uri()
        client.open(uri, BROKEN)
        return rules(await diagnosed(client, uri))

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(), capabilities=ASKS)
        assert await asked(client, "one.py") == ["syntax-error"]
        (work_tree / ".setfill.toml").write_text('[lint.rules]\nsyntax-error = "off"\n')
        assert await asked(client, "two.py") == []
        (work_tree / ".setfill.toml").write_text("[lint]\nnonsense = 1\n")
        assert await asked(client, "three.py") == []
        [warning] = [params["message"] for method, params in client.notified if method == "window/showMessage"]
        assert "nonsense" in warning

    talk(conversation)


def test_git_is_not_asked_at_each_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was where settings are wrong, and where two files are changed in turn."""
    answers = {"a.py": None, "b.py": None, "wrong.py": InputError("there is no key nonsense")}
    asked: list[str] = []

    def committed(path: Path, rules: object) -> None:
        asked.append(path.name)
        time.sleep(0.01)
        if error := answers[path.name]:
            raise error

    monkeypatch.setattr(diagnostics, "committed", committed)
    monkeypatch.setattr(diagnostics, "_FRESH_SECONDS", 3600.0)

    async def conversation() -> None:
        held = diagnostics._Held()

        async def told(name: str) -> object:
            try:
                return await held.committed(tmp_path / name)
            except InputError as error:
                return error

        names = [*answers] * 3
        assert await asyncio.gather(*map(told, names)) == [answers[name] for name in names]
        assert [await told(name) for name in names] == [answers[name] for name in names]

    asyncio.run(conversation())
    assert sorted(asked) == sorted(answers)


def test_a_baseline_silences_what_it_knows_every_time(work_tree: Path, script: Script) -> None:
    path = work_tree / "new.py"
    path.write_text(BROKEN)
    command = [sys.executable, "-m", "setfill", "lint", "--no-model", "--root", str(work_tree), str(path)]
    subprocess.run([*command, "--write-baseline", str(work_tree / "known.json")], check=True, cwd=work_tree)
    (work_tree / ".setfill.toml").write_text('[lint]\nbaseline = "known.json"\n')

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(), capabilities=ASKS)
        client.open(path.as_uri(), BROKEN)
        for _ in range(3):
            assert await diagnosed(client, path.as_uri()) == []
        client.change(path.as_uri(), BROKEN + "y = 2\n# ... existing code ...\n")
        assert "placeholder-comment" in rules(await diagnosed(client, path.as_uri()))

    talk(conversation)


def test_lint_can_be_turned_off(work_tree: Path, script: Script) -> None:
    uri = (work_tree / "new.py").as_uri()

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(), capabilities=ASKS, lint=False)
        client.open(uri, BROKEN)
        assert await diagnosed(client, uri) == []

    talk(conversation)


def test_only_clients_that_ask_are_offered_it(script: Script) -> None:
    async def conversation(client: Client) -> None:
        answer = await client.initialize(model=script())
        assert "diagnosticProvider" not in answer["capabilities"]

    talk(conversation)


def added_lines(path: Path, text: str) -> frozenset[int] | None:
    """The lines that are not committed of a file that an editor shows as `text`; None if nothing is."""
    before = committed(path, known_rules())
    assert before is not None
    change = change_to(before, text)
    return change and change.added


def test_a_byte_order_mark_is_no_change(work_tree: Path) -> None:
    """Editors keep it to themselves: without it the first line of the file was taken for a new one."""
    path = work_tree / "area.py"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    commit(work_tree)
    text = path.read_text(encoding="utf-8-sig")
    for mark in ("", "\ufeff"):  # some editors show it
        assert added_lines(path, mark + text) is None
        assert added_lines(path, mark + text + "y = 2\n") == {3}


def test_behind_a_link_is_the_file_that_git_looks_after(work_tree: Path) -> None:
    """Of the link git has the name that it leads to, so that all lines of the file were taken for new."""
    path, link = work_tree / "area.py", work_tree / "link.py"
    try:
        link.symlink_to("area.py")
    except OSError:
        pytest.skip("this machine cannot make links")
    git(work_tree, "add", ".")
    commit(work_tree)
    assert added_lines(link, path.read_text()) is None
    assert added_lines(link, path.read_text() + "y = 2\n") == {3}


def random_texts(draw: random.Random) -> tuple[str, str]:
    lines = [draw.choice(["a", "b", "c", "", "d e"]) for _ in range(draw.randint(0, 30))]
    changed = [draw.choice(["a", "x", "y"]) if draw.random() < 0.2 else line for line in lines]
    for _ in range(draw.randint(0, 3)):
        changed.insert(draw.randint(0, len(changed)), draw.choice(["n", "a", "b"]))
    return "\n".join(lines), "\n".join(changed)


def test_what_is_not_added_stood_there_before() -> None:
    """Without its added lines, a text is made of lines of the old one, in their order."""
    draw = random.Random(0)
    for _ in range(300):
        old, new = random_texts(draw)
        file = change_to(Committed("a.py", old, Settings(), Baseline()), new)
        if file is None:
            assert old == new
            continue
        kept = [line for number, line in enumerate(file.lines, start=1) if number not in file.added]
        remaining = iter(split_lines(old))
        assert all(line in remaining for line in kept)
        assert file.added <= file.shown
