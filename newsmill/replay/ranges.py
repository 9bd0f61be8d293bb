"""From what was typed after --from and --until to offsets, which do not change any more."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kafka.admin import ConfigResource
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.engines.broker.required import MissingTopicsError
from newsmill.replay.errors import RangeError
from newsmill.replay.lookup import asking
from newsmill.settings import Settings
from newsmill.topics import admin_client
from schemas.replays import Span

_LAST: Final = re.compile(r"last (\d+(?:\.\d+)?) ?([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
FETCH_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range: a time (milliseconds since the Unix epoch), offsets, or nothing: as far as there is anything.

    `offsets` is by partition; the key None stands for all that are not named.
    """

    text: str
    time_ms: int | None = None
    offsets: Mapping[int | None, int] | None = None

    def offset(self, partition: int) -> int | None:
        """Return the offset that was asked for, None where none was."""
        return None if self.offsets is None else self.offsets.get(partition, self.offsets.get(None))


OPEN: Final = Bound("")


def parse(text: str, *, now_s: float | None = None) -> Bound:
    """Return what `text` says: a time as RFC 3339, `last 24h`, `offset:N`, or `offset:P=N,P=N` by partition.

    Args:
        now_s: the time that `last` counts from, seconds since the Unix epoch; the clock's if not given.

    Raises RangeError.
    """
    text = text.strip()
    if text.startswith("offset:"):
        return Bound(text, offsets=_offsets(text))
    if (last := _LAST.fullmatch(text)) is not None:
        span = float(last[1]) * _SECONDS[last[2]]
        return Bound(text, time_ms=int(((time.time() if now_s is None else now_s) - span) * 1000))
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise RangeError(
            f"{text!r} is no bound of a range: write a time (2026-01-31T12:00:00Z), `last 24h`, `offset:100`, or "
            "`offset:0=100,1=250` by partition"
        ) from None
    if instant.tzinfo is None:
        raise RangeError(f"{text!r} has no time zone; write for example {text}Z")
    return Bound(text, time_ms=round(instant.timestamp() * 1000))


