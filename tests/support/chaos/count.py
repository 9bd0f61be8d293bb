"""What has come out at the three ends, counted by origin."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from tests.support.background import Background

ENDS = (topics.CLASSIFIED, topics.DUPLICATES, topics.DEAD_LETTERS)


@dataclass(frozen=True, slots=True)
class Found:
    """A record at one of the ends."""

    topic: str
    key: bytes | None
    value: bytes | None


class Count(Background):
    """Reads committed records of `of` as they come, on a thread of its own, and keeps them by origin."""

    def __init__(self, settings: Settings, of: Sequence[str] = ENDS) -> None:
        super().__init__()
        self._settings = settings
        self._names = [clients.physical(settings, topic) for topic in of]
        self.by_origin: defaultdict[bytes, list[Found]] = defaultdict(list)
        self.records = 0

    @property
    def origins(self) -> int:
        """Origins seen so far."""
        return len(self.by_origin)

    def work(self) -> None:
        consumer: Any = KafkaConsumer(**clients.consumer(self._settings))
        try:
            places = [TopicPartition(n, p) for n in self._names for p in sorted(consumer.partitions_for_topic(n))]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            while not self._over.is_set():
                self._poll(consumer)
        finally:
            consumer.close()

    def _poll(self, consumer: Any) -> None:
        try:
            polled = consumer.poll(timeout_ms=200)
        except KafkaError:  # the broker restarts
            return
        for place, records in polled.items():
            topic = clients.logical(self._settings, place.topic)
            for record in records:
                origin = h.get([(k, v or b"") for k, v in record.headers], h.ORIGIN) or b""
                self.by_origin[origin].append(Found(topic, record.key, record.value))
                self.records += 1

    # -- what is to be shown

    def by_topic(self) -> Counter[str]:
        """Return how many records each topic has."""
        return Counter(found.topic for records in self.by_origin.values() for found in records)

    def each_at_least_once(self, expected: Iterable[bytes]) -> None:
        """Fail unless every expected origin is there, and no other."""
        wanted = set(expected)
        missing = sorted(wanted - self.by_origin.keys())
        unknown = sorted(self.by_origin.keys() - wanted)
        assert not missing, f"{len(missing)} of {len(wanted)} are lost: {missing[:10]}"
        assert not unknown, f"{len(unknown)} are of unknown origin: {unknown[:10]}"

    def each_exactly_once(self, expected: Iterable[bytes]) -> None:
        """Fail unless every expected origin is there once, and no other."""
        self.each_at_least_once(expected)
        doubled = {origin: records for origin, records in self.by_origin.items() if len(records) > 1}
        assert not doubled, f"{len(doubled)} are there more than once: {list(doubled.items())[:3]}"

    def repeats(self) -> Counter[str]:
        """Return how many records more than one there are for an origin, by kind; fail on one that is no repetition.

        `identical`: the same key and value on the same topic again. `recrawl`: news.articles had the article twice,
        and dedup recognised the second as the first seen again, which is what it is for.
        """
        kinds: Counter[str] = Counter()
        for origin, records in self.by_origin.items():
            distinct = list(dict.fromkeys(records))
            kinds["identical"] += len(records) - len(distinct)
            first = [found for found in distinct if not _recrawl_of_itself(found)] or distinct[:1]
            assert len(first) == 1, f"{origin!r} came out in several ways: {first}"
            kinds["recrawl"] += len(distinct) - 1
        return kinds


def _recrawl_of_itself(found: Found) -> bool:
    if found.topic != topics.DUPLICATES:
        return False
    duplicate = orjson.loads(found.value or b"")
    return duplicate["verdict"] == "recrawl" and duplicate["match"]["article_id"] == duplicate["id"]
