"""A real Emacs, as a daemon that emacsclient tells what to do. Debian has it: emacs-nox, elpa-lsp-mode, elpa-eglot."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

_NAME = "setfill-test"


class Emacs:
    """One Emacs with a user's configuration, which is the Lisp code `init`, and one file in its window."""

    def __init__(self, folder: Path, init: str, file: Path) -> None:
        if not (shutil.which("emacs") and shutil.which("emacsclient")):
            pytest.skip("there is no Emacs")
        (folder / "init.el").write_text(init)
        self._log = (folder / "emacs.log").open("w+")
        self._environment = {**os.environ, "HOME": str(folder)}
        self._process = subprocess.Popen(
            ["emacs", f"--fg-daemon={_NAME}", "-q", "-l", folder / "init.el"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=self._environment,
        )
        end = time.monotonic() + 60
        while not self._client("t", logs=False):
            assert time.monotonic() < end, self._said()
            assert self._process.poll() is None, self._said()
            time.sleep(0.1)
        self.keys(f"C-x C-f {file} RET")

    def lisp(self, code: str) -> str:
        """Evaluate Lisp code in the file's buffer; return what `format` makes of the value."""
        inside = f"(with-current-buffer (window-buffer) {code})"
        said = self._client(f'(base64-encode-string (encode-coding-string (format "%s" {inside}) \'utf-8) t)')
        assert said, f"{code}: {self._said()}"
        return base64.b64decode(said.strip().strip('"')).decode()

    def until(self, code: str, timeout_s: float = 60.0) -> str:
        """Wait until Lisp code returns something else than nil, and return that."""
        end = time.monotonic() + timeout_s
        while (found := self.lisp(code)) == "nil":
            assert time.monotonic() < end, f"waited in vain for {code}; the buffer is {self.text()!r}; {self._said()}"
            time.sleep(0.1)
        return found

    def keys(self, keys: str) -> None:
        """Press keys, which are spelled as Emacs spells them."""
        self.lisp(f'(execute-kbd-macro (kbd "{keys}"))')

    def text(self) -> str:
        return self.lisp("(buffer-substring-no-properties (point-min) (point-max))")

    def quit(self) -> None:
        self._client("(kill-emacs)")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _client(self, code: str, logs: bool = True) -> str:
        """Return what emacsclient prints; nothing when Emacs is not there, or the code signals an error."""
        client = ["emacsclient", "-s", _NAME, "--eval", code]
        answer = subprocess.run(client, capture_output=True, text=True, timeout=120, env=self._environment)
        if answer.returncode != 0 and logs:
            self._log.write(answer.stderr)
        return answer.stdout if answer.returncode == 0 else ""

    def _said(self) -> str:
        self._log.flush()
        self._log.seek(0)
        return self._log.read()[-2000:]
