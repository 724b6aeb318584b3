"""`--trace`: one HTML page that replays a decode. It knows the records of an infill, and no worker.

The page stands alone. It refers to nothing outside itself, and its content
security policy lets only its own script and style run, each named by its hash.
Text reaches it as JSON inside an inert script element, in ASCII and without
`<`, `>` and `&`, so that no text can end the element; the script puts it into
text nodes only.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import math
import os
import re
from dataclasses import asdict
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from model.api.line_breaks import LINE_BREAK
from model.api.types import Gap, GapInfill, Infill, Trace
from model.errors import InputError

SCRIPTS = ("replay.js", "search.js", "parts.js", "search_view.js", "page.js")  # the first two know no document
_LINES_AROUND = 7  # of the file, shown before and after each gap
_CHARS_AROUND = 2_000  # at the most, where lines are very long
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# In plain HTML: what it cannot hold, what would break lines or turn the direction of the text around it.
_NOT_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def render(path: str, text: str, infill: Infill, model: str) -> str:
    """Return the page that replays how `infill` was made for `text`, the content of the file at `path`."""
    template, style, script = _assets()
    fields = {
        "policy": _content_policy(style, script),
        "title": _as_html(path),
        "style": style,
        "script": script,
        "data": _as_inert_json(_page_data(path, text, infill, model)),
        "plain": _as_html(_filled(text, infill)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: fields[match[1]], template)


def write(target: Path, page: str) -> None:
    """Write a page to a file, all of it or nothing. InputError when that cannot be done."""
    if target.exists() and not target.is_file():
        raise InputError(f"cannot write the trace to {target}: it is not a regular file")
    target = target.resolve()  # a link goes on pointing to the page
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            with draft.open("x", encoding="utf-8", newline="\n") as file:
                file.write(page)
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write the trace to {target}: {error.strerror}") from None


@functools.cache
def _assets() -> tuple[str, str, str]:
    """Return template, style and script."""
    folder = resources.files(__name__)
    template, style, *scripts = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *SCRIPTS)
    )
    return template, style, "\n".join(scripts)


def _content_policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _as_inert_json(data: Any) -> str:
    encoded = json.dumps(_clean(data), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", encoded)


def _clean(data: Any) -> Any:
    """Return `data` without what JSON or UTF-8 has no word for: lone surrogates, infinities, not-a-number."""
    if isinstance(data, str):
        return _LONE_SURROGATE.sub("\ufffd", data)
    if isinstance(data, float):
        return round(data, 6) if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: _clean(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_clean(value) for value in data]
    return data


def _as_html(text: str) -> str:
    return html.escape(_NOT_SHOWN.sub("\ufffd", text))


def _page_data(path: str, text: str, infill: Infill, model: str) -> dict[str, Any]:
    """Return what the script is given. Nothing in it is counted in code points: JavaScript counts otherwise."""
    return {
        "path": path,
        "model": model,
        "forwards": infill.forwards,
        "rowsComputed": infill.rows_computed,
        "rowsReused": infill.rows_reused,
        "ms": infill.ms,
        "stretches": _stretches(text, infill),
        "gaps": [_gap_data(text, gap) for gap in infill.gaps],
        "heldBack": _held_back(infill),
        "joint": infill.trace is not None and infill.trace.is_joint,
        "trace": None if infill.trace is None else _trace_data(infill.trace),
    }


def _gap_data(text: str, gap: GapInfill) -> dict[str, Any]:
    line, column = _line_and_column(text, gap.gap.start)
    return {
        "line": line,
        "column": column,
        "replaces": gap.gap.end - gap.gap.start,
        "text": gap.text,
        "tokens": gap.tokens,
        "stop": gap.stop,
        "alternatives": [{"text": other.text, "logprob": sum(other.logprobs)} for other in gap.alternatives],
    }


def _trace_data(trace: Trace) -> dict[str, Any]:
    return {
        "policy": trace.policy,
        "reveal": trace.reveal,
        "leftRows": trace.left_rows,
        "rightRows": trace.right_rows,
        "islandRows": trace.island_rows,
        "rowsEncoded": min(trace.rows_encoded, trace.left_rows + trace.right_rows + trace.island_rows),
        "steps": [
            {
                "ms": step.ms,
                "rows": [vars(row) for row in step.rows],
                "reveals": [vars(reveal) for reveal in step.reveals],
                "search": None if step.search is None else _in_camel_case(asdict(step.search)),
            }
            for step in trace.steps
        ],
    }


def _in_camel_case(data: Any) -> Any:
    if isinstance(data, dict):
        return {
            re.sub("_(.)", lambda match: match[1].upper(), key): _in_camel_case(value) for key, value in data.items()
        }
    return [_in_camel_case(value) for value in data] if isinstance(data, list | tuple) else data


def _stretches(text: str, infill: Infill) -> list[dict[str, Any]]:
    """Return the text before, between and after the gaps: of each stretch the head, the lines left out, the tail.

    What is held back is taken off a stretch's end, for the gap spells it again.
    """
    gaps = [gap.gap for gap in infill.gaps]
    held_back = _held_back(infill)
    edges = [Gap(0, 0), *gaps, Gap(len(text), len(text))]
    stretches = []
    for index, (before, after) in enumerate(pairwise(edges)):
        stretch = text[before.end : after.start]
        if index < len(gaps):
            stretch = stretch.removesuffix(held_back[index])
        stretches.append(_shortened(stretch, first=index == 0, last=index == len(gaps)))
    return stretches


def _held_back(infill: Infill) -> list[str]:
    return [""] * len(infill.gaps) if infill.trace is None else list(infill.trace.held_back)


def _shortened(stretch: str, first: bool, last: bool) -> dict[str, Any]:
    lines = LINE_BREAK.split(stretch)
    head = [] if first else lines[: _LINES_AROUND + 1]
    tail = [] if last else lines[-_LINES_AROUND - 1 :]
    left_out = len(lines) - len(head) - len(tail)
    if left_out <= 1 and not (first or last):  # the sign for a line takes as much room as the line
        head, tail, left_out = lines, [], 0
    return {
        "head": _cut("\n".join(head), keep_end=False),
        "leftOut": max(0, left_out),
        "tail": _cut("\n".join(tail), keep_end=True),
    }


def _cut(text: str, keep_end: bool) -> str:
    if len(text) <= 2 * _CHARS_AROUND:
        return text
    return "…" + text[-_CHARS_AROUND:] if keep_end else text[:_CHARS_AROUND] + "…"


def _line_and_column(text: str, index: int) -> tuple[int, int]:
    line, start = 1, 0
    for match in LINE_BREAK.finditer(text, 0, index):
        line, start = line + 1, match.end()
    return line, index - start + 1


def _filled(text: str, infill: Infill) -> str:
    """Return what the gaps now hold, for a browser that runs no script."""
    return "\n\n".join(
        f"{'{}:{}'.format(*_line_and_column(text, gap.gap.start))}\n{gap.text or '(no suggestion)'}"
        for gap in infill.gaps
    )
