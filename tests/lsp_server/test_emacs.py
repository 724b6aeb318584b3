"""Setfill in a real Emacs, with eglot and with lsp-mode, each as docs/editors.md tells users to set it up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lsp_server.client import SERVE
from tests.lsp_server.emacs import Emacs
from tests.lsp_server.neovim import ROOT

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]

TARGET = (
    "import math\n\n\ndef area(r):\n    return math.pi * r**2\n\n\ndef volume(r):\n    return 4 / 3 * math.pi * r**3\n"
)
COMMON = """
(setq make-backup-files nil auto-save-default nil create-lockfiles nil native-comp-async-report-warnings-errors nil)
(package-initialize)
(add-to-list 'auto-mode-alist '("\\\\.py\\\\'" . python-mode))
"""
START = {
    "eglot": "(require 'eglot) (add-hook 'python-mode-hook #'eglot-ensure)",
    "lsp-mode": "(require 'lsp-mode) (setq lsp-auto-guess-root t) (add-hook 'python-mode-hook #'lsp)",
}
IS_READY = {
    "eglot": "(and (eglot-managed-p) t)",
    "lsp-mode": "(and (bound-and-true-p lsp-completion-mode) (lsp-workspaces) t)",
}
FILL_ALL = {
    "eglot": "M-x eglot-code-actions RET Setfill: SPC fill SPC all TAB RET y",  # it asks before it changes the file
    "lsp-mode": "M-x lsp-execute-code-action RET Setfill: SPC fill SPC all TAB RET",
}


def documented(client: str, options: dict[str, Any]) -> str:
    page = (ROOT / "docs" / "editors.md").read_text()
    code = page.partition(f"## Emacs, {client}")[2].partition("```elisp\n")[2].partition("```")[0]
    command = " ".join(map(json.dumps, SERVE))
    given = " ".join(
        f":{name} {':json-false' if value is False else json.dumps(value)}" for name, value in options.items()
    )
    for said, ours in (('"setfill" "serve"', command), (":maxLines 6", given)):
        assert code.count(said) == 1
        code = code.replace(said, ours)
    return code


@pytest.fixture(params=["eglot", "lsp-mode"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def editor(tmp_path: Path, script: Callable[..., str], client: str) -> Iterator[Callable[..., Emacs]]:
    opened: list[Emacs] = []

    def open_editor(text: str, **says: Any) -> Emacs:
        file = tmp_path / "shapes.py"
        file.write_bytes(text.encode())
        options = {"model": script(**{"target": TARGET, **says}), "sharedWorker": False}
        opened.append(Emacs(tmp_path, COMMON + documented(client, options) + START[client], file))
        opened[-1].until(IS_READY[client])
        return opened[-1]

    yield open_editor
    for each in opened:
        each.quit()


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CR LF"])
def test_complete_undo_save(editor: Callable[..., Emacs], tmp_path: Path, ending: str) -> None:
    before = "import math\n\n\ndef area(r):\n    return ma\n"
    emacs = editor(before.replace("\n", ending), target=TARGET)
    emacs.keys("M-> C-b")
    emacs.lisp("(call-interactively #'completion-at-point)")  # C-M-i, which a macro's next key would interrupt
    completed = before.replace("ma\n", "math.pi * r**2\n")
    assert emacs.text() == completed, "the only candidate is inserted"
    emacs.keys("C-x C-s")
    assert (tmp_path / "shapes.py").read_bytes() == completed.replace("\n", ending).encode()
    emacs.keys("C-/")
    assert emacs.text() == before


def test_choosing_one_of_several(editor: Callable[..., Emacs]) -> None:
    target = "def f(r):\n    a = one\n    b = two\n    return a + b\n"
    emacs = editor("def f(r):\n    \n", target=target, alternatives=["pass\n"])
    emacs.keys("M-> C-b")
    emacs.lisp("(call-interactively #'completion-at-point)")
    listed = '(with-current-buffer "*Completions*" (buffer-substring-no-properties (point-min) (point-max)))'
    assert "pass" in emacs.lisp(listed)
    emacs.lisp('(progn (switch-to-completions) (search-forward "a = one") (backward-char) (choose-completion))')
    assert emacs.text() == target


def test_holes_are_filled_jointly(editor: Callable[..., Emacs], client: str) -> None:
    holes = TARGET.replace("math.pi * r**2", "???").replace("4 / 3 * math.pi * r**3", "???")
    emacs = editor(holes)
    emacs.keys(f"M-< {FILL_ALL[client]}")
    emacs.until('(not (string-match-p (regexp-quote "???") (buffer-string)))')
    assert emacs.text() == TARGET
