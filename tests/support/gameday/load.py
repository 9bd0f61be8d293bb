"""A steady stream of documents into news.raw, which can be made worse while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from newsmill import clients
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from tests.support.background import Background
from tests.support.chaos.news import Raw, invented

EVERY_SECONDS = 0.1
ONE_BROKEN_OF = 5
"""Of the invented broken documents one of so many is kept: a pipeline that is well refuses 1 %, too."""


class Load(Background):
    """Sends invented documents at `rate` a second on a thread of its own, until closed.

    `twist` may change each document; `rate` may be changed at any time.
    """

    def __init__(self, settings: Settings, rate: float, *, count: int, seed: int) -> None:
        super().__init__()
        self._settings = settings
        self._documents = _mostly_good(invented(count, seed))
        self.rate = rate
        self.twist: Callable[[Raw], Raw] = as_it_is
        self.sent = 0

    def work(self) -> None:
        topic = clients.physical(self._settings, topics.RAW)
        producer: Any = KafkaProducer(**clients.producer(self._settings), linger_ms=20, max_block_ms=1_000)
        try:
            owed, before = 0.0, time.monotonic()
            while not self._over.wait(EVERY_SECONDS):
                owed, before = owed + (time.monotonic() - before) * self.rate, time.monotonic()
                count, owed = int(owed), owed % 1
                headers = [(h.INGESTED_AT, b"%d" % (time.time_ns() // 1_000_000))]
                for _ in range(count):
                    document = self.twist(self._documents[self.sent % len(self._documents)])
                    try:
                        producer.send(topic, key=document.key, value=document.value, headers=headers)
                    except KafkaError:  # the broker is away, and what can wait for it is full
                        break
                    self.sent += 1
        finally:
            producer.close(timeout=5)


def as_it_is(document: Raw) -> Raw:
    """Return the document unchanged."""
    return document


def _mostly_good(documents: list[Raw]) -> list[Raw]:
    kept: list[Raw] = []
    broken = 0
    for document in documents:
        if document.key != b"broken.example":
            kept.append(document)
            continue
        broken += 1
        if broken % ONE_BROKEN_OF == 0 and kept:
            # From a source that is otherwise well: one that sends nothing else would be refused for good.
            kept.append(Raw(kept[-1].key, document.value))
    return kept
