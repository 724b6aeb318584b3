"""What becomes of a handler's failures: they are answered, and quote nobody's code."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from pygls.exceptions import JsonRpcException, JsonRpcInternalError

from lsp_server.protocol import contained, invalid_params
from model.errors import InputError

SECRET = "password = 'hunter2'"


def failure(error: BaseException, is_async: bool) -> BaseException:
    """What a handler raises that fails with an error."""

    def handler(params: object) -> None:
        raise error

    async def asynchronous(params: object) -> None:
        raise error

    async def run() -> Any:
        await contained(asynchronous)(SECRET)

    with pytest.raises(BaseException) as caught:
        asyncio.run(run()) if is_async else contained(handler)(SECRET)
    return caught.value


@pytest.mark.parametrize("is_async", [True, False])
def test_an_internal_error_is_answered_and_logged_without_its_text(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answered = failure(ValueError(SECRET), is_async)
    assert isinstance(answered, JsonRpcInternalError)
    assert "ValueError at test_protocol.py:" in str(answered)
    assert "ValueError at test_protocol.py:" in caplog.text
    assert answered.__cause__ is None
    assert answered.__suppress_context__, "else a log of the answer would have the text below it"
    assert SECRET not in str(answered) + caplog.text


@pytest.mark.parametrize("is_async", [True, False])
def test_errors_for_the_user_are_answered_as_they_are(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    answered = failure(InputError("these gaps overlap"), is_async)
    assert isinstance(answered, JsonRpcException)
    assert str(answered) == "these gaps overlap"
    wrong = invalid_params("no such file")
    assert failure(wrong, is_async) is wrong
    assert not caplog.text


def test_who_withdraws_a_request_gets_no_error_for_it() -> None:
    assert isinstance(failure(asyncio.CancelledError(), is_async=True), asyncio.CancelledError)
