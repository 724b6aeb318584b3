"""What users may ask: refusals say when to try again, and then there is room."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from model.errors import BusyError
from model.service.quotas import Bucket, Limits, Quotas


def test_a_bucket_fills_steadily_to_what_a_minute_grants() -> None:
    bucket = Bucket(per_minute=60, now=0.0)
    assert bucket.take(60, now=0.0) == 0
    assert bucket.take(1, now=0.0) == pytest.approx(1)
    assert bucket.take(1, now=1.0) == 0
    assert bucket.take(10, now=1.0) == pytest.approx(10)
    assert bucket.take(60, now=1000.0) == 0
    assert bucket.take(1, now=1000.0) > 0


def test_what_is_larger_than_a_minutes_allowance_waits_for_a_full_one_and_is_paid_back() -> None:
    bucket = Bucket(per_minute=60, now=0.0)
    assert bucket.take(180, now=0.0) == 0
    assert bucket.take(1, now=60.0) == pytest.approx(61)


def test_questions_of_one_user_do_not_count_for_another() -> None:
    now = [0.0]
    quotas = Quotas(Limits(questions_at_a_time=2, questions_a_minute=3), now=lambda: now[0])
    with quotas.question("a"), quotas.question("a"):
        with pytest.raises(BusyError, match="2 of your questions"), quotas.question("a"):
            pass
        with quotas.question("b"):
            pass
    with quotas.question("a"):
        pass
    with (
        pytest.raises(BusyError, match="3 questions within a minute; try again in 20 s") as caught,
        quotas.question("a"),
    ):
        pass
    now[0] += caught.value.retry_s
    with quotas.question("a"):
        pass


def test_connections_of_one_user_and_of_all() -> None:
    quotas = Quotas(Limits(connections=3, connections_per_user=2))
    with ExitStack() as stack:
        stack.enter_context(quotas.connection("a"))
        stack.enter_context(quotas.connection("a"))
        with pytest.raises(BusyError, match="you have 2 connections"):
            stack.enter_context(quotas.connection("a"))
        stack.enter_context(quotas.connection("b"))
        with pytest.raises(BusyError, match="the service has 3 connections"):
            stack.enter_context(quotas.connection("c"))
    with quotas.connection("c"), quotas.connection("a"):  # those that have left are not counted
        pass


def test_bytes_a_minute() -> None:
    now = [0.0]
    quotas = Quotas(Limits(bytes_a_minute=2**20), now=lambda: now[0])
    quotas.received("a", 2**20)
    with pytest.raises(BusyError, match="sent 1 MiB within a minute; try again in 30 s"):
        quotas.received("a", 2**19)
    quotas.received("b", 2**19)
    now[0] = 30.0
    quotas.received("a", 2**19)
