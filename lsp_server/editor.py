"""The editor at the other end, as its user sees it: what it is called, what it is told, what it shows of long work.

Knows the messages for that, and no files.
"""

from __future__ import annotations

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from lsp_server.progress import Progress


class Editor:
    """One client. The same sentence is told it once."""

    def __init__(self, server: LanguageServer, params: types.InitializeParams) -> None:
        window = params.capabilities.window
        self.name = params.client_info.name if params.client_info else ""
        self.long_work = Progress(server, is_supported=bool(window and window.work_done_progress))
        self._server = server
        self._told: set[str] = set()

    @property
    def is_neovim(self) -> bool:
        return self.name.lower() == "neovim"

    def show_problem(self, text: str) -> None:
        """Tell the user why there are no suggestions, each reason once."""
        self._tell_once(types.MessageType.Error, text)

    def warn(self, text: str) -> None:
        """Tell the user of what is amiss in a file, each sentence once."""
        self._tell_once(types.MessageType.Warning, text)

    def inform(self, text: str) -> None:
        """Tell the user what they should know, each sentence once."""
        self._tell_once(types.MessageType.Info, text)

    def show_settings_problems(self, problems: list[str]) -> None:
        """Tell the user what is wrong with new settings."""
        text = "Setfill settings: " + "; ".join(problems)
        self._server.window_show_message(types.ShowMessageParams(types.MessageType.Warning, text))

    def _tell_once(self, kind: types.MessageType, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._server.window_show_message(types.ShowMessageParams(kind, f"Setfill: {text}"))
