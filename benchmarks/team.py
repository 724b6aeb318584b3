"""What typing users get of a team's service: suggestions a second and how long they take, for some users and engines.

    python -m benchmarks.team --users 1,8,32 --engines 1,2 --seconds 30

Starts `setfill serve-team` with the real model on this machine. Each user types a Python file, a character every
200 ms, rests after each line, and asks for the rest of it in its middle; what is not answered counts as refused.
Needs the extra setfill[team], and runs on Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from pathlib import Path

from model import store
from model.api.types import Edit, Gap, InfillRequest, Limits
from model.errors import SetfillError
from tests.model.service.on_ray import USERS, OnRay, descendants, running
from tests.model.worker.helpers import Owner

ROOT = Path(__file__).resolve().parents[1]
KEY_S, REST_S = 0.2, 1.0
LIMITS = Limits(max_tokens=16, max_lines=1, max_ms=3000)


class User:
    """Types a source file of this repository from its middle on, and asks at the end of each line's first half."""

    def __init__(self, service: OnRay, number: int) -> None:
        self.seconds: list[float] = []
        self.refused = 0
        self._draw = random.Random(number)
        sources = sorted((ROOT / "model").rglob("*.py"))
        lines = self._draw.choice([each for each in sources if each.stat().st_size > 6000]).read_text().splitlines()
        middle = len(lines) // 2
        self._before, self._to_type = (
            "\n".join(lines[:middle]) + "\n",
            [each for each in lines[middle:] if each.strip()],
        )
        self._behind = "\n" + "\n".join(lines[middle + 20 :])
        self.client = service.client(USERS[number % len(USERS)])

    async def type(self, until_s: float) -> None:
        owner = Owner(self.client, "f", "typed.py", self._before + self._behind, 1)
        at, version = len(self._before), 1
        await asyncio.sleep(self._draw.random() * 2)
        while self._to_type and time.monotonic() < until_s:
            line = self._to_type.pop(0)
            for index, char in enumerate(line + "\n"):
                version += 1
                owner.edit([Edit(at, at, char)], version)
                at += 1
                if time.monotonic() > until_s:
                    return
                await asyncio.sleep(KEY_S)
                if index == len(line) // 2:
                    await self._ask(version, at)
            await asyncio.sleep(REST_S)

    async def _ask(self, version: int, at: int) -> None:
        began = time.monotonic()
        try:
            await self.client.infill(InfillRequest("f", version, (Gap(at, at),), limits=LIMITS))
            self.seconds.append(time.monotonic() - began)
        except SetfillError:
            self.refused += 1


def memory_mb(service: OnRay, deployment: str) -> float:
    """Return the resident memory of a deployment's replicas, all together."""
    total_kb = 0
    for pid in service.replicas(deployment):
        status = Path(f"/proc/{pid}/status").read_text()
        total_kb += int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    return total_kb / 1024


async def measure(service: OnRay, users: int, seconds: float) -> str:
    before_mb = memory_mb(service, "Engine") + memory_mb(service, "Ingress")
    typing = [User(service, number) for number in range(users)]
    await asyncio.gather(*(each.client.start() for each in typing))
    began = time.monotonic()
    await asyncio.gather(*(each.type(began + seconds) for each in typing))
    took = time.monotonic() - began
    after_mb = memory_mb(service, "Engine") + memory_mb(service, "Ingress")
    await asyncio.gather(*(each.client.stop() for each in typing))
    found = sorted(second for each in typing for second in each.seconds)
    if not found:
        return f"{users:5d} users: nothing was answered, {sum(each.refused for each in typing)} refused"
    p95 = found[min(len(found) - 1, round(0.95 * len(found)))]
    return (
        f"{users:5d} users: {len(found) / took:5.2f} suggestions/s, median {statistics.median(found) * 1000:5.0f} ms, "
        f"p95 {p95 * 1000:5.0f} ms, {sum(each.refused for each in typing)} refused, "
        f"{(after_mb - before_mb) / users:5.1f} MB a user"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", default="1,8,32")
    parser.add_argument("--engines", default="1,2")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    for engines in options.engines.split(","):
        limits = ("--connections-per-user", "1000", "--questions-at-a-time", "1000", "--questions-a-minute", "100000")
        with running(store.find().resolve(), "--engines", engines, *limits, precision=None) as service:
            named = f"{len(descendants(service.process.pid))} processes"
            print(f"{engines} engine(s), {named}, engines {memory_mb(service, 'Engine'):.0f} MB", flush=True)
            for users in options.users.split(","):
                print(asyncio.run(measure(service, int(users), options.seconds)), flush=True)


if __name__ == "__main__":
    main()
