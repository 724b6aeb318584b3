"""Filling selections, cursors and marked holes: any number of places of a file in one decode.

Knows gaps and plans; knows no positions and no requests of the protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from grammars import SyntaxSnapshot
from lsp_server.lengths import Plan, plan_fill
from lsp_server.open_document import LastFill
from lsp_server.progress import Progress
from lsp_server.shaping import finished, finished_jointly
from lsp_server.snapshot import Snapshot
from lsp_server.worker import ModelWorker
from lsp_server.worth import confidence
from model.api.policy import VERIFIED
from model.api.types import Edit, Gap, GapInfill, InfillRequest, Limits, PartialInfill
from model.errors import Cancelled, InputError

_SHOW_PROGRESS_SECONDS = 0.5
MOST_GAPS = 32


@dataclass(frozen=True)
class Filled:
    """The edit that fills a place, why its text ends there, and how sure the model was; and other texts for it."""

    edit: Edit
    stop: str
    confidence: float
    alternatives: tuple[str, ...] = ()


async def fill(
    snapshot: Snapshot,
    spans: Sequence[tuple[int, int]],
    worker: ModelWorker,
    progress: Progress,
    on_partial: Callable[[PartialInfill], None] | None = None,
    candidates: int = 1,
) -> list[Filled]:
    """Return infills for `spans` (string indices), in the order of the file.

    InputError for spans that overlap or are too many, VersionError when the
    file was edited meanwhile, Cancelled when the user stopped it.
    """
    gaps, settings, document = _gaps(snapshot.text, spans), snapshot.settings, snapshot.document
    description = await worker.ready()
    syntax = await snapshot.syntax()
    plans = [plan_fill(syntax, gap, settings) for gap in gaps]
    policy = VERIFIED
    if len(gaps) == 1:
        policy = plans[0].policy(settings, candidates, adapted=description.adapted)
    else:
        candidates = 1
    request = InfillRequest("", 0, gaps, policy, limits=_widest(plans), candidates=candidates)
    asking = asyncio.ensure_future(snapshot.infill(request, on_partial=on_partial))
    document.until_edited.add(asking)
    try:
        title = f"Setfill: filling {len(gaps)} places" if len(gaps) > 1 else "Setfill: filling"
        async with progress.shown(title, asking.cancel, after_seconds=_SHOW_PROGRESS_SECONDS):
            await asyncio.wait([asking])
        snapshot.require_current()
        if asking.cancelled():
            raise Cancelled("filling was cancelled")
        infill = asking.result()
        document.last_fill = LastFill(snapshot.text, request)
    finally:
        asking.cancel()
        document.until_edited.discard(asking)
    return await asyncio.to_thread(_all_filled, syntax, plans, infill.gaps)


def hole_spans(text: str, marker: str) -> list[tuple[int, int]]:
    """Return where `marker` stands in `text`."""
    spans, found = [], text.find(marker)
    while found >= 0:
        spans.append((found, found + len(marker)))
        found = text.find(marker, found + len(marker))
    return spans


def _gaps(text: str, spans: Sequence[tuple[int, int]]) -> tuple[Gap, ...]:
    if not spans:
        raise InputError("there is nothing to fill: select something, or mark holes")
    if len(spans) > MOST_GAPS:
        raise InputError(f"{len(spans)} places at once are too many: fill at most {MOST_GAPS}")
    gaps = [Gap(*_tight(text, *span)) for span in sorted(set(spans))]
    for first, second in pairwise(gaps):
        if second.start <= first.end:
            raise InputError("places to fill must not overlap or touch")
    return tuple(gaps)


def _tight(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave the indentation before whole selected lines, and the line break behind them, where they are."""
    if start == end:
        return start, end
    while end > start and text[end - 1] in "\r\n":
        end -= 1
    at_line_start = start == 0 or text[start - 1] in "\r\n"
    while at_line_start and start < end and text[start] in " \t":
        start += 1
    return start, end


def _widest(plans: Sequence[Plan]) -> Limits:
    lines = [plan.limits.max_lines for plan in plans if plan.limits.max_lines is not None]
    return Limits(max(plan.limits.max_tokens for plan in plans), max(lines, default=None))


def _all_filled(syntax: SyntaxSnapshot, plans: Sequence[Plan], every: Sequence[GapInfill]) -> list[Filled]:
    texts = finished_jointly(syntax, plans, [(said.text, said.stop) for said in every])
    filled = []
    for plan, said, found in zip(plans, every, texts, strict=True):
        others = [finished(syntax, plan, other.text, other.stop) for other in said.alternatives]
        different = tuple(other for other in dict.fromkeys(others) if other.strip() and other != found)
        edit = Edit(plan.gap.start, plan.gap.end, found)
        filled.append(Filled(edit, said.stop, confidence(said.logprobs), different))
    return filled
