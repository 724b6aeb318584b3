"""Users who type and ask, and a single engine that tells what each should have been answered.

The model must see the prefix only: its answers then follow from text and place alone, whatever a session's history.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from model.api.client import WorkerClient
from model.api.types import Edit, Gap, Infill, InfillRequest, Limits
from model.errors import NeedFullError, WorkerError
from tests.model.service.on_ray import OnRay
from tests.model.worker.helpers import Owner

TEXT = "def area(w, h):\n    return w * h\n\nsecret = 'hunter2'\nprint('🐍', area(2, 3))\n"


def ask(version: int, cursor: int) -> InfillRequest:
    return InfillRequest("f", version, (Gap(cursor, cursor),), "left_to_right", limits=Limits(max_tokens=6))


class Reference:
    """A single engine, in which every text is opened anew."""

    def __init__(self, model: Path) -> None:
        from model.worker.engine import Engine

        self._engine = Engine.load(model, precision="float32", threads=1)

    def answer(self, text: str, cursor: int) -> str:
        self._engine.open("f", "area.py", text, 1)
        return self._engine.infill(ask(1, cursor)).gaps[0].text


class Typist:
    """A user who types, and asks now and then. Keeps what was answered, to be compared later."""

    def __init__(self, client: WorkerClient, seed: int) -> None:
        self.client = client
        self.answers: list[tuple[str, int, str]] = []
        self.refusals: list[str] = []
        self._draw = random.Random(seed)
        self._owner = Owner(client, "f", "area.py", f"# {seed}\n{TEXT}", 1)
        self._version = 1

    async def type(self, questions: int) -> None:
        for _ in range(questions):
            for _ in range(self._draw.randrange(1, 4)):
                text = self._owner.text
                start = self._draw.randrange(len(text) + 1)
                end = min(len(text), start + self._draw.choice((0, 0, 1, 5)))
                self._version += 1
                self._owner.edit([Edit(start, end, self._draw.choice(("x", "ab ", "\n", "🐍", "")))], self._version)
            await self._ask()

    async def _ask(self) -> None:
        text = self._owner.text
        cursor = self._draw.randrange(len(text) + 1)
        try:
            infill: Infill = await self.client.infill(ask(self._version, cursor))
        except (WorkerError, NeedFullError) as error:
            self.refusals.append(str(error))
        else:
            self.answers.append((text, cursor, infill.gaps[0].text))


async def typists(service: OnRay, count: int) -> list[Typist]:
    found = [Typist(service.client(("alice", "bob")[seed % 2]), seed) for seed in range(count)]
    await asyncio.gather(*(each.client.start() for each in found))
    return found


async def leave(users: list[Typist]) -> None:
    await asyncio.gather(*(each.client.stop() for each in users))


def check_answers(users: list[Typist], model: Path) -> None:
    reference = Reference(model)
    for user in users:
        for text, cursor, answer in user.answers:
            assert answer == reference.answer(text, cursor)