def _offsets(text: str) -> dict[int | None, int]:
    found: dict[int | None, int] = {}
    for part in text.removeprefix("offset:").split(","):
        partition, equals, offset = part.rpartition("=")
        if not offset.isdecimal() or bool(equals) != partition.isdecimal():
            raise RangeError(f"{text!r}: write `offset:100`, or `offset:0=100,1=250` by partition")
        found[int(partition) if equals else None] = int(offset)
    return found


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets that are read, frozen.

    `began_ms` is the append time of the earliest record, None where there is none; `ended_ms` is one that none is later
    than. Milliseconds since the Unix epoch.
    """

    topic: str
    spans: tuple[Span, ...]
    began_ms: int | None
    ended_ms: int

    @property
    def offsets(self) -> int:
        """How many offsets they are: records, and markers of transactions."""
        return sum(span.end - span.start for span in self.spans)


def freeze(settings: Settings, topic: str, since: Bound = OPEN, until: Bound = OPEN) -> Range:
    """Return the offsets of `topic` (its name without a namespace) from `since` up to `until`, as they are now.

    The end is at most the last stable offset: what an open transaction holds back is not part of it. Without `since` it
    begins with the oldest record that is kept.

    Raises RangeError when retention has taken part of what was asked for, or the topic is compacted;
    MissingTopicsError, kafka.errors.KafkaError.
    """
    name = clients.physical(settings, topic)
    with asking(settings) as consumer:
        places = [TopicPartition(name, number) for number in sorted(consumer.partitions_for_topic(name) or ())]
        if not places:
            raise MissingTopicsError([name])
        _refuse_compacted(settings, topic, name)
        kept: dict[TopicPartition, int] = consumer.beginning_offsets(places)
        ends: dict[TopicPartition, int] = consumer.end_offsets(places)
        starts = _at(consumer, places, since, kept, ends, kept)
        stops = _at(consumer, places, until, kept, ends, ends)
        spans = []
        for place in places:
            start, stop = starts[place], max(starts[place], stops[place])
            first = first_time(consumer, place, start, stop)
            _refuse_expired(topic, place.partition, since, kept[place], start, first)
            spans.append(Span(partition=place.partition, start=start, end=stop))
    return of(settings, topic, spans)


def of(settings: Settings, topic: str, spans: Sequence[Span]) -> Range:
    """Return the range that `spans` of `topic` are. Raises kafka.errors.KafkaError."""
    name = clients.physical(settings, topic)
    began, ended = [], []
    with asking(settings) as consumer:
        ends = consumer.end_offsets([TopicPartition(name, span.partition) for span in spans])
        for span in spans:
            place = TopicPartition(name, span.partition)
            if (first := first_time(consumer, place, span.start, span.end)) is not None:
                began.append(first)
            behind = first_time(consumer, place, span.end, ends[place])
            ended.append(int(time.time() * 1000) if behind is None else behind)
    return Range(topic, tuple(spans), min(began, default=None), max(ended))


def newer(settings: Settings, topic: str, spans: Sequence[Span]) -> int:
    """Return how many offsets have come behind the ends of `spans` by now. Raises kafka.errors.KafkaError."""
    name = clients.physical(settings, topic)
    with asking(settings) as consumer:
        ends = consumer.end_offsets([TopicPartition(name, span.partition) for span in spans])
    return sum(max(0, ends[TopicPartition(name, span.partition)] - span.end) for span in spans)


def first_time(consumer: Any, place: TopicPartition, start: int, end: int) -> int | None:
    """Return the append time of the first record from offset `start` up to `end`, milliseconds since the Unix epoch;
    None where there is no record. `consumer` reads other things before and after."""
    if start >= end:
        return None
    consumer.assign([place])
    consumer.seek(place, start)
    until = time.monotonic() + FETCH_MS / 1000
    while consumer.position(place) < end and time.monotonic() < until:
        for record in consumer.poll(timeout_ms=500, max_records=1).get(place, ()):
            return int(record.timestamp) if record.offset < end else None
    return None


def _at(
    consumer: Any,
    places: Sequence[TopicPartition],
    bound: Bound,
    kept: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    default: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    if bound.time_ms is not None:
        found = consumer.offsets_for_times(dict.fromkeys(places, bound.time_ms))
        # None: nothing has arrived since.
        return {
            place: ends[place] if found[place] is None else min(found[place].offset, ends[place]) for place in places
        }
    if bound.offsets is None:
        return dict(default)
    numbers = {place.partition for place in places}
    if unknown := sorted(number for number in bound.offsets if number is not None and number not in numbers):
        raise RangeError(f"{bound.text}: the topic has no partition {unknown[0]}")
    chosen = {}
    for place in places:
        asked = bound.offset(place.partition)
        chosen[place] = default[place] if asked is None else min(asked, ends[place])
    return chosen


def _refuse_expired(topic: str, partition: int, since: Bound, kept: int, start: int, first_ms: int | None) -> None:
    if kept == 0:
        return  # nothing was ever taken
    if start < kept:
        raise RangeError(
            f"{topic}/{partition} begins with offset {kept} now: retention has taken part of the range. Begin with "
            f"--from offset:{partition}={kept}, or leave --from out to take all that is kept"
        )
    if since.time_ms is not None and start == kept and first_ms is not None and first_ms > since.time_ms:
        oldest = datetime.fromtimestamp(first_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        raise RangeError(
            f"the oldest record that {topic}/{partition} keeps arrived at {oldest}: retention may have taken part of "
            f"the range. Begin with --from {oldest}, or leave --from out to take all that is kept"
        )


def _refuse_compacted(settings: Settings, topic: str, name: str) -> None:
    with admin_client(clients.connection(settings)) as admin:
        try:
            answer = admin.describe_configs([ConfigResource("topic", name)], config_filter="all")
        except KafkaError:
            return  # this client may not ask
    policy = answer.get("topic", {}).get(name, {}).get("cleanup.policy", {}).get("value") or ""
    if "compact" in policy:
        raise RangeError(
            f"{topic} is compacted (cleanup.policy={policy}): records of the range may be gone, and what is left is "
            "not what was processed then"
        )
