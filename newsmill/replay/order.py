"""The records of a range in the order in which the live run met them.

Stages with state depend on the order in which they read. Where that is the order of the replayed topic itself, each
partition has it. Where records of several partitions have met further down (dedup reads one partition of articles that
come of many of news.raw), the log of the stage tells: it has an entry for each record that the stage decided, with the
origin of that record. So the log is followed: each entry says which record of the range is due next. A record that the
stage never saw (ingest refused it) comes right before the next one of its partition.

An entry whose record is not replayed, for it is filtered out or stands before the range, is handed out itself, so that
it can be folded into the state: a replay of one source sees what the live run saw.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from newsmill import clients
from newsmill.engines.embedded.chain import Decided
from newsmill.replay.partitions import Partitions
from newsmill.replay.scout import Scout
from newsmill.settings import Settings
from schemas import headers as h
from schemas.replays import Span
from workers.stage import Record, StatefulStage

SETTLED_MS: Final = 6 * 3_600_000
"""A record of the range about which the log says nothing for so long after the range's end was refused by a stage."""

MOST_PENDING: Final = 5_000
"""Entries that are held until a record of the range follows."""

Item = Record | Decided


@dataclass(frozen=True, slots=True)
class Log:
    """The log of a stage: what of it is read. `direct`: the stage reads the replayed topic itself."""

    stage: StatefulStage
    spans: tuple[Span, ...]
    direct: bool


class Order(ABC):
    """Hands out records of a range and, in between, decisions about those that are left out. Close it at the end.

    Args:
        settings: where the broker is.
        topic: what is replayed, without a namespace.
        spans: the range.
        takes: says whether a record is replayed.
        logs: of the stages with state that read `topic` itself.
        positions: from an earlier `positions`, to go on there.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        spans: Sequence[Span],
        takes: Callable[[Record], bool],
        logs: Sequence[Log] = (),
        positions: Mapping[str, int] | None = None,
    ) -> None:
        before = positions or {}
        self.topic = topic
        self._takes = takes
        self._next = {span.partition: max(span.start, before.get(f"{topic}/{span.partition}", 0)) for span in spans}
        self._starts = {span.partition: span.start for span in spans}
        self._ends = {span.partition: span.end for span in spans}
        self._records = Partitions(settings, topic, spans, self._next)
        self._direct: list[_Entries] = [_Entries(settings, log, before) for log in logs if log.direct]
        self._left_out = 0

    @abstractmethod
    def __iter__(self) -> Iterator[Item]:
        """Yield what comes next. Whatever was yielded is behind `positions`."""

    def positions(self) -> dict[str, int]:
        """Return the next offset of each partition that is read, by `topic/partition`."""
        found = {f"{self.topic}/{number}": offset for number, offset in sorted(self._next.items())}
        for entries in self._direct:
            found.update(entries.positions())
        return found

    @property
    def done(self) -> int:
        """Offsets of the range that are behind."""
        return sum(offset - self._starts[number] for number, offset in self._next.items())

    @property
    def left_out(self) -> int:
        """Records of the range that were not meant, since this process began."""
        return self._left_out

    def close(self) -> None:
        """Close the clients."""
        self._records.close()
        for entries in self._direct:
            entries.close()

    def _pass(self, partition: int, until: int) -> Iterator[Item]:
        """Yield the records of a partition before offset `until`, and direct decisions about those left out."""
        while (record := self._records.peek(partition)) is not None and record.offset < until:
            self._records.take(partition)
            self._next[partition] = record.offset + 1
            if self._meant(record):
                yield record
            else:
                self._left_out += 1
                for entries in self._direct:
                    if (found := entries.at(partition, record.offset)) is not None:
                        yield found
        if record is None:
            self._next[partition] = self._ends[partition]  # what is left are markers of transactions

    def _meant(self, record: Record) -> bool:
        # What was put back in place is a replay itself: it changed no state, and its original is there, too.
        return h.get(record.headers, h.REPLAY) is None and self._takes(record)

    def _by_time(self) -> Iterator[Item]:
        """Yield all that is left, the earliest append time first, then by partition and offset."""
        while heads := [head for number in self._records.numbers if (head := self._records.peek(number)) is not None]:
            first = min(heads, key=lambda record: (record.timestamp_ms, record.partition))
            yield from self._pass(first.partition, first.offset + 1)
        self._next = dict(self._ends)


class ByTime(Order):
    """By append time, then partition, then offset: where no stage further down has state."""

    def __iter__(self) -> Iterator[Item]:
        yield from self._by_time()


class Followed(Order):
    """In the order of the log of a stage further down; see the module.

    Args:
        leader: the log to follow.
        settled_ms: an entry that was logged later than this is about no record of the range, milliseconds since the
            Unix epoch.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        spans: Sequence[Span],
        takes: Callable[[Record], bool],
        leader: Log,
        settled_ms: int,
        logs: Sequence[Log] = (),
        positions: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(settings, topic, spans, takes, logs, positions)
        self._settled_ms = settled_ms
        before = positions or {}
        self._stage = leader.stage
        self._log_topic = leader.stage.log_topic
        self._log_next = {
            span.partition: max(span.start, before.get(f"{self._log_topic}/{span.partition}", 0))
            for span in leader.spans
        }
        self._log = Partitions(settings, self._log_topic, leader.spans, self._log_next)
        self._scout = Scout(settings, topic, spans, self._next)
        name = re.escape(clients.physical(settings, topic))
        self._place = re.compile(rf"{name}/(\d{{1,10}})/(\d{{1,19}})".encode())
        self._pending: list[Record] = []
        self._settled: set[int] = set()

    def positions(self) -> dict[str, int]:
        """Return the next offset of each partition that is read, by `topic/partition`."""
        logs = {f"{self._log_topic}/{number}": offset for number, offset in sorted(self._log_next.items())}
        return super().positions() | logs

    def close(self) -> None:
        """Close the clients."""
        super().close()
        self._log.close()
        self._scout.close()

    def begin(self) -> dict[int, int]:
        """Return, by partition of the log, the offset behind all entries that were logged before the first one about
        the range: what is before is the state with which the range began. Call it instead of iterating."""
        reached = dict(self._log_next)
        while not self._all_settled() and (entry := self._next_entry()) is not None:
            if self._locate(entry) is not None:
                break
            reached[entry.partition] = entry.offset + 1
        return reached

    def __iter__(self) -> Iterator[Item]:
        while not self._all_settled():
            if (entry := self._next_entry()) is None:
                # Live workers have not come to what is left: it comes after all that they have decided.
                yield from self._flush()
                break
            if (found := self._locate(entry)) is not None:
                yield from self._due(entry, *found)
                continue
            self._pending.append(entry)
            if len(self._pending) >= MOST_PENDING:
                yield from self._flush()
        self._pending.clear()
        yield from self._by_time()

    def _due(self, entry: Record, partition: int, offset: int) -> Iterator[Item]:
        """Yield what the entry is about, after what comes before that in its partition."""
        for item in self._pass(partition, offset):
            yield from self._flush()
            yield item
        record = self._records.peek(partition)
        if record is not None and record.offset == offset and self._meant(record):
            yield from self._flush()
            self._records.take(partition)
            self._next[partition] = offset + 1
            self._log_next[entry.partition] = entry.offset + 1
            yield record
        else:
            self._pending.append(entry)
            for item in self._pass(partition, offset + 1):
                yield from self._flush()
                yield item

    def _flush(self) -> Iterator[Decided]:
        """Yield the decisions that wait for a record of the range to follow."""
        pending, self._pending = self._pending, []
        for entry in pending:
            self._log_next[entry.partition] = entry.offset + 1
            yield Decided(self._stage.name, entry.partition, entry)

    def _next_entry(self) -> Record | None:
        heads = [head for number in self._log.numbers if (head := self._log.peek(number)) is not None]
        if not heads:
            return None
        first = min(heads, key=lambda record: (record.timestamp_ms, record.partition))
        return self._log.take(first.partition)

    def _locate(self, entry: Record) -> tuple[int, int] | None:
        """Return partition and offset of the record of the range that `entry` is about; None where it is none, or has
        been handed out already: a second decision about the same document."""
        origin = h.get(entry.headers, h.ORIGIN) or b""
        if (match := self._place.fullmatch(origin)) is not None:
            partition, offset = int(match[1]), int(match[2])
            if partition in self._next:
                if offset >= self._ends[partition]:
                    self._settled.add(partition)
                elif offset >= self._next[partition]:
                    return partition, offset
        if entry.timestamp_ms > self._settled_ms:
            self._settled.update(self._next)
            return None
        return self._scout.find(origin, entry.timestamp_ms, self._next)

    def _all_settled(self) -> bool:
        return all(number in self._settled or offset >= self._ends[number] for number, offset in self._next.items())


