"""Cells of a notebook: the model sees the cells before one as the beginning of its text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lsp_server.client import INLINE, Client, talk
from tests.lsp_server.plain_text import PlainText

NOTEBOOKS = {**INLINE, "notebookDocument": {"synchronization": {}}}
Script = Callable[..., str]
Cell = tuple[str, str, str]  # name, language, text


class Notebook:
    """A notebook as an editor tells of it. Cells are known by a word."""

    def __init__(self, client: Client, path: Path) -> None:
        self.client, self.uri, self.version = client, path.as_uri(), 1
        self.path = path

    def cell_uri(self, name: str) -> str:
        return f"vscode-notebook-cell:{self.path.as_posix()}#{name}"

    def cells(self, cells: list[Cell]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        items = []
        for name, language, text in cells:
            uri = self.cell_uri(name)
            self.client.texts[uri], self.client.versions[uri] = PlainText(text, self.client.encoding), 1
            items.append({"uri": uri, "languageId": language, "version": 1, "text": text})
        kinds = [1 if language == "markdown" else 2 for _, language, _ in cells]
        return [{"kind": kind, "document": item["uri"]} for kind, item in zip(kinds, items, strict=True)], items

    def open(self, *cells: Cell) -> None:
        listed, items = self.cells(list(cells))
        document = {"uri": self.uri, "notebookType": "jupyter-notebook", "version": 1, "cells": listed}
        self.client.notify("notebookDocument/didOpen", {"notebookDocument": document, "cellTextDocuments": items})

    def _change(self, **cells: Any) -> None:
        self.version += 1
        identity = {"uri": self.uri, "version": self.version}
        self.client.notify("notebookDocument/didChange", {"notebookDocument": identity, "change": {"cells": cells}})

    def splice(self, start: int, *cells: Cell, removed: tuple[str, ...] = ()) -> None:
        listed, items = self.cells(list(cells))
        array = {"start": start, "deleteCount": len(removed), "cells": listed}
        closed = [{"uri": self.cell_uri(name)} for name in removed]
        self._change(structure={"array": array, "didOpen": items, "didClose": closed})

    def type(self, name: str, char: int, text: str) -> None:
        uri = self.cell_uri(name)
        held, place = self.client.texts[uri], self.client.texts[uri].place(char)
        held.replace({"start": place, "end": place}, text)
        self.client.versions[uri] += 1
        change = {"range": {"start": place, "end": place}, "text": text}
        document = {"uri": uri, "version": self.client.versions[uri]}
        self._change(textContent=[{"document": document, "changes": [change]}])

    async def suggest(self, name: str, kind: int = 2) -> list[str]:
        items = await self.client.suggest(self.cell_uri(name), kind=kind)
        return [item["insertText"] for item in items]


def test_cells_before_are_the_beginning(script: Script, tmp_path: Path) -> None:
    target = "import math\n\nr = 2\n\narea = math.pi * r**2\n"

    async def conversation(client: Client) -> None:
        answer = await client.initialize(tmp_path, NOTEBOOKS, model=script(target))
        assert answer["capabilities"]["notebookDocumentSync"] == {"notebookSelector": [{"notebook": "*"}]}
        notebook = Notebook(client, tmp_path / "a.ipynb")
        notebook.open(
            ("one", "python", "import math\n"), ("two", "markdown", "# Areas"), ("three", "sql", "select 1"),
            ("four", "python", "r = 2"), ("five", "python", "area ="), ("six", "python", "after = 1"),
        )  # fmt: skip
        assert await notebook.suggest("five") == [" math.pi * r**2"]
        five = notebook.cell_uri("five")
        assert await client.server_text(five) == "import math\n\nr = 2\n\narea ="
        notebook.type("five", 6, " math")
        assert await notebook.suggest("five") == [".pi * r**2"]
        # An earlier cell changes, one is put in, two go, and one becomes a text.
        notebook.type("four", 5, "2\n# 🐍")
        notebook.type("five", 11, "x")
        await notebook.suggest("five")
        assert await client.server_text(five) == "import math\n\nr = 22\n# 🐍\n\narea = mathx"
        notebook.splice(1, ("seven", "python", "from a import b"), removed=("two", "three"))
        notebook.type("five", 12, "e")
        await notebook.suggest("five", kind=1)
        assert await client.server_text(five) == "import math\n\nfrom a import b\n\nr = 22\n# 🐍\n\narea = mathxe"
        client.notify("notebookDocument/didClose", {"notebookDocument": {"uri": notebook.uri}, "cellTextDocuments": []})
        assert (await client.request("setfill/status", {"worker": True}))["worker"]["files"] == 0

    talk(conversation)


def test_ranges_are_those_of_the_cell(script: Script, tmp_path: Path) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(tmp_path, NOTEBOOKS, model=script("x = 1\n\ny = x + 1\nz = y\n"))
        notebook = Notebook(client, tmp_path / "a.ipynb")
        notebook.open(("one", "python", "x = 1"), ("two", "python", "y = ???\nz = ???\n"))
        uri = notebook.cell_uri("two")
        params = {"command": "setfill.fillHoles", "arguments": [{"textDocument": {"uri": uri, "version": 1}}]}
        answered = client.begin("workspace/executeCommand", params)[1]
        await client.until(lambda: client.asked)
        ((_, asked),) = client.asked
        client.versions[uri] = 1
        (change,) = asked["edit"]["documentChanges"]
        assert [(each["range"]["start"], each["newText"]) for each in change["edits"]] == [
            ({"line": 0, "character": 4}, "x + 1"), ({"line": 1, "character": 4}, "y"),
        ]  # fmt: skip
        await answered

    talk(conversation)


@pytest.mark.parametrize("excluded", ["*.ipynb", "secrets/", "/secrets/a.ipynb"])
def test_an_excluded_notebook_is_not_seen(script: Script, tmp_path: Path, excluded: str) -> None:
    (tmp_path / "secrets").mkdir()

    async def conversation(client: Client) -> None:
        await client.initialize(tmp_path, NOTEBOOKS, model=script("x = 1\n\ny = x\n"), exclude=[excluded])
        notebook = Notebook(client, tmp_path / "secrets" / "a.ipynb")
        notebook.open(("one", "python", "x = 1"), ("two", "python", "y ="))
        assert await notebook.suggest("two") == []
        client.open("file:///w/other.py", "")  # to see what the worker has besides
        await client.server_text("file:///w/other.py")
        assert (await client.request("setfill/status", {"worker": True}))["worker"]["files"] == 1

    talk(conversation)


def test_of_many_cells_the_nearest_are_seen(script: Script, tmp_path: Path) -> None:
    cells = [(f"c{number}", "python", f"x{number} = '{'a' * 3000}'") for number in range(9)]

    async def conversation(client: Client) -> None:
        await client.initialize(tmp_path, NOTEBOOKS, model=script())
        notebook = Notebook(client, tmp_path / "a.ipynb")
        notebook.open(*cells, ("last", "python", "y ="))
        await notebook.suggest("last")
        seen = await client.server_text(notebook.cell_uri("last"))
        assert [number for number in range(9) if f"x{number} =" in seen] == [4, 5, 6, 7, 8]

    talk(conversation)


@pytest.mark.parametrize("broken", ["the notebook is named first", "the cell is named first"])
def test_a_change_that_cannot_be_read_leaves_the_notebook_unknown(script: Script, tmp_path: Path, broken: str) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(echo=True), capabilities=NOTEBOOKS)
        notebook = Notebook(client, tmp_path / "a.ipynb")
        notebook.open(("one", "python", "x = 1"), ("two", "python", "y = 2"))
        client.open("file:///w/other.txt", "other", "plaintext")
        document = {"uri": notebook.cell_uri("one"), "version": 2}
        change = {"change": {"cells": {"textContent": [{"document": document, "changes": [{"text": None}, None]}]}}}
        identity = {"notebookDocument": {"uri": notebook.uri, "version": 2}}
        both = {**identity, **change} if broken.startswith("the notebook") else {**change, **identity}
        client.notify("notebookDocument/didChange", both)
        for name in ("one", "two"):
            assert await client.suggest(notebook.cell_uri(name)) == []
        (shown,) = client.messages("window/showMessage")
        assert "no suggestions in a.ipynb until it is opened again" in shown["message"]
        assert await client.suggest("file:///w/other.txt", kind=1)
        notebook.open(("one", "python", "x = 3"), ("two", "plaintext", "y = 4"))
        assert await client.suggest(notebook.cell_uri("two"), kind=1)

    talk(conversation)
