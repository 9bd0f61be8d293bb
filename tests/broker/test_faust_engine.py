"""The faust engine against a real Apache Kafka, in this process.

What every engine owes is in tests/contract; here is what only this engine can get wrong."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError

from newsmill import clients
from newsmill import topics as admin
from newsmill.engines.broker.required import MissingTopicsError
from newsmill.engines.faust_engine import FaustEngine
from newsmill.engines.faust_engine.errors import CommitError
from newsmill.engines.faust_engine.outbox import WriteError
from newsmill.engines.faust_engine.positions import Lag
from newsmill.engines.faust_engine.transport import ConsumerThread
from newsmill.health import Health
from newsmill.local import LocalKafka
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from schemas import topics
from tests.support.cluster import Cluster
from tests.support.stages import CountingStage, EchoStage, HangingStage

pytestmark = pytest.mark.broker

SECONDS = 60.0
PARTITIONS = {topics.RAW: 2, topics.ARTICLES: 2, topics.UNIQUE: 3, topics.DEDUP_LOG: 2}


@pytest.fixture
def settings(kafka: LocalKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    namespace = f"{request.node.name.replace('[', '.').replace(']', '')}."
    return Settings(
        bootstrap=kafka.bootstrap, namespace=namespace, state_dir=str(tmp_path), session_timeout_s=6.0, batch_records=50
    )


@pytest.fixture
def cluster(settings: Settings) -> Cluster:
    return Cluster(settings, PARTITIONS)


@contextmanager
def running(engine: FaustEngine) -> Iterator[list[BaseException]]:
    """Run `engine` on a thread; at the end of the block stop it. Yields what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            engine.run()
        except BaseException as error:  # noqa: BLE001  (whatever it is, the test looks at it)
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
        time.sleep(0.05)


def total(metrics: Metrics, stage: str) -> float:
    """Return how many records `stage` has processed, durably."""
    return sum(
        sample.value
        for family in metrics.records.collect()
        for sample in family.samples
        if sample.name == "newsmill_records_total" and sample.labels["stage"] == stage
    )


def work_off(engine: FaustEngine, count: int) -> None:
    """Run `engine` until it has processed `count` records."""
    with running(engine) as raised:
        until(lambda: total(engine.metrics, engine.stage.name) >= count, raised)
    assert not raised


def ends_with(engine: FaustEngine) -> BaseException:
    """Run `engine` until it raises."""
    with running(engine) as raised:
        until(lambda: bool(raised))
    return raised[0]


def test_a_key_goes_where_every_other_client_would_send_it(settings: Settings, cluster: Cluster) -> None:
    values = [f"{number}".encode() for number in range(40)]
    cluster.produce(topics.ARTICLES, values, partition=1)
    cluster.produce(topics.UNIQUE, values, partition=None)
    elsewhere = {record.key: record.partition for record in cluster.read(topics.UNIQUE)}
    work_off(FaustEngine(CountingStage(), settings, Metrics()), 40)
    written = [record for record in cluster.read(topics.UNIQUE) if record.value not in values]
    assert {record.key: record.partition for record in written} == elsewhere
    assert len(set(elsewhere.values())) == 3
    # The log goes to the partition of the input, whatever the key says.
    assert {record.partition for record in cluster.read(topics.DEDUP_LOG)} == {1}


def test_aborted_records_are_never_seen(settings: Settings, cluster: Cluster) -> None:
    cluster.produce(topics.RAW, [b"first"])
    cluster.abort(topics.RAW, [b"aborted 1", b"aborted 2"])
    cluster.produce(topics.RAW, [b"second"])
    cluster.abort(topics.RAW, [b"aborted 3"])
    engine = FaustEngine(EchoStage(), settings, Metrics())
    with running(engine) as raised:
        until(lambda: total(engine.metrics, "ingest") == 2, raised)
        # 1 record, 2 aborted, marker, 1 record, 1 aborted, marker: the position behind them is committed, too.
        until(lambda: cluster.committed(topics.RAW, "ingest") == {0: 7}, raised)
    assert not raised
    assert cluster.values(topics.ARTICLES) == [b"FIRST", b"SECOND"]
    assert len(cluster.read(topics.RAW)) == 5, "the aborted records are there, for a client that wants them"


