"""Closing a producer that waits for confirmations. With a broker that goes away: tests/broker/test_feed_kafka.py."""

from __future__ import annotations

from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

from newsmill.confirming import ConfirmingProducer


class Thread:
    """Stands for the thread that sends."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def force_close(self) -> None:
        self.calls.append("give up")

    def join(self, timeout: float | None) -> None:
        self.calls.append(f"wait {timeout}")


@pytest.fixture
def producer() -> Any:
    made = ConfirmingProducer.__new__(ConfirmingProducer)
    made.config = {"client_id": "feed", "transactional_id": None}
    made._closed = True
    return made


def test_what_can_not_be_sent_is_given_up_and_the_producer_closed(
    producer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def close(_self: Any, timeout: float | None, _null_logger: bool) -> None:
        calls.append(f"close {timeout}")
        if calls == ["close 2.0"]:
            raise KafkaTimeoutError("Timeout waiting for future")

    producer._sender = Thread(calls)
    monkeypatch.setattr(KafkaProducer, "close", close)
    producer.close(2.0)
    assert calls == ["close 2.0", "give up", "wait 2.0", "close 2.0"]


def test_what_is_sent_in_time_is_not_given_up(producer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    producer._sender = Thread(calls)
    monkeypatch.setattr(KafkaProducer, "close", lambda _self, timeout, _null_logger: calls.append(f"close {timeout}"))
    producer.close(2.0)
    assert calls == ["close 2.0"]
