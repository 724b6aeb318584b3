"""Suggestions at the cursor: the latest request wins, typing through one costs nothing, what follows is known ahead.

What was last suggested in a file is remembered with the text around it. While the user types it, its rest is
answered from memory; when it is accepted, what was decoded ahead of need is. Anything else starts a new decode,
given the remembered text as a draft. This is the flow; `remembered` knows what still fits, `asking` the worker.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, replace

from grammars import fitted_infill
from grammars.offsets import LINE_BREAK
from lsp_server.asking import Asker
from lsp_server.lengths import cut, plan_suggestion, silent_here
from lsp_server.open_document import OpenDocument
from lsp_server.pacing import Pace, PowerSupply
from lsp_server.progress import Progress
from lsp_server.protocol import problem_json
from lsp_server.remembered import Place, Remembered
from lsp_server.settings import Settings
from lsp_server.shaping import shaped_candidates, worthy_beginning
from lsp_server.silence import Outcome, Reason
from lsp_server.snapshot import Snapshot
from lsp_server.spent import Spent
from lsp_server.statistics import Statistics
from lsp_server.worker import ModelWorker
from lsp_server.worth import Standard
from model.api.edits import applied
from model.api.policy import VERIFIED
from model.api.types import Edit, Gap, InfillRequest, Limits, PartialInfill
from model.errors import SetfillError

_AHEAD_SECONDS = 0.05  # after an answer, before decoding ahead of it
_AHEAD_LINES = 4
_AHEAD_TOKENS_OF_A_LINE = 24


@dataclass(frozen=True)
class Ask:
    """A request for suggestions at a cursor."""

    cursor_char: int
    invoked: bool = False  # by hand, not by typing
    candidates: int = 1
    selected: Edit | None = None  # the entry of an open completion list that suggestions must begin with


@dataclass(frozen=True)
class Suggestion:
    """An edit that is offered. `number` names it in what the client tells of its fate."""

    edit: Edit
    number: int


@dataclass
class _Memory:
    """What is kept of one open file."""

    running: asyncio.Task[list[Suggestion]] | None = None
    ahead: asyncio.Task[None] | None = None
    remembered: Remembered | None = None
    growing: Remembered | None = None  # the beginning of a decode that was overtaken
    outcome: Outcome | None = None  # of the last request

    def note(self, reason: Reason, **details: str | None) -> None:
        """Keep what came of the request that is under way."""
        if self.outcome:
            self.outcome = self.outcome.because(reason, **details)

    def spend(self, spent: Spent) -> None:
        """Keep what the answer cost to the request that is under way."""
        if self.outcome:
            self.outcome = replace(self.outcome, spent=spent)

    def drafts(self, place: Place) -> tuple[str, ...]:
        """Return what may stand at a place, from what was half decoded or suggested there before."""
        drafts = (known.draft(place) for known in (self.growing, self.remembered) if known)
        return tuple(itertools.islice((draft for draft in drafts if draft is not None), 1))


class Suggester:
    """Answers requests for suggestions of all open files."""

    def __init__(self, worker: ModelWorker, progress: Progress, statistics: Statistics) -> None:
        self._worker = worker
        self._asker = Asker(progress)
        self._statistics = statistics
        self._power = PowerSupply()
        self._numbers = itertools.count(1)
        self._memories: dict[OpenDocument, _Memory] = {}  # of the open files

    @property
    def pace(self) -> Pace:
        """How long suggestions take."""
        return self._asker.pace

    def debounce_ms(self, settings: Settings) -> float:
        """Return how long an automatic request waits for another key."""
        return self.pace.debounce_ms(settings.debounce_ms, on_battery=self._power.on_battery())

    async def suggest(self, snapshot: Snapshot, ask: Ask) -> list[Suggestion] | None:
        """Return suggestions, the best first; none of them when silence is better; None when overtaken.

        WorkerError and CheckpointError where there is no model to ask.
        """
        self.overtake(snapshot.document)
        memory = self._memory(snapshot.document)
        memory.outcome = Outcome(snapshot.range_at(ask.cursor_char, ask.cursor_char).start, ask.invoked)
        running = memory.running = asyncio.create_task(self._suggest(snapshot, memory, ask))
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:  # the client has withdrawn the request
            if memory.running is running:
                memory.note(Reason.WITHDRAWN)
            running.cancel()
            raise
        if running.cancelled():
            return None
        try:
            return running.result()
        except SetfillError as error:
            memory.note(Reason.FAILED, **problem_json(error))
            raise

    def overtake(self, document: OpenDocument) -> None:
        """End the request that is under way for a file: it is answered with nothing known."""
        memory = self._memory(document)
        if memory.running:
            memory.running.cancel()
            memory.running = None
        if memory.outcome:
            memory.outcome = memory.outcome.overtaken()

    def changed(self, document: OpenDocument) -> None:
        """Note that a file's text changed: answers for the text before are of no use, unless it was typed through."""
        self.overtake(document)
        memory = self._memory(document)
        known, place = memory.remembered, Place(document.text, document.last_edit_char)
        if memory.ahead and not (known and known.is_on_the_way(place)):
            memory.ahead.cancel()

    def close(self, document: OpenDocument) -> None:
        """Forget a file."""
        self.overtake(document)
        if ahead := self._memories.pop(document).ahead:
            ahead.cancel()

    def outcome_of(self, document: OpenDocument) -> Outcome | None:
        """Return what came of the last request for suggestions in a file, None before there was one."""
        return self._memory(document).outcome

    def _memory(self, document: OpenDocument) -> _Memory:
        return self._memories.setdefault(document, _Memory())

    async def _suggest(self, snapshot: Snapshot, memory: _Memory, ask: Ask) -> list[Suggestion]:
        started = time.monotonic()
        if not ask.selected:
            shown_before = memory.remembered.numbers if memory.remembered else ()
            known = await self._from_memory(snapshot, memory, ask)
            if not known and await _is_coming(memory, Place(snapshot.text, ask.cursor_char)):
                known = await self._from_memory(snapshot, memory, ask)
            if known:
                source = "memory" if memory.remembered and memory.remembered.numbers == shown_before else "ahead"
                memory.spend(Spent(source, waited_ms=(time.monotonic() - started) * 1000))
                memory.note(Reason.SHOWN)
                return known
        if memory.ahead:
            memory.ahead.cancel()
        found, place = await self._decoded(snapshot, memory, ask, started), _supposed(snapshot.text, ask)
        if not found:
            return []
        memory.note(Reason.SHOWN)
        numbers = tuple(next(self._numbers) for _ in found)
        memory.remembered = Remembered.at(place, tuple(found), numbers, was_invoked=ask.invoked)
        if not ask.selected:
            self._decode_ahead(snapshot, memory)
        self._statistics.shown(found, numbers)
        head = ask.selected or Edit(ask.cursor_char, ask.cursor_char, "")
        edits = [replace(head, text=head.text + text) for text in found]
        return [Suggestion(edit, number) for edit, number in zip(edits, numbers, strict=True)]

    async def _decoded(self, snapshot: Snapshot, memory: _Memory, ask: Ask, started: float) -> list[str]:
        """Return the texts to show at the cursor, the best first. If there are none, the reason is noted."""
        settings = snapshot.settings
        description = await self._worker.ready()
        place = _supposed(snapshot.text, ask)
        syntax = await snapshot.document.syntax.of(place.text)
        plan = plan_suggestion(
            syntax, place.cursor_char, settings, invoked=ask.invoked, sees_suffix=description.sees_suffix
        )
        if plan is None:
            here = silent_here(syntax, place.cursor_char, settings, sees_suffix=description.sees_suffix)
            memory.note(here or Reason.NOTHING_LEFT)
            return []
        policy = VERIFIED
        if not ask.invoked:
            waited = time.monotonic() - started
            await asyncio.sleep(max(0.0, self.pace.wait_seconds(self.debounce_ms(settings)) - waited))
        if ask.invoked or self.pace.allows_beams:
            policy = plan.policy(settings, ask.candidates, adapted=description.adapted)

        def on_partial(partial: PartialInfill) -> None:
            memory.growing = Remembered.at(place, (partial.text,))

        drafts, asked = memory.drafts(place), time.monotonic()
        request = InfillRequest(
            "", 0, (plan.gap,), policy, limits=plan.limits, candidates=ask.candidates, drafts=drafts
        )
        answer = await self._asker.ask(snapshot, plan, request, ask.selected, on_partial)
        if answer is None:
            memory.note(Reason.WITHDRAWN)
            return []
        memory.growing, answered = None, time.monotonic()
        standard = Standard.of(settings, invoked=ask.invoked)
        found, verdict = await asyncio.to_thread(shaped_candidates, syntax, plan, answer.gaps[0], standard)
        self._statistics.decoded(answer, (time.monotonic() - started) * 1000)
        times = {"waited_ms": asked - started, "asked_ms": answered - asked, "shaped_ms": time.monotonic() - answered}
        memory.spend(Spent.by_model(answer, **{name: 1000 * seconds for name, seconds in times.items()}))
        if not found:
            memory.remembered = None
            if memory.outcome:
                memory.outcome = memory.outcome.unshown(answer.gaps[0], verdict)
        return found

    async def _from_memory(self, snapshot: Snapshot, memory: _Memory, ask: Ask) -> list[Suggestion]:
        """Return what is left of what was suggested, if the user is typing it or has just accepted it."""
        known, place = memory.remembered, Place(snapshot.text, ask.cursor_char)
        if known is None or (ask.invoked and not known.was_invoked):
            return []
        rests = known.shown_rests(place)
        if unshown := known.unshown_rest(place):
            part = await _next_part(snapshot, ask.cursor_char, unshown)
            known = memory.remembered = known.showing(place, part, next(self._numbers))
            if part.strip():
                rests = {0: part}
                self._statistics.shown([part], known.numbers)
                self._decode_ahead(snapshot, memory)
        here = Edit(ask.cursor_char, ask.cursor_char, "")
        return [Suggestion(replace(here, text=rest), known.numbers[index]) for index, rest in rests.items()][
            : ask.candidates
        ]

    def _decode_ahead(self, snapshot: Snapshot, memory: _Memory) -> None:
        if memory.ahead:
            memory.ahead.cancel()
        if snapshot.settings.decode_ahead and not self._power.on_battery():
            memory.ahead = asyncio.create_task(_ahead(snapshot, memory))


