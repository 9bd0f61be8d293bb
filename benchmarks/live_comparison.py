"""Whether what lies on topics is what it should be, key by key and value by value: for benchmarks/replay_live.py.

Records are compared as digests of origin, key and value, in the order of their partition. Memory: 50 bytes a record.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from newsmill.engines.result import Output
from newsmill.engines.runner import Runner
from newsmill.metrics import Metrics
from newsmill.replay import isolated
from newsmill.replay.partitions import records_in
from newsmill.replay.reader import bounds
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from workers import pipeline
from workers.stage import Record, Stage, StatefulStage

COMPARED: Final = (
    topics.INGEST_LOG,
    topics.ARTICLES,
    topics.DEDUP_LOG,
    topics.UNIQUE,
    topics.DUPLICATES,
    topics.TAGGED,
    topics.CLASSIFIED,
    topics.DEAD_LETTERS,
)
"""All topics that stages write: outputs, and the logs of which their state is the fold."""

_STATELESS: Final = {topics.TAGGED: b"entities", topics.CLASSIFIED: b"classify"}
_BY_RAW: Final = (topics.ARTICLES, topics.INGEST_LOG)
_BATCH: Final = 500

Lanes = dict[tuple[str, int], list[bytes]]
"""Digests in order, by topic and by the number of what keeps that order."""

Wanted = Callable[[bytes], bool]
"""Whether records of an origin are compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of comparing a topic: `differing` counts places where key, value or order is another one."""

    topic: str
    records: int
    differing: int


def run_and_live(settings: Settings, run: str, wanted: Wanted) -> list[Row]:
    """Compare the topics of a run with what live ones hold of the `wanted` origins, partition by partition.

    Dead letters come from several workers at once: their order is left out. So is what the run has taken over from the
    live log, decisions of live workers about documents that are not part of it.
    """
    own: Lanes = defaultdict(list)
    live: Lanes = defaultdict(list)
    for topic in COMPARED:
        for record in records_of(settings, isolated.own_topic(run, topic)):
            if h.get(record.headers, h.TAKEN_OVER) is None:
                own[topic, record.partition].append(_digest(record))
        for record in records_of(settings, topic):
            if wanted(origin_of(record)):
                live[topic, record.partition].append(_digest(record))
    return _rows(own, live)


def live_and_undisturbed(settings: Settings, recomputed: Wanted) -> list[Row]:
    """Compare all that live workers wrote with what the stages make of the same records in this process: ingest of each
    partition of news.raw, dedup of news.articles in its order, and what follows of each partition.

    The last two stages have no state: they are run for the `recomputed` origins alone.
    """
    found: Lanes = defaultdict(list)
    expected: Lanes = defaultdict(list)
    lane = {origin_of(record): record.partition for record in records_of(settings, topics.RAW)}
    for topic in COMPARED:
        for record in records_of(settings, topic):
            origin = origin_of(record)
            made_by = h.get(record.headers, h.DEAD_STAGE) or _STATELESS.get(topic, b"")
            if made_by in _STATELESS.values() and not recomputed(origin):
                continue
            # What ingest writes has one order for each partition that it reads.
            number = lane[origin] if topic in _BY_RAW else record.partition
            found[topic, number].append(_digest(record))
    partitions = isolated.partitioner(isolated.partitions(settings, [t for t in COMPARED if t != topics.DEAD_LETTERS]))
    for name in pipeline.STAGES:
        for output in _made(settings, pipeline.load(name), recomputed):
            origin = h.get(output.headers, h.ORIGIN) or b""
            if output.topic in _BY_RAW:
                number = lane[origin]
            else:
                number = partitions(output.topic, output.key) if output.partition is None else output.partition
            expected[output.topic, number].append(_of(origin, output.key, output.value))
    return _rows(expected, found)


def records_of(settings: Settings, topic: str) -> Iterator[Record]:
    """Return the committed records of a topic, partition by partition, in order."""
    return records_in(settings, topic, bounds(settings, topic))


def origin_of(record: Record) -> bytes:
    """Return the origin of a record, that of news.raw where it names none."""
    return h.get(record.headers, h.ORIGIN) or f"{record.topic}/{record.partition}/{record.offset}".encode()


def _made(settings: Settings, stage: Stage, recomputed: Wanted) -> Iterator[Output]:
    runner = Runner(stage, Metrics())
    batch: list[Record] = []
    for record in records_of(settings, stage.source):
        if isinstance(stage, StatefulStage) or recomputed(origin_of(record)):
            batch.append(record)
        if len(batch) == _BATCH:
            yield from _done(runner, batch)
            batch = []
    yield from _done(runner, batch)


def _done(runner: Runner, batch: Sequence[Record]) -> Sequence[Output]:
    result = runner.run(batch)
    runner.commit(result)
    return result.outputs


def _rows(expected: Lanes, found: Lanes) -> list[Row]:
    rows = []
    for topic in COMPARED:
        count = differing = 0
        for lane in {lane for lane in (*expected, *found) if lane[0] == topic}:
            wanted, there = expected.get(lane, []), found.get(lane, [])
            if topic == topics.DEAD_LETTERS:
                wanted, there = sorted(wanted), sorted(there)
            count += len(wanted)
            same = sum(a == b for a, b in zip(wanted, there, strict=False))
            differing += max(len(wanted), len(there)) - same
        rows.append(Row(topic, count, differing))
    return rows


def _digest(record: Record) -> bytes:
    return _of(origin_of(record), record.key, record.value)


def _of(origin: bytes, key: bytes | None, value: bytes | None) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in (origin, key, value):
        digest.update(b"-" if part is None else b"%d:%b" % (len(part), part))
    return digest.digest()
