"""The open files: who hears of what becomes of them, and what is held before there are any."""

from __future__ import annotations

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from lsp_server.admission import Admission
from lsp_server.documents import LARGEST_FILE_CHAR, UNREADABLE, Documents
from lsp_server.features import build_server
from lsp_server.settings import Settings
from lsp_server.text_units import ColumnUnit
from model.api.client import WorkerClient, WorkerOptions

URI = "file:///w/a.py"


def changes(text: str) -> list[types.TextDocumentContentChangeEvent]:
    return [types.TextDocumentContentChangeWholeDocument(text)]


def heard(documents: Documents, who: str) -> list[str]:
    """Have `who` listen to everything; return what it will have heard."""
    told: list[str] = []
    documents.on_opened.append(lambda document: told.append(f"{who} opened {document.text}"))
    documents.on_edited.append(lambda document: told.append(f"{who} edited {document.text}"))
    documents.on_closed.append(lambda document: told.append(f"{who} closed {document.text}"))
    documents.on_lost.append(lambda reason: told.append(f"{who} lost {reason}"))
    return told


def test_every_listener_hears_of_every_change() -> None:
    """There was one slot for one listener: a second feature that listened would have silenced the first."""
    client = WorkerClient(WorkerOptions("none"))
    documents = Documents(client, ColumnUnit.UTF16, Admission(Settings(), []))
    first, second = heard(documents, "A"), heard(documents, "B")
    documents.open(types.TextDocumentItem(URI, "python", 1, "x"))
    documents.change(URI, 2, changes("xy"))
    documents.change(URI, 3, changes("xy"))  # the same text
    documents.open(types.TextDocumentItem(URI, "python", 1, "z"))  # in place of the other
    documents.lose(URI, UNREADABLE)
    documents.close(URI)  # nothing is held any more
    assert first == [
        "A opened x",
        "A edited xy",
        "A closed xy",
        "A opened z",
        "A closed z",
        "A lost there are no suggestions in a.py until it is opened again: the editor sent what cannot be read",
    ]
    assert second == [each.replace("A ", "B ", 1) for each in first]
    assert not client.open_files


def test_a_lost_file_is_told_by_the_name_that_its_user_knows() -> None:
    """It was told as it stands in the URI: `my%20file.py`."""
    documents = Documents(WorkerClient(WorkerOptions("none")), ColumnUnit.UTF16, Admission(Settings(), []))
    told: list[str] = []
    documents.on_lost.append(told.append)
    documents.lose("file:///w/my%20caf%C3%A9%0A.py", UNREADABLE)
    assert told[0].startswith("there are no suggestions in my café␊.py until")


def test_a_file_that_grows_too_large_is_lost() -> None:
    client = WorkerClient(WorkerOptions("none"))
    documents = Documents(client, ColumnUnit.UTF16, Admission(Settings(), []))
    told = heard(documents, "A")
    documents.open(types.TextDocumentItem(URI, "python", 1, "x"))
    documents.change(URI, 2, changes("x" * (LARGEST_FILE_CHAR + 1)))
    assert [each.split()[1] for each in told] == ["opened", "closed", "lost"]
    assert "too large" in documents.unknown[URI]
    assert not client.open_files


def test_settings_decide_anew_which_files_the_worker_hears_of() -> None:
    client = WorkerClient(WorkerOptions("none"))
    documents = Documents(client, ColumnUnit.UTF16, Admission(Settings(), []))
    documents.open(types.TextDocumentItem(URI, "python", 1, "x"))
    documents.open(types.TextDocumentItem("file:///w/b.txt", "plaintext", 1, "x"))
    documents.admit_by(Admission(Settings(exclude=("*.py",)), []))
    assert client.open_files == {"file:///w/b.txt"}
    documents.admit_by(Admission(Settings(exclude=("b.*",)), []))
    assert client.open_files == {URI}


def test_nothing_is_held_before_initialize() -> None:
    """Attributes that exist later were an AttributeError; the protocol has an error for it."""
    server = build_server()
    with pytest.raises(JsonRpcException) as refused:
        _ = server.state
    assert refused.value.code == types.ErrorCodes.ServerNotInitialized
    server.shutdown()


def test_a_file_that_cannot_be_is_open_as_one_without_a_path() -> None:
    """A null byte in a path was a ValueError wherever somebody asked for the file."""
    documents = Documents(WorkerClient(WorkerOptions("none")), ColumnUnit.UTF16, Admission(Settings(), []))
    documents.open(types.TextDocumentItem("file:///w/a%00b.py", "python", 1, "x"))
    (document,) = documents
    assert document.path is None
    assert document.is_known_to_worker