async def _ahead(before: Snapshot, memory: _Memory) -> None:
    """Find out what follows the suggestion that is shown, while the user reads it."""
    known = memory.remembered
    assert known is not None
    await asyncio.sleep(_AHEAD_SECONDS)
    snapshot = before.now()  # the user may be typing it meanwhile
    place = Place(snapshot.text, len(snapshot.text) - len(known.suffix))
    typed, _ = known.typed(place) or ("", "")
    if not place.text.startswith(known.prefix) or not known.texts[0].startswith(typed):
        return
    supposed = Edit(place.cursor_char, place.cursor_char, known.texts[0][len(typed) :])
    behind = Gap(place.cursor_char + len(supposed.text), place.cursor_char + len(supposed.text))
    lines = 1 + _AHEAD_LINES
    limits = Limits(lines * _AHEAD_TOKENS_OF_A_LINE, lines, snapshot.settings.time_limit_ms)
    try:  # of the file, not of this text of it: typing on through the suggestion makes the answer no less true
        infill = await snapshot.document.infill(InfillRequest("", 0, (behind,), limits=limits), suppose=supposed)
    except SetfillError:
        return
    syntax = await snapshot.document.syntax.of(applied(snapshot.text, supposed))
    standard = Standard.of(snapshot.settings, invoked=False)
    more = await asyncio.to_thread(worthy_beginning, syntax, behind, infill.gaps[0], standard)
    if memory.remembered is known and more:
        memory.remembered = known.continued(more)


