"""A cluster of Ray's that runs by itself: the command puts a service there, and changes it while users type."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable
from pathlib import Path

import pytest

pytest.importorskip("ray")

from model.checkpoint.own_format import save_checkpoint
from model.errors import UnauthorizedError, WorkerError
from tests.model.service.on_ray import OnRay, cluster
from tests.model.service.typists import Reference, Typist, ask, leave, typists
from tests.model.tiny import tiny_checkpoint
from tests.model.worker.helpers import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="this machine cannot tell of its processes in /proc"),
]


async def type_during(users: list[Typist], change: Awaitable[object]) -> None:
    """Have everybody type and ask until `change` is done, and once more."""
    changing = asyncio.ensure_future(change)
    while not changing.done():
        await asyncio.gather(*(each.type(1) for each in users))
    await changing
    await asyncio.gather(*(each.type(1) for each in users))


def take_answers(users: list[Typist]) -> list[tuple[str, int, str]]:
    """Return what was answered since the last call. Nothing may have been refused."""
    assert [refusal for each in users for refusal in each.refusals] == []
    found = [answer for each in users for answer in each.answers]
    for each in users:
        each.answers.clear()
    return found


def run_again(service: OnRay, *options: str) -> Awaitable[object]:
    return asyncio.to_thread(service.change, *options)


def test_a_service_on_a_cluster_is_changed_while_users_type(tiny_prefix_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_prefix_model, model)
    save_checkpoint(tiny_checkpoint(seed=1, adapted=False), tmp_path / "next")
    first, second = Reference(tiny_prefix_model), Reference(tmp_path / "next")
    limits = ("--connections-per-user", "50", "--questions-at-a-time", "50", "--questions-a-minute", "100000")

    async def run(service: OnRay) -> list[list[tuple[str, int, str]]]:
        await run_again(service, "--engines", "1", *limits)
        users = await typists(service, 20)
        await type_during(users, run_again(service, "--engines", "2", *limits))
        assert len(service.replicas("Engine")) == 2
        of_first = take_answers(users)

        engines = {*service.replicas("Engine")}
        shutil.copytree(tmp_path / "next", model, dirs_exist_ok=True)  # another version by the same name
        await type_during(users, run_again(service, "--engines", "2", *limits))
        assert not engines & {*service.replicas("Engine")}
        of_either = take_answers(users)
        await asyncio.gather(*(each.type(2) for each in users))
        of_second = take_answers(users)

        # Bob is let out. Nobody else notices.
        tokens = service.folder / "tokens"
        lines = tokens.read_text().splitlines()
        tokens.write_text("\n".join(line for line in lines if not line.startswith("bob ")))
        await run_again(service, "--engines", "2-3", *limits)
        alices, bobs = users[::2], users[1::2]
        for each in bobs:
            with pytest.raises(UnauthorizedError, match="does not know this token"):
                await each.client.infill(ask(each._version, 0))
        await asyncio.gather(*(each.type(1) for each in alices))
        of_second += take_answers(alices)
        assert [each.client.restarts for each in alices] == [0] * 10  # since the first engine came

        # More are waiting than two engines are meant for, so Ray Serve adds the third.
        await type_during(alices, until(lambda: len(service.replicas("Engine")) == 3, timeout_s=200))
        of_second += take_answers(alices)

        await run_again(service, "--stop")
        assert not service.is_well()
        with pytest.raises(WorkerError):
            await alices[0].client.infill(ask(alices[0]._version, 0))
        await leave(users)
        return [of_first, of_either, of_second]

    with cluster(model) as found:
        of_first, of_either, of_second = asyncio.run(run(found))
    # Only now: a client that is kept from answering pings for so long is taken for lost.
    for answers, models in ((of_first, [first]), (of_either, [first, second]), (of_second, [second])):
        assert answers
        for text, cursor, answer in answers:
            assert answer in [each.answer(text, cursor) for each in models]
