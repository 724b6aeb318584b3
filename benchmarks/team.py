"""What typing users get of a team's service: suggestions a second and how long they take, for some users and engines.

    python -m benchmarks.team --users 1,8,32 --engines 1,2 --seconds 60 --out team.jsonl

Starts `setfill serve-team` with the real model on this machine. Each user types a Python file, a character every
200 ms, and asks for the rest of the line in its middle and at its end, where they rest for a second; what is not
answered counts as refused. Nobody types until the engines have encoded all files, which is timed too.
The users run on the same machine, and so take some of what is measured. A line of JSON for each number of users and
engines goes to --out, and one that is there already is not measured again. Needs the extra setfill[team], and Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from model import store
from model.api.processor import cpu_name, usable_cores
from model.api.types import Edit, Gap, InfillRequest, Limits
from model.errors import SetfillError
from tests.model.service.on_ray import USERS, OnRay, running
from tests.model.worker.helpers import Owner

ROOT = Path(__file__).resolve().parents[1]
KEY_S, REST_S = 0.2, 1.0
TICKS_A_SECOND = 100  # in /proc, on every Linux
IDLE_CPU_S = 0.2  # that engines use in a second without anything to do, at most
LIMITS = Limits(max_tokens=16, max_lines=1, max_ms=3000)
BUDGET_MB = 4096  # so that files of 32 users stay encoded
GRANTED = (
    "--connections-per-user",
    "1000",
    "--questions-at-a-time",
    "1000",
    "--questions-a-minute",
    "100000",
    "--question-s",
    "600",
)


@dataclass(frozen=True)
class Measured:
    """What some users got of some engines. Megabytes are of resident memory."""

    engines: int
    users: int
    seconds: float
    asked: int
    refused: int
    suggestions_per_s: float
    median_ms: float | None
    p95_ms: float | None
    encoded_s: float  # until the files of all users, opened at the same time, were encoded
    mb_per_user: float  # of engines and ingress, with one file of each user
    engine_mb: float  # of one engine before users came
    processor: str
    processors: int


class User:
    """Types a source file of this repository from its middle on."""

    def __init__(self, service: OnRay, number: int) -> None:
        self.seconds: list[float] = []
        self.refused = 0
        self._draw = random.Random(number)
        sources = sorted((ROOT / "model").rglob("*.py"))
        lines = self._draw.choice([each for each in sources if each.stat().st_size > 6000]).read_text().splitlines()
        middle = len(lines) // 2
        before = "\n".join(lines[:middle]) + "\n"
        self._to_type = [each for each in lines[middle:] if each.strip()]
        self.client = service.client(USERS[number % len(USERS)])
        self._at, self._version = len(before), 1
        self._owner = Owner(self.client, "f", "typed.py", before + "\n" + "\n".join(lines[middle + 20 :]), 1)

    def open(self) -> None:
        """Have an engine encode the file where the user is about to type."""
        self.client.prepare("f", self._at)

    async def type(self, until_s: float) -> None:
        await asyncio.sleep(self._draw.random() * 5)
        for may_ask in self._keys():
            if time.monotonic() > until_s:
                return
            await asyncio.sleep(KEY_S)
            if may_ask:
                await self._ask()
                await asyncio.sleep(REST_S)

    def _keys(self) -> Iterator[bool]:
        """Type a character at a time; yield whether it is one after which the user asks."""
        while True:
            line = self._to_type.pop(0)
            self._to_type.append(line)  # so that no user comes to the end
            for index, char in enumerate(line + "\n"):
                self._version += 1
                self._owner.edit([Edit(self._at, self._at, char)], self._version)
                self._at += 1
                yield index in (len(line) // 2, len(line))

    async def _ask(self) -> None:
        began = time.monotonic()
        try:
            await self.client.infill(InfillRequest("f", self._version, (Gap(self._at, self._at),), limits=LIMITS))
            self.seconds.append(time.monotonic() - began)
        except SetfillError:
            self.refused += 1


def memory_mb(service: OnRay, *deployments: str) -> float:
    """Return the resident memory of deployments' replicas, all together."""
    total_kb = 0
    for pid in (pid for deployment in deployments for pid in service.replicas(deployment)):
        status = Path(f"/proc/{pid}/status").read_text()
        total_kb += int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    return total_kb / 1024


def cpu_s(service: OnRay) -> float:
    """Return the processor time that engines have used."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in service.replicas("Engine")]
    return sum(int(each[11]) + int(each[12]) for each in stats) / TICKS_A_SECOND


async def until_idle(service: OnRay) -> None:
    """Wait until no engine has computed for two seconds."""
    used_s, quiet = cpu_s(service), 0
    while quiet < 2:
        await asyncio.sleep(1)
        before_s, used_s = used_s, cpu_s(service)
        quiet = quiet + 1 if used_s - before_s < IDLE_CPU_S else 0


async def measure(service: OnRay, engines: int, count: int, seconds: float, engine_mb: float) -> Measured:
    before_mb = memory_mb(service, "Engine", "Ingress")
    users = [User(service, number) for number in range(count)]
    await asyncio.gather(*(each.client.start() for each in users))
    opened = time.monotonic()
    for each in users:
        each.open()
    await until_idle(service)
    began = time.monotonic()
    await asyncio.gather(*(each.type(began + seconds) for each in users))
    took = time.monotonic() - began
    after_mb = memory_mb(service, "Engine", "Ingress")
    await asyncio.gather(*(each.client.stop() for each in users))
    found = sorted(second for each in users for second in each.seconds)
    refused = sum(each.refused for each in users)
    return Measured(
        engines,
        count,
        round(took, 1),
        len(found) + refused,
        refused,
        round(len(found) / took, 2),
        round(statistics.median(found) * 1000) if found else None,
        round(found[min(len(found) - 1, int(0.95 * len(found)))] * 1000) if found else None,
        round(began - opened, 1),
        round((after_mb - before_mb) / count, 1),
        round(engine_mb),
        cpu_name() or "",
        usable_cores(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", default="1,8,32")
    parser.add_argument("--engines", default="1,2")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--model", type=Path, help="default: the default model")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {(found["engines"], found["users"]) for found in map(json.loads, lines)}
    for engines in map(int, options.engines.split(",")):
        missing = [users for users in map(int, options.users.split(",")) if (engines, users) not in done]
        if not missing:
            continue
        asked = ("--engines", str(engines), "--memory-budget-mb", str(BUDGET_MB), *GRANTED)
        with running((options.model or store.find()).resolve(), *asked, precision=None) as service:
            engine_mb = memory_mb(service, "Engine") / engines
            for users in missing:
                line = json.dumps(asdict(asyncio.run(measure(service, engines, users, options.seconds, engine_mb))))
                with options.out.open("a") as file:
                    file.write(line + "\n")
                print(line, flush=True)


if __name__ == "__main__":
    main()
