"""The health of sources on a real Kafka: what ingest tells outlives its worker, and redelivery tells it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas import headers as h
from schemas import topics
from schemas.codec import decode
from schemas.messages import SourceHealth
from tests.support.driver import Killed
from tests.support.kafka import Place, Running, die_at
from workers.ingest import IngestStage
from workers.ingest.language import FastTextIdentifier

pytestmark = pytest.mark.broker

LANGUAGES = FastTextIdentifier()
START = datetime(2025, 11, 10, 6, tzinfo=UTC)


def documents(first: int, count: int, **fields: Any) -> list[bytes]:
    """Articles of one outlet, one an hour."""
    found = []
    for number in range(first, first + count):
        at = (START + timedelta(hours=number)).isoformat()
        value = {
            "url": f"https://ellery.example/{number}",
            "title": f"Ferry {number} sails",
            "text": "\n\n".join(
                f"The ferry of ward {number * 10 + n} sailed with pears for the cannery on the hill above it."
                for n in range(5)
            ),
            "authors": ["Ada Green"],
            "published_at": at,
            "fetched_at": at,
        }
        found.append(json.dumps(value | fields).encode())
    return found


def feed(where: Place, values: list[bytes]) -> None:
    """Send documents, brought in a month after the first of them was fetched."""
    ingested = str(int((START + timedelta(days=30)).timestamp() * 1_000)).encode()
    producer = where.producer()
    for value in values:
        producer.send(
            where.physical(topics.RAW), key=b"ellery.example", value=value, headers=[(h.INGESTED_AT, ingested)]
        )
    producer.flush()
    producer.close()


def told(where: Place) -> list[tuple[str, str, datetime]]:
    messages = [decode(value, SourceHealth) for value in where.values(topics.SOURCE_HEALTH)]
    assert {message.source for message in messages} <= {"ellery.example"}
    return [(message.status, message.problem, message.at) for message in messages]


def at(number: int) -> datetime:
    return START + timedelta(hours=number)


def test_a_layout_change_is_told_once_though_workers_die_and_so_is_the_recovery(place: Callable[..., Place]) -> None:
    where = place()
    feed(where, documents(0, 50))
    worker = Running(IngestStage(LANGUAGES), where.settings)
    where.wait_for(topics.ARTICLES, 50)
    worker.stop()
    assert told(where) == []

    # It dies with the change written and not committed; the next one begins from the log.
    feed(where, documents(50, 20, published_at=None))
    dying = Running(IngestStage(LANGUAGES), where.settings, on_step=die_at("flushed", 1))
    assert isinstance(dying.ended(), Killed)
    worker = Running(IngestStage(LANGUAGES), where.settings)
    where.wait_for(topics.ARTICLES, 70)
    assert worker.sample("newsmill_source_broken", source="ellery.example", problem="no_dates") == 1
    worker.stop()
    assert told(where) == [("broken", "no_dates", at(63))]
    (record,) = where.read(topics.SOURCE_HEALTH)
    assert record.key == b"ellery.example"
    assert h.get(record.headers, h.ORIGIN) == f"{where.physical(topics.RAW)}/0/63".encode()

    # A third one knows that it is broken before it has read a document.
    feed(where, [*documents(70, 12), *[b"no document"] * 14, *documents(96, 3)])
    worker = Running(IngestStage(LANGUAGES), where.settings)
    where.wait_for(topics.ARTICLES, 85)
    worker.stop()
    changes = told(where)[1:]
    assert [change[:2] for change in changes] == [("broken", "refused"), ("recovered", "no_dates")]
    assert changes[1][2] == at(98), "the fifteenth whole article"
    assert len(where.read(topics.INGEST_LOG)) == len(where.read(topics.RAW)), "what is refused is noted, too"
    assert len(where.read(topics.DEAD_LETTERS)) == 14
