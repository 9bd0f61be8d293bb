"""The console's readers on a real Kafka: the newest records, without a group; a broker that comes and goes."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from newsmill import clients, tail
from newsmill import topics as admin
from newsmill.local import LocalKafka
from newsmill.local.kafka import QUICK_START
from newsmill.settings import Settings
from schemas import topics
from tests.support.console import console
from tests.support.gateway_process import free_port
from tests.support.kafka import Place
from workers.stage import Record

pytestmark = pytest.mark.broker

PATIENCE = 60.0


def until(batches: Iterator[list[Record]], last: bytes) -> list[Record]:
    """Read until a record with the value `last` has come."""
    deadline = time.monotonic() + PATIENCE
    found: list[Record] = []
    for batch in batches:
        found += batch
        if any(record.value == last for record in batch):
            return found
        assert time.monotonic() < deadline, f"{last!r} has not come; {len(found)} others have"
    raise AssertionError("the reading has ended")


def test_the_newest_are_read_then_what_comes_and_no_group_is_made(place: Callable[..., Place]) -> None:
    where = place(classified=2)
    where.feed(topics.CLASSIFIED, [b"%d" % n for n in range(400)])
    where.feed(topics.DEAD_LETTERS, [b"dead"])
    batches = tail.newest(where.settings, {topics.CLASSIFIED: 10, topics.DEAD_LETTERS: 5}, stopping=lambda: False)
    first = until(batches, b"399") + next(batches)
    assert sum(record.value != b"dead" for record in first) <= 40
    where.feed(topics.CLASSIFIED, [b"new"])
    until(batches, b"new")
    batches.close()  # type: ignore[attr-defined]
    with admin.admin_client(clients.connection(where.settings)) as client:
        groups = [str(group) for group in client.list_groups()]
    assert not any(where.settings.namespace in group for group in groups)


def test_of_an_aborted_transaction_nothing_is_seen(place: Callable[..., Place]) -> None:
    where = place()
    producer = KafkaProducer(**clients.producer(where.settings), transactional_id=f"{where.settings.namespace}abort")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(where.physical(topics.CLASSIFIED), b"never")
    producer.flush()
    producer.abort_transaction()
    producer.close()
    where.feed(topics.CLASSIFIED, [b"last"])
    batches = tail.newest(where.settings, {topics.CLASSIFIED: 100}, stopping=lambda: False)
    assert [record.value for record in until(batches, b"last")] == [b"last"]
    batches.close()  # type: ignore[attr-defined]


def test_one_who_can_not_keep_up_goes_on_near_the_end(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.CLASSIFIED, [b"first"])
    batches = tail.newest(where.settings, {topics.CLASSIFIED: 10}, stopping=lambda: False)
    until(batches, b"first")
    where.feed(topics.CLASSIFIED, [b"%d" % n for n in range(20_000)])
    assert len(until(batches, b"19999")) < 5_000
    batches.close()  # type: ignore[attr-defined]


def test_topics_that_are_not_there_yet_are_waited_for(
    place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "REFRESH_SECONDS", 1.0)
    where = place()
    young = Settings(bootstrap=where.settings.bootstrap, namespace=f"{where.settings.namespace}young.")
    batches = tail.newest(young, {topics.CLASSIFIED: 10}, stopping=lambda: False)
    assert next(batches) == []
    with admin.admin_client(clients.connection(young)) as client:
        admin.create(client, admin.declared(young.namespace))
    producer = KafkaProducer(**clients.producer(young))
    producer.send(clients.physical(young, topics.CLASSIFIED), b"at last").get(10)
    producer.close()
    until(batches, b"at last")
    batches.close()  # type: ignore[attr-defined]


def _update(url: str) -> dict[str, Any]:
    """What a page that opens now is told at first."""
    with urllib.request.urlopen(f"{url}/api/events", timeout=10) as stream:
        while not (line := stream.readline()).startswith(b"data: "):
            assert line
        found: dict[str, Any] = json.loads(line[6:])
        return found


def _wait(url: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while not holds(update := _update(url)):
        assert time.monotonic() < deadline, {key: update[key] for key in ("troubles", "status")}
        threading.Event().wait(0.3)
    return update


def test_a_broker_that_is_away_is_told_and_when_it_is_back_all_goes_on(kafka_ready: None, tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(bootstrap=f"127.0.0.1:{port}", namespace="x.", state_dir=str(tmp_path / "state"))
    broker = LocalKafka(tmp_path / "kafka", port=port, jvm_options=[QUICK_START])
    # An address where nobody listens: workers that happen to run on this machine are not this test's.
    with console(settings, ["http://127.9.9.9:1"], tmp_path) as url:
        away = _wait(url, lambda update: set(update["troubles"]) == {"records", "stages"})
        assert away["status"] is None
        with broker:
            missing = _wait(url, lambda update: not update["troubles"] and update["status"] is not None)
            assert "its topic does not exist" in str(missing["status"]["problems"])
            Place(broker.bootstrap, "x", tmp_path / "state").feed(topics.DEAD_LETTERS, [b"\xff\x00"])
            here = _wait(url, lambda update: bool(update["dead_letters"]))
            assert here["dead_letters"][0]["size"] == 2
        gone = _wait(url, lambda update: "stages" in update["troubles"])
        assert gone["dead_letters"] == here["dead_letters"]
        with broker:
            _wait(url, lambda update: not update["troubles"])
            Place(broker.bootstrap, "x", tmp_path / "state").feed(topics.DEAD_LETTERS, [b"again"])
            back = _wait(url, lambda update: len(update["dead_letters"]) == 2)
            assert back["status"]["at"] > gone["status"]["at"]
