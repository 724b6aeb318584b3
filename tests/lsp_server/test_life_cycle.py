"""From start to exit: what is imported, how fast initialize is answered, sockets and tokens, statistics, accidents."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lsp_server.pacing import Pace, PowerSupply
from lsp_server.statistics import Statistics, saved_counts, statistics_file
from model.api.types import Infill
from tests.lsp_server.client import ROOT, SERVE, Client, RequestError, start, talk

URI = "file:///w/a.py"
Script = Callable[..., str]


def test_the_server_imports_no_torch() -> None:
    code = (
        "import pkgutil, sys, lsp_server, importlib\n"
        "[importlib.import_module(f'lsp_server.{each.name}') for each in pkgutil.iter_modules(lsp_server.__path__)]\n"
        "print(*{'torch', 'numpy', 'tokenizers', 'gguf'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_initialize_is_answered_without_a_model(tmp_path: Path) -> None:
    """With the command that users run, and no model installed: that is told, and harms nothing."""

    async def conversation(client: Client) -> None:
        answer = await client.initialize(model="no-such-model")
        assert answer["serverInfo"]["name"] == "setfill"
        client.open(URI, "x =")
        assert await client.suggest(URI) == []
        (shown,) = client.messages("window/showMessage")
        assert "setfill models fetch" in shown["message"]
        with pytest.raises(RequestError, match="setfill models fetch"):
            await client.suggest(URI, kind=1)
        status = await client.request("setfill/status", None)
        assert (status["state"], status["problemCode"]) == ("failed", "model_not_found")
        assert status["problem"] in shown["message"]
        with pytest.raises(RequestError, match="setfill models fetch"):
            await client.request("workspace/executeCommand", {"command": "setfill.restart", "arguments": [None]})

    command = (sys.executable, "-m", "setfill", "serve", "--stdio")
    talk(conversation, command=command, SETFILL_HOME=str(tmp_path))


def test_exit_without_shutdown_is_told_by_the_status(script: Script) -> None:
    async def run() -> int:
        client = await start()
        await client.initialize(model=script())
        client.notify("exit", None)
        return await client.process.wait()

    assert asyncio.run(run()) == 1


@pytest.mark.parametrize("ending", ["closed", "killed"])
def test_when_the_client_vanishes_nothing_is_left(script: Script, ending: str) -> None:
    async def run() -> None:
        client = await start()
        await client.initialize(model=script(load_ms=10))
        client.open(URI, "x =")
        await client.server_text(URI)
        pid = (await client.request("setfill/status", None))["workerPid"]
        assert client.process.stdin
        if ending == "closed":
            client.process.stdin.close()
        else:
            client.process.kill()
        await client.process.wait()
        async with asyncio.timeout(20):
            while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
                await asyncio.sleep(0.02)

    asyncio.run(run())


@pytest.mark.parametrize(
    "streams", ["< /dev/null | cat", "< /dev/zero | cat", "< /etc/passwd | cat", "<&- | cat", "> /dev/null", "> file"]
)
def test_streams_that_nobody_holds_the_other_end_of_are_refused(streams: str, tmp_path: Path) -> None:
    """With /dev/null it never ended."""
    shell = ["bash", "-c", f"set -o pipefail; {sys.executable} -P -m setfill serve {streams}"]
    with subprocess.Popen(shell, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said = process.stderr.read()
            assert process.wait(50) == 2
        finally:
            process.kill()
    assert said == "setfill: error: standard input and output must be pipes: `setfill serve` is started by an editor\n"


@pytest.mark.parametrize("is_there", [True, False])
def test_the_server_ends_with_the_process_it_was_told_of(script: Script, is_there: bool) -> None:
    """Its input may be held open by another process. One that cannot be seen from here may live in a container."""

    async def run() -> None:
        editor = await asyncio.create_subprocess_exec("sleep", "600")
        if not is_there:
            editor.kill()
            await editor.wait()
        client = await start()
        try:
            async with asyncio.timeout(30):
                client.process_id = editor.pid
                await client.initialize(model=script("x = 1\n"))
                client.open(URI, "x =")
                assert (await client.suggest(URI))[0]["insertText"] == " 1"
                if is_there:
                    editor.kill()
                    assert await client.process.wait() == 1
        finally:
            for process in (client.process, editor):
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    asyncio.run(run())


def test_the_server_ends_when_nobody_reads_it_any_more(script: Script) -> None:
    """Its input may be held open by another process."""

    async def run() -> None:
        reading, writing = os.pipe()
        process = await asyncio.create_subprocess_exec(*SERVE, stdin=asyncio.subprocess.PIPE, stdout=writing)
        os.close(writing)
        await asyncio.sleep(0.5)
        os.close(reading)
        async with asyncio.timeout(30):
            assert await process.wait() == 1

    asyncio.run(run())


def test_requests_before_initialize_and_after_shutdown_are_refused(script: Script) -> None:
    async def conversation(client: Client) -> None:
        client.open(URI, "x =")
        with pytest.raises(RequestError, match="-32002"):
            await client.request("setfill/status", None)
        await client.initialize(model=script())
        with pytest.raises(RequestError, match="-32600"):
            await client.initialize(model=script())
        await client.request("shutdown", None)
        with pytest.raises(RequestError, match="-32600"):
            await client.request("setfill/status", None)
        client.notify("exit", None)
        assert await client.process.wait() == 0

    talk_without_stop(conversation)


def talk_without_stop(conversation: Callable) -> None:
    async def run() -> None:
        client = await start()
        async with asyncio.timeout(30):
            await conversation(client)

    asyncio.run(run())


def test_a_socket_wants_its_token(script: Script) -> None:
    async def run() -> None:
        process = await asyncio.create_subprocess_exec(*SERVE, "--socket", "0", stderr=asyncio.subprocess.PIPE)
        assert process.stderr
        try:
            async with asyncio.timeout(30):
                port = int((await process.stderr.readline()).rsplit(b":", 1)[1])
                for token in (None, "guess", "the token"):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    client = Client(Connection(reader, writer))  # type: ignore[arg-type]
                    if token == "the token":
                        await client.initialize(model=script("x = 1\n"), socketToken=token)
                        client.open(URI, "x =")
                        assert (await client.suggest(URI))[0]["insertText"] == " 1"
                    else:
                        with pytest.raises(RequestError, match="socketToken"):
                            await client.initialize(model=script(), **({"socketToken": token} if token else {}))
                        with pytest.raises(RequestError):
                            await client.request("setfill/status", {"worker": True})
                    writer.close()
        finally:
            process.kill()
            await process.wait()

    asyncio.run(run())


class Connection:
    """A socket in the shape of a process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stdout, self.stdin, self.returncode = reader, writer, None


