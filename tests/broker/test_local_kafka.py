from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from newsmill import topics
from newsmill.local import LocalKafka, LocalKafkaError, process, stop_recorded
from newsmill.local.kafka import QUICK_START, pid_file
from schemas.limits import MAX_RECORD_BYTES
from schemas.topics import TOPICS, Topic

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("kafka_ready")]

REPOSITORY = Path(__file__).resolve().parents[2]


def renamed(prefix: str) -> list[Topic]:
    return [replace(topic, name=f"{prefix}.{topic.name}") for topic in TOPICS]


def write(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=2 * MAX_RECORD_BYTES)
    try:
        futures = [producer.send(topic, value=value, partition=0) for value in values]
        for future in futures:
            future.get(timeout=30)
    finally:
        producer.close()


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        max_partition_fetch_bytes=2 * MAX_RECORD_BYTES,
        fetch_max_bytes=4 * MAX_RECORD_BYTES,
    )
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        values: list[bytes] = []
        until = time.monotonic() + 30
        while len(values) < count and time.monotonic() < until:
            values += [record.value for records in consumer.poll(timeout_ms=500).values() for record in records]
        return values
    finally:
        consumer.close()


def test_topics_are_created_as_declared(kafka: LocalKafka) -> None:
    declared = renamed("declared")
    with topics.admin_client({"bootstrap_servers": kafka.bootstrap}) as admin:
        assert [(o.topic, o.outcome) for o in topics.create(admin, declared)] == [(t.name, "created") for t in declared]
        rows = topics.describe(admin, declared)
        settings = topics._settings(admin, [topic.name for topic in declared])
    assert [(row.topic, row.partitions, row.retention) for row in rows] == [
        (topic.name, topic.partitions, topic.retention) for topic in declared
    ]
    assert {row.replication_factor for row in rows} == {1}
    for topic in declared:
        assert topics.topic_settings(topic).items() <= settings[topic.name].items()


def test_creating_twice_changes_nothing(kafka: LocalKafka) -> None:
    declared = renamed("twice")
    with topics.admin_client({"bootstrap_servers": kafka.bootstrap}) as admin:
        topics.create(admin, declared)
        before = topics.describe(admin, declared)
        again = topics.create(admin, declared)
        assert topics.describe(admin, declared) == before
    assert [(outcome.outcome, outcome.details) for outcome in again] == [("exists", ())] * len(TOPICS)


def test_a_topic_with_other_settings_is_reported_and_left_alone(kafka: LocalKafka) -> None:
    raw = renamed("other")[0]
    with topics.admin_client({"bootstrap_servers": kafka.bootstrap}) as admin:
        topics.create(admin, [replace(raw, retention=timedelta(hours=1))], partitions={raw.name: 2})
        (outcome,) = topics.create(admin, [raw])
        (row,) = topics.describe(admin, [raw])
    assert outcome.outcome == "differs"
    assert outcome.details == (
        "it has 2 partitions, declared are 4",
        "retention.ms is 3600000, declared is 604800000",
    )
    assert (row.partitions, row.retention) == (2, timedelta(hours=1))


def test_what_cannot_be_created_says_why_and_the_rest_is_created(kafka: LocalKafka) -> None:
    first, second, *_ = renamed("half")
    with topics.admin_client({"bootstrap_servers": kafka.bootstrap}) as admin:
        bad, good = topics.create(admin, [first, second], partitions={first.name: 0})
    assert bad.outcome == "failed"
    assert bad.details[0].startswith("InvalidPartitionsError")
    assert good.outcome == "created"


def test_a_log_has_as_many_partitions_as_its_input(kafka: LocalKafka) -> None:
    some = [t for t in topics.declared("follow.") if t.name.removeprefix("follow.") in ("news.raw", "news.ingest-log")]
    with topics.admin_client({"bootstrap_servers": kafka.bootstrap}) as admin:
        topics.create(admin, some[:1], replication_factor=1, partitions={"follow.news.raw": 7})
        topics.create(admin, some, replication_factor=1)
        assert [row.partitions for row in topics.describe(admin, some)] == [7, 7]


def test_absent_topics_are_described_as_having_no_partitions(kafka: LocalKafka) -> None:
    with topics.admin_client({"bootstrap_servers": kafka.bootstrap}) as admin:
        rows = topics.describe(admin, renamed("absent"))
    assert {row.partitions for row in rows} == {0}


def test_offsets_and_size_are_described_and_the_largest_record_passes(kafka: LocalKafka) -> None:
    raw = renamed("sizes")[0]
    largest = b"\xff" * MAX_RECORD_BYTES
    with topics.admin_client({"bootstrap_servers": kafka.bootstrap}) as admin:
        topics.create(admin, [raw])
        write(kafka.bootstrap, raw.name, b"one", largest)
        (row,) = topics.describe(admin, [raw])
    assert (row.start, row.end) == ((0, 0, 0, 0), (2, 0, 0, 0))
    assert row.size_bytes is not None
    assert row.size_bytes > MAX_RECORD_BYTES
    assert read(kafka.bootstrap, raw.name, 2) == [b"one", largest]


def test_data_and_address_survive_a_stop_and_a_crash(tmp_path: Path) -> None:
    name = TOPICS[0].name
    # A killed broker is let in again once its former self's session has ended.
    soon = {"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}
    broker = LocalKafka(tmp_path / "data", overrides=soon, jvm_options=[QUICK_START])
    try:
        broker.start()
        broker.wait_ready()
        address = broker.bootstrap
        with topics.admin_client({"bootstrap_servers": address}) as admin:
            topics.create(admin, TOPICS[:1])
        write(address, name, b"before the stop")
        broker.restart()
        assert broker.bootstrap == address
        write(address, name, b"before the crash")
        broker.kill()
        assert broker.pid is None
        # Another object, as another command would make.
        broker = LocalKafka(tmp_path / "data", overrides=soon, jvm_options=[QUICK_START])
        broker.start()
        broker.wait_ready()
        assert broker.bootstrap == address
        assert read(address, name, 2) == [b"before the stop", b"before the crash"]
        with pytest.raises(LocalKafkaError, match="already runs"):
            LocalKafka(tmp_path / "data").start()
        assert stop_recorded(tmp_path / "data") == "stopped"
        assert broker._process is not None
        broker._process.wait(1)
        assert stop_recorded(tmp_path / "data") == "not running"
    finally:
        broker.kill()


def test_a_broker_that_ends_while_starting_says_why(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=another-cluster\n")
    with pytest.raises(LocalKafkaError, match=r"(?s)ended while it was starting.*7"), LocalKafka(tmp_path):
        pass
    assert not pid_file(tmp_path).exists()


def test_settings_that_kafka_refuses_are_shown(tmp_path: Path) -> None:
    with (
        pytest.raises(LocalKafkaError, match=r"num\.io\.threads"),
        LocalKafka(tmp_path, overrides={"num.io.threads": "none"}),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is signalled on Linux alone")
def test_the_broker_ends_with_a_killed_owner(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from newsmill.local import LocalKafka\n"
        "broker = LocalKafka(pathlib.Path(sys.argv[1]))\n"
        "broker.start()\n"
        "print(broker.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert process.recorded(pid_file(tmp_path)) == pid
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert process.wait_gone(pid_file(tmp_path), 30)
    finally:
        owner.kill()
        owner.communicate()
        stop_recorded(tmp_path)
