"""What news.replays says of the runs: who asked for what, how far each is, what was put back already."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.confirming import ConfirmingProducer
from newsmill.engines.broker.required import MissingTopicsError
from newsmill.errors import NewsmillError
from newsmill.replay.lookup import asking
from newsmill.replay.spans import SpanSet
from newsmill.settings import Settings
from schemas import codec, topics
from schemas.replays import MAX_RUN_CHARS, Operation, Plan, ReplayRecord

PARTITION: Final = 0
"""All records of all runs are on this partition of news.replays, so they have one order."""

_NAME: Final = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{MAX_RUN_CHARS - 1}}}")


class JournalError(NewsmillError):
    """What news.replays says does not go with what is asked. The text says what, and what to do."""


@dataclass(slots=True)
class Work:
    """One operation of a run, as its records tell it.

    `checkpoint` is the last one that is committed. `processes` counts those that have worked on it.
    """

    started: ReplayRecord
    checkpoint: ReplayRecord | None = None
    finished: ReplayRecord | None = None
    paused: bool = False
    processes: int = 1
    last: ReplayRecord = field(init=False)

    def __post_init__(self) -> None:
        self.last = self.started

    @property
    def plan(self) -> Plan:
        """What was asked for."""
        return self.started.plan or Plan(topic="")

    @property
    def positions(self) -> dict[str, int]:
        """Next offset to read, by `topic/partition`; empty before the first checkpoint."""
        return dict(self.checkpoint.positions) if self.checkpoint else {}

    @property
    def counts(self) -> dict[str, int]:
        """Records by what became of them, up to now."""
        latest = self.finished or self.checkpoint
        return dict(latest.counts) if latest else {}

    @property
    def status(self) -> str:
        """`finished`, `paused` or `unfinished`: whether a process works on it at the moment, the journal can't say."""
        return "finished" if self.finished else "paused" if self.paused else "unfinished"


@dataclass(slots=True)
class Run:
    """All that was done under one name: its operations in the order in which they were started."""

    name: str
    works: dict[Operation, Work] = field(default_factory=dict)
    dropped: ReplayRecord | None = None

    @property
    def first(self) -> Work:
        """The operation that made the run."""
        return next(iter(self.works.values()))


@dataclass(slots=True)
class Journal:
    """The fold of news.replays.

    `redriven` are the offsets of news.dead-letters that were put back, by partition, over all runs.
    """

    runs: dict[str, Run] = field(default_factory=dict)
    redriven: dict[int, SpanSet] = field(default_factory=dict)
    unreadable: int = 0
    """Records that are none of this version's."""

    def add(self, record: ReplayRecord) -> None:
        """Take in the next record of the topic."""
        for span in record.offsets:
            self.redriven.setdefault(span.partition, SpanSet()).add(span.start, span.end)
        if record.event == "started":
            run = self.runs.get(record.run)
            if run is None or run.dropped:
                # The last one of this name was dropped: this is another one. It stands where it started.
                self.runs.pop(record.run, None)
                run = self.runs[record.run] = Run(record.run)
            run.works[record.operation] = Work(record)
            return
        if (run := self.runs.get(record.run)) is None:
            return  # its beginning is no longer kept
        if record.event == "dropped":
            run.dropped = record
            return
        if (work := run.works.get(record.operation)) is None:
            return
        work.last = record
        if record.event == "checkpoint":
            work.checkpoint = record
        elif record.event == "finished":
            work.finished = record
        elif record.event == "continued":
            work.processes += 1
            work.paused = False
        else:
            work.paused = record.event == "pause"

    def work(self, run: str, operation: Operation) -> Work | None:
        """Return the operation of a run that is there and not dropped."""
        found = self.runs.get(run)
        return None if found is None or found.dropped else found.works.get(operation)

    def unfinished(self, operation: Operation, options: Mapping[str, str]) -> Run | None:
        """Return the latest run that was asked for with the same options, and neither finished nor dropped."""
        for run in reversed(self.runs.values()):
            work = run.works.get(operation)
            if work and not work.finished and not run.dropped and work.plan.options == dict(options):
                return run
        return None

    def known(self, name: str) -> Run:
        """Return the run `name`. Raises JournalError when there is none."""
        if (run := self.runs.get(name)) is None:
            raise JournalError(f"no run is called {name!r}; `newsmill replay list` shows those that there are")
        return run


