"""`setfill fill --trace`: the page of what the network did."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from setfill import cli
from tests.model.api.trace_pages import (
    Page,
    in_node,
    needs_node,
)


@needs_node
@pytest.mark.parametrize("policy", ["verified", "window:4", "uniform", "beam:3"])
def test_fill_writes_a_page_of_what_the_network_did(
    policy: str, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    file, page = tmp_path / "area.py", tmp_path / "out.html"
    file.write_text("def area(w, h):\n    return w\n\nprint('🐍', area(2, 3), )\n")
    arguments = ["fill", str(file), "--at", "2:13", "--at", "4:24", "--model", str(tiny_model), "--max-tokens", "8"]
    assert cli.run([*arguments, "--policy", policy, "--json", "--trace", str(page)]) == 0
    out, err = capsys.readouterr()
    assert f"wrote {page}" in err
    infill = json.loads(out)
    data = Page(page.read_text(encoding="utf-8")).data
    for gap, shown in zip(data["gaps"], infill["gaps"], strict=True):  # the page has all that was said
        assert re.sub(r"\r\n?", "\n", gap["text"]).lstrip().startswith(shown["text"].lstrip())
    last = in_node(data)["answers"][-1]["slots"]
    for slots, gap, held_back in zip(last, data["gaps"], data["heldBack"], strict=True):
        shown = "".join(slot["text"] for slot in slots if slot["kind"] in ("known", "fresh"))
        if "\ufffd" not in shown:  # else tokens are parts of characters
            assert shown.startswith((held_back + gap["text"])[: len(shown)])
        assert sum(slot["kind"] in ("known", "fresh", "cut") for slot in slots) >= gap["tokens"]


def test_who_names_no_policy_sees_the_search_that_fills_best(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trace is of the infill that is given without a trace."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    file, page = tmp_path / "area.py", tmp_path / "out.html"
    file.write_text("def area(w, h):\n    return w\n")
    arguments = ["fill", str(file), "--at", "2:13", "--model", str(tiny_model), "--max-tokens", "5", "--json"]
    assert cli.run(arguments) == 0
    plain = json.loads(capsys.readouterr().out)
    assert cli.run([*arguments, "--trace", str(page)]) == 0
    traced = json.loads(capsys.readouterr().out)
    [gap], [plain_gap] = traced["gaps"], plain["gaps"]
    assert (gap["text"], gap["forwards"]) == (plain_gap["text"], plain_gap["forwards"])
    trace = Page(page.read_text(encoding="utf-8")).data["trace"]
    assert trace["policy"] == "beam:4"
    assert trace["steps"][-1]["search"]["answer"] is not None