class _Entries:
    """The log of a stage that reads the replayed topic: its entries by the offset of their input."""

    def __init__(self, settings: Settings, log: Log, before: Mapping[str, int]) -> None:
        self._stage = log.stage
        topic = log.stage.log_topic
        self._next = {span.partition: max(span.start, before.get(f"{topic}/{span.partition}", 0)) for span in log.spans}
        self._log = Partitions(settings, topic, log.spans, self._next)

    def positions(self) -> dict[str, int]:
        """Return the next offset of each partition, by `topic/partition`."""
        return {f"{self._log.topic}/{number}": offset for number, offset in sorted(self._next.items())}

    def at(self, partition: int, offset: int) -> Decided | None:
        """Return the decision about the input at `offset`; asked for with ascending offsets."""
        if partition not in self._next:
            return None
        while (entry := self._log.peek(partition)) is not None:
            about = input_offset(entry)
            if about > offset:
                return None
            self._log.take(partition)
            self._next[partition] = entry.offset + 1
            if about == offset:
                return Decided(self._stage.name, partition, entry)
        return None

    def close(self) -> None:
        """Close the client."""
        self._log.close()


def input_offset(entry: Record) -> int:
    """Return the offset of the input that a log record is about, -1 where it does not say it."""
    text = h.get(entry.headers, h.INPUT_OFFSET) or b""
    return int(text) if text.isdigit() and len(text) < 20 else -1