def test_state_is_there_after_a_restart_and_after_a_rebalance(settings: Settings, cluster: Cluster) -> None:
    for partition in (0, 1):
        cluster.produce(topics.ARTICLES, [b"x", b"x"], partition)
    work_off(FaustEngine(CountingStage(), settings, Metrics()), 4)
    one = FaustEngine(CountingStage(), settings, Metrics())
    two = FaustEngine(CountingStage(), replace(settings, instance="1"), Metrics())

    def places(engine: FaustEngine) -> set[str]:
        return {labels[1] for labels in engine.metrics.committed._metrics}

    with running(one) as raised:
        until(lambda: places(one) == {"0", "1"}, raised)
        with running(two) as raised_two:
            until(lambda: len(places(one)) == len(places(two)) == 1, raised + raised_two)
            for partition in (0, 1):
                cluster.produce(topics.ARTICLES, [b"x"], partition)
            until(lambda: total(one.metrics, "dedup") == total(two.metrics, "dedup") == 1, raised + raised_two)
            assert isinstance(one.stage, CountingStage)
            assert set(one.stage.seen) == {int(place) for place in places(one)}
        until(lambda: places(one) == {"0", "1"}, raised)
        for partition in (0, 1):
            cluster.produce(topics.ARTICLES, [b"x"], partition)
        until(lambda: total(one.metrics, "dedup") == 3, raised)
    assert not raised + raised_two
    by_place: dict[int, list[int]] = {0: [], 1: []}
    for record in cluster.read(topics.DEDUP_LOG):
        by_place[record.partition].append(json.loads(record.value)["count"])
    assert by_place == {0: [0, 1, 2, 3], 1: [0, 1, 2, 3]}


def test_workers_that_come_and_go_lose_nothing(settings: Settings, cluster: Cluster) -> None:
    settings = replace(settings, batch_records=7)
    steady = FaustEngine(EchoStage(), settings, Metrics())
    stop = threading.Event()
    sent = 0

    def feed() -> None:
        nonlocal sent
        while not stop.is_set():
            for partition in (0, 1):
                cluster.produce(topics.RAW, [f"{sent + number}".encode() for number in range(20)], partition)
                sent += 20

    feeder = threading.Thread(target=feed)
    with running(steady) as raised:
        feeder.start()
        try:
            until(lambda: total(steady.metrics, "ingest") > 0, raised)
            for number in (1, 2):
                passing = FaustEngine(EchoStage(), replace(settings, instance=f"{number}"), Metrics())
                with running(passing) as raised_too:
                    until(lambda engine=passing: total(engine.metrics, "ingest") > 20, raised + raised_too)
                assert not raised_too
        finally:
            stop.set()
            feeder.join()
        until(lambda: sum(cluster.committed(topics.RAW, "ingest").values()) == sent, raised)
    assert not raised
    assert set(cluster.values(topics.ARTICLES)) == {f"{number}".encode() for number in range(sent)}


