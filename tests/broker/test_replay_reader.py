"""Planned offsets of several partitions, read side by side."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from newsmill.replay.reader import SpanReader, bounds
from schemas import topics
from schemas.replays import Span
from tests.support.kafka import PATIENCE, Place
from workers.stage import Record

pytestmark = pytest.mark.broker


def everything(reader: SpanReader) -> list[Record]:
    found = []
    deadline = time.monotonic() + PATIENCE
    while not reader.finished:
        assert time.monotonic() < deadline, f"it stands still at {reader.positions()}"
        if (record := reader.peek()) is not None:
            reader.take(record)
            found.append(record)
    reader.close()
    return found


def test_partitions_of_unequal_length_are_read_to_their_ends(place: Callable[..., Place]) -> None:
    """Partitions wait for one another again and again: a client that stands still then would hang here."""
    where = place(raw=3)
    for start in range(0, 3_000, 150):
        # A tenth, a third, the rest: each partition falls behind the others at times.
        where.feed(topics.RAW, [b"%d" % n for n in range(start, start + 150)], key=lambda i: b"k%d" % (i % 10 > 6))
        where.feed(topics.RAW, [b"x"] * 40, key=lambda i: b"other %d" % (i % 7))
    expected = where.read(topics.RAW)
    spans = bounds(where.settings, topics.RAW)
    reader = SpanReader(where.settings, topics.RAW, spans)
    assert (reader.total, reader.done) == (3_800, 0)
    found = everything(reader)
    assert sorted(found, key=lambda r: (r.partition, r.offset)) == expected
    assert reader.done == reader.total
    times = [record.timestamp_ms for record in found]
    assert times == sorted(times), "the earliest first"


def test_it_goes_on_where_it_was_and_stops_at_the_frozen_end(place: Callable[..., Place]) -> None:
    where = place(raw=2)
    where.feed(topics.RAW, [b"%d" % n for n in range(60)])
    spans = bounds(where.settings, topics.RAW)
    where.feed(topics.RAW, [b"later"] * 20)
    first = SpanReader(where.settings, topics.RAW, spans)
    begun: list[Record] = []
    while len(begun) < 25:
        if (record := first.peek()) is not None:
            first.take(record)
            begun.append(record)
    first.close()
    rest = everything(SpanReader(where.settings, topics.RAW, spans, first.positions()))
    values = [record.value for record in [*begun, *rest]]
    assert len(values) == 60
    assert set(values) == {b"%d" % n for n in range(60)}


def test_a_span_that_ends_with_markers_of_transactions_ends(place: Callable[..., Place]) -> None:
    where = place()
    producer = where.producer(transactional_id=f"{where.settings.namespace}t")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(where.physical(topics.RAW), key=b"k", value=b"v", partition=0)
    producer.flush()
    producer.abort_transaction()
    producer.close()
    (span,) = bounds(where.settings, topics.RAW)
    assert (span.start, span.end) == (0, 2)
    reader = SpanReader(where.settings, topics.RAW, [Span(partition=0, start=0, end=2)])
    assert everything(reader) == []
    assert reader.positions() == {"news.raw/0": 2}
