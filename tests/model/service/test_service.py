"""A client, conversations and engines together: whatever is lost, no answer is to another text.

Engines are stand-ins that spell the file's own text (tests/model/worker/stand_in.py): a mix-up shows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from model.api.client import WorkerClient
from model.api.types import Edit, Gap, InfillRequest, PartialInfill, ScoreRequest, Snippet
from model.api.types import Limits as Sizes
from model.errors import BusyError, Cancelled, NeedFullError, SetfillError, UnauthorizedError, VersionError, WorkerError
from model.service.quotas import Limits
from model.service.tokens import Tokens
from tests.model.service.in_process import ALICE, BOB, InProcess, loader, service
from tests.model.worker.helpers import Owner, at, until
from tests.model.worker.stand_in import load


def talk(conversation: Callable[..., Coroutine[Any, Any, Any]], **settings: Any) -> Any:
    """Run `conversation` with a service and one client of Alice's."""

    async def run() -> Any:
        async with asyncio.timeout(30), service(load, **settings) as running, running.client() as client:
            return await conversation(running, client)

    return asyncio.run(run())


def test_open_edit_infill_score_close() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "def f():\n", 1)
        owner.edit([Edit(9, 9, "    return 🐍\n"), Edit(0, 3, "async def")], 2)
        client.set_context("a", [Snippet("b.py", "# b")])
        infill = await client.infill(at("a", 2))
        assert infill.gaps[0].text == "async def f():\n    return 🐍\n# b" == owner.text + "# b"
        assert (await client.score(ScoreRequest("a", 2, (Gap(0, 0),), ("x",)))).gaps
        assert (await client.describe()).name == "stand-in"
        assert (await client.status()).state == "ready"
        assert (await client.stats())["files_sent_again"] == 0
        client.close("a")
        await until(lambda: not any(host.forget_outlived() for host in running.hosts))

    talk(conversation)


def test_what_is_opened_before_there_is_a_connection_is_sent_with_it() -> None:
    """So that an engine can read it before it is asked about."""

    async def run() -> None:
        async with asyncio.timeout(30), service(load) as running:
            client = running.client()
            client.open("a", "a.py", "one", 1)
            async with client:
                await until(lambda: bool(running.sent))
                assert (await client.infill(at("a"))).gaps[0].text == "one"
                assert (await client.stats())["files_sent_again"] == 0

    asyncio.run(run())


def test_another_engine_is_sent_the_whole_file_once() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        running.route = lambda session: 0
        owner = Owner(client, "a", "a.py", "one", 1)
        client.set_context("a", [Snippet("b.py", "# b")])
        assert (await client.infill(at("a"))).gaps[0].text == "one# b"
        running.route = lambda session: 1
        owner.edit([Edit(3, 3, " two")], 2)
        client.prepare("a", 1)
        assert (await client.infill(at("a", 2))).gaps[0].text == "one two# b"
        owner.edit([Edit(0, 0, "zero ")], 3)
        assert (await client.infill(at("a", 3))).gaps[0].text == "zero one two# b"
        assert (await client.stats())["files_sent_again"] == 1
        running.route = lambda session: 0  # which holds an older text
        assert (await client.infill(at("a", 3))).gaps[0].text == "zero one two# b"

    talk(conversation)


