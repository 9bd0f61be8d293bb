"""`newsmill trace` finds an article's records on a real Kafka, among others and over several partitions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from newsmill.trace import Wanted, search, stories
from schemas import headers as h
from schemas import topics
from schemas.keys import digest
from tests.support.kafka import Place

pytestmark = pytest.mark.broker

URL = "https://alder.example/harbour"
ID = digest(URL)


def _put(where: Place, topic: str, values: dict[str, bytes], *headers: tuple[str, bytes]) -> None:
    producer = where.producer()
    for key, value in values.items():
        producer.send(where.physical(topic), key=key.encode(), value=value, headers=list(headers))
    producer.flush()
    producer.close()


def test_it_is_found_by_id_and_by_url_wherever_its_key_has_led_it(place: Callable[..., Place]) -> None:
    where = place(raw=3, unique=4, classified=4)
    _put(where, topics.RAW, {f"s{n}": b"{}" for n in range(20)})
    _put(where, topics.RAW, {"alder": b'{"url": "%s"}' % URL.encode()})
    (raw,) = [record for record in where.read(topics.RAW) if record.key == b"alder"]
    origin = (h.ORIGIN, f"{raw.topic}/{raw.partition}/{raw.offset}".encode())
    others = {digest(str(n)): b"{}" for n in range(50)}
    for topic in (topics.ARTICLES, topics.UNIQUE, topics.TAGGED, topics.CLASSIFIED):
        _put(where, topic, others)
        _put(where, topic, {ID: b'{"headline": "Port opens", "verdict": "unique"}'}, origin)
    for wanted in (Wanted.parse(ID), Wanted.parse(URL)):
        (story,) = stories(search(where.settings, wanted))
        assert [step.topic for step in story.steps] == [
            topics.RAW,
            topics.ARTICLES,
            topics.UNIQUE,
            topics.TAGGED,
            topics.CLASSIFIED,
        ]
        assert story.outcome == "came out"


def test_a_refused_document_is_found_by_its_url(place: Callable[..., Place]) -> None:
    where = place()
    dead = ((h.ORIGIN, b"x/0/0"), (h.DEAD_STAGE, b"ingest"), (h.DEAD_REASON, b"bad_field"))
    _put(where, topics.DEAD_LETTERS, {"alder": b'{"url": "%s", "text": 1}' % URL.encode()}, *dead)
    (story,) = stories(search(where.settings, Wanted.parse(URL)))
    assert story.outcome == "stopped at ingest: bad_field"


def test_a_document_that_waits_in_news_raw_is_found_by_its_url_and_a_stranger_is_not(
    place: Callable[..., Place],
) -> None:
    where = place(raw=2)
    _put(where, topics.RAW, {"alder": b'{"url": "%s"}' % URL.encode(), "birch": b"{}"})
    (story,) = stories(search(where.settings, Wanted.parse(URL)))
    assert story.outcome.startswith("is between news.raw")
    assert stories(search(where.settings, Wanted.parse("https://birch.example/"))) == []
    in_an_hour = 2**42
    assert stories(search(where.settings, Wanted.parse(URL), since_ms=in_an_hour)) == []
