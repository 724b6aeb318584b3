"""Playing a script: keys at their times, requests, what is shown typed through or accepted.

Knows the script and the editor; computes no statistics.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pygls.exceptions import JsonRpcException

from model.api.edits import common_prefix_chars
from model.errors import WorkerError
from setfill.replay.editor import Editor, Offer
from setfill.replay.script import Change, Pace, Script

FAR_CHARACTERS = 1500  # about the reach of a near window
PASTE_CHARACTERS = 40  # at once, besides blanks
_CLOSERS = ")]}>;,:\"'` \t"
_PING_SECONDS = 0.1
_LOOK_SECONDS = 2.0  # between two looks at memory
_PATIENCE_SECONDS = 60.0  # for the last answers
_LOADING_SECONDS = 300.0  # for the first one: the model is loaded, and the file read

KINDS = ("append", "mid-line", "far jump", "paste", "edit above", "after accept")
"""What was edited before a request; the later name counts where several fit."""


@dataclass
class Asked:
    """One request, and what came of it. Characters are counted, never kept.

    `outcome` is `shown`, `silent` (an answer with nothing in it), `overtaken` (by the next key), `refused` (an error)
    or `unanswered`. Milliseconds count from the key.
    """

    number: int  # of the edit before it, in the recording
    kind: str
    outcome: str = "unanswered"
    ms: float | None = None
    typed_through: bool = False  # shown, and the rest of what was shown before
    characters: int = 0  # shown
    right_characters: int = 0  # of them, what came next
    accepted_ms: float | None = None  # when it was accepted
    accepted_characters: int = 0
    spent: dict[str, Any] | None = None  # as a Setfill server tells it
    reason: str | None = None  # likewise

    @property
    def is_right(self) -> bool:
        """Whether all that was shown came next."""
        return 0 < self.characters == self.right_characters


@dataclass
class Played:
    """All that was seen in a replay."""

    asked: list[Asked] = field(default_factory=list)
    pings_ms: list[tuple[float, float]] = field(default_factory=list)  # seconds since the start, milliseconds
    memory_mb: list[tuple[float, float | None, float | None]] = field(default_factory=list)  # seconds, server, worker
    edits: int = 0
    seconds: float = 0.0
    worker: dict[str, Any] = field(default_factory=dict)  # counters, from beginning to end
    texts_equal: bool | None = None  # the server's and ours; None where it does not tell
    text_as_recorded: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return this as JSON values."""
        return asdict(self)


@dataclass
class _Since:
    """What happened since the last request."""

    keys: int = 0
    pasted: bool = False
    far: bool = False
    above: bool = False
    accepted: bool = False


@dataclass
class _Shown:
    """What is on the screen, and where."""

    cursor: int
    text: str
    offer: Offer


@dataclass(frozen=True)
class Accept:
    """An acceptance that another replay had: after so many milliseconds from the key, so many characters."""

    ms: float
    characters: int


