"""What the model is shown of other files, and what never reaches the worker. Every frame is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lsprotocol import types

from grammars import language_named, snapshot_of
from lsp_server.admission import Admission
from lsp_server.context import OpenFile, gathered
from lsp_server.documents import Documents
from lsp_server.imports import imported_files
from lsp_server.privacy import Privacy
from lsp_server.settings import DEFAULT_EXCLUDE, Settings, updated
from lsp_server.text_units import ColumnUnit
from model.api.client import WorkerClient, WorkerOptions
from tests.lsp_server.client import Client, talk

Script = Callable[..., str]
SECRET = "hunter2"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def names(root: Path, paths: list[str], exclude: tuple[str, ...] = DEFAULT_EXCLUDE) -> list[str]:
    privacy = Privacy([root], exclude, 100_000)
    return [path for path in paths if privacy.readable(root / path)]


def test_only_files_of_the_workspace_that_nothing_excludes_are_read(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "w",
        {
            "a.py": "",
            "deep/b.py": "",
            "build/c.py": "",
            "deep/skipped.py": "",
            "deep/kept.log": "",
            ".gitignore": "build/\n*.log\n",
            "deep/.gitignore": "skipped.*\n!kept.log\n",
            ".git/info/exclude": "private.py\n",
            "private.py": "",
            ".env": "",
            "prod.env": "",
            "secrets/d.py": "",
            "server.pem": "",
            ".aws/config": "",
            "large.py": "x" * 100_001,
        },
    )
    outside = tree(tmp_path / "elsewhere", {"e.py": "", ".env": ""})
    (root / "out.py").symlink_to(outside / "e.py")
    (root / "in.py").symlink_to(root / "a.py")
    (root / "innocent.py").symlink_to(root / ".env")
    (root / "circle.py").symlink_to(root / "circle.py")
    (root / "linked").symlink_to(outside)
    every = [str(path.relative_to(root)) for path in root.rglob("*") if ".git" not in path.parts]
    every += ["linked/e.py", "../elsewhere/e.py", "missing.py"]
    assert sorted(names(root, every)) == [".gitignore", "a.py", "deep/.gitignore", "deep/b.py", "in.py"]
    assert names(root, ["a.py", "deep/b.py"], exclude=("deep/",)) == ["a.py"]


@pytest.mark.parametrize(
    "uri",
    [
        "untitled:.env",
        "untitled:id_rsa",
        "untitled:%2Eenv",
        "untitled:secrets%5Ca.py",
        "untitled:id_rsa#1",
        "untitled://.env",
        "buffer:secrets.yaml",
        "buffer://secrets.yaml",
        "file:.env",
        "file:///w/.ENV",
        "file:///w/ID_RSA",
        "file:///w/Secrets.yaml",
        "file:///w/.AWS/config",
        "file:///w/server.PEM",
        "file:///w/.env~",
        "file:///w/.env.~3~",
        "file:///w/%23.netrc%23",
        "file:///w/.%23.netrc",
        "file:///w/.netrc.swp",
        "file:///w/.server.pem.swo",
        "file:///w/server.pem.bak",
        "file:///w/server.pem.orig~",
        "file:///w/server%20copy.pem",
        "file:///w/server%20(1).pem",
        "file:///w/Copy%20of%20server.pem",
        "file:///w/server.key.20261101",
        "file:///w/server.key___jb_tmp___",
        "file:///w/secrets.old/a.py",
        "file:///w/.env%3A%3A%24DATA",
        "vscode-notebook-cell:/w/secrets.ipynb#W0sZmlsZQ%3D%3D",
        "git:/w/.env?%7B%22ref%22%3A%22~%22%7D",
        "zipfile:///w/a.zip::id_rsa",
        "jar:file:///w/a.jar!/credentials.properties",
        "scp://host/.env",
        "no://[valid/.env",
        "file:///w/.git-credentials",
    ],
)
def test_names_that_the_default_list_excludes(uri: str) -> None:
    assert excluded(uri), uri


@pytest.mark.parametrize(
    "uri",
    ["untitled:Untitled-1", "file:///w/environment.py", "file:///w/key.py~", "buffer:*scratch*", "file:///w/a.2.py",
     "git:/w/a.py?%7B%22path%22%3A%22/secrets/a%22%7D", "file:///w/copy.py"],
)  # fmt: skip
def test_names_that_it_does_not(uri: str) -> None:
    assert not excluded(uri), uri


def excluded(uri: str) -> bool:
    client = WorkerClient(WorkerOptions("none"))
    documents = Documents(client, ColumnUnit.UTF16, Admission(Settings(), [Path("/w")]))
    documents.open(types.TextDocumentItem(uri, "plaintext", 1, ""))
    assert documents.get(uri)
    return uri not in client.open_files


def test_strings_in_signatures_of_other_files_are_left_out(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "config.py": f"def connect(key='{SECRET}', *, mode: Literal['r', 'w']='{SECRET}', sep=', '):\n    pass\n",
            "broken.py": f"def login(password='{SECRET}', user=\n    pass\n",
        },
    )
    text = "from config import connect\nfrom broken import login\n"
    here = OpenFile(root / "here.py", language_named("python"), text, 0)
    near = OpenFile(root / "near.py", language_named("python"), f"class A(B, key='{SECRET}'):\n    pass\n", 0)
    shown = "".join(snippet.text for snippet in gathered(here, [near], [root], Settings()))
    assert "def connect(key='', *, mode: Literal['r', 'w']='', sep=', '):" in shown
    assert SECRET not in shown


def test_files_with_hard_links_are_no_context(tmp_path: Path) -> None:
    root = tree(tmp_path / "w", {".env": "", "a.py": ""})
    os.link(root / ".env", root / "innocent.py")
    assert names(root, ["a.py", "innocent.py"]) == ["a.py"]


def test_a_hard_link_to_an_excluded_file_gets_no_suggestions(script: Script, tmp_path: Path) -> None:
    """Wherever the other name is: in the workspace, beside it, or in the home folder."""
    root = tree(tmp_path / "w", {"deep/.env": SECRET, "twin.py": SECRET})
    outside = tree(tmp_path / "beside", {"id_rsa": SECRET})
    home = tree(tmp_path / "home", {".ssh/key": SECRET})
    for number, secret in enumerate((root / "deep" / ".env", outside / "id_rsa", home / ".ssh" / "key")):
        os.link(secret, root / f"innocent{number}.py")
    os.link(root / "twin.py", root / "twin_too.py")

    async def conversation(client: Client) -> None:
        await client.initialize(root, model=script("x = 1\n"))
        for number in range(3):
            uri = (root / f"innocent{number}.py").as_uri()
            client.open(uri, SECRET)
            assert await client.suggest(uri, kind=1) == []
        uri = (root / "twin_too.py").as_uri()
        client.open(uri, "x =")
        while not await client.suggest(uri, kind=1):  # until the names were looked for
            pass
        for number in range(3):
            assert await client.suggest((root / f"innocent{number}.py").as_uri(), kind=1) == []

    talk(conversation, HOME=str(home))
    assert SECRET.encode() not in (tmp_path / "script.frames").read_bytes()


@pytest.mark.parametrize("theirs", [[], ["!*"], ["*.txt", "!secret.py"]])
def test_a_workspace_can_not_have_excluded_files_shown(script: Script, tmp_path: Path, theirs: list[str]) -> None:
    secret = f"def key():\n    return '{SECRET}'\n"
    root = tree(tmp_path / "w", {"credentials.py": secret, "id_rsa_tool.py": secret, "mine.py": secret})

    async def conversation(client: Client) -> None:
        client.settings = {"exclude": theirs}
        await client.initialize(root, model=script("x = 1\n"), exclude=[*DEFAULT_EXCLUDE, "mine.py"])
        await client.until(lambda: client.asked)
        for name in ("credentials.py", "id_rsa_tool.py", "mine.py"):
            client.open((root / name).as_uri(), secret)
            assert await client.suggest((root / name).as_uri(), kind=1) == []
        shown = [each["message"] for each in client.messages("window/showMessage")]
        assert len(shown) == (1 if "!" in str(theirs) else 0)

    talk(conversation)
    frames = tmp_path / "script.frames"
    assert not frames.exists() or SECRET.encode() not in frames.read_bytes()


def test_patterns_that_mean_nothing_or_take_for_ever_harm_nothing(tmp_path: Path) -> None:
    """`[z-a]` in an ignore file was an exception that ended the gathering; one of many stars took hours."""
    hostile = "*a" * 30 + "*b"
    root = tree(tmp_path, {".gitignore": f"[z-a]\n\\\n!\n{hostile}\nskipped.py\n", "a.py": "", "skipped.py": ""})
    (root / ("a" * 200)).touch()
    assert names(root, ["a.py", "skipped.py"]) == ["a.py"]
    names(root, ["a" * 200], exclude=(hostile,))
    settings, problems = updated(Settings(), {"exclude": ["[z-a]", "x.py"]}, machine_scope=True)
    assert settings.exclude == ("[z-a]", "x.py")
    assert problems == ["exclude: '[z-a]' is no `.gitignore` pattern"]
    assert names(root, ["a.py"], exclude=settings.exclude) == ["a.py"]


def test_a_workspace_inside_a_repository_honours_what_is_above_it(tmp_path: Path) -> None:
    root = tree(tmp_path, {".git/HEAD": "", ".gitignore": "w/generated.py\n", "w/generated.py": "", "w/a.py": ""}) / "w"
    assert names(root, ["a.py", "generated.py"]) == ["a.py"]


@pytest.mark.parametrize(
    ("language", "path", "text", "expected"),
    [
        ("python", "p/a.py", "from .b import f, g as h\nimport q.c, os\n", {"p/b.py": {"f", "g"}, "q/c.py": set()}),
        ("python", "p/a.py", "from . import b\nfrom q import (\n    c,\n)\n", {"p/b.py": set(), "q/c.py": set()}),
        ("typescript", "p/a.ts", "import { f } from './b';\nimport x from 'react';\n", {"p/b.ts": {"f"}}),
        ("rust", "src/main.rs", "use crate::list::Node;\nuse std::mem;\n", {"src/list.rs": {"Node"}}),
        ("c", "p/a.c", '#include "b.h"\n#include <stdio.h>\n', {"p/b.h": set()}),
        ("ruby", "p/a.rb", "require_relative 'b'\nrequire 'json'\n", {"p/b.rb": set()}),
    ],
)
def test_imports_are_found(tmp_path: Path, language: str, path: str, text: str, expected: dict[str, set[str]]) -> None:
    root = tree(tmp_path, dict.fromkeys(["p/b.py", "q/c.py", "p/b.ts", "src/list.rs", "p/b.h", "p/b.rb"], ""))
    found = {}
    for places, wanted in imported_files(snapshot_of(text, language_named(language)), root / path, [root]):
        place = next((place for place in places if place.is_file()), None)
        if place:
            found[str(place.relative_to(root))] = set(wanted)
    assert found == expected


@pytest.mark.parametrize("text", ["from used import f\nimport {0}\n", "from used import f\nfrom {0}.b import c\n"])
def test_an_import_whose_name_no_file_can_have_is_passed_over(tmp_path: Path, text: str) -> None:
    root = tree(tmp_path, {"used.py": "def f():\n    pass\n"})
    here = OpenFile(root / "here.py", language_named("python"), text.format("x" * 300), 0)
    assert [snippet.path for snippet in gathered(here, [], [root], Settings())] == ["used.py"]


def test_a_file_whose_folder_cannot_be_is_not_readable(tmp_path: Path) -> None:
    assert names(tmp_path, ["x" * 300 + "/a.py", "x" * 300]) == []


def test_snippets_keep_to_the_budget_the_most_useful_last(tmp_path: Path) -> None:
    python = language_named("python")
    functions = "".join(f"def f{number}(x: int) -> int:\n    return {number}\n\n\n" for number in range(200))
    root = tree(tmp_path, {"used.py": functions, "near.py": functions, "edited.py": functions})
    here = OpenFile(root / "here.py", python, "from used import f7\n", 0)
    others = [OpenFile(root / name, python, functions, edit) for name, edit in (("near.py", 0), ("edited.py", 3_000))]
    snippets = gathered(here, others, [root], Settings(context_chars=3_000))
    assert [snippet.path for snippet in snippets] == ["near.py", "edited.py", "used.py"]
    assert snippets[-1].text == "def f7(x: int) -> int:\n"
    assert sum(len(snippet.text) for snippet in snippets) <= 3_000
    assert gathered(here, others, [], Settings()) == (), "without a workspace nothing is read"


def test_excluded_files_never_reach_the_worker(script: Script, tmp_path: Path) -> None:
    secret = f"def key():\n    return '{SECRET}'\n"
    root = tree(
        tmp_path / "w",
        {
            "used.py": "def wanted(x):\n    return x\n",
            "near.py": "def neighbour(y):\n    return y\n",
            ".env": f"PASSWORD={SECRET}\n",
            "secrets/keys.py": secret,
            "secrets/__init__.py": secret,
            "ignored.py": secret,
            ".gitignore": "ignored.py\n",
            "mine.py": secret,
        },
    )
    outside = tree(tmp_path / "elsewhere", {"outside.py": secret})
    (root / "linked.py").symlink_to(outside / "outside.py")
    os.symlink(root / ".env", root / "alias.py")
    text = "from used import wanted\nfrom secrets.keys import key\nimport secrets, ignored, linked, alias, mine\n"

    async def conversation(client: Client) -> None:
        options = {"exclude": [*DEFAULT_EXCLUDE, "mine.py"]}
        await client.initialize(root, model=script("x = 1\n"), **options)
        # What git ignores or lies outside may be edited with suggestions, but is no context: it stays closed here.
        for name in (".env", "secrets/keys.py", "alias.py", "mine.py", "near.py"):
            uri = (root / name).as_uri()
            client.open(uri, (root / name).read_text())
            client.type(uri, 0, "#")
            assert name == "near.py" or await client.suggest(uri, kind=1) == []
        remote = "vscode-remote://ssh-remote/home/me/.env"
        client.open(remote, f"PASSWORD={SECRET}\n", "plaintext")
        assert await client.suggest(remote, kind=1) == []
        for unsaved in ("untitled:.env", "buffer:secrets.yaml", (root / ".ENV").as_uri(), (root / ".env~").as_uri()):
            client.open(unsaved, f"PASSWORD={SECRET}\n", "plaintext")
            assert await client.suggest(unsaved, kind=1) == []
        uri = (root / "app.py").as_uri()
        client.open(uri, text)
        client.type(uri, len(text), "x =")
        frames = tmp_path / "script.frames"
        await client.until(lambda: frames.exists() and frames.read_bytes().count(b"set_context") == 1)
        await client.suggest(uri, kind=1)
        client.notify("workspace/didChangeConfiguration", {"settings": {"setfill": {"context": False}}})
        await client.until(lambda: frames.read_bytes().count(b"set_context") == 2)
        assert b"def wanted" not in frames.read_bytes().rpartition(b"set_context")[2], "taken back at once"

    talk(conversation)
    frames = (tmp_path / "script.frames").read_bytes()
    assert b"def wanted(x):" in frames
    assert b"def neighbour(y):" in frames
    assert SECRET.encode() not in frames


def test_logs_hold_no_source_text_but_at_the_level_trace(script: Script, tmp_path: Path) -> None:
    from tests.lsp_server.client import SERVE

    async def conversation(client: Client) -> None:
        await client.initialize(model=script(f"x = '{SECRET}'\n"))
        uri = "file:///w/a.py"
        client.open(uri, f"x = '{SECRET}")
        client.type(uri, 0, " ")
        await client.suggest(uri, kind=1)
        client.send_raw(b'Content-Length: 26\r\n\r\n{"jsonrpc": "' + SECRET.encode() + b"......")
        client.notify("textDocument/didChange", {"textDocument": {"uri": SECRET}, "contentChanges": SECRET})
        client.notify(f"setfill/{SECRET}", {})
        for method in ("textDocument/inlineCompletion", "setfill/infill", "workspace/executeCommand"):
            client.begin(method, {"textDocument": {"uri": uri}, "ranges": SECRET, "command": SECRET})
        await client.request("setfill/status", {"worker": True})

    for level in ("warning", "debug", "trace"):
        log = tmp_path / f"{level}.log"
        command = ("bash", "-c", f'exec {" ".join(SERVE)} --log-level {level} 2>"{log}"')
        talk(conversation, command=command)
        assert (SECRET in log.read_text()) == (level == "trace"), level
