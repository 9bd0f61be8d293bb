"""Find the records of an article on the topics, reading no more than the partition that its key leads to: of
news.articles and the log on it all, where they are split by language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.engines.broker.records import to_record
from newsmill.partitioner import partition_of
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from workers.ingest.identity import url_id
from workers.ingest.urls import canonical_url
from workers.stage import Record

KEYED_BY_ID: Final = (
    topics.ARTICLES,
    topics.DEDUP_LOG,
    topics.UNIQUE,
    topics.DUPLICATES,
    topics.TAGGED,
    topics.CLASSIFIED,
)

BY_LANGUAGE: Final = (topics.ARTICLES, topics.DEDUP_LOG)
"""Topics that a table of languages splits, where there is one."""

MOST: Final = 1_000
"""Records that are gathered, at most; an article that is crawled more often has its oldest ones shown."""

MOST_BYTES: Final = 128 * 1024 * 1024
"""Bytes of values that are gathered, at most: somebody may send the same URL with 8 MiB each time."""

_ID: Final = re.compile("[0-9a-f]{32}")
_ORIGIN: Final = re.compile(r"(.+)/(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: an article id, and the URL where one was given."""

    id: str
    url: str | None = None

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """Return what `text` (an id of 32 hex digits, or a URL) asks for. Raises ValueError when it is neither."""
        if _ID.fullmatch(text):
            return cls(text)
        if (canonical := canonical_url(text)) is None:
            raise ValueError(f"{text!r} is neither an article id (32 hex digits) nor a URL")
        return cls(url_id(canonical), text)


@dataclass(slots=True)
class Found:
    """The records of an article. `raw` is by origin; a raw document that retention has taken is not there."""

    wanted: Wanted
    records: list[Record] = field(default_factory=list)
    raw: dict[str, Record] = field(default_factory=dict)
    dead: list[Record] = field(default_factory=list)
    waiting: list[Record] = field(default_factory=list)
    """Raw documents with the URL that no stage has made anything of yet."""
    cut: bool = False
    """Whether there are more records than are gathered."""
    _bytes: int = 0

    def take(self, record: Record, into: list[Record]) -> bool:
        """Append `record` to one of the lists; return whether there was room."""
        size = len(record.value or b"")
        if len(into) >= MOST or self._bytes + size > MOST_BYTES:
            self.cut = True
            return False
        self._bytes += size
        into.append(record)
        return True


def search(
    settings: Settings,
    wanted: Wanted,
    *,
    since_ms: int | None = None,
    on_progress: Callable[[str, int], None] = lambda topic, read: None,
) -> Found:
    """Return the committed records of the article `wanted`.

    Args:
        since_ms: read records that arrived since then alone, milliseconds since the Unix epoch.
        on_progress: called now and then with the topic that is read and how many records of it.

    Raises kafka.errors.KafkaError when no broker answers.
    """
    found = Found(wanted)
    consumer: Any = KafkaConsumer(**clients.consumer(settings))
    try:
        reader = _Reader(settings, consumer, since_ms, on_progress)
        key = wanted.id.encode()
        for topic in KEYED_BY_ID:
            for record in reader.keyed(topic, key):
                if record.key == key and not found.take(record, found.records):
                    break
        origins = {_origin(record) for record in found.records}
        needle = _needle(wanted)
        for record in reader.whole(topics.DEAD_LETTERS):
            is_its = record.key == key or _origin(record) in origins or (needle and needle in (record.value or b""))
            if is_its and not found.take(record, found.dead):
                break
        origins |= {_origin(record) for record in found.dead}
        for origin in sorted(origins):
            if (brought_in := reader.at(origin)) is not None and found.take(brought_in, []):
                found.raw[origin] = brought_in
        if needle and not origins:
            for record in reader.whole(topics.RAW):
                if needle in (record.value or b"") and not found.take(record, found.waiting):
                    break
    finally:
        consumer.close()
    return found


def _needle(wanted: Wanted) -> bytes:
    # As it stands in a JSON string, without the quotes.
    return orjson.dumps(wanted.url)[1:-1] if wanted.url else b""


def _origin(record: Record) -> str:
    return (h.get(record.headers, h.ORIGIN) or b"").decode("utf-8", "replace")


class _Reader:
    def __init__(
        self, settings: Settings, consumer: Any, since_ms: int | None, on_progress: Callable[[str, int], None]
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._since_ms = since_ms
        self._on_progress = on_progress

    def keyed(self, topic: str, key: bytes) -> Iterator[Record]:
        """Yield the records of the partition on which producers put `key`."""
        if self._settings.dedup_routes and topic in BY_LANGUAGE:
            yield from self.whole(topic)
        elif numbers := self._numbers(topic):
            yield from self._read(topic, [partition_of(key, numbers, ())])

    def whole(self, topic: str) -> Iterator[Record]:
        """Yield the records of all partitions."""
        if numbers := self._numbers(topic):
            yield from self._read(topic, numbers)

    def at(self, origin: str) -> Record | None:
        """Return the record of news.raw at `origin`; None when it is not (or no longer) there."""
        match = _ORIGIN.fullmatch(origin)
        if match is None or match[1] != clients.physical(self._settings, topics.RAW):
            return None
        place, offset = TopicPartition(match[1], int(match[2])), int(match[3])
        if place.partition not in self._numbers(topics.RAW):
            return None
        (start,), (end,) = (
            tuple(ask([place]).values()) for ask in (self._consumer.beginning_offsets, self._consumer.end_offsets)
        )
        if not start <= offset < end:
            return None
        self._consumer.assign([place])
        self._consumer.seek(place, offset)
        for raw in self._consumer.poll(timeout_ms=10_000, max_records=1).get(place, ()):
            if raw.offset == offset:
                return to_record(raw)
        return None

    def _numbers(self, topic: str) -> list[int]:
        return sorted(self._consumer.partitions_for_topic(clients.physical(self._settings, topic)) or ())

    def _read(self, topic: str, numbers: list[int]) -> Iterator[Record]:
        name = clients.physical(self._settings, topic)
        places = [TopicPartition(name, number) for number in numbers]
        consumer = self._consumer
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        starts = consumer.beginning_offsets(places)
        if self._since_ms is not None:
            for place, at in consumer.offsets_for_times(dict.fromkeys(places, self._since_ms)).items():
                starts[place] = ends[place] if at is None else at.offset
        for place in places:
            consumer.seek(place, starts[place])
        read = 0
        while any(consumer.position(place) < ends[place] for place in places):
            for raws in consumer.poll(timeout_ms=500, max_records=2_000).values():
                read += len(raws)
                yield from map(to_record, raws)
            self._on_progress(topic, read)