def test_a_wrong_token_can_be_mended(script: Script) -> None:
    """Whatever the first `initialize` began, the second begins it once."""

    async def run() -> None:
        process = await asyncio.create_subprocess_exec(*SERVE, "--socket", "0", stderr=asyncio.subprocess.PIPE)
        assert process.stderr
        try:
            async with asyncio.timeout(30):
                port = int((await process.stderr.readline()).rsplit(b":", 1)[1])
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                client = Client(Connection(reader, writer))  # type: ignore[arg-type]
                with pytest.raises(RequestError, match="socketToken"):
                    await client.initialize(model=script(), capabilities={}, socketToken="guess")
                answer = await client.initialize(model=script(), capabilities={}, socketToken="the token")
                assert answer["capabilities"]["completionProvider"]
                writer.close()
        finally:
            process.kill()
            await process.wait()

    asyncio.run(run())


def test_suggestions_are_counted_on_this_machine_alone(script: Script, tmp_path: Path) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script("x = one + two\n"), decodeAhead=False)
        client.open(URI, "x =")
        (item,) = await client.suggest(URI)
        number = item["command"]["arguments"][0]
        client.notify("setfill/didShowSuggestion", {"id": number})
        for part in (4, 2):
            client.notify("setfill/didAcceptSuggestion", {"id": number, "acceptedLength": part})
        for _ in range(2):  # counted once
            command = {"command": item["command"]["command"], "arguments": [number]}
            await client.request("workspace/executeCommand", command)
        client.notify("setfill/didAcceptSuggestion", {"nonsense": 1})

    talk(conversation)
    (counts,) = saved_counts().values()
    expected = {"shown": 1, "displayed": 1, "accepted": 1, "partially_accepted": 1, "decodes": 1, "rows_reused": 90}
    assert {name: counts[name] for name in expected} == expected
    assert counts["accepted_characters"] == len(" one + two")
    shown = subprocess.run([sys.executable, "-m", "setfill", "stats"], capture_output=True, text=True, cwd=ROOT)
    assert "1  suggestions accepted" in shown.stdout
    days = subprocess.run(
        [sys.executable, "-m", "setfill", "stats", "--json"], capture_output=True, text=True, cwd=ROOT
    )
    assert list(json.loads(days.stdout).values()) == [dict(counts)]
    (file,) = Path(os.environ["XDG_STATE_HOME"]).rglob("*.jsonl")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "one" not in file.read_text()


