"""Reads planned offsets of a topic, beside whatever consumer groups it has."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from kafka.errors import OffsetOutOfRangeError
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.engines.broker.records import to_record
from newsmill.engines.kafka.consumer import PausingConsumer
from newsmill.errors import NewsmillError
from newsmill.replay.lookup import asking
from newsmill.settings import Settings
from schemas.replays import Span
from workers.stage import Record

BUFFERED: Final = 100
"""Records of a partition that are held at least before it waits for the others."""

POLL_MS: Final = 200


class ExpiredError(NewsmillError):
    """Retention has taken records of the plan while it was worked on."""

    exit_code: ClassVar[int] = 1


class SpanReader:
    """Hands out committed records of several partitions, the earliest append time first; in order within each.

    Args:
        settings: where the broker is.
        topic: name without a namespace.
        spans: what to read; the ends are frozen.
        positions: next offset by `topic/partition`, where an earlier process has read already.
    """

    def __init__(
        self, settings: Settings, topic: str, spans: Sequence[Span], positions: Mapping[str, int] | None = None
    ) -> None:
        self._topic = topic
        name = clients.physical(settings, topic)
        self._consumer: Any = PausingConsumer(**clients.consumer(settings) | {"auto_offset_reset": "none"})
        self._ends = {TopicPartition(name, span.partition): span.end for span in spans}
        self._starts = {TopicPartition(name, span.partition): span.start for span in spans}
        self._next: dict[TopicPartition, int] = {}
        self._buffers: dict[TopicPartition, deque[Record]] = {}
        for place, end in self._ends.items():
            start = max(self._starts[place], (positions or {}).get(f"{topic}/{place.partition}", 0))
            self._next[place] = min(start, end)
            self._buffers[place] = deque()
        self._unread = {place for place, start in self._next.items() if start < self._ends[place]}
        self._consumer.assign(sorted(self._unread))
        for place in self._unread:
            self._consumer.seek(place, self._next[place])

    @property
    def total(self) -> int:
        """Offsets of the plan."""
        return sum(self._ends[place] - start for place, start in self._starts.items())

    @property
    def done(self) -> int:
        """Offsets of the plan that are behind."""
        return sum(position - self._starts[place] for place, position in self._next.items())

    @property
    def finished(self) -> bool:
        """Whether nothing is left to hand out."""
        return not self._unread and not any(self._buffers.values())

    def positions(self) -> dict[str, int]:
        """Return the next offset to hand out, by `topic/partition`."""
        return {f"{self._topic}/{place.partition}": position for place, position in sorted(self._next.items())}

    def peek(self) -> Record | None:
        """Return the next record, which stays the next one; None: not there yet, or finished.

        Raises ExpiredError, kafka.errors.KafkaError.
        """
        if any(not self._buffers[place] for place in self._unread):
            self._poll()
            if any(not self._buffers[place] for place in self._unread):
                return None
        heads = [buffer[0] for buffer in self._buffers.values() if buffer]
        return min(heads, key=lambda record: (record.timestamp_ms, record.partition)) if heads else None

    def take(self, record: Record) -> None:
        """Count `record`, which `peek` returned, as handed out."""
        place = TopicPartition(record.topic, record.partition)
        self._buffers[place].popleft()
        self._next[place] = record.offset + 1
        self._pass_markers(place)

    def _poll(self) -> None:
        full = [place for place in self._unread if len(self._buffers[place]) >= BUFFERED]
        self._consumer.pause(*full)
        self._consumer.resume(*(self._unread - set(full)))
        try:
            polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=2 * BUFFERED)
        except OffsetOutOfRangeError as error:
            raise ExpiredError(
                f"records of the plan are no longer on {self._topic}: retention has taken them meanwhile ({error}). "
                "What was done stays; drop this run and start another one from what is left"
            ) from error
        for place, records in polled.items():
            self._buffers[place].extend(to_record(one) for one in records if one.offset < self._ends[place])
        for place in sorted(self._unread):
            if self._consumer.position(place) >= self._ends[place]:
                self._unread.discard(place)
                self._consumer.pause(place)
                self._pass_markers(place)

    def _pass_markers(self, place: TopicPartition) -> None:
        # What is left of a partition that has been read to its end are markers of transactions.
        if place not in self._unread and not self._buffers[place]:
            self._next[place] = self._ends[place]

    def close(self) -> None:
        """Close the client."""
        self._consumer.close()


def bounds(settings: Settings, topic: str) -> tuple[Span, ...]:
    """Return what is kept of `topic`, by partition; empty when there is no such topic. An open transaction and what is
    behind it are left out. Raises kafka.errors.KafkaError when no broker answers."""
    name = clients.physical(settings, topic)
    with asking(settings) as consumer:
        places = [TopicPartition(name, number) for number in sorted(consumer.partitions_for_topic(name) or ())]
        if not places:
            return ()
        starts, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    return tuple(Span(partition=place.partition, start=starts[place], end=ends[place]) for place in places)
