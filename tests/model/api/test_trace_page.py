"""The page that replays a decode: what it shows, what no text can do to it, and that it stands alone."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from model.api import trace_page
from model.api.types import Gap, GapInfill, Infill, Trace
from model.errors import InputError
from tests.model.api.trace_pages import (
    DECODES,
    HOSTILE,
    Page,
    empty,
    hostile,
    rendered,
    verified_in_two_gaps,
)

SHAPE = [tag for tag, _ in rendered(empty()).elements]


# ---- standing alone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_out(text: str) -> None:
    page = rendered(hostile(text), text, text)
    assert [tag for tag, _ in page.elements] == SHAPE
    source = trace_page.render(text, *hostile(text), text)
    assert not re.search(r"[\u2028\u2029\u202e\u2066\x00\x1b\x7f\x85]", source)
    data, step = page.data, page.data["trace"]["steps"][0]
    cleaned = re.sub("[\ud800-\udfff]", "\ufffd", text)
    assert [data["path"], data["model"], data["trace"]["policy"], step["rows"][1]["text"]] == [cleaned] * 4
    assert step["reveals"][0]["alternatives"] == [[cleaned, 0.5]]
    assert step["ms"] is None
    search = data["trace"]["steps"][1]["search"]
    assert [search["readOn"], *(search["beginnings"][0][name] for name in ("text", "fate"))] == [cleaned] * 3
    assert [search["beginnings"][0][name] for name in ("gapLogprob", "textLogprob", "bestScore")] == [None] * 3


def test_the_policy_lets_only_this_script_and_style_run() -> None:
    page = rendered(verified_in_two_gaps())
    directives = dict(part.strip().split(" ", 1) for part in page.policy.split(";"))
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        [text] = [
            text
            for (name, attributes), (_, text) in zip(page.elements, page.texts, strict=True)
            if name == tag and attributes.get("type") != "application/json"
        ]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert directives[directive] == f"'sha256-{digest}'"
    assert directives["default-src"] == "'none'"
    assert directives["base-uri"] == "'none'"
    assert "unsafe" not in page.policy
    names = [tag for tag, _ in page.elements]
    assert names.index("meta") < names.index("style") < names.index("script")


def test_the_page_refers_to_nothing_outside() -> None:
    source = trace_page.render("app.py", *verified_in_two_gaps(), "model")
    assert not re.search(
        r"https?:|//[a-z]|url\(|@import|\bimport\(|fetch\(|XMLHttp|WebSocket|Beacon|EventSource", source
    )
    page = Page(source)
    for name, attributes in page.elements:
        assert name not in {"link", "img", "iframe", "object", "embed", "base", "form", "a"}
        assert not {"src", "href", "style"} & set(attributes)
        assert not [key for key in attributes if key.startswith("on")]


def test_the_script_never_parses_text_as_markup() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|</script|<!--"
    assert not re.search(forbidden, trace_page._assets()[2])


# ---- what it is given -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decode", DECODES)
def test_every_row_and_reveal_is_there(decode: Any) -> None:
    text, infill = decode()
    data = rendered((text, infill)).data
    assert [len(step["rows"]) for step in data["trace"]["steps"]] == [len(step.rows) for step in infill.trace.steps]
    for step, expected in zip(data["trace"]["steps"], infill.trace.steps, strict=True):
        assert [(r["gap"], r["rank"], r["text"], r["head"]) for r in step["reveals"]] == [
            (r.gap, r.rank, r.text, r.head) for r in expected.reveals
        ]


def at_places(text: str, *gaps: tuple[int, int], held_back: str = "") -> tuple[str, Infill]:
    infills = tuple(GapInfill(Gap(*gap), "", 0, (), "eoi") for gap in gaps)
    return text, Infill(
        1, infills, 1, 1, 0, 1.0, Trace("verified", "verified", 0, 0, 0, 0, (held_back, "", "")[: len(gaps)], ())
    )


def check_stretches(text: str, gap: tuple[int, int], *expected: tuple[str, int, str], held_back: str = "") -> None:
    found = rendered(at_places(text, gap, held_back=held_back)).data["stretches"]
    assert tuple((part["head"], part["leftOut"], part["tail"]) for part in found) == expected


def test_the_text_around_a_gap() -> None:
    check_stretches("", (0, 0), ("", 0, ""), ("", 0, ""))
    check_stretches("abc", (1, 2), ("", 0, "a"), ("c", 0, ""))
    check_stretches("🐍a\r\nb", (1, 2), ("", 0, "🐍"), ("\nb", 0, ""))
    check_stretches("let re", (6, 6), ("", 0, "let "), ("", 0, ""), held_back="re")
    lines = "".join(f"{number}\n" for number in range(1, 41))
    head = "".join(f"{number}\n" for number in range(13, 20))
    tail = "21\n22\n23\n24\n25\n26\n27\n28"
    check_stretches(lines, (lines.index("20"), lines.index("21")), ("", 12, head), (tail, 13, ""))


def test_the_text_between_gaps() -> None:
    lines = "".join(f"{number}\n" for number in range(1, 41))
    far, near = lines.index("39"), lines.index("20")
    data = rendered(at_places(lines, (2, 2), (far, far))).data
    assert (data["stretches"][1]["head"].split("\n")[0], data["stretches"][1]["leftOut"]) == ("2", 22)
    assert [gap["line"] for gap in data["gaps"]] == [2, 39]
    data = rendered(at_places(lines, (near, near + 1), (near + 30, near + 30))).data
    assert data["stretches"][1] == {"head": lines[near + 1 : near + 30], "leftOut": 0, "tail": ""}


def test_a_line_without_end_is_cut() -> None:
    page = trace_page.render("min.js", *at_places("x" * 1_000_000, (500_000, 500_000)), "m")
    assert len(page) < 150_000


# ---- writing ----------------------------------------------------------------------------------------------------


def test_writing_replaces_a_page_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "out.html"
    trace_page.write(target, "one\n")
    trace_page.write(target, "two\n")
    assert target.read_bytes() == b"two\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_writing_where_it_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        trace_page.write(tmp_path, "page")
    with pytest.raises(InputError, match=r"cannot write the trace to .*: No such file"):
        trace_page.write(tmp_path / "missing" / "out.html", "page")
