"""Workers of the faust engine as processes: killed between steps, stopped by a signal, started by Faust's command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from newsmill.local import LocalKafka
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from tests.support.cluster import Cluster

pytestmark = pytest.mark.broker

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0
KILLED = 9
PARTITIONS = {topics.RAW: 1, topics.ARTICLES: 1, topics.UNIQUE: 2, topics.DEDUP_LOG: 1}


@pytest.fixture(scope="module")
def broker(kafka_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker that gives a killed worker's partitions away after a second, and that tests may restart."""
    data = tmp_path_factory.mktemp("kafka-of-faust")
    with LocalKafka(data, overrides={"group.min.session.timeout.ms": "500"}) as kafka:
        yield kafka


@pytest.fixture
def settings(broker: LocalKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    namespace = f"{request.node.name.replace('[', '.').replace(']', '')}."
    state = str(tmp_path / "state")
    return Settings(bootstrap=broker.bootstrap, namespace=namespace, state_dir=state, session_timeout_s=1.0)


@pytest.fixture
def cluster(settings: Settings) -> Cluster:
    return Cluster(settings, PARTITIONS)


class Worker:
    """A worker's process. `arguments` are Python's; the environment is the settings and `toy`, without `TOY_`."""

    def __init__(self, settings: Settings, where: Path, *arguments: str, **toy: str) -> None:
        where.mkdir(exist_ok=True)
        self.where = where
        own = {name: value for name, value in os.environ.items() if not name.startswith(("NEWSMILL_", "TOY_"))}
        chosen = {
            "bootstrap": settings.bootstrap,
            "namespace": settings.namespace,
            "state_dir": settings.state_dir,
            "session_timeout_s": "1",
            "batch_records": "5",
            "metrics_port": "0",
        }
        environment = (
            own
            | {"PYTHONPATH": str(ROOT)}
            | {f"NEWSMILL_{name.upper()}": value for name, value in chosen.items()}
            | {f"TOY_{name.upper()}": value for name, value in toy.items()}
        )
        with (where / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(arguments or ("-m", "tests.support.faust_worker"))],
                cwd=where,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self) -> int:
        return self.process.wait(SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, (self.where / "log").read_text()[-5000:]
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.1)


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start(*arguments: str, **toy: str) -> Worker:
        workers.append(Worker(settings, tmp_path / "work", *arguments, **toy))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.wait()


@pytest.mark.parametrize("step", ["processed", "logged", "written", "committed"])
def test_killed_between_steps(settings: Settings, cluster: Cluster, start: Callable[..., Worker], step: str) -> None:
    cluster.produce(topics.ARTICLES, [b"x"] * 8)
    assert start(stage="counting", die_at=step).wait() == KILLED
    worker = start(stage="counting")
    worker.until(lambda: cluster.committed(topics.ARTICLES, "dedup") == {0: 8})
    assert worker.stop() == 0
    outputs = Counter((record.key, record.value) for record in cluster.read(topics.UNIQUE))
    # One answer for each key: a repeated output is the same output.
    assert sorted(key for key, _ in outputs) == [f"key {number}".encode() for number in range(8)]
    assert sum(outputs.values()) == (13 if step == "written" else 8)
    offsets = [int(h.get(record.headers, h.INPUT_OFFSET) or b"-1") for record in cluster.read(topics.DEDUP_LOG)]
    assert offsets == list(range(8))


def test_sigterm_finishes_the_batch_and_leaves_the_group(
    settings: Settings, cluster: Cluster, start: Callable[..., Worker]
) -> None:
    cluster.produce(topics.RAW, [b"a"] * 5)
    worker = start(sleep="0.5")
    worker.until(lambda: cluster.committed(topics.RAW, "ingest") == {0: 5})
    cluster.produce(topics.RAW, [b"b"] * 50)
    worker.until(lambda: cluster.committed(topics.RAW, "ingest")[0] > 5)
    assert worker.stop() == 0
    (committed,) = cluster.committed(topics.RAW, "ingest").values()
    assert committed < 55, "it stopped between batches, not at the end of the input"
    assert len(cluster.read(topics.ARTICLES)) == committed, "what is written is committed"
    assert cluster.members("ingest") == 0