def test_a_lost_engine_is_no_error() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        running.route = lambda session: 0
        client.open("a", "a.py", "text", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "text"
        client.open("s", "slow.py", "slow", 1)
        partials: list[PartialInfill] = []
        slow = asyncio.create_task(client.infill(at("s"), partials.append))
        await until(lambda: bool(partials))
        running.lose_engine(0)
        await until(lambda: running.outcomes[-1] == "need_full")
        slow.cancel()
        assert (await client.infill(at("a"))).gaps[0].text == "text"

    talk(conversation)


def test_a_new_connection_finds_what_is_held() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "one", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "one"
        await running.lose_connections()
        sent_before = len(running.sent)
        assert (await client.infill(at("a"))).gaps[0].text == "one"
        assert len(running.sent) == sent_before + 1
        assert client.restarts == 1
        owner.edit([Edit(3, 3, "!")], 2)
        assert (await client.infill(at("a", 2))).gaps[0].text == "one!"

    talk(conversation)


def test_what_is_edited_without_a_connection_is_not_missed() -> None:
    """An edit that nobody could be told of must not let the next one be made to the text before it."""

    async def conversation(running: InProcess, client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "123456", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "123456"
        connection = client._connection
        assert connection
        await running.lose_connections()
        await until(lambda: connection.lost)
        owner.edit([Edit(0, 3, "")], 2)  # before there is another connection
        assert client._connection is None
        await client.connect()
        owner.edit([Edit(1, 2, "-")], 3)
        assert (await client.infill(at("a", 3))).gaps[0].text == "4-6"

    talk(conversation)


def test_a_change_that_is_too_large_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "123456", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "123456"
        monkeypatch.setattr("model.api.wire.MAX_SERVICE_BYTES", 5000)
        owner.edit([Edit(0, 0, "x" * 5000)], 2)
        monkeypatch.undo()
        owner.edit([Edit(1, 2, "-")], 3)
        assert (await client.infill(at("a", 3))).gaps[0].text == owner.text

    talk(conversation)


def test_a_question_about_an_older_text_is_refused_and_sends_nothing() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "one", 1)
        asking = asyncio.create_task(client.infill(at("a")))
        owner.edit([Edit(0, 0, "x")], 2)  # sent before the question
        with pytest.raises(VersionError):
            await asking
        assert (await client.infill(at("a", 2))).gaps[0].text == "xone"
        assert (await client.stats())["files_sent_again"] == 0

    talk(conversation)


def test_cancelling_reaches_the_engine_and_loses_no_change() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        owner = Owner(client, "s", "slow.py", "slow", 1)
        client.open("a", "a.py", "a", 1)
        partials: list[PartialInfill] = []
        slow = asyncio.create_task(client.infill(at("s"), partials.append))
        await until(lambda: len(partials) > 2)
        client.cancel("s")
        with pytest.raises(Cancelled):
            await slow
        for version in range(2, 30):  # each cancelled before an engine has taken it in
            owner.edit([Edit(0, 0, "x")], version)
            asking = asyncio.create_task(client.infill(at("s", version)))
            await asyncio.sleep(0)
            asking.cancel()
        assert (await client.infill(at("a"))).gaps[0].text == "a"
        partials.clear()
        slow = asyncio.create_task(client.infill(at("s", 29), partials.append))
        await until(lambda: bool(partials))
        assert partials[0].text == owner.text == "x" * 28 + "slow"
        slow.cancel()
        assert (await client.stats())["files_sent_again"] == 0

    talk(conversation)


def test_a_restart_is_another_connection_and_at_once() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        client.open("a", "a.py", "one", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "one"
        connection = client._connection
        assert connection
        killed: list[None] = []
        connection._link.kill = lambda: killed.append(None)  # type: ignore[method-assign]
        await client.restart()
        assert not killed
        assert client._connection is not connection
        assert (await client.infill(at("a"))).gaps[0].text == "one"

    talk(conversation)


def test_nobody_reads_another_users_file() -> None:
    """Whatever ids a client gives: they are its own user's."""

    async def conversation(running: InProcess, client: WorkerClient) -> None:
        running.route = lambda session: 0
        client.open("a", "a.py", "Alice's secret", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "Alice's secret"
        spy = running.client(BOB[0])
        spy._name = client._name  # as if it had been seen
        async with spy:
            for file_id in ("a", f"../{client._name}/a", f"alice/{client._name}/a", f"1/{client._name}/a"):
                with pytest.raises(SetfillError, match="no file is open"):
                    await spy.infill(at(file_id))
                connection = spy._connection
                assert connection
                told = spy._holdings
                assert told
                told._told[file_id] = type(next(iter(client._holdings._told.values())))(file_id, 1, 1)
                with pytest.raises(NeedFullError):
                    await connection.request(at(file_id))
                spy.open(file_id, "b.py", "Bob's", 1)
                assert (await spy.infill(at(file_id))).gaps[0].text == "Bob's"
                spy.close(file_id)
        assert (await client.infill(at("a"))).gaps[0].text == "Alice's secret"
        assert (await client.stats())["files_sent_again"] == 0

    talk(conversation)


def test_tokens_that_are_wrong_missing_or_old() -> None:
    import datetime

    from model.service.tokens import new_token

    old = new_token("carol", datetime.date(2020, 1, 31))

    async def conversation(running: InProcess, client: WorkerClient) -> None:
        for token, says in (("wrong", "does not know"), (old[0], "good until 2020-01-31"), ("Bearer", "not know")):
            with pytest.raises(UnauthorizedError, match=says):
                await running.client(token).start()

    talk(conversation, tokens=(old[1],))


def test_a_token_that_is_taken_away_ends_its_open_connections_and_no_other() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "one", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "one"
        async with running.client(BOB[0]) as bob:
            bob.open("a", "a.py", "Bob's", 1)
            assert (await bob.infill(at("a"))).gaps[0].text == "Bob's"
            running.tokens = Tokens([BOB[1]])
            sent_before = len(running.sent)
            owner.edit([Edit(3, 3, "!")], 2)
            with pytest.raises(UnauthorizedError, match="does not know this token"):
                await client.infill(at("a", 2))
            assert len(running.sent) == sent_before  # not even the edit, which came before it was told
            assert (await bob.infill(at("a"))).gaps[0].text == "Bob's"
            assert bob.restarts == 0

    talk(conversation)


def test_other_limits_are_granted_to_open_connections_too() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        client.open("a", "a.py", "a", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "a"
        running.quotas.grant(Limits(questions_a_minute=1, connections_per_user=1))
        assert (await client.infill(at("a"))).gaps[0].text == "a"
        with pytest.raises(BusyError, match="1 questions within a minute"):
            await client.infill(at("a"))
        with pytest.raises(BusyError, match="1 connections"):  # those from before are counted
            await running.client().start()
        assert client.restarts == 0

    talk(conversation)


def test_limits_are_told_with_a_time() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        client.open("s", "slow.py", "slow", 1)
        client.open("a", "a.py", "a", 1)
        partials: list[PartialInfill] = []
        slow = asyncio.create_task(client.infill(at("s"), partials.append))
        await until(lambda: bool(partials))
        with pytest.raises(BusyError, match="1 of your questions are waiting") as caught:
            await client.infill(at("a"))
        assert caught.value.retry_s == 1.0
        async with running.client(BOB[0]) as bob:  # whom this does not concern
            bob.open("a", "a.py", "b", 1)
            slow.cancel()
            assert (await bob.infill(at("a"))).gaps[0].text == "b"
        second = running.client()
        with pytest.raises(BusyError, match="1 connections"):
            await second.start()

    talk(conversation, limits=Limits(connections_per_user=1, questions_at_a_time=1))


def test_bytes_a_minute_are_counted_and_what_was_not_taken_is_not_missed() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "a" * 3000, 1)
        assert (await client.infill(at("a"))).gaps[0].text == owner.text
        owner.edit([Edit(0, 0, "b" * 3000)], 2)  # too much: nobody is told
        with pytest.raises(BusyError, match="within a minute; try again in"):
            await client.infill(at("a", 2))
        running.quotas.grant(Limits())
        owner.edit([Edit(1, 2, "-")], 3)
        assert (await client.infill(at("a", 3))).gaps[0].text == owner.text

    talk(conversation, limits=Limits(bytes_a_minute=5000))


def test_questions_a_minute_are_counted_and_changes_still_made() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        owner = Owner(client, "a", "a.py", "a", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "a"
        assert (await client.infill(at("a"))).gaps[0].text == "a"
        owner.edit([Edit(0, 0, "b")], 2)
        with pytest.raises(BusyError, match="2 questions within a minute; try again in"):
            await client.infill(at("a", 2))
        running.quotas = type(running.quotas)(Limits())
        await running.lose_connections()
        assert (await client.infill(at("a", 2))).gaps[0].text == "ba"
        assert (await client.stats())["files_sent_again"] == 0

    talk(conversation, limits=Limits(questions_a_minute=2))


def test_a_question_that_takes_too_long_is_refused_in_time() -> None:
    async def conversation(running: InProcess, client: WorkerClient) -> None:
        client.open("s", "slow.py", "slow", 1)
        with pytest.raises(BusyError, match="no answer within 0 s"):
            await client.infill(at("s"))
        client.open("a", "a.py", "a", 1)
        assert (await client.infill(at("a"))).gaps[0].text == "a"

    talk(conversation, limits=Limits(question_s=0.3))


def test_snippets_of_many_users_are_encoded_once_in_an_engine(tiny_model: Path) -> None:
    snippet = Snippet("shapes.py", "def perimeter(w, h):\n    return 2 * (w + h)\n" * 3)
    limits = Sizes(max_tokens=2)

    engines: list[Any] = []

    def load_and_note(tell_progress: Any) -> Any:
        engines.append(loader(tiny_model)(tell_progress))
        return engines[-1]

    async def islands() -> int:
        """Return how many bytes of islands there are once idle work has ended in the engine that was asked."""
        (asked,) = (engine for engine in engines if engine._sessions)
        await until(lambda: all(session._settled for session in asked._sessions.values()), timeout_s=60)
        return int(asked.stats()["island_bytes"])

    async def run() -> None:
        async with asyncio.timeout(100), service(load_and_note) as running:
            running.route = lambda session: 0
            held = []
            for token in (ALICE[0], BOB[0]):
                async with running.client(token) as client:
                    client.open("f", "a.py", f"def area(w, h):  # {token[-4:]}\n    return ", 1)
                    client.set_context("f", [snippet])
                    await client.infill(InfillRequest("f", 1, (Gap(0, 0),), "left_to_right", limits=limits))
                    held.append(await islands())
            assert held[0] == held[1] > 0

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(3))
def test_twenty_typing_clients_in_a_storm_of_losses(seed: int) -> None:
    """Routes change, connections and engines are lost: each answer is to the text that was asked about."""
    draw, asked = random.Random(seed), [0]

    async def type_and_ask(client: WorkerClient, number: int) -> int:
        owner = Owner(client, "f", "a.py", f"client {number}:", 1)
        answered = 0
        for version in range(2, 40):
            start = draw.randrange(len(owner.text))
            end = min(len(owner.text), start + draw.choice((0, 0, 1)))
            owner.edit([Edit(start, end, draw.choice(("a", "bc", "🐍", "")))], version)
            text = owner.text
            if draw.random() < 0.5:
                try:
                    infill = await client.infill(InfillRequest("f", version, (Gap(0, 0),)))
                except (WorkerError, NeedFullError):  # lost twice while it was asked
                    continue
                finally:
                    asked[0] += 1
                assert infill.gaps[0].text == text
                answered += 1
        return answered

    async def disturb(running: InProcess) -> None:
        for due in range(15, 1000, 15):  # by questions, not by time: how fast they are answered is the machine's
            await until(lambda due=due: asked[0] >= due, timeout_s=60)
            match draw.randrange(3):
                case 0:
                    leads_to = draw.randrange(2)
                    running.route = lambda session, to=leads_to: to
                case 1:
                    running.lose_engine(draw.randrange(2))
                case 2:
                    await running.lose_connections(draw.randrange(20))

    many = Limits(connections_per_user=100, questions_at_a_time=100, questions_a_minute=10**6)

    async def run() -> None:
        async with asyncio.timeout(60), service(load, limits=many) as running:
            clients = [running.client(ALICE[0] if number % 2 else BOB[0]) for number in range(20)]
            for client in clients:
                client._deaths = type(client._deaths)(maxlen=10**6)  # it never gives up
                await client.start()
            disturbing = asyncio.create_task(disturb(running))
            try:
                answered = await asyncio.gather(*(type_and_ask(each, n) for n, each in enumerate(clients)))
            finally:
                disturbing.cancel()
                for client in clients:
                    await client.stop()
            assert sum(answered) > 200

    asyncio.run(run())
