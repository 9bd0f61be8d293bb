"""Where the worker stands in its input, by partition, as metrics and for health."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.metrics import Metrics
from newsmill.settings import Settings

EVERY_SECONDS = 5.0


class Positions:
    """Measures lag every few seconds, from the main loop.

    In a read-committed consumer the end of a partition is its last stable offset, which stands still behind an open
    transaction: lag to it reads 0 while input waits. So the distance from there to the high watermark is measured,
    too, with the time for which it has stood still.
    """

    def __init__(self, settings: Settings, stage: str, metrics: Metrics) -> None:
        self._stage = stage
        self._metrics = metrics
        self._lookup: Any = KafkaConsumer(
            **clients.consumer(settings) | {"isolation_level": "read_uncommitted", "request_timeout_ms": 5_000}
        )
        self._due = 0.0
        self._known: set[int] = set()
        self._last_timestamp: dict[int, float] = {}
        self._unstable_since: dict[int, tuple[int, float]] = {}

    def processed(self, partition: int, timestamp_ms: int, committed: int) -> None:
        """A batch became durable: its last record of `partition` had this append time; this offset is committed."""
        self._last_timestamp[partition] = timestamp_ms / 1000
        self._metrics.committed.labels(self._stage, partition).set(committed)

    def stepped(self, partition: int, committed: int) -> None:
        """The committed offset has stepped over markers of transactions."""
        self._metrics.committed.labels(self._stage, partition).set(committed)

    def assigned(self, partition: int, committed: int | None) -> None:
        """The partition is this worker's now, at this committed offset (None: none yet)."""
        self._known.add(partition)
        self._metrics.committed.labels(self._stage, partition).set(math.nan if committed is None else committed)
        self._due = 0.0

    def revoked(self, partition: int) -> None:
        """The partition is another worker's now: its figures disappear."""
        self._known.discard(partition)
        self._last_timestamp.pop(partition, None)
        self._unstable_since.pop(partition, None)
        for gauge in self.gauges(self._metrics):
            gauge.remove(self._stage, partition)

    def measure(self, consumer: Any, partitions: set[TopicPartition]) -> int | None:
        """Measure if it is time to; return how many records wait in all, None where not measured or not known."""
        if not partitions or time.monotonic() < self._due:
            return None
        self._due = time.monotonic() + EVERY_SECONDS
        wanted = sorted(partitions)
        try:
            stable = consumer.end_offsets(wanted, timeout_ms=5_000)
            high = self._lookup.end_offsets(wanted, timeout_ms=5_000)
        except KafkaError:
            self._set_unknown(wanted)
            raise
        except KeyError:
            # kafka-python's answer for a partition that its metadata doesn't have yet: the topic has grown.
            self._set_unknown(wanted)
            self._lookup.topics()
            return None
        return sum(self._one(consumer, tp, stable[tp], max(high[tp], stable[tp])) for tp in wanted)

    def _one(self, consumer: Any, tp: TopicPartition, stable: int, high: int) -> int:
        now = time.time()
        position = consumer.position(tp, timeout_ms=5_000)
        waiting: int = max(0, stable - position) if position is not None else 0
        labels = (self._stage, tp.partition)
        last = self._last_timestamp.get(tp.partition)
        metrics = self._metrics
        metrics.end.labels(*labels).set(stable)
        metrics.lag.labels(*labels).set(math.nan if position is None else waiting)
        metrics.lag_seconds.labels(*labels).set(
            0.0 if not waiting else math.nan if last is None else max(0.0, now - last)
        )
        metrics.unstable.labels(*labels).set(high - stable)
        before, since = self._unstable_since.get(tp.partition, (-1, now))
        since = since if before == stable and high > stable else now
        self._unstable_since[tp.partition] = (stable, since)
        metrics.unstable_seconds.labels(*labels).set(now - since)
        return waiting

    def _set_unknown(self, partitions: Sequence[TopicPartition]) -> None:
        for gauge in (self._metrics.lag, self._metrics.lag_seconds, self._metrics.end):
            for tp in partitions:
                gauge.labels(self._stage, tp.partition).set(math.nan)

    @staticmethod
    def gauges(metrics: Metrics) -> tuple[Any, ...]:
        """Return the metrics that have a series for each partition."""
        m = metrics
        return (m.lag, m.lag_seconds, m.committed, m.end, m.unstable, m.unstable_seconds)

    def close(self) -> None:
        """Close the lookup client."""
        self._lookup.close()
