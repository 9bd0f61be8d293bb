"""A replay into a run of its own, on the real Kafka: the same records come to the same as in the live run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from newsmill.replay import isolated
from newsmill.replay.fused import DECIDED, RECORDS
from schemas import headers as h
from schemas import topics
from tests.support.chaos.news import invented
from tests.support.kafka import Place
from tests.support.replay import feed, pipeline_of, replay, same_as_live, until_through

pytestmark = pytest.mark.broker

PARTITIONS = {"raw": 4, "unique": 4, "tagged": 4, "classified": 4}


def test_a_whole_topic_gives_what_live_gave(place: Callable[..., Place]) -> None:
    where = place(**PARTITIONS)
    feed(where, invented(600, seed=1))
    with pipeline_of(where):
        until_through(where, 600)
    outcome = replay(where, "again")
    assert outcome.finished
    assert outcome.counts[RECORDS] == 600
    assert outcome.counts[DECIDED] == 0
    assert outcome.newer == 0
    same_as_live(where, "again")
    for record in where.read(isolated.own_topic("again", topics.CLASSIFIED)):
        assert h.get(record.headers, h.RUN) == b"again"
        assert h.get(record.headers, h.REPLAY) is None