def read(settings: Settings, *, settled: bool = False) -> Journal:
    """Return what news.replays says now.

    Args:
        settings: where the broker is.
        settled: wait until every transaction that is open now has ended: what a killed process left open is then
            either there or never will be.

    Raises MissingTopicsError, JournalError, kafka.errors.KafkaError.
    """
    journal = Journal()
    for record in _records(settings, settled=settled):
        try:
            journal.add(codec.decode(record.value, ReplayRecord))
        except codec.InvalidMessage:
            journal.unreadable += 1
    return journal


def history(settings: Settings, run: str) -> list[ReplayRecord]:
    """Return the records of one run, oldest first. Raises as `read` does."""
    found = []
    key = run.encode()
    for record in _records(settings, settled=False):
        if record.key == key:
            try:
                found.append(codec.decode(record.value, ReplayRecord))
            except codec.InvalidMessage:
                continue
    return found


def append(settings: Settings, record: ReplayRecord) -> None:
    """Write a record that belongs to no output (`pause`, `resume`, `dropped`), and return when it is durable.

    Raises kafka.errors.KafkaError.
    """
    producer: Any = ConfirmingProducer(**clients.confirming_producer(settings, settings.commit_timeout_s))
    try:
        sent = producer.send(
            clients.physical(settings, topics.REPLAYS),
            key=record.run.encode(),
            value=codec.encode(record),
            partition=PARTITION,
        )
        producer.flush(timeout=settings.commit_timeout_s)
        sent.get(timeout=settings.commit_timeout_s)
    finally:
        producer.close(timeout=5)


def place(settings: Settings) -> TopicPartition:
    """Return the partition that all records are on."""
    return TopicPartition(clients.physical(settings, topics.REPLAYS), PARTITION)


def who() -> str:
    """Return who runs this process, `user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as containers have it
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def note(run: str, operation: Operation, event: Any, **fields: Any) -> ReplayRecord:
    """Return a record of this moment and this process. `fields` are those of ReplayRecord."""
    return ReplayRecord(
        run=run, operation=operation, event=event, at=datetime.now(UTC).replace(microsecond=0), who=who(), **fields
    )


def check_name(name: str) -> str:
    """Return `name`. Raises JournalError when no run can be called so."""
    if not _NAME.fullmatch(name):
        raise JournalError(
            f"{name!r} can't be the name of a run: small letters, digits, - and _, at most {MAX_RUN_CHARS}, the first "
            "one a letter or digit"
        )
    return name


def new_name(operation: Operation) -> str:
    """Return a name for a run that has none: what it is, when it began (UTC), and four random digits."""
    return f"{operation.replace('_', '-')}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _records(settings: Settings, *, settled: bool) -> Iterator[Any]:
    where = place(settings)
    with asking(settings) as consumer:
        if PARTITION not in (consumer.partitions_for_topic(where.topic) or ()):
            raise MissingTopicsError([where.topic])
        end = _high_watermark(settings, where) if settled else consumer.end_offsets([where])[where]
        patience = max(settings.transaction_timeout_s, settings.commit_timeout_s) + 5
        until = time.monotonic() + patience
        consumer.assign([where])
        consumer.seek_to_beginning(where)
        while consumer.position(where) < end:
            found = consumer.poll(timeout_ms=200).get(where, ())
            yield from found
            if found:
                until = time.monotonic() + patience
            elif time.monotonic() > until:
                raise JournalError(f"{where.topic} can't be read to its end: a transaction stays open, or no answer")


def _high_watermark(settings: Settings, where: TopicPartition) -> int:
    lookup: Any = KafkaConsumer(**clients.consumer(settings) | {"isolation_level": "read_uncommitted"})
    try:
        end: int = lookup.end_offsets([where])[where]
    finally:
        lookup.close()
    return end
