"""Setfill in real Neovims: typing, ghost text, accepting, continuing, joint holes, saving."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lsp_server.client import SERVE
from tests.lsp_server.neovim import NEOVIMS, PLUGIN, ROOT, Neovim, neovim

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]

START = "import math\n\n\ndef area(r):\n    return\n"
TARGET = """import math


def area(r):
    return math.pi * r**2


def volume(r):
    return 4 / 3 * math.pi * r**3
"""
ATTACHED = """
local bufnr = vim.api.nvim_get_current_buf()
local client = vim.lsp.get_clients({ bufnr = bufnr })[1]
if not (client and client.initialized and client.attached_buffers[bufnr]) then
  return false
end
-- Neovim's own inline completion listens to keys a moment after that.
if not client.server_capabilities.inlineCompletionProvider then -- the plugin has taken it away
  return true
end
return vim.iter(vim.api.nvim_get_autocmds({ event = 'InsertEnter' })):any(function(it)
  return (it.group_name or ''):find('inline_completion') ~= nil
end)
"""
HAS_TEXT = "return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), '\\n') .. '\\n' == ..."
Script = Callable[..., str]

WITH_PLUGIN = """
vim.opt.runtimepath:prepend({plugin})
require('setfill').setup({{ cmd = {command}, settings = {options} }})
"""
COMMON = """
vim.g.loaded_python3_provider = 0
vim.o.swapfile = false
vim.o.fileformats = 'unix,dos,mac'
"""


def documented() -> str:
    """Return the configuration without the plugin that docs/neovim.md tells users to write, as a template."""
    page = (ROOT / "docs" / "neovim.md").read_text()
    code = page.partition("## Without the plugin")[2].partition("```lua\n")[2].partition("```")[0]
    code = code.replace("{", "{{").replace("}", "}}")
    for said, ours in ("{{ 'setfill', 'serve' }}", "{command}"), ("{{ maxLines = 6 }}", "{options}"):
        assert code.count(said) == 1
        code = code.replace(said, ours)
    return code


BUILT_IN = documented()


@pytest.fixture
def editor(tmp_path: Path, script: Script) -> Iterator[Callable[..., Neovim]]:
    opened: list[Neovim] = []

    def open_editor(version: str, init: str = WITH_PLUGIN, text: str = START, **settings: Any) -> Neovim:
        file = tmp_path / "shapes.py"
        file.write_bytes(text.encode())
        model = script(settings.pop("target", TARGET), **settings)
        names = {"command": SERVE, "options": {"model": model, "sharedWorker": False}, "plugin": str(PLUGIN)}
        filled = COMMON + init.format(**{name: _lua(value) for name, value in names.items()})
        opened.append(Neovim(neovim(version), tmp_path, filled + "vim.cmd('runtime plugin/setfill.lua')\n", file))
        opened[-1].until(ATTACHED)
        return opened[-1]

    yield open_editor
    for each in opened:
        each.quit()


def _lua(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_lua(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(map(_lua, value)) + "}"
    return json.dumps(value)


every_way = pytest.mark.parametrize(
    ("version", "init"),
    [("0.12", BUILT_IN), ("0.12", WITH_PLUGIN), ("0.11", WITH_PLUGIN)],
    ids=["built-in", "0.12", "0.11"],
)


@every_way
def test_type_accept_continue_save(editor: Callable[..., Neovim], tmp_path: Path, version: str, init: str) -> None:
    nvim = editor(version, init)
    nvim.keys("5GA ")
    assert nvim.ghost() == "math.pi * r**2"
    nvim.keys("<Tab>")
    nvim.until("return vim.api.nvim_get_current_line() == '    return math.pi * r**2'")
    continued = TARGET[TARGET.index("\n\n\ndef volume") : -1]
    assert nvim.ghost() == continued, "what follows, at once"
    nvim.keys("<Tab>")
    nvim.until("return vim.api.nvim_buf_line_count(0) == 9")
    nvim.keys("<Esc>:w<CR>")
    nvim.until("return not vim.bo.modified")
    assert (tmp_path / "shapes.py").read_text() == TARGET
    nvim.keys("u")
    nvim.until("return vim.api.nvim_buf_line_count(0) < 9")
    assert "rror" not in nvim.messages()


@pytest.mark.parametrize("version", NEOVIMS)
def test_parts_and_candidates(editor: Callable[..., Neovim], version: str) -> None:
    nvim = editor(version, text="def f(r):\n", target="def f(r):\n    a = one\n    b = two\n    return a + b\n",
                  alternatives=["pass\n"])  # fmt: skip
    nvim.keys("1Go")
    assert nvim.ghost() == "a = one\n    b = two\n    return a + b"
    nvim.keys("<M-]>")
    assert nvim.ghost() == "pass"
    nvim.keys("<M-[>")
    assert nvim.ghost().startswith("a = one")
    nvim.keys("<M-w>")
    nvim.until("return vim.api.nvim_get_current_line() == '    a'")
    assert nvim.ghost().startswith(" = one")
    nvim.keys("<M-l>")
    nvim.until("return vim.api.nvim_get_current_line() == '    a = one'")
    nvim.keys(" # mine<Esc>")
    nvim.until("return vim.api.nvim_get_current_line() == '    a = one # mine'")
    assert "pass" not in nvim.text()


@pytest.mark.parametrize("version", NEOVIMS)
def test_two_holes_are_filled_jointly_and_undone_at_once(
    editor: Callable[..., Neovim], tmp_path: Path, version: str
) -> None:
    holes = TARGET.replace("math.pi * r**2", "???").replace("4 / 3 * math.pi * r**3", "???")
    nvim = editor(version, text=holes)
    nvim.keys(":SetfillHoles<CR>")
    nvim.until("return not vim.fn.search('???', 'nw') or vim.fn.search('[?][?][?]', 'nw') == 0")
    assert nvim.text() == TARGET
    nvim.keys(":w<CR>")
    nvim.until("return not vim.bo.modified")
    assert (tmp_path / "shapes.py").read_text() == TARGET
    nvim.keys("u")
    nvim.until("return vim.bo.modified")
    assert nvim.text() == holes


def test_typing_through_ghost_text_shortens_it(editor: Callable[..., Neovim]) -> None:
    nvim = editor("0.11")
    nvim.keys("5GA ")
    assert nvim.ghost() == "math.pi * r**2"
    nvim.keys("mat")
    assert nvim.until("return vim.api.nvim_get_current_line() == '    return mat'")
    assert nvim.ghost() == "h.pi * r**2"
    nvim.keys("<M-e>")
    nvim.until("return #vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('setfill'), 0, -1, {}) == 0")
    nvim.keys("<Tab><Esc>")
    nvim.until("return vim.api.nvim_get_current_line():find('\\t') or vim.api.nvim_get_current_line():find('mat  ')")


def test_why_there_is_no_suggestion(editor: Callable[..., Neovim]) -> None:
    nvim = editor("0.12", logprob=-3.0)
    nvim.keys("5GA ")
    said = "return vim.fn.execute('messages'):find('eagerness balanced they are shown from 20', 1, true) ~= nil"
    nvim.until(f"vim.cmd.SetfillWhy() {said}")
    assert "setting `eagerness`" in nvim.messages()


@every_way
@pytest.mark.parametrize("ending", ["\r\n", "\r"], ids=["CR LF", "CR"])
def test_line_endings_are_written_once(
    editor: Callable[..., Neovim], tmp_path: Path, version: str, init: str, ending: str
) -> None:
    """Neovim's own acceptance leaves the CR of a CR LF in the buffer, which came out as CR CR LF."""
    nvim = editor(version, init, START.replace("\n", ending), target=TARGET.replace("\n", ending))
    nvim.keys("5GA ")
    assert nvim.ghost() == "math.pi * r**2"
    nvim.keys("<Tab>")
    nvim.until("return vim.api.nvim_get_current_line() == '    return math.pi * r**2'")
    assert nvim.ghost() == TARGET[TARGET.index("\n\n\ndef volume") : -1]
    nvim.keys("<Tab>")
    nvim.until("return vim.api.nvim_buf_line_count(0) == 9")
    nvim.keys("<Esc>:w<CR>")
    nvim.until("return not vim.bo.modified")
    assert (tmp_path / "shapes.py").read_bytes() == TARGET.replace("\n", ending).encode()


