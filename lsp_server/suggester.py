"""Suggestions at the cursor: the latest request wins, typing through one costs nothing, what follows is known ahead.

What was last suggested in a file is remembered with the text around it. While the user types it, its rest is
answered from memory; when it is accepted, what was decoded ahead of need is. Anything else starts a new decode,
given the remembered text as a draft.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from grammars import Stop, SyntaxSnapshot, fitted_infill
from lsp_server.lengths import Plan, cut, plan_suggestion, silent_here
from lsp_server.open_document import OpenDocument
from lsp_server.pacing import Pace, PowerSupply
from lsp_server.progress import Progress
from lsp_server.settings import Settings
from lsp_server.shaping import confidence, shaped, shaped_whole
from lsp_server.silence import Outcome, Reason
from lsp_server.statistics import Statistics
from lsp_server.worker import ModelWorker
from model.api.edits import applied
from model.api.policy import VERIFIED
from model.api.types import Alternative, Edit, Gap, GapInfill, Infill, InfillRequest, Limits, PartialInfill
from model.errors import Cancelled, InputError, SetfillError

_AHEAD_SECONDS = 0.05  # after an answer, before decoding ahead of it
_AHEAD_LINES = 4
_AHEAD_TOKENS_OF_A_LINE = 24
_ALTERNATIVES_FLOOR = 0.7  # of the confidence floor: they are looked at on purpose
_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_CLOSERS = frozenset(")]}\"'`>")
_SHOW_PROGRESS_SECONDS = 1.0


@dataclass(frozen=True)
class Ask:
    """A request for suggestions at a cursor."""

    cursor_char: int
    invoked: bool = False  # by hand, not by typing
    candidates: int = 1
    selected: Edit | None = None  # the entry of an open completion list that suggestions must begin with


@dataclass(frozen=True)
class Suggestion:
    """`text` replaces `[start_char, end_char)`. `number` names it in what the client tells of its fate."""

    start_char: int
    end_char: int
    text: str
    number: int


@dataclass(frozen=True)
class Remembered:
    """Texts that may stand between `prefix` and `suffix`, the first of which was shown up to `shown_char`."""

    prefix: str
    suffix: str
    texts: tuple[str, ...]
    shown_char: int
    numbers: tuple[int, ...] = ()
    was_invoked: bool = False  # by hand, which asks for more than typing does

    def typed(self, text: str, cursor_char: int) -> tuple[str, str] | None:
        """Return what was typed at this place since, and what closing characters the editor added behind it.

        None when the text is not what it was but for that.
        """
        start, behind = len(self.prefix), len(text) - len(self.suffix)
        if not (start <= cursor_char <= behind and text.startswith(self.prefix) and text.endswith(self.suffix)):
            return None
        added = text[cursor_char:behind]
        return (text[start:cursor_char], added) if _CLOSERS.issuperset(added) else None

    def is_on_the_way(self, text: str, cursor_char: int) -> bool:
        """Whether what was typed here is a beginning of what was suggested, or all of it."""
        found = self.typed(text, cursor_char)
        return found is not None and self.texts[0].startswith(found[0])

    def rests(self, text: str, cursor_char: int) -> list[tuple[int, str]]:
        """Return what is left of each text that still fits, by its index: none when the user went another way.

        A rest of blanks is nothing to show.
        """
        found = self.typed(text, cursor_char)
        if found is None:
            return []
        typed, added = found
        rests = []
        for index, known in enumerate(self.texts):
            if known.startswith(typed) and known.endswith(added):
                rest = known[len(typed) : len(known) - len(added)]
                if rest.strip():
                    rests.append((index, rest))
        return rests


@dataclass(frozen=True)
class _Supposed:
    """The text and cursor that are asked about: those of the document, or as if a completion had been chosen."""

    text: str
    cursor_char: int


@dataclass
class Memory:
    """What the suggester keeps of one open file."""

    running: asyncio.Task[list[Suggestion]] | None = None
    ahead: asyncio.Task[None] | None = None
    remembered: Remembered | None = None
    growing: Remembered | None = field(default=None)  # the beginning of a decode that was overtaken
    outcome: Outcome | None = None  # of the last request


class Suggester:
    """Answers requests for suggestions of all open files."""

    def __init__(
        self, worker: ModelWorker, progress: Progress, statistics: Statistics, settings: Callable[[], Settings]
    ) -> None:
        self.pace = Pace()
        self._worker = worker
        self._progress = progress
        self._statistics = statistics
        self._settings = settings
        self._power = PowerSupply()
        self._numbers = itertools.count(1)
        self._memories: dict[OpenDocument, Memory] = {}  # of the open files

    async def suggest(self, document: OpenDocument, ask: Ask) -> list[Suggestion] | None:
        """Return suggestions, the best first; none of them when silence is better; None when overtaken.

        WorkerError and CheckpointError where there is no model to ask.
        """
        self.overtake(document)
        memory = self._memory(document)
        memory.outcome = Outcome(document.content.range_at(ask.cursor_char, ask.cursor_char).start, ask.invoked)
        running = memory.running = asyncio.create_task(self._suggest(document, memory, ask))
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:  # the client has withdrawn the request
            if memory.running is running:
                _note(memory, Reason.WITHDRAWN)
            running.cancel()
            raise
        if running.cancelled():
            return None
        try:
            return running.result()
        except SetfillError as error:
            _note(memory, Reason.FAILED, problem=str(error))
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
        known = memory.remembered
        if memory.ahead and not (known and known.is_on_the_way(document.text, document.last_edit_char)):
            memory.ahead.cancel()

    def close(self, document: OpenDocument) -> None:
        """Forget a file."""
        self.overtake(document)
        if ahead := self._memories.pop(document).ahead:
            ahead.cancel()

    def outcome_of(self, document: OpenDocument) -> Outcome | None:
        """Return what came of the last request for suggestions in a file, None before there was one."""
        return self._memory(document).outcome

    def _memory(self, document: OpenDocument) -> Memory:
        return self._memories.setdefault(document, Memory())

    async def _suggest(self, document: OpenDocument, memory: Memory, ask: Ask) -> list[Suggestion]:
        text, started = document.text, time.monotonic()
        if not ask.selected:
            known = await self._from_memory(document, memory, ask)
            if not known and await self._is_coming(memory, text, ask):
                known = await self._from_memory(document, memory, ask)
            if known:
                _note(memory, Reason.SHOWN)
                return known
        if memory.ahead:
            memory.ahead.cancel()
        settings = self._settings()
        description = await self._worker.ready()
        supposed = _supposed(text, ask)
        snapshot = await document.syntax.of(supposed.text)
        plan = plan_suggestion(
            snapshot, supposed.cursor_char, settings, invoked=ask.invoked, sees_suffix=description.infill
        )
        if plan is None:
            here = silent_here(snapshot, supposed.cursor_char, settings, sees_suffix=description.infill)
            _note(memory, here or Reason.NOTHING_LEFT)
            return []
        if not ask.invoked:
            waited = time.monotonic() - started
            await asyncio.sleep(max(0.0, self.pace.wait_seconds(settings.debounce_ms) - waited))
        policy = VERIFIED
        if ask.invoked or self.pace.allows_beams:
            policy = plan.policy(settings, ask.candidates, sees_suffix=description.infill)
        infill = await self._decode(document, memory, plan, ask, supposed, policy)
        if infill is None or document.text != text:
            _note(memory, Reason.WITHDRAWN)
            return []
        found = await asyncio.to_thread(_shaped_candidates, snapshot, plan, infill.gaps[0], settings)
        self._statistics.decoded(infill, (time.monotonic() - started) * 1000)
        if not found:
            memory.remembered = None
            if memory.outcome:
                said, floor = infill.gaps[0], 0.0 if ask.invoked else settings.confidence_floor
                memory.outcome = memory.outcome.unshown(said, confidence(said.logprobs), floor)
            return []
        _note(memory, Reason.SHOWN)
        number = [next(self._numbers) for _ in found]
        memory.remembered = Remembered(
            supposed.text[: supposed.cursor_char], supposed.text[supposed.cursor_char :],
            tuple(found), len(found[0]), tuple(number), ask.invoked,
        )  # fmt: skip
        if not ask.selected:
            self._decode_ahead(document, memory)
        self._statistics.shown(found, number)
        start, end = (ask.selected.start, ask.selected.end) if ask.selected else (ask.cursor_char, ask.cursor_char)
        head = ask.selected.text if ask.selected else ""
        return [Suggestion(start, end, head + each, which) for each, which in zip(found, number, strict=True)]

    async def _from_memory(self, document: OpenDocument, memory: Memory, ask: Ask) -> list[Suggestion]:
        """Return what is left of what was suggested, if the user is typing it or has just accepted it."""
        known, text, cursor = memory.remembered, document.text, ask.cursor_char
        if known is None:
            return []
        rests = known.rests(text, cursor)
        typed_char = cursor - len(known.prefix)
        if not rests or (ask.invoked and not known.was_invoked):
            return []
        if rests[0][0] == 0:
            whole = rests[0][1]
            shown = whole[: max(0, known.shown_char - typed_char)]
            if shown.strip():
                rests[0] = (0, shown)
            else:
                rest = await self._next_part(document, text, cursor, whole, ask)
                known = replace(known, shown_char=typed_char + len(rest), numbers=(next(self._numbers),))
                memory.remembered = replace(known, texts=known.texts[:1])
                rests = [(0, rest)] if rest.strip() else []
                if rests:
                    self._statistics.shown([rest], known.numbers)
                    self._decode_ahead(document, memory)
        return [Suggestion(cursor, cursor, rest, known.numbers[index]) for index, rest in rests][: ask.candidates]

    async def _is_coming(self, memory: Memory, text: str, ask: Ask) -> bool:
        """Wait for what is being decoded ahead of a suggestion, if that suggestion has just been accepted."""
        known = memory.remembered
        if known is None or memory.ahead is None or memory.ahead.done():
            return False
        if not known.is_on_the_way(text, ask.cursor_char):
            return False
        await asyncio.wait([memory.ahead])
        return True

    async def _next_part(self, document: OpenDocument, text: str, cursor_char: int, rest: str, ask: Ask) -> str:
        """Return how much of a text that was decoded ahead is shown next, once what was shown is in the document."""
        snapshot = await document.syntax.of(text)
        lead = rest[: len(rest) - len(rest.lstrip())]
        plan = plan_suggestion(snapshot, cursor_char, self._settings(), invoked=True, sees_suffix=True)
        if plan is None:
            return ""
        if _LINE_BREAK.search(lead):  # a new line: judge the text as it stands there
            plan = replace(plan, line_prefix=_LINE_BREAK.split(lead)[-1])
            part = lead + cut(rest[len(lead) :], plan, snapshot.language)
        else:
            part = cut(rest, plan, snapshot.language)
        return await asyncio.to_thread(fitted_infill, snapshot, cursor_char, cursor_char, part)

    async def _decode(
        self, document: OpenDocument, memory: Memory, plan: Plan, ask: Ask, supposed: _Supposed, policy: str
    ) -> Infill | None:
        """Ask the worker. None when it has another text by now; WorkerError when there is none."""
        prefix, suffix = supposed.text[: supposed.cursor_char], supposed.text[supposed.cursor_char :]
        request = InfillRequest(
            "", 0, (plan.gap,), policy, limits=plan.limits, candidates=ask.candidates, drafts=_drafts(memory, supposed)
        )
        grown = Remembered(prefix, suffix, ("",), 0)

        def on_partial(partial: PartialInfill) -> None:
            memory.growing = replace(grown, texts=(partial.text,))

        started = time.monotonic()
        asking = asyncio.ensure_future(_infill_enough(document, request, plan, ask.selected, on_partial))
        try:
            title = f"Setfill: reading {document.name}"
            async with self._progress.shown(title, asking.cancel, after_seconds=_SHOW_PROGRESS_SECONDS):
                infill = await asking
        except (InputError, Cancelled):  # the worker was restarted meanwhile, or the user cancelled the progress
            return None
        except asyncio.CancelledError:
            if asking.cancelled() and not _is_cancelling():
                return None
            raise
        finally:
            asking.cancel()
            ms = (time.monotonic() - started) * 1000
            self.pace.spent(ms, self._settings().throttle)
        self.pace.measured(ms, infill.forwards)
        memory.growing = None
        return infill

    def _decode_ahead(self, document: OpenDocument, memory: Memory) -> None:
        if memory.ahead:
            memory.ahead.cancel()
        if self._settings().decode_ahead and not self._power.on_battery():
            memory.ahead = asyncio.create_task(self._ahead(document, memory))

    async def _ahead(self, document: OpenDocument, memory: Memory) -> None:
        """Find out what follows the suggestion that is shown, while the user reads it."""
        known = memory.remembered
        assert known is not None
        await asyncio.sleep(_AHEAD_SECONDS)
        text, shown = document.text, known.texts[0]
        cursor = len(text) - len(known.suffix)  # the user may be typing it meanwhile
        typed, _ = known.typed(text, cursor) or ("", "")
        if not text.startswith(known.prefix) or not shown.startswith(typed):
            return
        rest = shown[len(typed) :]
        behind = Gap(cursor + len(rest), cursor + len(rest))
        lines = 1 + _AHEAD_LINES
        limits = Limits(lines * _AHEAD_TOKENS_OF_A_LINE, lines, self._settings().time_limit_ms)
        try:
            infill = await document.infill(
                InfillRequest("", 0, (behind,), limits=limits), suppose=Edit(cursor, cursor, rest)
            )
        except SetfillError:
            return
        said = infill.gaps[0]
        if confidence(said.logprobs) < self._settings().confidence_floor:
            return
        snapshot = await document.syntax.of(text[:cursor] + rest + text[cursor:])
        more = await asyncio.to_thread(shaped_whole, snapshot, behind, said.text, said.stop)
        if memory.remembered is known and more:
            memory.remembered = replace(known, texts=(shown + more, *known.texts[1:]))


async def _infill_enough(
    document: OpenDocument,
    request: InfillRequest,
    plan: Plan,
    suppose: Edit | None,
    on_partial: Callable[[PartialInfill], None],
) -> Infill:
    """Ask the worker; if the text grows beyond what is shown of it, stop, and have no more than that confirmed.

    Where a statement or a block ends only its text tells, and a model may not stop by itself.
    """
    enough = ""

    def watch(partial: PartialInfill) -> None:
        nonlocal enough
        on_partial(partial)
        shown = cut(partial.text, plan, document.language)
        if not enough and shown.strip() and len(shown) < len(partial.text.rstrip()):
            enough = shown
            asking.cancel()

    # A line's end is the worker's to see, and of several beams none is sure to be the answer.
    callback = watch if plan.stop is not Stop.LINE and request.policy == VERIFIED else on_partial
    asking = asyncio.ensure_future(document.infill(request, suppose, on_partial=callback))
    try:
        return await asking
    except asyncio.CancelledError:
        if not enough or _is_cancelling():
            raise
    finally:
        asking.cancel()
    lines = len(_LINE_BREAK.findall(enough)) + 1
    confirming = replace(request, limits=replace(plan.limits, max_lines=lines), drafts=(enough,))
    return await document.infill(confirming, suppose)


def _note(memory: Memory, reason: Reason, **details: str) -> None:
    """Keep what came of the request that is under way."""
    if memory.outcome:
        memory.outcome = memory.outcome.because(reason, **details)


def _supposed(text: str, ask: Ask) -> _Supposed:
    chosen = ask.selected
    if chosen is None:
        return _Supposed(text, ask.cursor_char)
    return _Supposed(applied(text, chosen), chosen.start + len(chosen.text))


def _drafts(memory: Memory, supposed: _Supposed) -> tuple[str, ...]:
    """Return what may stand at the cursor, from what was suggested or half decoded there before."""
    for known in (memory.growing, memory.remembered):
        if known is None or (found := known.typed(supposed.text, supposed.cursor_char)) is None:
            continue
        typed, _ = found
        for text in known.texts:
            if text.startswith(typed) and len(text) > len(typed):
                return (text[len(typed) :],)
        if len(known.texts[0]) > len(typed) > 0:
            return (known.texts[0][len(typed) :],)  # one key was another: what stands behind it may be right
    return ()


def _shaped_candidates(snapshot: SyntaxSnapshot, plan: Plan, said: GapInfill, settings: Settings) -> list[str]:
    """Return the texts to show, all different, the best first. The first one decides whether to be silent."""
    floor = 0.0 if plan.is_invoked else settings.confidence_floor
    every: Sequence[GapInfill | Alternative] = (said, *said.alternatives)
    texts: dict[str, None] = {}
    for number, each in enumerate(every):
        if confidence(each.logprobs) < floor * (_ALTERNATIVES_FLOOR if number else 1.0):
            if number == 0:
                return []
            continue
        if text := shaped(snapshot, plan, each.text, each.stop):
            texts.setdefault(text)
        elif number == 0 and not plan.is_invoked:
            return []
    return list(texts)


def _is_cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
