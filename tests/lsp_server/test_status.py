"""`setfill/status`: what a client is told of a file it has open."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.errors import CheckpointError, FrameError, SetfillError, WorkerError, all_errors
from tests.lsp_server.client import Client, talk

URI = "file:///w/a.py"


def test_a_file_is_known_by_version_length_and_digest(script: Callable[..., str]) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script(""))

        async def document(uri: str) -> Any:
            return (await client.request("setfill/status", {"textDocument": {"uri": uri}}))["document"]

        client.open(URI, "x = '👋'\r\n")
        client.type(URI, 5, "é")
        text = "x = 'é👋'\r\n"
        assert client.texts[URI].text == text
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert await document(URI) == {"version": 2, "characters": len(text), "sha256": digest}
        assert await document("file:///w/other.py") is None
        assert "document" not in await client.request("setfill/status", {})

    talk(conversation)


def test_the_page_for_clients_has_every_code_of_what_can_be_wrong_with_the_model() -> None:
    """All but those of single requests, which no status tells."""
    page = (Path(__file__).parents[2] / "docs" / "editors.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", page.partition("`problemCode`")[2], re.MULTILINE))
    kinds = (CheckpointError, WorkerError, FrameError)
    assert listed == {code for code, kind in all_errors().items() if issubclass(kind, kinds) or kind is SetfillError}
