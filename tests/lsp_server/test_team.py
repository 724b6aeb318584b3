"""A language server whose model is a team's service: suggestions come from there, and excluded files never go there."""

from __future__ import annotations

from tests.lsp_server.client import Client, talk
from tests.model.service.in_process import InProcess, service
from tests.model.worker.stand_in import load

URI, SECRET_URI = "file:///w/a.py", "file:///w/.env"


def test_suggestions_come_from_the_service_and_excluded_files_stay() -> None:
    async def conversation(client: Client) -> None:
        async with service(load) as running:
            await client.initialize(teamUrl=running.url, teamTokenFile=running.token_file(), beams=1)
            await client.until_ready()
            status = await client.request("setfill/status", None)
            assert (status["state"], status["model"]) == ("ready", "stand-in")
            client.open(SECRET_URI, "PASSWORD=hunter2\n")
            client.open(URI, "total = price")
            await client.suggest(URI, kind=1)
            client.type(URI, 13, " * 2")
            await client.suggest(URI, kind=1)
            await client.suggest(SECRET_URI, kind=1)
            check_sent(running)
            (told,) = [each["message"] for each in client.messages("window/showMessage")]
            assert "goes to your team's service at 127.0.0.1" in told

    talk(conversation)


def check_sent(running: InProcess) -> None:
    sent = b"".join(running.sent)
    assert b"total = price" in sent
    assert b" * 2" in sent
    assert b"hunter2" not in sent


def test_a_workspace_cannot_send_code_elsewhere() -> None:
    async def conversation(client: Client) -> None:
        async with service(load) as running:
            client.settings = {"teamUrl": running.url, "teamTokenFile": running.token_file()}
            await client.initialize(model="no-such-model")
            client.open(URI, "total = price")
            assert await client.suggest(URI) == []
            assert not running.sent
            messages = [each["message"] for each in client.messages("window/showMessage")]
            assert any("teamUrl can only be set for this machine, not by a workspace" in each for each in messages)

    talk(conversation)


def test_a_service_that_cannot_be_used_is_told() -> None:
    async def conversation(client: Client) -> None:
        await client.initialize(teamUrl="http://team.example", teamTokenFile="/none")
        client.open(URI, "total = price")
        assert await client.suggest(URI) == []
        (told,) = [each["message"] for each in client.messages("window/showMessage")]
        assert "http to team.example would send your code and token unencrypted" in told

    talk(conversation)
