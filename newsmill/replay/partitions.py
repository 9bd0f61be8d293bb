"""Reads spans of a topic, each partition at its own speed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kafka.errors import OffsetOutOfRangeError
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.engines.broker.records import size, to_record
from newsmill.engines.kafka.consumer import PausingConsumer
from newsmill.replay.errors import SilentBrokerError
from newsmill.replay.reader import ExpiredError
from newsmill.settings import Settings
from schemas.replays import Span
from workers.stage import Record

STUCK_SECONDS: Final = 120.0
_FULL_RECORDS: Final = 2_000
_FULL_BYTES: Final = 16 * 1024 * 1024
"""Of each partition so much is held before it is paused."""
_POLL_MS: Final = 200


def records_in(settings: Settings, topic: str, spans: Sequence[Span]) -> Iterator[Record]:
    """Yield the committed records of `topic` (a name without a namespace) in `spans`, partition by partition, in order.

    Raises ExpiredError, SilentBrokerError, kafka.errors.KafkaError.
    """
    reader = Partitions(settings, topic, spans)
    try:
        for partition in reader.numbers:
            while reader.peek(partition) is not None:
                yield reader.take(partition)
    finally:
        reader.close()


class Partitions:
    """Hands out the committed records of each partition in order; the caller says of which partition the next one is.

    Args:
        settings: where the broker is.
        topic: name without a namespace.
        spans: what to read; the ends are frozen.
        positions: where to begin, by partition, instead of at the spans' starts.
    """

    def __init__(
        self, settings: Settings, topic: str, spans: Sequence[Span], positions: Mapping[int, int] | None = None
    ) -> None:
        self.topic = topic
        self._name = clients.physical(settings, topic)
        starts = {span.partition: max(span.start, (positions or {}).get(span.partition, 0)) for span in spans}
        self._ends = {span.partition: span.end for span in spans}
        self._buffers: dict[int, deque[Record]] = {number: deque() for number in starts}
        self._bytes = dict.fromkeys(starts, 0)
        self._unread = {number for number, start in starts.items() if start < self._ends[number]}
        self._paused: set[int] = set()
        self._consumer: Any = PausingConsumer(**clients.consumer(settings) | {"auto_offset_reset": "none"})
        self._consumer.assign([self._place(number) for number in sorted(self._unread)])
        for number in self._unread:
            self._consumer.seek(self._place(number), starts[number])

    @property
    def numbers(self) -> list[int]:
        """The partitions, ascending."""
        return sorted(self._buffers)

    def peek(self, partition: int) -> Record | None:
        """Return the next record of `partition`, which stays the next one; None at the end of its span.

        Waits for it. Raises ExpiredError, SilentBrokerError, kafka.errors.KafkaError.
        """
        buffer = self._buffers[partition]
        asked = time.monotonic()
        while not buffer:
            if partition not in self._unread:
                return None
            if not self._poll(partition) and time.monotonic() - asked > STUCK_SECONDS:
                raise SilentBrokerError(f"no record of {self._name}/{partition} arrived for {STUCK_SECONDS:g} s")
        return buffer[0]

    def take(self, partition: int) -> Record:
        """Return the next record of `partition`, which `peek` has shown, and go on behind it."""
        record = self._buffers[partition].popleft()
        self._bytes[partition] -= len(record.key or b"") + len(record.value or b"") + 64
        return record

    def _poll(self, wanted: int) -> bool:
        """Read more, of the partitions that are not full; return whether something has moved."""
        full = {
            number
            for number in self._unread
            if number != wanted and (len(self._buffers[number]) >= _FULL_RECORDS or self._bytes[number] >= _FULL_BYTES)
        }
        if full != self._paused:
            self._consumer.pause(*map(self._place, full - self._paused))
            self._consumer.resume(*map(self._place, self._paused - full))
            self._paused = full
        try:
            polled = self._consumer.poll(timeout_ms=_POLL_MS, max_records=_FULL_RECORDS)
        except OffsetOutOfRangeError as error:
            raise ExpiredError(
                f"records of the range are no longer on {self._name}: retention has taken them meanwhile ({error}). "
                "Drop this run and start another one from what is left"
            ) from error
        for place, records in polled.items():
            end = self._ends[place.partition]
            kept = [one for one in records if one.offset < end]
            self._bytes[place.partition] += sum(map(size, kept))
            self._buffers[place.partition].extend(map(to_record, kept))
        for number in sorted(self._unread):
            if self._consumer.position(self._place(number)) >= self._ends[number]:
                self._unread.discard(number)
                self._paused.discard(number)
                self._consumer.pause(self._place(number))
        return bool(polled)

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self._name, number)

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()
