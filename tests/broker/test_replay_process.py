"""A replay as a process: paused, resumed, stopped by signals, and dropped while it is at work."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable

import pytest

from newsmill.replay import isolated, journal
from newsmill.replay.reader import bounds
from schemas import topics
from tests.support.chaos.news import invented
from tests.support.kafka import PATIENCE, Place
from tests.support.replay import feed
from tests.support.replays import REPOSITORY

pytestmark = pytest.mark.broker

DOCUMENTS = 400


class Process:
    """`newsmill replay --run r1`, slow enough to be met at work."""

    def __init__(self, where: Place, rate: str = "20/s", port: int = 0) -> None:
        self._where = where
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")} | {
            "NEWSMILL_BOOTSTRAP": where.settings.bootstrap,
            "NEWSMILL_NAMESPACE": where.settings.namespace,
            "NEWSMILL_REPLAY_METRICS_PORT": str(port),
        }
        self.newsmill = [sys.executable, "-W", "ignore", "-m", "newsmill"]
        self.environment = environment
        options = ["--run", "r1", "--base", "empty", "--order", "time", "--rate", rate]
        self.process = subprocess.Popen(
            [*self.newsmill, "replay", *options], cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True
        )

    def tell(self, *words: str) -> None:
        subprocess.run([*self.newsmill, "replay", *words], cwd=REPOSITORY, env=self.environment, check=True)

    def position(self) -> int:
        work = journal.read(self._where.settings).work("r1", "run")
        return sum(work.positions.values()) if work else 0

    def gets_on(self) -> None:
        """Wait until it has written more."""
        before, deadline = self.position(), time.monotonic() + PATIENCE
        while self.position() <= before:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "it gets no further"
            time.sleep(0.1)

    def stands(self) -> None:
        """Wait until it has written nothing for a second, in which it otherwise writes several times."""
        deadline = time.monotonic() + PATIENCE
        while (before := self.position()) != (time.sleep(1.0) or self.position()):
            assert time.monotonic() < deadline, f"it goes on, beyond {before}"
        assert self.process.poll() is None, self.process.communicate()

    def ended(self) -> tuple[int, str]:
        try:
            _, said = self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        return self.process.returncode, said


def test_paused_resumed_stopped_and_dropped(place: Callable[..., Place]) -> None:
    where = place(raw=2)
    feed(where, invented(DOCUMENTS, seed=9))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    first = Process(where, port=port)
    first.gets_on()
    first.tell("pause", "r1")
    first.stands()
    shows_itself_alone(port, first.position())
    first.tell("resume", "r1")
    first.gets_on()
    first.process.send_signal(signal.SIGUSR1)
    first.stands()
    first.process.send_signal(signal.SIGUSR2)
    first.gets_on()
    first.process.send_signal(signal.SIGTERM)
    status, said = first.ended()
    assert status == 128 + signal.SIGTERM, said
    assert "paused" in said
    assert "r1 has stopped; the same with --run r1 goes on" in said

    second = Process(where)
    reached = second.position()
    second.gets_on()
    # Stopped while it is paused: it need not be resumed for that.
    second.process.send_signal(signal.SIGUSR1)
    second.stands()
    second.process.send_signal(signal.SIGINT)
    status, said = second.ended()
    assert status == 128 + signal.SIGINT, said
    assert second.position() > reached > 0

    third = Process(where)
    third.gets_on()
    third.tell("drop", "r1", "--yes")
    status, said = third.ended()
    assert status in (1, 130), said
    assert bounds(where.settings, isolated.own_topic("r1", topics.ARTICLES)) == ()
    assert journal.read(where.settings).runs["r1"].dropped is not None


def shows_itself_alone(port: int, position: int) -> None:
    """What a paused run shows is about the run, and no metric has the name of a live worker's."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    assert all(re.match(r'newsmill_replay_\w+{.*run="r1".*} ', line) for line in lines), lines
    shown = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    assert shown['newsmill_replay_paused{run="r1"}'] == 1
    assert shown['newsmill_replay_read_offsets_total{run="r1",topic="news.raw"}'] == position
    assert shown['newsmill_replay_ahead_offsets{run="r1"}'] == DOCUMENTS - position
    assert shown['newsmill_replay_records{kind="records",run="r1"}'] == position
    assert shown['newsmill_replay_limit_records_per_second{run="r1"}'] <= 20
    articles = shown['newsmill_replay_written_records_total{run="r1",topic="replay.r1.news.articles"}']
    assert 0 < articles <= position


def test_a_second_process_shuts_the_first_one_out(place: Callable[..., Place]) -> None:
    where = place(raw=2)
    feed(where, invented(DOCUMENTS, seed=9))
    first = Process(where)
    first.gets_on()
    second = Process(where, "1000/s")
    status, said = first.ended()
    assert status == 1, said
    assert "another process has taken up the run r1" in said
    status, said = second.ended()
    assert (status, f"{DOCUMENTS} records replayed" in said) == (0, True), said
    ends = (topics.DUPLICATES, topics.CLASSIFIED, topics.DEAD_LETTERS)
    assert sum(len(where.read(isolated.own_topic("r1", topic))) for topic in ends) == DOCUMENTS
