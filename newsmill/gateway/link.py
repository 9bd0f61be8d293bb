"""A connection to news.raw: one producer and one admin client."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from newsmill import clients, topics
from newsmill.confirming import ConfirmingProducer
from newsmill.errors import NewsmillError
from newsmill.settings import Settings
from schemas.headers import Headers
from schemas.limits import MAX_RECORD_BYTES
from schemas.topics import RAW

_LINGER_MS: Final = 5
_ROOM_BYTES: Final = 1_024
"""More than key, headers and framing of a record take here."""

_CHECK_SECONDS: Final = 5.0


class NoTopic(NewsmillError):
    """The topic is missing."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record of news.raw to be."""

    key: bytes
    value: bytes
    headers: Headers


class Link(Protocol):
    """A connection to the topic. All of it is called from one thread."""

    record_bytes: int
    """Largest document that the topic takes."""

    def send(self, record: Outgoing, done: Callable[[BaseException | None], None]) -> None:
        """Take a record; `done` is called once, from any thread: with None when all replicas have it, else with why
        it was given up. Raises KafkaError when it can't even be taken."""

    def check(self) -> None:
        """Raise KafkaError or NewsmillError when the broker does not answer or the topic is gone."""

    def close(self) -> None:
        """Wait for what was taken, then let go of the connections."""


class KafkaLink:
    """A connection to news.raw on the cluster that the settings name.

    Raises KafkaError when no broker answers, NoTopic.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = clients.physical(settings, RAW)
        self._timeout_s = settings.gateway_timeout_s
        with contextlib.ExitStack() as stack:
            self._admin = KafkaAdminClient(
                **clients.connection(settings)
                | {
                    "bootstrap_timeout_ms": int(min(_CHECK_SECONDS, settings.gateway_timeout_s) * 1000),
                    "request_timeout_ms": int(_CHECK_SECONDS * 1000),
                }
            )
            stack.callback(self._admin.close)
            self.check()
            largest = topics.largest_record(self._admin, self._topic)
            # A smaller limit than the declared one is known before a record meets it: one that is refused for its size
            # takes its producer down, with all that is in flight.
            room = max(_ROOM_BYTES, (largest or clients.MAX_MESSAGE_BYTES) - _ROOM_BYTES)
            self.record_bytes = min(MAX_RECORD_BYTES, room)
            options = clients.confirming_producer(settings, settings.gateway_timeout_s)
            # The same holds for a batch, which is one message to the broker.
            options["batch_size"] = min(options["batch_size"], room)
            self._producer: Any = ConfirmingProducer(**options, linger_ms=_LINGER_MS)
            stack.callback(self._close_producer)
            self._producer.partitions_for(self._topic)
            self._stack = stack.pop_all()

    def send(self, record: Outgoing, done: Callable[[BaseException | None], None]) -> None:
        """Take a record, as `Link.send` says."""
        future = self._producer.send(self._topic, key=record.key, value=record.value, headers=list(record.headers))
        future.add_callback(lambda _: done(None))
        future.add_errback(done)

    def check(self) -> None:
        """Ask the cluster for the topic. Raises KafkaError, NoTopic."""
        if not topics.exists(self._admin, self._topic):
            raise NoTopic(f"there is no topic {self._topic}; `newsmill topics create` makes it")

    def close(self) -> None:
        """Wait for what was taken, then let go of the connections."""
        self._stack.close()

    def _close_producer(self) -> None:
        # Each record tells for itself what became of it.
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=self._timeout_s)
