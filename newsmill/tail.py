"""Records of a topic in a form for people, as they pass."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.engines.broker.records import to_record
from newsmill.settings import Settings
from schemas import headers as h
from workers.stage import Record

WIDTH = 100

REFRESH_SECONDS: Final = 30.0
"""How often `newest` looks for topics and partitions that have come."""

_BOOTSTRAP_MS: Final = 8_000
_FETCH_BYTES: Final = 1024 * 1024
"""Of a partition at once: a watcher needs the newest few. A larger record is fetched nevertheless (KIP-74)."""


def records(
    settings: Settings, topic: str, *, from_beginning: bool, follow: bool, stopping: Callable[[], bool]
) -> Iterator[Record]:
    """Yield committed records of `topic` as they arrive; without `follow`, up to what was there at the start.

    Raises kafka.errors.KafkaError when no broker answers, ValueError when the topic does not exist.
    """
    name = clients.physical(settings, topic)
    consumer: Any = KafkaConsumer(**clients.consumer(settings))
    try:
        numbers = consumer.partitions_for_topic(name)
        if not numbers:
            raise ValueError(f"there is no topic {name} on {settings.bootstrap}")
        places = [TopicPartition(name, number) for number in sorted(numbers)]
        consumer.assign(places)
        # Frozen now: what arrives while reading would make the end run away.
        ends = consumer.end_offsets(places)
        if from_beginning:
            consumer.seek_to_beginning(*places)
        else:
            for place in places:
                consumer.seek(place, ends[place])
        while not stopping():
            for polled in consumer.poll(timeout_ms=250, max_records=500).values():
                yield from map(to_record, polled)
            if not follow and all(consumer.position(place) >= ends[place] for place in places):
                return
    finally:
        consumer.close()


def newest(settings: Settings, keep: Mapping[str, int], *, stopping: Callable[[], bool]) -> Iterator[list[Record]]:
    """Yield the newest committed records of several topics, then those that arrive: about four times a second what has
    come, an empty list where nothing has.

    Who only watches need not see everything: when more arrives than is read, records are left out, and the reading goes
    on near the end. Topics that don't exist are waited for.

    Args:
        keep: how many of the newest records of each partition are wanted, by topic.
        stopping: asked after each list.

    Raises kafka.errors.KafkaError when no broker answers at the start.
    """
    small = {"max_partition_fetch_bytes": _FETCH_BYTES, "fetch_max_bytes": 4 * _FETCH_BYTES}
    consumer: Any = KafkaConsumer(**clients.consumer(settings) | small, bootstrap_timeout_ms=_BOOTSTRAP_MS)
    # The markers of transactions have offsets, too: with small batches about as many as there are records.
    spans = {clients.physical(settings, topic): 2 * count for topic, count in keep.items()}
    try:
        looked = -REFRESH_SECONDS
        while not stopping():
            if time.monotonic() - looked >= REFRESH_SECONDS:
                looked = time.monotonic()
                _assign_newest(consumer, spans)
            if not consumer.assignment():
                time.sleep(0.25)
                looked -= 8 * 0.25  # a topic that is missing is looked for more often
                yield []
                continue
            polled = consumer.poll(timeout_ms=250, max_records=500)
            yield [to_record(raw) for raws in polled.values() for raw in raws]
            for place in consumer.assignment():
                end = consumer.highwater(place)
                if end is not None and end - consumer.position(place) > 2 * spans[place.topic]:
                    consumer.seek(place, end - spans[place.topic])
    finally:
        consumer.close()


def _assign_newest(consumer: Any, spans: Mapping[str, int]) -> None:
    """Assign all partitions of the topics; those that are new begin `spans` before their end."""
    known = consumer.assignment()
    places = {
        TopicPartition(name, number) for name in spans for number in sorted(consumer.partitions_for_topic(name) or ())
    }
    if new := sorted(places - known):
        positions = {place: consumer.position(place) for place in known}
        starts, ends = consumer.beginning_offsets(new), consumer.end_offsets(new)
        consumer.assign(sorted(places | known))
        for place, offset in positions.items():
            consumer.seek(place, offset)
        for place in new:
            consumer.seek(place, max(starts[place], ends[place] - spans[place.topic]))


def line(record: Record) -> str:
    """Return one line of text for `record`: when, where, and what it says."""
    when = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).strftime("%H:%M:%S")
    return f"{when} {record.partition}/{record.offset:<6} {_what(record)}"


def as_json(record: Record) -> bytes:
    """Return `record` as a line of JSON: position, key, headers, and the value (base64 where it is not JSON)."""
    plain: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": _text(record.key),
        "headers": {name: _text(value) for name, value in record.headers},
    }
    try:
        plain["value"] = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        plain["value_base64"] = base64.b64encode(record.value or b"").decode()
    return orjson.dumps(plain)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")


def _what(record: Record) -> str:
    if reason := h.get(record.headers, h.DEAD_REASON):
        origin = _text(h.get(record.headers, h.ORIGIN))
        shown = _printable(_text((record.value or b"")[: WIDTH * 2]))
        return f"[{_text(h.get(record.headers, h.DEAD_STAGE))}: {_text(reason)}] {origin} {shown}"
    try:
        plain = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return _printable(_text((record.value or b"")[: WIDTH * 2]))
    if not isinstance(plain, dict):
        return _printable(str(plain))
    parts = [str(plain.get("id", ""))[:8], str(plain.get("source") or "")]
    if verdict := plain.get("verdict"):
        match = plain.get("match") or {}
        parts.append(f"[{verdict}{' of ' + str(match.get('article_id', ''))[:8] if match else ''}]")
    parts.append(str(plain.get("headline") or plain.get("title") or plain.get("url") or ""))
    if items := (plain.get("subjects") or {}).get("items"):
        parts.append("| " + ", ".join(f"{s['name']} {s['probability']:.2f}" for s in items))
    if items := (plain.get("entities") or {}).get("items"):
        parts.append("| " + ", ".join(e["name"] for e in items[:5]))
    return _printable(" ".join(part for part in parts if part), 2 * WIDTH)


def _printable(text: str, width: int = WIDTH) -> str:
    # Control characters of a scraped text must not reach the terminal.
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= width else clean[: width - 1] + "…"
