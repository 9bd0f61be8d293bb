"""Dead letters back to where they came from: original key, value and headers, and a count that ends loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from newsmill import clients
from newsmill.engines.result import Output
from newsmill.replay.copy import Step
from newsmill.replay.spans import SpanSet
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from workers.pipeline import SOURCES
from workers.stage import Record

REDRIVEN: Final = "redriven"
"""Kind of a dead letter that is put back."""

KINDS: Final = {
    REDRIVEN: "put back",
    "not_selected": "of another reason, stage, source or time",
    "already": "put back by an earlier redrive (--again puts them back once more)",
    "limit": "put back as often as NEWSMILL_REDRIVE_LIMIT allows",
    "no_way_back": "without the headers that say where they came from",
    "other_topic": "of a topic or partition that no stage reads here",
}
"""What may become of a dead letter, in words."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant. What is None or empty selects all.

    Times are milliseconds since the Unix epoch, of the dead letter's arrival: from `from_ms` up to and without
    `until_ms`. `places` are (partition, offset) in news.dead-letters.
    """

    reasons: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    from_ms: int | None = None
    until_ms: int | None = None
    places: frozenset[tuple[int, int]] = frozenset()

    def takes(self, record: Record) -> bool:
        """Whether `record` is meant."""
        if self.places and (record.partition, record.offset) not in self.places:
            return False
        if self.reasons and text(record, h.DEAD_REASON) not in self.reasons:
            return False
        if self.stages and text(record, h.DEAD_STAGE) not in self.stages:
            return False
        if self.from_ms is not None and record.timestamp_ms < self.from_ms:
            return False
        if self.until_ms is not None and record.timestamp_ms >= self.until_ms:
            return False
        return not self.sources or source_of(record) in self.sources


class Redrive:
    """Decides of each dead letter what becomes of it.

    Args:
        settings: namespace and limit.
        selection: which ones are meant.
        partitions: partitions of each topic of a stage, by name without namespace.
        done: what was put back by earlier runs, by partition; None: it is put back again.
    """

    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        partitions: Mapping[str, int],
        done: Mapping[int, SpanSet] | None,
    ) -> None:
        self._settings = settings
        self._selection = selection
        self._partitions = partitions
        self._done = done or {}

    def __call__(self, record: Record) -> Step:
        """Return what becomes of `record`, a dead letter."""
        if not self._selection.takes(record):
            return Step("not_selected")
        if (done := self._done.get(record.partition)) is not None and record.offset in done:
            return Step("already")
        place = origin_of(record)
        if place is None:
            return Step("no_way_back")
        topic, partition = clients.logical(self._settings, place[0]), place[1]
        if topic not in SOURCES.values() or partition >= self._partitions.get(topic, 0):
            return Step("other_topic")
        if (count := times(record)) >= self._settings.redrive_limit:
            return Step("limit")
        kept = [pair for pair in record.headers if pair[0] not in h.DEAD and pair[0] != h.REDRIVEN]
        headers = (*kept, (h.REDRIVEN, str(count + 1).encode()))
        return Step(REDRIVEN, Output(topic, record.key, record.value, headers, partition))


def times(record: Record) -> int:
    """Return how many times `record` was put back already. A count that can't be read is one too many."""
    found = h.get(record.headers, h.REDRIVEN)
    if found is None:
        return 0
    return int(found) if found.isdigit() and len(found) <= 9 else 10**9


def origin_of(record: Record) -> tuple[str, int] | None:
    """Return (topic as it is called on the cluster, partition) from which a dead letter came; None: it does not say.

    The headers that count are the last ones of their names: a document may have brought some of its own.
    """
    topic, partition = text(record, h.DEAD_TOPIC), text(record, h.DEAD_PARTITION)
    if not topic or not partition.isascii() or not partition.isdigit() or len(partition) > 9:
        return None
    return topic, int(partition)


def text(record: Record, name: str) -> str:
    """Return the last header called `name` as text; empty where there is none."""
    found = h.get(reversed(record.headers), name)
    return (found or b"").decode("utf-8", "replace")


def source_of(record: Record) -> str:
    """Return the source of a dead letter in lower case: the key of a raw document, else the message's field."""
    topic = text(record, h.DEAD_TOPIC)
    if topic.endswith(topics.RAW):
        return (record.key or b"").decode("utf-8", "replace").casefold()
    try:
        plain = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return ""
    return str(plain.get("source") or "").casefold() if isinstance(plain, dict) else ""


def histogram(records: Iterable[tuple[Record, Step]]) -> dict[tuple[str, str, str], int]:
    """Return how many records there are by (kind, stage, reason), the most frequent first."""
    found: Counter[tuple[str, str, str]] = Counter()
    for record, step in records:
        if step.kind != "not_selected":
            found[step.kind, text(record, h.DEAD_STAGE), text(record, h.DEAD_REASON)] += 1
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
