"""The process of a run of its own is killed at random moments while live workers have work. What is on the run's topics
in the end is what an undisturbed run puts there, and what live workers wrote of the same records."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from newsmill.local import LocalKafka
from newsmill.replay import isolated, journal
from newsmill.replay.fused import RECORDS
from newsmill.replay.ranges import parse
from newsmill.replay.reader import bounds
from newsmill.replay.request import Request
from schemas import headers as h
from schemas import topics
from tests.support.chaos import undisturbed
from tests.support.chaos.news import Raw, invented
from tests.support.kafka import PATIENCE, Place, Running
from tests.support.replay import LIVE, by_partition, feed, pipeline_of, replay, until_through
from tests.support.replays import REPOSITORY
from workers.stage import Record

pytestmark = [pytest.mark.broker, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]

BATCH = 20
RATE = "100/s"
"""Of processes that are to be killed, so that they have not ended before, on whatever machine."""
ALL = (*LIVE, topics.DEAD_LETTERS)


@pytest.fixture
def where(broker: LocalKafka, tmp_path) -> Iterator[Place]:  # type: ignore[no-untyped-def]
    yield Place(broker.bootstrap, "chaos", tmp_path / "state", raw=4, ingest_log=4, unique=4, tagged=4, classified=4)
    Running.bury_all()


class LiveLoad:
    """Feeds live documents, some at a time, until it is left; `fed` says how many there were."""

    def __init__(self, where: Place, documents: list[Raw], first: int) -> None:
        self._where, self._documents, self._first = where, documents, first
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.fed = 0

    def __enter__(self) -> LiveLoad:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.5) and self.fed < len(self._documents):
            feed(self._where, self._documents[self.fed : self.fed + 5], self._first + self.fed)
            self.fed += 5


def begin(where: Place, until: str, *options: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")} | {
        "NEWSMILL_BOOTSTRAP": where.settings.bootstrap,
        "NEWSMILL_NAMESPACE": where.settings.namespace,
        "NEWSMILL_BATCH_RECORDS": str(BATCH),
    }
    command = [sys.executable, "-W", "ignore", "-m", "newsmill", "replay", "--run", "r1", "--until", until, *options]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE)


def positions(where: Place) -> dict[str, int]:
    work = journal.read(where.settings).work("r1", "run")
    return work.positions if work else {}


def killed_at_random(where: Place, until: str, kills: int, seed: int) -> Counter[str]:
    """Work the run off, kill its process at `kills` moments; return how often it died before and after it had written
    something. Every second time it is left alone until it has."""
    rng = random.Random(seed)
    died: Counter[str] = Counter()
    for life in range(kills):
        before = positions(where)
        with begin(where, until, "--rate", RATE) as process:
            deadline = time.monotonic() + PATIENCE
            while life % 2 and positions(where) == before and process.poll() is None:
                assert time.monotonic() < deadline, "the run gets no further"
            # Loading takes some seconds, each transaction some hundredths of one.
            time.sleep(rng.uniform(0.0, 1.0 if life % 2 else 5.0))
            process.kill()
            if process.wait() < 0:
                died["before" if positions(where) == before else "after"] += 1
    with begin(where, until) as process:
        try:
            _, said = process.communicate(timeout=10 * PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0, said
    return died


def check(where: Place, count: int, kills: int, seed: int) -> None:
    documents = invented(2 * count, seed)
    feed(where, documents[:count])
    with pipeline_of(where):
        until_through(where, count)
        until = "offset:" + ",".join(f"{s.partition}={s.end}" for s in bounds(where.settings, topics.RAW))
        live = {topic: by_partition(where.read(topic)) for topic in ALL}
        with LiveLoad(where, documents[count:], count) as load:
            died = killed_at_random(where, until, kills, seed)
        until_through(where, count + load.fed)
    assert replay(where, "undisturbed", Request(until=parse(until))).counts[RECORDS] == count
    for topic in ALL:
        found = by_partition(made(where, "r1", topic))
        assert found == by_partition(made(where, "undisturbed", topic)), topic
        if topic == topics.DEAD_LETTERS:
            assert sorted(found[0], key=str) == sorted(live[topic][0], key=str)
        else:
            assert found == live[topic], topic
    assert journal.read(where.settings).runs["r1"].works["run"].counts[RECORDS] == count
    live_is_undisturbed(where, load.fed)
    assert died["after"] >= kills // 2, died


def made(where: Place, run: str, topic: str) -> list[Record]:
    """Return what a run has decided itself. What it has taken over from the live log depends on when it began."""
    records = where.read(isolated.own_topic(run, topic))
    return [record for record in records if h.get(record.headers, h.TAKEN_OVER) is None]


def live_is_undisturbed(where: Place, more: int) -> None:
    """Live topics hold nothing of a replay, and of what came beside it what dedup decides on the same articles."""
    assert more > 0
    records = {topic: where.read(topic) for topic in ALL}
    for topic, found in records.items():
        assert not [record for record in found if of_a_run(record)], topic
    expected = undisturbed.dedup(records[topics.ARTICLES])
    for topic in (topics.DEDUP_LOG, topics.DUPLICATES):
        assert [(r.key, r.value) for r in records[topic]] == expected[topic], topic
    assert Counter((r.key, r.value) for r in records[topics.UNIQUE]) == Counter(expected[topics.UNIQUE])


def of_a_run(record: Record) -> bool:
    marks = (h.REPLAY, h.PROMOTED, h.TAKEN_OVER)
    return h.get(record.headers, h.RUN) != h.LIVE_RUN or any(h.get(record.headers, mark) for mark in marks)


def test_a_killed_run_goes_on_beside_live_traffic(where: Place, seed: int) -> None:
    check(where, 400, 3, seed)


@pytest.mark.chaos
def test_a_run_that_is_killed_twenty_times_goes_on_beside_live_traffic(where: Place, seed: int) -> None:
    check(where, 4_000, 20, seed)
