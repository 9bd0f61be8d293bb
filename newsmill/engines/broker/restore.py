"""Rebuild the state of a stage for a partition that has just been assigned: the fold of its log."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.engines.broker import snapshots
from newsmill.engines.broker.records import to_record
from newsmill.errors import NewsmillError
from newsmill.settings import Settings
from workers.stage import Record, StatefulStage, StateVersionError

log = logging.getLogger(__name__)

STUCK_SECONDS = 120.0
"""How long a restore waits for the log's last records before it gives up: far longer than any transaction may hang."""


SNAPSHOT_SECONDS = 300.0
"""How old a snapshot becomes before a running worker writes the next."""


class RestoreError(NewsmillError):
    """The state can't be rebuilt. The text says why and what to do."""

    exit_code: ClassVar[int] = 1


def log_partitions(settings: Settings, stage: StatefulStage) -> list[int]:
    """Return the partitions of the stage's log, ascending; none when there is no such topic."""
    consumer: Any = KafkaConsumer(**clients.consumer(settings))
    try:
        return sorted(consumer.partitions_for_topic(clients.physical(settings, stage.log_topic)) or ())
    finally:
        consumer.close()


class LogTail:
    """Keeps the state of one partition together with its log: restores it, and writes snapshots as it grows.

    It knows the last log record that the state holds. While the log still has that record, the state is the fold of the
    log up to there, and a restore reads on from it; else it starts over.
    """

    def __init__(self, settings: Settings, stage: StatefulStage, partition: int) -> None:
        self._settings = settings
        self._stage = stage
        self._partition = partition
        self._topic = clients.physical(settings, stage.log_topic)
        self._tp = TopicPartition(self._topic, partition)
        self._path: Path = settings.path("snapshots", f"{stage.name}-{settings.namespace}{partition}.snapshot")
        self._last: tuple[int, str] | None = None
        self._changed = False
        self._written = time.monotonic()

    def restore(self) -> Iterator[int]:
        """Fold the log into the stage, chunk by chunk; yields the records folded so far, so that the caller can keep
        its group membership alive meanwhile. What this tail has folded before is not read again.

        The end is the high watermark at the time of the call (after the partition's committed offset was read). It
        is not the last stable offset: behind an open transaction of a dead worker there may be committed records.

        Raises RestoreError.
        """
        consumer: Any = KafkaConsumer(**clients.consumer(self._settings), retry_backoff_ms=20)
        try:
            end = self._high_watermark(self._tp)
            self._seek(consumer, end)
            folded = 0
            for records in self._chunks(consumer, self._tp, end):
                if records:
                    self.fold(records)
                    folded += len(records)
                yield folded
        finally:
            consumer.close()

    def follow(self) -> Any:
        """Return a consumer of the log that stands behind the last record folded, for a caller who gives `fold` what
        it reads there. Where the broker has deleted what comes next, its poll raises OffsetOutOfRangeError; the
        caller then lets this tail `follow` again.

        Raises RestoreError, KafkaError.
        """
        options = clients.consumer(self._settings) | {"auto_offset_reset": "none"}
        consumer: Any = KafkaConsumer(**options, retry_backoff_ms=20)
        try:
            self._seek(consumer, self._high_watermark(self._tp))
        except BaseException:
            consumer.close()
            raise
        return consumer

    def fold(self, records: Sequence[Record]) -> None:
        """Fold the next records of the log, at least one. Raises RestoreError."""
        try:
            self._stage.restore(self._partition, records)
        except StateVersionError as error:
            name = self._stage.name
            raise RestoreError(
                f"{error}. Stop the workers of {name} and run `newsmill {name} rebuild` where they will run: "
                "it learns anew from the input that is kept"
            ) from error
        self._note(records)
        self._changed = True

    def drop(self) -> None:
        """Forget the state. A restore begins with a snapshot, or with the start of the log."""
        self._stage.forget(self._partition)
        self._last = None
        self._changed = False

    def rebuild(self) -> tuple[int, int]:
        """Fold a log of an older version, learning anew from the input that is kept, and write a snapshot, from which
        a worker that starts here goes on. Returns (entries learnt anew, entries whose input is gone).

        Raises RestoreError.
        """
        tp = self._tp
        self._stage.forget(self._partition)
        consumer: Any = KafkaConsumer(**clients.consumer(self._settings), retry_backoff_ms=20)
        source = Retained(self._settings, self._stage.source, self._partition)
        anew = gone = 0
        try:
            end = self._high_watermark(tp)
            consumer.assign([tp])
            consumer.seek_to_beginning(tp)
            for records in self._chunks(consumer, tp, end):
                if records:
                    counts = self._stage.rebuild(self._partition, records, source.at)
                    anew, gone = anew + counts[0], gone + counts[1]
                    self._note(records)
                    self._changed = True
        except StateVersionError as error:
            raise RestoreError(str(error)) from error
        finally:
            source.close()
            consumer.close()
        self.snapshot()
        if self._changed:
            raise RestoreError(f"no snapshot could be written at {self._path}; see the log")
        return anew, gone

    def _high_watermark(self, tp: TopicPartition) -> int:
        lookup: Any = KafkaConsumer(**clients.consumer(self._settings) | {"isolation_level": "read_uncommitted"})
        try:
            if self._partition not in (lookup.partitions_for_topic(self._topic) or ()):
                raise RestoreError(
                    f"{self._topic} has no partition {self._partition}: it needs as many as the stage's input. "
                    "See `newsmill topics create`"
                )
            end: int = lookup.end_offsets([tp])[tp]
            return end
        finally:
            lookup.close()

    def _seek(self, consumer: Any, end: int) -> None:
        """Have the consumer of the log, whose high watermark is `end`, stand where the state ends; where the log no
        longer holds the last record of the state, begin with another state."""
        tp = self._tp
        start: int = consumer.beginning_offsets([tp])[tp]
        consumer.assign([tp])
        if self._last is not None and start <= self._last[0] < end and self._is_in_log(consumer, tp, *self._last):
            consumer.seek(tp, self._last[0] + 1)
            return
        if self._last is not None:
            log.warning("%s no longer holds what the state of %d was folded from; starting over", tp, self._partition)
        self.drop()
        consumer.seek(tp, self._from_snapshot(consumer, tp, start, end))

    def _from_snapshot(self, consumer: Any, tp: TopicPartition, start: int, end: int) -> int:
        """Load the snapshot if it is one of this log, which begins at `start`; return the log offset to read on
        from."""
        found = snapshots.read(self._path, self._stage.version, self._topic, self._partition)
        if found is None:
            return start
        header, data = found
        in_range = start <= header.log_offset < end
        if not in_range or not self._is_in_log(consumer, tp, header.log_offset, header.log_digest):
            log.warning("snapshot %s is not of this log and is left aside", self._path)
            return start
        try:
            self._stage.load_snapshot(self._partition, data)
        except StateVersionError as error:
            log.warning("snapshot %s is left aside: %s", self._path, error)
            return start
        self._last = (header.log_offset, header.log_digest)
        return header.log_offset + 1

    def _is_in_log(self, consumer: Any, tp: TopicPartition, offset: int, digest: str) -> bool:
        consumer.seek(tp, offset)
        for record in next(iter(consumer.poll(timeout_ms=10_000, max_records=1).values()), ()):
            if record.offset == offset:
                return snapshots.record_digest(record.key, record.value) == digest
        return False

    def _chunks(self, consumer: Any, tp: TopicPartition, end: int) -> Iterator[list[Record]]:
        """Yield the log's records up to `end`, some chunks empty. Raises RestoreError when none arrive for long."""
        moved = time.monotonic()
        while (position := consumer.position(tp)) < end:
            polled = consumer.poll(timeout_ms=200, max_records=2_000).get(tp, [])
            # A record beyond `end` is the log's, too: nobody but this worker writes to the partition now.
            yield [to_record(raw) for raw in polled]
            if consumer.position(tp) > position:
                moved = time.monotonic()
            elif time.monotonic() - moved > STUCK_SECONDS:
                raise RestoreError(f"no record of {tp} arrived for {STUCK_SECONDS:g} s (at {position} of {end})")

    def _note(self, records: Sequence[Record]) -> None:
        last = records[-1]
        self._last = (last.offset, snapshots.record_digest(last.key, last.value))

    def wrote(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """The stage's log has grown: its last record is now this one, durably."""
        self._last = (offset, snapshots.record_digest(key, value))
        self._changed = True

    def snapshot(self, *, at_most_every_s: float = 0.0) -> None:
        """Write a snapshot if the state has changed and the last one is old enough. A failure is logged: the log
        still holds everything."""
        if self._last is None or not self._changed or time.monotonic() - self._written < at_most_every_s:
            return
        self._written = time.monotonic()
        offset, digest = self._last
        data = self._stage.snapshot(self._partition)
        header = snapshots.header_for(self._stage.version, self._topic, self._partition, offset, digest, data)
        try:
            snapshots.write(self._path, header, data)
        except OSError as error:
            log.warning(
                "no snapshot of %s/%d: %s. The next start reads more of the log", self._topic, self._partition, error
            )
        else:
            self._changed = False


class Retained:
    """The records of one partition of a stage's input that the broker still keeps, looked up by ascending offset."""

    def __init__(self, settings: Settings, topic: str, partition: int) -> None:
        self._tp = TopicPartition(clients.physical(settings, topic), partition)
        self._consumer: Any = KafkaConsumer(**clients.consumer(settings), retry_backoff_ms=20)
        self._consumer.assign([self._tp])
        self._consumer.seek_to_beginning(self._tp)
        self._end: int = self._consumer.end_offsets([self._tp])[self._tp]
        self._polled: deque[Record] = deque()

    def at(self, offset: int) -> Record | None:
        """Return the record at `offset`, None when it is not kept. Raises RestoreError when the broker is silent."""
        asked = time.monotonic()
        while offset < self._end:
            while self._polled:
                if self._polled[0].offset > offset:
                    return None
                record = self._polled.popleft()
                if record.offset == offset:
                    return record
            if self._consumer.position(self._tp) > offset:
                return None
            polled = self._consumer.poll(timeout_ms=200, max_records=500).get(self._tp, [])
            self._polled.extend(to_record(raw) for raw in polled)
            if not polled and time.monotonic() - asked > STUCK_SECONDS:
                raise RestoreError(f"no record of {self._tp} arrived for {STUCK_SECONDS:g} s (looking for {offset})")
        return None

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()
