"""Places where a suggestion is asked for while typing, and what the model says there.

Gaps are those of `setfill eval lines`, as they look while typing: the indentation of a line stands before the cursor,
its break behind it. What is asked at a place is the language server's plan, greedily; of what comes back is kept what
the server would know. Answers are kept in a file as they come, with the source files that they belong to.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.worth_numbers import tried_numbers
from grammars import SyntaxSnapshot, language_named, snapshot_of
from lsp_server.lengths import Growth, Plan, plan_suggestion
from lsp_server.settings import Settings
from lsp_server.shaping import shaped
from lsp_server.worth import numbers
from model.api.edits import trimmed
from model.api.line_breaks import LINE_BREAK
from model.api.types import Alternative, Edit, Gap, GapInfill, InfillRequest
from model.errors import Cancelled
from model.evaluation.answer_log import AnswerLog
from model.evaluation.cutting import CutGap, GapKind, Source, cut_gaps
from model.worker.engine import Engine

KINDS = (GapKind.REST, GapKind.LINE, GapKind.LINES, GapKind.WORD)
_MOST_TOKENS = 96  # where an editor has a time limit, which would make answers depend on the machine
_PARSE_SECONDS = 5.0


@dataclass(frozen=True)
class Asked:
    """A place of a file where a suggestion is asked for: at `start`, before `source.text[start:end]` is typed."""

    source: Source
    kind: str
    start: int
    end: int

    @property
    def key(self) -> str:
        return f"{self.source.name}:{self.start}:{self.end}:{self.kind}"

    @property
    def text(self) -> str:
        """The file before what is to come is typed."""
        return self.source.text[: self.start] + self.source.text[self.end :]

    @property
    def gap(self) -> Gap:
        return Gap(self.start, self.start)

    def syntax(self) -> SyntaxSnapshot:
        language = language_named(self.source.language)
        assert language
        return snapshot_of(self.text, language, _PARSE_SECONDS)

    def is_right(self, shown: str) -> bool:
        """Whether the first line of what is shown is all that comes on its line."""
        text = self.source.text
        if text[self.end : self.end + 1] not in ("", "\r", "\n"):
            return shown == text[self.start : self.end]
        first, coming = LINE_BREAK.split(shown)[0].rstrip(), text[self.start :]
        return bool(first) and coming.startswith(first) and not LINE_BREAK.split(coming[len(first) :])[0].strip()


def asked_places(sources: Sequence[Source], per_language: int, seed: int) -> list[Asked]:
    """Return places of these files, those of a file together and ascending."""
    cuts = cut_gaps(sources, KINDS, per_language, seed)
    return [asked for cut in cuts if (asked := _as_typed(cut)).source.text[asked.start : asked.end].strip()]


def _as_typed(gap: CutGap) -> Asked:
    """Return where the cursor stands. Of several lines, half of them begin somewhere in the first."""
    text, (start, end) = gap.source.text, (gap.ranges[0].start, gap.ranges[0].end)
    if gap.kind in (GapKind.LINE, GapKind.LINES):
        start += len(text[start:end]) - len(text[start:end].lstrip())
        end = start + len(text[start:end].rstrip("\r\n"))
    rng = random.Random(gap.task_id)
    if gap.kind is GapKind.LINES and rng.random() < 0.5:
        first = text[start:end].splitlines()[0]
        start += rng.choice([n for n in range(1, len(first)) if not re.fullmatch(r"\w\w", first[n - 1 : n + 1])] or [0])
    return Asked(gap.source, gap.kind.value, start, end)


# -- asking -----------------------------------------------------------------------------------


def collect(engine: Engine, places: Sequence[Asked], path: Path, progress: Callable[[int, int], None]) -> None:
    """Ask the model at each place and keep what it said in `path`, where there is nothing of a place yet."""
    with AnswerLog(path, {"model": asdict(engine.describe())}) as kept:
        known = {record.get("key") for record in kept.answers}
        files = {record["file"]["name"] for record in kept.answers if "file" in record}
        done = 0
        for name, of_file in groupby(places, key=lambda asked: asked.source.name):
            group = list(of_file)
            new = [asked for asked in group if asked.key not in known]
            done += len(group) - len(new)
            if new and name not in files:
                kept.add({"file": asdict(new[0].source)})
            for asked, said in _said(engine, new) if new else ():
                place = {"key": asked.key, "name": name, "kind": asked.kind, "start": asked.start, "end": asked.end}
                kept.add(place | {"said": said and asdict(said)})
                done += 1
                progress(done, len(places))


def _said(engine: Engine, places: Sequence[Asked]) -> Iterator[tuple[Asked, GapInfill | None]]:
    """Yield what the model says at places of one file, which is edited from one to the next as in an editor."""
    source, version, text = places[0].source, 1, places[0].text
    engine.open(source.name, source.path, text, version)
    for asked in places:
        if asked.text != text:
            version += 1
            engine.edit(source.name, [trimmed(Edit(0, len(text), asked.text), text)], version)
            text = asked.text
        syntax = asked.syntax()
        plan = _plan(syntax, asked)
        if plan is None:
            yield asked, None
            continue
        limits = replace(plan.limits, max_tokens=min(plan.limits.max_tokens, _MOST_TOKENS), max_ms=None)
        yield (
            asked,
            _infill_enough(engine, InfillRequest(source.name, version, (asked.gap,), limits=limits), plan, syntax),
        )
    engine.close(source.name)


def _plan(syntax: SyntaxSnapshot, asked: Asked) -> Plan | None:
    return plan_suggestion(syntax, asked.start, Settings(), invoked=False, sees_suffix=True)


def _infill_enough(engine: Engine, request: InfillRequest, plan: Plan, syntax: SyntaxSnapshot) -> GapInfill:
    """Ask as `lsp_server.asking` does: a text that grows beyond what is shown of it is stopped."""
    growth = Growth(plan, syntax.language)
    try:
        return engine.infill(request, growth.take, lambda: growth.is_enough).gaps[0]
    except Cancelled:
        return growth.answer() or engine.infill(growth.confirming(request)).gaps[0]


# -- what was said ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Suggested:
    """A suggestion that could be shown at a place, as numbers, and whether its first line is right."""

    asked: Asked
    shown: str
    numbers: dict[str, float]
    is_right: bool

    @property
    def confidence(self) -> float:
        return self.numbers["confidence"]

    @property
    def package(self) -> str:
        return self.asked.source.name.partition("/")[0]


def suggested(path: Path) -> tuple[list[Suggested], list[Asked]]:
    """Return what could be shown of the answers in `path`, and all places that were asked about."""
    sources: dict[str, Source] = {}
    found, places = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        record: dict[str, Any] = json.loads(line)
        if "file" in record:
            sources[record["file"]["name"]] = Source(**record["file"])
        if not record.get("said"):
            continue
        asked = Asked(sources[record["name"]], record["kind"], record["start"], record["end"])
        places.append(asked)
        said = _infill_of(record["said"])
        syntax = asked.syntax()
        plan = _plan(syntax, asked)
        assert plan
        what = shaped(syntax, plan, said.text, said.stop)
        if what.text:
            known = {f"is_{asked.source.language}": 1.0}
            known |= tried_numbers(syntax, asked.gap, what.text, said) | numbers(said, what.damage)
            found.append(Suggested(asked, what.text, known, asked.is_right(what.text)))
    return found, places


def _infill_of(plain: dict[str, Any]) -> GapInfill:
    fields = {name: value for name, value in plain.items() if name in GapInfill.__dataclass_fields__}
    others = tuple(Alternative(**other) for other in fields.pop("alternatives"))
    fields |= {"gap": Gap(**fields["gap"]), "logprobs": tuple(fields["logprobs"])}
    return GapInfill(**fields, alternatives=others)
