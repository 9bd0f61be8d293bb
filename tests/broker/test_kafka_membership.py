"""A worker of the kafka engine finds its way back into its group."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from kafka.structs import OffsetAndMetadata, TopicPartition

from newsmill import clients
from newsmill import topics as admin
from newsmill.engines.broker import positions
from newsmill.engines.kafka.consumer import GroupConsumer
from schemas import topics
from tests.support.kafka import PATIENCE, Place, Running, each_once
from tests.support.stages import EchoStage

pytestmark = pytest.mark.broker


def begin_to_join(consumer: Any) -> None:
    """Have the leader of a group rejoin as when its topic has grown, and come back from a poll before that is done.
    Return when the broker has answered."""
    coordinator = consumer._coordinator
    deadline = time.monotonic() + PATIENCE
    while not coordinator.rejoining:
        assert time.monotonic() < deadline
        # Compared with what is known of the topic; equal again as soon as the leader has assigned partitions.
        coordinator._assignment_snapshot = {}
        consumer.poll(timeout_ms=1, max_records=1)
    while not coordinator._join_task.is_done:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_rejoin_that_ends_between_two_polls_is_not_forgotten(place: Callable[..., Place]) -> None:
    p = place()
    begun: list[str] = []

    def on_step(step: str) -> None:
        if step == "polled" and not begun:
            begun.append(step)
            begin_to_join(engine.engine._consumer)

    engine = Running(EchoStage(), p.settings, on_step=on_step)
    p.feed(topics.RAW, [b"a"])
    p.wait_for(topics.ARTICLES, 1)
    # Longer than a session: by now the broker has forgotten a member that sends no heartbeats.
    time.sleep(p.settings.session_timeout_s + 1)
    p.feed(topics.RAW, [b"b"])
    each_once(p.wait_for(topics.ARTICLES, 2), [b"A", b"B"])
    engine.stop()


def test_a_topic_that_grows_is_read_whole(place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "EVERY_SECONDS", 0.2)
    p = place()
    engine = Running(EchoStage(), p.settings)
    p.feed(topics.RAW, [b"a"])
    p.wait_for(topics.ARTICLES, 1)
    with admin.admin_client(clients.connection(p.settings)) as client:
        client.create_partitions({p.physical(topics.RAW): 4})
    # A worker looks for itself every five minutes.
    engine.engine._consumer._coordinator._cluster.request_update()
    p.feed(topics.RAW, [b"b%d" % i for i in range(40)])
    each_once(p.wait_for(topics.ARTICLES, 41), [b"A", *(b"B%d" % i for i in range(40))])
    deadline = time.monotonic() + PATIENCE
    while not all(engine.sample("newsmill_lag_records", partition=str(n)) == 0 for n in range(4)):
        assert time.monotonic() < deadline, "the lag of a new partition is not known"
        Running.check()
        time.sleep(0.1)
    engine.stop()


def test_what_is_committed_is_asked_of_the_broker_each_time(place: Callable[..., Place]) -> None:
    """A poll that ends before its question is answered leaves the answer behind; it is of another time."""
    p = place()
    tp = TopicPartition(p.physical(topics.RAW), 0)
    consumer: Any = GroupConsumer(**clients.consumer(p.settings), group_id=clients.group(p.settings, "ingest"))
    consumer.assign([tp])
    consumer.commit({tp: OffsetAndMetadata(3, "before", -1)})
    coordinator = consumer._coordinator
    left = coordinator._manager.call_soon(coordinator._send_offset_fetch_request, [tp])
    coordinator._offset_fetch_futures[frozenset([tp])] = left
    deadline = time.monotonic() + PATIENCE
    while not left.is_done:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert left.value[tp].metadata == "before"
    consumer.commit({tp: OffsetAndMetadata(5, "after", -1)})
    found = consumer.committed(tp, metadata=True)
    consumer.close(autocommit=False)
    assert (found.offset, found.metadata) == (5, "after")