def test_a_commit_that_fails_ends_the_worker(
    settings: Settings, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.produce(topics.RAW, [b"a"])
    commit = ConsumerThread.commit_offsets

    async def fail(self: ConsumerThread, offsets: Any) -> None:
        if any(offset.offset for offset in offsets.values()):
            raise CommitFailedError("already rebalanced")
        await commit(self, offsets)

    monkeypatch.setattr(ConsumerThread, "commit_offsets", fail)
    engine = FaustEngine(EchoStage(), settings, Metrics())
    assert isinstance(ends_with(engine), CommitError)
    assert total(engine.metrics, "ingest") == 0
    assert cluster.committed(topics.RAW, "ingest") == {0: 0}


def test_an_output_that_the_broker_refuses_ends_the_worker(settings: Settings, cluster: Cluster) -> None:
    name = clients.physical(settings, topics.ARTICLES)
    with admin.admin_client(clients.connection(settings)) as client:
        client.alter_configs([admin.ConfigResource("topic", name, {"max.message.bytes": "1000"})])
    cluster.produce(topics.RAW, [bytes(range(256)) * 20])
    engine = FaustEngine(EchoStage(), replace(settings, compression="none"), Metrics())
    assert isinstance(ends_with(engine), WriteError)
    assert cluster.committed(topics.RAW, "ingest") == {0: 0}
    assert total(engine.metrics, "ingest") == 0


def test_lag_and_health(settings: Settings, cluster: Cluster) -> None:
    cluster.produce(topics.RAW, [b"a", b"b", b"c"])
    metrics, health = Metrics(), Health(60.0)

    def sample(name: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"stage": "ingest", "partition": "0"})

    assert health.not_ready()
    with running(FaustEngine(EchoStage(), settings, metrics, health)) as raised:
        until(lambda: sample("newsmill_committed_offset") == 3 and sample("newsmill_lag_records") == 0, raised)
        assert (sample("newsmill_end_offset"), sample("newsmill_unstable_records")) == (3, 0)
        until(lambda: not health.not_ready(), raised)
    assert not raised


def test_not_ready_for_as_long_as_the_broker_does_not_answer(
    settings: Settings, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    answers.set()
    measure = Lag.measure_faust

    async def sometimes(self: Lag, *arguments: Any) -> int | None:
        if not answers.is_set():
            raise TimeoutError("no answer")
        return await measure(self, *arguments)

    monkeypatch.setattr(Lag, "measure_faust", sometimes)
    health, metrics = Health(60.0), Metrics()
    with running(FaustEngine(EchoStage(), settings, metrics, health)) as raised:
        until(lambda: not health.not_ready(), raised)
        answers.clear()
        until(lambda: "does not answer" in health.not_ready(), raised)
        said: list[str] = []
        say = health.ready
        monkeypatch.setattr(health, "ready", lambda reason="": (said.append(reason), say(reason)))
        # What it has fetched, it still processes; that does not make it ready.
        cluster.produce(topics.RAW, [b"a", b"b"])
        until(lambda: total(metrics, "ingest") == 2, raised)
        until(lambda: len(said) > 10, raised)
        assert all("does not answer" in reason for reason in said), said
        answers.set()
        until(lambda: not health.not_ready(), raised)
    assert not raised


def test_a_stage_that_hangs_on_its_first_record_makes_its_worker_unhealthy(
    settings: Settings, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, health = HangingStage(), Health(1.0)
    measured = threading.Event()
    measure = Lag.measure_faust

    async def once(self: Lag, *arguments: Any) -> int | None:
        # What was measured while nothing waited is all that is known when the batch begins.
        if measured.is_set() and not stage.go_on.is_set():
            return None
        waiting = await measure(self, *arguments)
        if waiting == 0:
            measured.set()
        return waiting

    monkeypatch.setattr(Lag, "measure_faust", once)
    with running(FaustEngine(stage, settings, Metrics(), health)) as raised:
        until(measured.is_set, raised)
        cluster.produce(topics.RAW, [b"a"])
        until(lambda: "nothing has moved" in health.problem(), raised)
        stage.go_on.set()
        until(lambda: not health.problem(), raised)
    assert not raised


def test_stopped_before_it_runs(settings: Settings) -> None:
    engine = FaustEngine(EchoStage(), settings, Metrics())
    engine.stop()
    engine.run()


def test_missing_topics_are_named(settings: Settings) -> None:
    error = ends_with(FaustEngine(CountingStage(), settings, Metrics()))
    assert isinstance(error, MissingTopicsError)
    for topic in (topics.ARTICLES, topics.UNIQUE, topics.DEDUP_LOG, topics.DEAD_LETTERS):
        assert clients.physical(settings, topic) in str(error)