class Player:
    """Plays a script against a server that an editor is connected to."""

    def __init__(self, editor: Editor, script: Script, pace: Pace, follow: Mapping[int, Accept] | None = None) -> None:
        """`follow`: what is accepted, by the number of the request; None: what is right, as `pace` draws it."""
        self.played = Played()
        self._editor, self._script, self._pace, self._follow = editor, script, pace, follow
        self._since = _Since()
        self._cursor = 0  # behind the last edit
        self._shown: _Shown | None = None
        self._newest: Asked | None = None  # unless the text has changed since
        self._pending: tuple[int, Asked] | None = None  # the request that is under way, for `cancel`
        self._answering: set[asyncio.Task[None]] = set()
        self._key = self._begun = 0.0  # seconds of the monotonic clock

    async def play(self, until_s: float | None = None) -> Played:
        """Play to the script's end, or for so many seconds. WorkerError when the server ends, or answers nothing."""
        before = await self._counters()
        self._begun = due = time.monotonic()
        watching = [asyncio.create_task(each) for each in (self._ping(), self._look())]
        try:
            while self._script and (until_s is None or time.monotonic() - self._begun < until_s):
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if self._editor.has_ended:
                    raise WorkerError("the server ended in the middle of the replay")
                due = await self._step()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        self.played.seconds = time.monotonic() - self._begun
        if self._answering:
            await asyncio.wait(self._answering, timeout=_PATIENCE_SECONDS)
        await self._finish(before)
        return self.played

    async def warm_up(self, settle_s: float) -> None:
        """Ask where the first change will be, and look at the file for so many seconds; keep nothing of it.

        WorkerError when the server says why it cannot answer, or nothing at all.
        """
        following = self._script.following
        assert following is not None
        try:
            async with asyncio.timeout(_LOADING_SECONDS):
                await self._editor.ask(following.start)[1]
        except TimeoutError:
            raise WorkerError(f"the server has not answered its first request for {_LOADING_SECONDS:.0f} s") from None
        except (JsonRpcException, RuntimeError) as error:
            raise WorkerError(f"the server cannot suggest: {error}") from None
        status = await self._editor.status()
        if status and status.get("problem"):
            raise WorkerError(str(status["problem"]))
        self._cursor = following.start
        await asyncio.sleep(settle_s)

    async def _step(self) -> float:
        """Make the next change and what follows from it; return when the next one is due, on the monotonic clock."""
        change = self._script.next()
        self._make(change)
        following = self._script.following
        elsewhere = following is not None and not self._is_near(following)
        gap_ms, accepted = self._pace.gap_ms(change.number, 0, elsewhere), 0
        if gap_ms > self._pace.ask_after_ms or self._since.keys >= self._pace.ask_every_keys:
            while await self._accepted(self._ask(change.number), gap_ms, accepted):
                accepted += 1
                gap_ms = self._pace.gap_ms(change.number, accepted, goes_elsewhere=True)
        return self._key + gap_ms / 1000

    def _make(self, change: Change) -> None:
        """Change the text, and note what kind of edit it was."""
        since, before = self._since, self._cursor
        for at, _, new in change.patches:
            went = at - before if self.played.edits else 0
            since.far |= abs(went) > FAR_CHARACTERS
            since.above |= 0 < went <= FAR_CHARACTERS and "\n" in self._editor.text[before:at]
            since.pasted |= sum(not character.isspace() for character in new) >= PASTE_CHARACTERS
            before = at + len(new)
        since.keys += 1
        self._changed(lambda: self._editor.change(change.patches))
        self._cursor = change.cursor
        self.played.edits += len(change.patches)
        shown, typed = self._shown, change.typed
        fits = shown is not None and typed is not None and shown.cursor == change.start and shown.text.startswith(typed)
        if shown and typed and fits and len(shown.text) > len(typed):
            self._shown = _Shown(change.cursor, shown.text[len(typed) :], shown.offer)
        else:
            self._shown = None

    def _changed(self, change: Any) -> None:
        """Make a change and withdraw the request that is under way, as editors do."""
        self._key = time.monotonic()
        change()
        self._newest = None
        if self._pending:
            number, asked = self._pending
            asked.outcome = "overtaken"
            self._editor.cancel(number)
            self._pending = None

    def _is_near(self, change: Change) -> bool:
        """Whether a change is where the typist is: at the cursor, or before it where something is taken away."""
        at, gone, _ = change.patches[0]
        return at == self._cursor or at + gone == self._cursor

    # -- requests

    def _ask(self, number: int) -> asyncio.Task[None]:
        """Ask for suggestions where the cursor stands."""
        asked = Asked(number, self._kind())
        self.played.asked.append(asked)
        self._since = _Since()
        request, answer = self._editor.ask(self._cursor)
        self._newest, self._pending = asked, (request, asked)
        task = asyncio.create_task(self._receive(asked, answer, self._key, self._cursor))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        return task

    async def _receive(self, asked: Asked, answer: asyncio.Future[Any], key: float, cursor: int) -> None:
        try:
            said = await answer
        except JsonRpcException:
            said = None
            if asked.outcome == "unanswered":
                asked.outcome = "refused"
        except RuntimeError:
            return  # the server has ended
        asked.ms = (time.monotonic() - key) * 1000
        if asked is not self._newest:
            asked.outcome = "overtaken"
            return
        self._pending = None
        if asked.outcome == "refused":
            return
        offer = self._editor.offer(said, cursor)
        asked.outcome = "shown" if offer else "silent"
        self._show(asked, offer, cursor)
        await self._ask_why(asked)

    def _show(self, asked: Asked, offer: Offer | None, cursor: int) -> None:
        before, self._shown = self._shown, _Shown(cursor, offer.text, offer) if offer else None
        if offer:
            coming = self._script.upcoming(cursor, len(offer.text))
            asked.characters = len(offer.text)
            asked.right_characters = 0 if offer.replaces_more else common_prefix_chars(offer.text, coming)
            asked.typed_through = before is not None and (before.cursor, before.text) == (cursor, offer.text)

    async def _ask_why(self, asked: Asked) -> None:
        """Have the server tell where the time went. What another request came to by then is not taken for it."""
        told = await self._editor.why()
        if told and asked is self._newest:
            asked.reason, asked.spent = told["reason"], told.get("spent")

    def _kind(self) -> str:
        since, text = self._since, self._editor.text
        behind = text[self._cursor :].split("\n", 1)[0]
        fits = (
            ("append", True),
            ("mid-line", behind.strip(_CLOSERS + "\r") != ""),
            ("far jump", since.far),
            ("paste", since.pasted),
            ("edit above", since.above),
            ("after accept", since.accepted),
        )
        return [name for name, is_so in fits if is_so][-1]

    # -- accepting

    async def _accepted(self, asking: asyncio.Task[None], gap_ms: float, accepted: int) -> bool:
        """Wait for the answer until the next key is due; accept it if it is right. Return whether it was."""
        asked = self.played.asked[-1]
        if self._follow is not None:
            accept = self._follow.get(len(self.played.asked) - 1)
            if accept is None:
                return False
            await asyncio.sleep(max(0.0, self._key + accept.ms / 1000 - time.monotonic()))
            self._accept(asked, accept.characters)
            return True
        await asyncio.wait([asking], timeout=max(0.0, self._key + gap_ms / 1000 - time.monotonic()))
        if asked.outcome != "shown" or not asked.is_right or not self._pace.accepts(asked.number, accepted):
            return False
        await asyncio.sleep(self._pace.reaction_ms / 1000)
        self._accept(asked, asked.characters)
        return True

    def _accept(self, asked: Asked, characters: int) -> None:
        """Insert what came next, as if the suggestion had been it; in a replay that follows it may not have been."""
        text = self._script.upcoming(self._cursor, characters)[:characters]
        command = self._shown.offer.command if self._shown and self._shown.text == text else None
        asked.accepted_ms, asked.accepted_characters = (time.monotonic() - self._key) * 1000, characters
        self._script.skip(characters)
        self._changed(lambda: self._editor.accept(self._cursor, text, command))
        self._cursor += characters
        self._shown = None
        self._since = _Since(accepted=True)

    # -- watching

    async def _ping(self) -> None:
        """See again and again how long the server takes to answer what needs no thought."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            sent = time.monotonic()
            await self._editor.ping()
            self.played.pings_ms.append((sent - self._begun, (time.monotonic() - sent) * 1000))

    async def _look(self) -> None:
        status = await self._editor.status() or {}
        while True:
            server, worker = memory_mb(self._editor.pid), memory_mb(status.get("workerPid"))
            self.played.memory_mb.append((time.monotonic() - self._begun, server, worker))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _counters(self) -> dict[str, Any]:
        status = await self._editor.status(of_worker=True) or {}
        return {name: value for name, value in status.get("worker", {}).items() if isinstance(value, int)}

    async def _finish(self, before: Mapping[str, Any]) -> None:
        """Compare the texts, and see what the worker has counted."""
        self.played.text_as_recorded = self._script.finished(self._editor.text) == self._script.end_text
        after = await self._counters()
        self.played.worker = {name: count - before.get(name, 0) for name, count in after.items()}
        status = await self._editor.status() or {}
        if document := status.get("document"):
            ours = {"version": self._editor.version, "sha256": self._editor.digest()}
            self.played.texts_equal = {name: document.get(name) for name in ours} == ours
        if any(asked.outcome == "unanswered" for asked in self.played.asked):
            raise WorkerError(f"the server left a request without an answer for {_PATIENCE_SECONDS:.0f} s, or ended")


def memory_mb(pid: int | None) -> float | None:
    """Return a process's share of memory in megabytes, pages that others use too counted in part. None elsewhere."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            found = next(line for line in file if line.startswith("Pss:"))
        return round(int(found.split()[1]) / 1000, 1)
    except (OSError, StopIteration):
        return None  # not on Linux, or gone
