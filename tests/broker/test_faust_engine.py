"""The faust engine against a real Apache Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from newsmill import clients
from newsmill import topics as admin
from newsmill.engines.faust_engine import FaustEngine
from newsmill.local import LocalKafka
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from schemas import topics
from tests.support.stages import CountingStage, EchoStage

pytestmark = pytest.mark.broker

SECONDS = 60.0


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    namespace = f"{request.node.name.replace('[', '.').replace(']', '')}."
    return Settings(
        bootstrap=kafka.bootstrap, namespace=namespace, state_dir=str(tmp_path), session_timeout_s=6.0, batch_records=50
    )


@pytest.fixture
def cluster(settings: Settings) -> Cluster:
    return Cluster(settings, {topics.RAW: 2, topics.ARTICLES: 2, topics.UNIQUE: 3, topics.DEDUP_LOG: 2})


class Cluster:
    """The topics of one test, written and read by plain clients."""

    def __init__(self, settings: Settings, partitions: dict[str, int]) -> None:
        self.settings = settings
        own = [replace(topic, name=clients.physical(settings, topic.name)) for topic in topics.TOPICS]
        counts = {clients.physical(settings, name): count for name, count in partitions.items()}
        with admin.admin_client(clients.connection(settings)) as client:
            assert {made.outcome for made in admin.create(client, own, partitions=counts)} == {"created"}

    def produce(
        self, topic: str, values: Sequence[bytes | None], partition: int | None = 0, *, headers: Any = ()
    ) -> None:
        producer = KafkaProducer(**clients.producer(self.settings))
        for number, value in enumerate(values):
            producer.send(
                clients.physical(self.settings, topic),
                key=f"key {number}".encode(),
                value=value,
                partition=partition,
                headers=list(headers),
            )
        producer.flush()
        producer.close()

    def abort(self, topic: str, values: Sequence[bytes]) -> None:
        """Write `values` in a transaction that is aborted."""
        producer = KafkaProducer(**clients.producer(self.settings), transactional_id=f"{self.settings.namespace}abort")
        producer.init_transactions()
        producer.begin_transaction()
        for value in values:
            producer.send(clients.physical(self.settings, topic), key=b"aborted", value=value, partition=0)
        producer.flush()
        producer.abort_transaction()
        producer.close()

    def read(self, topic: str) -> list[Any]:
        """Return every record of `topic`, committed or not, partition by partition."""
        consumer = KafkaConsumer(**clients.consumer(self.settings) | {"isolation_level": "read_uncommitted"})
        name = clients.physical(self.settings, topic)
        places = [TopicPartition(name, partition) for partition in sorted(consumer.partitions_for_topic(name))]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found: list[Any] = []
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(timeout_ms=200).values():
                found += records
        consumer.close()
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def values(self, topic: str) -> list[bytes | None]:
        return [record.value for record in self.read(topic)]

    def committed(self, topic: str, stage: str) -> dict[int, int]:
        consumer = KafkaConsumer(**clients.consumer(self.settings), group_id=clients.group(self.settings, stage))
        name = clients.physical(self.settings, topic)
        found = {p: consumer.committed(TopicPartition(name, p)) for p in consumer.partitions_for_topic(name)}
        consumer.close()
        return {partition: offset for partition, offset in found.items() if offset is not None}


class Crash(BaseException):
    """The end of a process, for one that the tests go on living in."""


@contextmanager
def running(engine: FaustEngine) -> Iterator[list[BaseException]]:
    """Run `engine` on a thread; at the end of the block stop it. Yields what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            engine.run()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        engine.stop()
        thread.join(SECONDS)
        assert not thread.is_alive(), "the engine did not stop"


def until(condition: Callable[[], bool], raised: Sequence[BaseException] = ()) -> None:
    """Wait until `condition` holds. Fails when it does not, or when the engine has raised."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if raised:
            raise AssertionError("the engine ended") from raised[0]
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def total(metrics: Metrics, stage: str, outcome: str) -> float:
    return metrics.registry.get_sample_value("newsmill_records_total", {"stage": stage, "outcome": outcome}) or 0.0


def test_records_in_outputs_out(settings: Settings, cluster: Cluster) -> None:
    cluster.produce(topics.RAW, [b"a", b"bad", b"raise", None, b"b"])
    cluster.produce(topics.RAW, [b"c"], partition=1, headers=[("trace", b"x"), ("origin", b"file:1")])
    metrics = Metrics()
    with running(FaustEngine(EchoStage(), settings, metrics)) as raised:
        until(lambda: total(metrics, "ingest", "article") == 4 and total(metrics, "ingest", "dead_letter") == 2, raised)
    assert not raised
    assert sorted(cluster.values(topics.ARTICLES)) == [b"", b"A", b"B", b"C"]
    headers = {record.value: dict(record.headers) for record in cluster.read(topics.ARTICLES)}
    assert headers[b"C"]["origin"] == b"file:1"
    assert headers[b"A"]["origin"] == f"{settings.namespace}news.raw/0/0".encode()
    dead = {record.value: dict(record.headers) for record in cluster.read(topics.DEAD_LETTERS)}
    assert {value: kept["dead-reason"] for value, kept in dead.items()} == {
        b"bad": b"bad_value",
        b"raise": b"stage_raised",
    }
    assert b"cannot digest" in dead[b"raise"]["dead-detail"]
    assert cluster.committed(topics.RAW, "ingest") == {0: 5, 1: 1}
