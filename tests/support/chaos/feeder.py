"""Feeds documents into news.raw, never far ahead of what has come out, so that all stages work until the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kafka import KafkaProducer

from newsmill import clients
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from tests.support.background import Background
from tests.support.chaos.news import Raw

INGESTED_AT = b"1772431200000"
"""2026-03-02 06:00 UTC. One time for all: values must not depend on when a test runs."""


class Feeder(Background):
    """Sends `documents` on a thread of its own.

    Every other one names its origin itself; of the rest the origin is where they stand in news.raw.

    Args:
        come_out: returns how many documents have come out so far.
        ahead: most documents between what is sent and what has come out.
    """

    def __init__(
        self, settings: Settings, documents: Sequence[Raw], come_out: Callable[[], int], *, ahead: int
    ) -> None:
        super().__init__()
        self._settings = settings
        self._documents = documents
        self._come_out = come_out
        self._ahead = ahead
        self.origins: list[bytes] = []

    @property
    def done(self) -> bool:
        """Whether the broker has confirmed every document; then `origins` is complete."""
        return self.ended and self.error is None

    def work(self) -> None:
        topic = clients.physical(self._settings, topics.RAW)
        producer: Any = KafkaProducer(**clients.producer(self._settings), linger_ms=20)
        try:
            sent: list[Any] = []
            for number, document in enumerate(self._documents):
                while number - self._come_out() >= self._ahead:
                    if self._over.wait(0.05):
                        return
                named = [(h.ORIGIN, own_origin(number))] if number % 2 else []
                headers = [*named, (h.INGESTED_AT, INGESTED_AT)]
                sent.append(producer.send(topic, key=document.key, value=document.value, headers=headers))
            producer.flush()
            for number, future in enumerate(sent):
                found = future.get(timeout=60)
                here = f"{found.topic}/{found.partition}/{found.offset}".encode()
                self.origins.append(own_origin(number) if number % 2 else here)
        finally:
            producer.close(timeout=5)


def own_origin(number: int) -> bytes:
    """Return the origin that a document names itself."""
    return b"chaos:%d" % number