@pytest.mark.parametrize("version", NEOVIMS)
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CR LF"])
def test_accepting_a_line_that_follows_blank_ones(editor: Callable[..., Neovim], version: str, ending: str) -> None:
    nvim = editor(version, text=START.replace("\n", ending), target=TARGET.replace("\n", ending))
    nvim.keys("5GA ")
    assert nvim.ghost() == "math.pi * r**2"
    nvim.keys("<Tab>")
    nvim.until("return vim.api.nvim_get_current_line() == '    return math.pi * r**2'")
    assert nvim.ghost().startswith("\n\n\ndef volume(r):\n")
    nvim.keys("<M-l>")
    nvim.until(HAS_TEXT, TARGET[: TARGET.index("    return 4 / 3")])
    assert nvim.ghost() == "\n    return 4 / 3 * math.pi * r**3"


@every_way
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("m<Tab>", "def area(r):\n    return math.pi * r**2\n"),
        ("mat<Tab>", "def area(r):\n    return math.pi * r**2\n"),
        ("x<Tab>", "def area(r):\n    return x    \n"),
        ("<BS>(<Tab>", "def area(r):\n    return( \n"),
        ("<Left><Tab>", "def area(r):\n    return   \n"),
        ("<Up><Tab>", "def area(r) :\n    return \n"),
        ("<CR><Tab>", "def area(r):\n    return \n    \n"),
        ("x{gone}<Tab>", "def area(r):\n    return x    \n"),
        ("<Up>{gone}<Tab>", "def area(r) :\n    return \n"),
    ],
)
def test_stale_ghost_text_is_never_accepted(
    editor: Callable[..., Neovim], version: str, init: str, keys: str, expected: str
) -> None:
    """Neovim 0.12 goes on offering a suggestion after other keys, for the place it was made for."""
    nvim = editor(version, init)
    nvim.keys("5GA ")
    assert nvim.ghost() == "math.pi * r**2"
    first, gone, then = keys.partition("{gone}")
    nvim.keys(first)
    if gone:  # the answer for the new place has come
        nvim.no_ghost()
    nvim.keys(then)
    nvim.until(HAS_TEXT, "import math\n\n\n" + expected)
    nvim.keys("<Esc>")
    nvim.until("return vim.api.nvim_get_mode().mode == 'n'")
    assert nvim.text() == "import math\n\n\n" + expected


