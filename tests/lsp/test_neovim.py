"""Setfill in real Neovims: typing, ghost text, accepting, continuing, joint holes, saving."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.client import SERVE
from tests.lsp.neovim import NEOVIMS, PLUGIN, Neovim, neovim

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
return not vim.lsp.inline_completion or vim.iter(vim.api.nvim_get_autocmds({ event = 'InsertEnter' })):any(function(it)
  return (it.group_name or ''):find('inline_completion') ~= nil
end)
"""
Script = Callable[..., str]

BUILT_IN = """
vim.lsp.config('setfill', {{ cmd = {command}, filetypes = {{ 'python' }}, init_options = {options} }})
vim.lsp.enable('setfill')
vim.lsp.inline_completion.enable()
vim.keymap.set('i', '<Tab>', function()
  if not vim.lsp.inline_completion.get() then
    return '<Tab>'
  end
end, {{ expr = true }})
"""
WITH_PLUGIN = """
vim.opt.runtimepath:prepend({plugin})
require('setfill').setup({{ cmd = {command}, settings = {options} }})
"""
COMMON = """
vim.g.loaded_python3_provider = 0
vim.o.swapfile = false
"""


@pytest.fixture
def editor(tmp_path: Path, script: Script) -> Iterator[Callable[..., Neovim]]:
    opened: list[Neovim] = []

    def open_editor(version: str, init: str = WITH_PLUGIN, text: str = START, **settings: Any) -> Neovim:
        file = tmp_path / "shapes.py"
        file.write_text(text)
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


@pytest.mark.parametrize(
    ("version", "init"),
    [("0.12", BUILT_IN), ("0.12", WITH_PLUGIN), ("0.11", WITH_PLUGIN)],
    ids=["built-in", "0.12", "0.11"],
)
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
    said = "return vim.fn.execute('messages'):find('not sure enough: 0.05', 1, true) ~= nil"
    nvim.until(f"vim.cmd.SetfillWhy() {said}")
    assert "setting `confidenceFloor`" in nvim.messages()