def test_statistics_have_a_place_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for elsewhere in ("", "not/absolute"):
        monkeypatch.setenv("XDG_STATE_HOME", elsewhere)
        assert statistics_file() == tmp_path / ".local" / "state" / "setfill" / "statistics.jsonl"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert statistics_file() == tmp_path / "state" / "setfill" / "statistics.jsonl"


def test_statistics_can_be_off_and_survive_damage(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "statistics.jsonl"
    statistics = Statistics(path)
    statistics.shown(["text"], [1])
    statistics.is_kept = False
    statistics.save()
    assert not path.exists()
    statistics.is_kept = True
    statistics.decoded(Infill(1, (), 2, 3, 4, 5.0), 77.7)
    statistics.save()
    statistics.save()
    with path.open("a") as file:
        file.write('{"day": \n[]\n{"day": "2026-01-01", "shown": "many"}\n')
    (counts,) = saved_counts(path).values()
    assert counts == {"shown": 1, "shown_characters": 4, "decodes": 1, "decode_ms": 78, "forwards": 2,
                      "rows_computed": 3, "rows_reused": 4, "under_100_ms": 1}  # fmt: skip


def counted(*fates: tuple[int, int | None], texts: tuple[str, ...] = ("0123456789", "01234")) -> dict[str, int]:
    """What is counted of a suggestion and another to cycle to, when parts, or the rest (None), are accepted."""
    statistics = Statistics()
    statistics.shown(texts, list(range(len(texts))))
    for number, characters in fates:
        statistics.displayed(number)
        if characters is None:
            statistics.accepted(number)
        else:
            statistics.partially_accepted(number, characters)
    counts = statistics.since_start
    return {name: counts[name] for name in ("displayed", "accepted", "partially_accepted", "accepted_characters")}


@pytest.mark.parametrize(
    ("fates", "expected"),
    [
        ([(0, 4), (0, 2), (0, None)], (1, 1, 1, 10)),
        ([(0, 4), (0, 2)], (1, 0, 1, 6)),
        ([(0, 4), (0, 6), (0, None)], (1, 1, 1, 10)),
        ([(0, 99)], (1, 1, 1, 10)),
        ([(0, -3), (0, 0)], (1, 0, 0, 0)),
        ([(0, None), (0, None), (0, 3)], (1, 1, 0, 10)),
        ([(1, 2), (1, None)], (1, 1, 1, 5)),
        ([(7, 2), (7, None)], (0, 0, 0, 0)),
    ],
)
def test_no_character_is_counted_twice(fates: list[tuple[int, int | None]], expected: tuple[int, ...]) -> None:
    """Parts were counted once more with the whole: 4 + 2 and then all of 10 made 16; alternatives did not count."""
    assert tuple(counted(*fates).values()) == expected


def test_the_file_of_counts_is_bounded(tmp_path: Path) -> None:
    """It had a line for every minute of typing, for ever."""
    path = tmp_path / "counts" / "statistics.jsonl"
    path.parent.mkdir()
    old = [{"day": f"{year}-{month:02}-{day:02}", "shown": 1} for year in (2021, 2022, 2023) for month in range(1, 13)
           for day in range(1, 29)]  # fmt: skip
    path.write_text("".join(json.dumps(each) + "\n" for each in old) + "{}\n" * 10_000)
    servers = [Statistics(path) for _ in range(4)]

    def work(server: Statistics) -> None:
        for number in range(10):
            server.shown(["text"], [number])
            server.save(wait_seconds=20)

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, servers))
    days = saved_counts(path)
    assert len(path.read_text().splitlines()) == len(days) == 731
    assert list(days.values())[-1]["shown"] == 40, "nothing is lost when servers save at once"
    assert path.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in path.parent.iterdir()} <= {"statistics.jsonl", "statistics.lock"}


def test_a_file_of_counts_that_is_none_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "statistics.jsonl"
    os.mkfifo(path)
    assert saved_counts(path) == {}
    statistics = Statistics(path)
    statistics.shown(["text"], [1])
    statistics.save()
    assert list(saved_counts(path).values()) == [{"shown": 1, "shown_characters": 4}]


def test_the_wait_for_a_key_follows_the_measured_speed_and_is_longer_on_battery() -> None:
    pace = Pace()

    def check(decode_ms: float, plugged_ms: float, on_battery_ms: float) -> None:
        for _ in range(40):
            pace.measured(decode_ms, forwards=5)
        assert pace.debounce_ms(None, on_battery=False) == pytest.approx(plugged_ms, abs=0.1)
        assert pace.debounce_ms(None, on_battery=True) == pytest.approx(on_battery_ms, abs=0.1)
        assert pace.debounce_ms(7, on_battery=False) == pace.debounce_ms(7, on_battery=True) == 7.0

    check(20.0, 10, 10)
    check(200.0, 20, 60)
    check(400.0, 30, 120)
    check(4000.0, 30, 150)