@pytest.mark.parametrize("version", NEOVIMS)
@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("(a, b)\n", ["(", "a", ",", " b", ")"]),
        ("größe + 1\n", ["größe", " +", " 1"]),
        ("名前.x()\n", ["名前", ".", "x", "()"]),
        ("'it' or _b1\n", ["'", "it", "'", " or", " _b1"]),
        ("é.e\u0301 + '😀'\n", ["é", ".", "e\u0301", " +", " '", "😀", "'"]),
    ],
)
def test_accepting_word_by_word(editor: Callable[..., Neovim], version: str, text: str, parts: list[str]) -> None:
    nvim = editor(version, text="def f(r):\n    return\n", target="def f(r):\n    return " + text)
    nvim.keys("2GA ")
    accepted = "def f(r):\n    return "
    for part in parts:
        nvim.ghost()
        nvim.keys("<M-w>")
        accepted += part
        nvim.until(HAS_TEXT, accepted + "\n")
    assert "rror" not in nvim.messages()


def test_an_empty_lua_table_is_settings(editor: Callable[..., Neovim]) -> None:
    """Lua has one empty table for lists and objects; it arrives as `[]`."""
    nvim = editor("0.12", WITH_PLUGIN + "vim.lsp.config('setfill', {{ settings = {{ setfill = {{}} }} }})\n")
    nvim.keys(":SetfillStatus<CR>")
    nvim.until("return vim.api.nvim_exec2('messages', { output = true }).output:find('Setfill: %a+, ')")
    assert "settings" not in nvim.messages()


@pytest.mark.parametrize("version", NEOVIMS)
def test_keys_do_what_they_did_when_nothing_is_suggested(editor: Callable[..., Neovim], version: str) -> None:
    """Neovim's own `<Tab>` jumps in snippets; a user's mapping was lost as well."""
    nvim = editor(version, "vim.keymap.set('i', '<M-e>', 'rhs')\n" + WITH_PLUGIN, target="")
    nvim.keys("ggO")
    nvim.until("return vim.api.nvim_get_mode().mode == 'i'")
    nvim.lua("vim.snippet.expand('${1:one} = ${2:two}')")
    nvim.until("return vim.api.nvim_get_mode().mode == 's'")
    nvim.keys("a<Tab>")
    nvim.until("return vim.api.nvim_get_mode().mode == 's'")
    nvim.keys("b<M-e><M-]><M-w>c")
    nvim.until("return vim.api.nvim_get_current_line() == 'a = brhsc'")


@every_way
def test_what_is_not_committed_is_looked_at(
    editor: Callable[..., Neovim], tmp_path: Path, version: str, init: str
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    nvim = editor(version, init)
    nvim.keys("o# ... existing code ...<Esc>")
    nvim.until("return #vim.diagnostic.get(0) > 0")
    [found] = nvim.lua("return vim.diagnostic.get(0)")
    assert (found["lnum"], found["code"], found["source"]) == (1, "placeholder-comment", "setfill")
    nvim.keys("u")
    nvim.until("return #vim.diagnostic.get(0) == 0")