async def _is_coming(memory: _Memory, place: Place) -> bool:
    """Wait for what is being decoded ahead of a suggestion, if that suggestion has just been accepted."""
    known = memory.remembered
    if known is None or memory.ahead is None or memory.ahead.done() or not known.is_on_the_way(place):
        return False
    await asyncio.wait([memory.ahead])
    return True


async def _next_part(snapshot: Snapshot, cursor_char: int, rest: str) -> str:
    """Return how much of a text that was decoded ahead is shown next, once what was shown is in the document."""
    syntax = await snapshot.syntax()
    lead = rest[: len(rest) - len(rest.lstrip())]
    plan = plan_suggestion(syntax, cursor_char, snapshot.settings, invoked=True, sees_suffix=True)
    if plan is None:
        return ""
    if LINE_BREAK.search(lead):  # a new line: judge the text as it stands there
        plan = replace(plan, line_prefix=LINE_BREAK.split(lead)[-1])
        part = lead + cut(rest[len(lead) :], plan, syntax.language)
    else:
        part = cut(rest, plan, syntax.language)
    return await asyncio.to_thread(fitted_infill, syntax, cursor_char, cursor_char, part)


def _supposed(text: str, ask: Ask) -> Place:
    """Return what is asked about: the text as it is, or as if the selected completion had been chosen."""
    chosen = ask.selected
    if chosen is None:
        return Place(text, ask.cursor_char)
    return Place(applied(text, chosen), chosen.start + len(chosen.text))