def test_beams_are_followed_while_typing_where_they_answer_within_a_third_of_a_second() -> None:
    """They were wherever greedy forwards took 50 ms, and lines then came after a second and more."""
    pace = Pace()
    assert pace.allows_beams

    def check(forward_ms: float, expected: bool) -> None:
        for _ in range(20):
            pace.measured(5 * forward_ms, forwards=5)
        assert pace.allows_beams is expected

    check(45.0, False)
    check(20.0, True)


def test_a_share_of_the_time_is_left_to_others() -> None:
    pace = Pace()
    assert pace.wait_seconds(30.0) == 0.03
    pace.spent(400.0, throttle=0.25)
    assert 1.1 < pace.wait_seconds(0.0) <= 1.2


def test_batteries_are_spared(tmp_path: Path) -> None:
    def on_battery(**supplies: dict[str, str]) -> bool:
        folder = tmp_path / "-".join(f"{name}{'-'.join(facts.values())}" for name, facts in supplies.items())
        for name, facts in supplies.items():
            (folder / name).mkdir(parents=True)
            for fact, value in facts.items():
                (folder / name / fact).write_text(value + "\n")
        return PowerSupply(folder).on_battery()

    full, empty = {"type": "Battery", "status": "Full"}, {"type": "Battery", "status": "Discharging"}
    assert not on_battery()
    assert not on_battery(AC={"type": "Mains", "online": "1"}, BAT0=empty)
    assert not on_battery(BAT0=full)
    assert on_battery(AC={"type": "Mains", "online": "0"}, BAT0=empty)


WITH_PROGRESS = {"window": {"workDoneProgress": True}, "textDocument": {"inlineCompletion": {}}}


async def cancel_progress(client: Client, title: str) -> None:
    """Wait until `title` is shown, and press its button."""

    def shown() -> list[str]:
        values = [(params["token"], params["value"]) for params in client.messages("$/progress")]
        return [token for token, value in values if value.get("title", "").startswith(title)]

    await client.until(shown)
    client.notify("window/workDoneProgress/cancel", {"token": shown()[-1]})


def test_loading_can_be_cancelled_and_taken_up_again(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script("x = 1\n", load_ms=700), capabilities=WITH_PROGRESS)
        client.open(URI, "x =")
        await cancel_progress(client, "Setfill: loading")
        assert await client.suggest(URI) == []
        assert (await client.request("setfill/status", None))["state"] == "failed"
        await client.request("workspace/executeCommand", {"command": "setfill.restart", "arguments": [None]})
        assert (await client.suggest(URI))[0]["insertText"] == " 1"

    talk(conversation)


def test_a_long_answer_is_shown_as_work_that_can_be_cancelled(script: Script) -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(model=script("x = 1\n", delay_ms=30_000), capabilities=WITH_PROGRESS)
        client.open(URI, "x =")
        asking = asyncio.create_task(client.suggest(URI))
        await cancel_progress(client, "Setfill: reading")
        assert await asking == []
        ranges = [{"start": {"line": 0, "character": 3}, "end": {"line": 0, "character": 3}}]
        filling = asyncio.create_task(
            client.request("setfill/infill", {"textDocument": {"uri": URI}, "ranges": ranges})
        )
        await cancel_progress(client, "Setfill: filling")
        with pytest.raises(RequestError, match="cancelled"):
            await filling
        ends = [params for params in client.messages("$/progress") if params["value"]["kind"] == "end"]
        begins = [params for params in client.messages("$/progress") if params["value"]["kind"] == "begin"]
        assert len(ends) == len(begins)

    talk(conversation)


def test_idle_servers_sleep(script: Script) -> None:
    def processor_ticks(pid: int) -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    async def conversation(client: Client) -> None:
        await client.initialize(model=script("x = 1\n"))
        client.open(URI, "x =")
        await client.suggest(URI)
        await asyncio.sleep(1.5)  # decoding ahead, context
        pids = client.process.pid, (await client.request("setfill/status", None))["workerPid"]
        before = [processor_ticks(pid) for pid in pids]
        await asyncio.sleep(2)
        # A tick is 10 ms; one may be the end of answering.
        assert all(processor_ticks(pid) - ticks <= 1 for pid, ticks in zip(pids, before, strict=True))

    talk(conversation)