def test_fausts_own_command(settings: Settings, cluster: Cluster, start: Callable[..., Worker]) -> None:
    cluster.produce(topics.RAW, [b"a"])
    worker = start("-m", "faust", "-A", "tests.support.faust_worker", "worker", "--loglevel", "info")
    worker.until(lambda: cluster.committed(topics.RAW, "ingest") == {0: 1})
    assert worker.stop() == 0
    assert cluster.values(topics.ARTICLES) == [b"A"]
    assert cluster.members("ingest") == 0
    assert [path.name for path in worker.where.iterdir()] == ["log"], "Faust left something in the working directory"
    assert "Web" not in (worker.where / "log").read_text()


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "newsmill", "worker", "ingest", "--engine", "faust"),
        ("-m", "faust", "-A", "newsmill.engines.faust_engine.apps:ingest", "worker"),
    ],
    ids=["newsmill", "faust"],
)
def test_a_real_stage_starts_with_either_command(
    settings: Settings, cluster: Cluster, start: Callable[..., Worker], command: tuple[str, ...]
) -> None:
    cluster.produce(topics.RAW, [b"not a document"])
    worker = start(*command)
    worker.until(lambda: cluster.committed(topics.RAW, "ingest") == {0: 1})
    assert worker.stop() == 0
    (dead,) = cluster.read(topics.DEAD_LETTERS)
    assert h.get(dead.headers, h.DEAD_STAGE) == b"ingest"


def test_fausts_own_command_fails_when_the_worker_does(
    settings: Settings, cluster: Cluster, start: Callable[..., Worker]
) -> None:
    cluster.produce(topics.RAW, [b"a"])
    worker = start("-m", "faust", "-A", "tests.support.faust_worker", "worker", raise_at="written")
    assert worker.wait() not in (0, KILLED)
    assert cluster.committed(topics.RAW, "ingest") == {0: 0}


def test_a_record_that_kills_workers_ends_among_the_dead_letters(
    settings: Settings, cluster: Cluster, start: Callable[..., Worker]
) -> None:
    cluster.produce(topics.RAW, [b"a", b"b", b"die", b"c"])
    # Three starts on the batch, then one on the record alone, with those before it out of the way.
    for _ in range(4):
        assert start().wait() == KILLED
    assert cluster.values(topics.ARTICLES) == [b"A", b"B"]
    worker = start()
    worker.until(lambda: cluster.committed(topics.RAW, "ingest") == {0: 4})
    assert worker.stop() == 0
    assert cluster.values(topics.ARTICLES) == [b"A", b"B", b"C"]
    (dead,) = cluster.read(topics.DEAD_LETTERS)
    assert (dead.key, dead.value) == (b"key 2", b"die")
    assert h.get(dead.headers, h.DEAD_REASON) == b"killed_worker"


def test_the_broker_restarts_in_the_middle(
    settings: Settings, cluster: Cluster, broker: LocalKafka, start: Callable[..., Worker]
) -> None:
    cluster.produce(topics.RAW, [f"{number}".encode() for number in range(200)])
    worker = start(sleep="0.05")
    worker.until(lambda: cluster.committed(topics.RAW, "ingest").get(0, 0) > 20)
    broker.kill()
    time.sleep(1)
    broker.start()
    broker.wait_ready()
    deadline = time.monotonic() + SECONDS
    while cluster.committed(topics.RAW, "ingest") != {0: 200}:
        assert time.monotonic() < deadline, "waited too long"
        if worker.process.poll() is not None:
            assert worker.process.returncode != 0
            worker = start()
        time.sleep(0.2)
    assert worker.stop() == 0
    assert set(cluster.values(topics.ARTICLES)) == {f"{number}".encode() for number in range(200)}
