"""Processes of `newsmill replay` that read archives and write files are killed at random moments. What is there in the
end is what an undisturbed run makes, byte for byte."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from newsmill.local import LocalKafka
from newsmill.replay import isolated, journal
from schemas import topics
from tests.support.chaos.news import invented
from tests.support.kafka import PATIENCE, Place
from tests.support.replay import LIVE, feed
from tests.support.replays import REPOSITORY

pytestmark = [pytest.mark.broker, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]

SHORT, LONG = (300, 2), (5_000, 20)
"""Documents, and kills of a run."""

INGESTED = "2026-03-02T06:00:00Z"


@pytest.fixture
def where(broker: LocalKafka, tmp_path: Path) -> Place:
    return Place(broker.bootstrap, "chaos", tmp_path / "state", raw=3, ingest_log=3)


def archive_of(folder: Path, count: int, seed: int) -> list[str]:
    values = [document.value.replace(b"\n", b" ") + b"\n" for document in invented(count, seed)]
    folder.mkdir()
    (folder / "a.ndjson").write_bytes(b"".join(values[: count // 2]))
    (folder / "b.ndjson.gz").write_bytes(gzip.compress(b"".join(values[count // 2 :])))
    return ["--archive", str(folder), "--ingested-at", INGESTED]


class Replays:
    """Starts `newsmill replay` as a process."""

    def __init__(self, where: Place, arguments: Sequence[str]) -> None:
        self._where = where
        self._arguments = arguments
        settings = where.settings
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")},
            "NEWSMILL_BOOTSTRAP": settings.bootstrap,
            "NEWSMILL_NAMESPACE": settings.namespace,
            "NEWSMILL_STATE_DIR": settings.state_dir,
            "NEWSMILL_BATCH_RECORDS": "20",
            "NEWSMILL_TRANSACTION_TIMEOUT_S": "10",
        }

    def start(self, run: str, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "newsmill", "replay", *self._arguments, "--run", run, *more],
            cwd=REPOSITORY,
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, run: str, *more: str) -> None:
        with self.start(run, *more) as process:
            try:
                _, said = process.communicate(timeout=5 * PATIENCE)
            finally:
                process.kill()
        assert process.returncode == 0, said

    def kill_at_random(self, run: str, kills: int, seed: int, *more: str) -> int:
        """Kill so many processes of the run, each after it has come further; return how many died at work."""
        rng = random.Random(seed)
        died = 0
        for _ in range(kills):
            before = self._reached(run)
            with self.start(run, *more) as process:
                while process.poll() is None and self._reached(run) == before:
                    time.sleep(0.05)
                time.sleep(rng.uniform(0.0, 0.5))
                process.kill()
                process.communicate()
            died += process.returncode < 0
        return died

    def _reached(self, run: str) -> object:
        checkpoint = self._where.settings.path("replay", run, "checkpoint.json")
        if checkpoint.exists():
            return checkpoint.stat().st_mtime_ns
        if (work := journal.read(self._where.settings).work(run, "run")) is None:
            return None
        return work.last if work.counts else None


def check_files(where: Place, arguments: Sequence[str], tmp_path: Path, kills: int, seed: int) -> None:
    replays = Replays(where, arguments)
    replays.finish("undisturbed", "--into", f"{tmp_path}/undisturbed/")
    into = ("--into", f"{tmp_path}/killed/")
    died = replays.kill_at_random("killed", kills, seed, *into)
    replays.finish("killed", *into)
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "undisturbed").iterdir()}
    found = {path.name: path.read_bytes() for path in (tmp_path / "killed").iterdir()}
    assert {name: len(data) for name, data in found.items()} == {name: len(data) for name, data in wanted.items()}
    assert found == wanted
    assert died > kills // 2, "hardly a process was killed while it worked"


def check_topics(where: Place, arguments: Sequence[str], kills: int, seed: int) -> None:
    replays = Replays(where, arguments)
    replays.finish("undisturbed")
    died = replays.kill_at_random("killed", kills, seed)
    replays.finish("killed")
    for topic in (*LIVE, topics.DEAD_LETTERS):
        killed, whole = (where.read(isolated.own_topic(run, topic)) for run in ("killed", "undisturbed"))
        assert [(r.partition, r.key, r.value) for r in killed] == [(r.partition, r.key, r.value) for r in whole], topic
    assert where.read(isolated.own_topic("killed", topics.CLASSIFIED))
    assert died > kills // 2, "hardly a process was killed while it worked"


def from_topic(where: Place, count: int, seed: int) -> list[str]:
    feed(where, invented(count, seed))
    return ["--base", "empty", "--order", "time"]


def test_an_archive_into_parquet(where: Place, tmp_path: Path, seed: int) -> None:
    count, kills = SHORT
    check_files(where, [*archive_of(tmp_path / "in", count, seed), "--as", "parquet"], tmp_path, kills, seed)


@pytest.mark.chaos
def test_an_archive_into_parquet_killed_twenty_times(where: Place, tmp_path: Path, seed: int) -> None:
    count, kills = LONG
    check_files(where, [*archive_of(tmp_path / "in", count, seed), "--as", "parquet"], tmp_path, kills, seed)


@pytest.mark.chaos
def test_a_topic_into_files_killed_twenty_times(where: Place, tmp_path: Path, seed: int) -> None:
    count, kills = LONG
    check_files(where, from_topic(where, count, seed), tmp_path, kills, seed)


@pytest.mark.chaos
def test_an_archive_into_topics_killed_twenty_times(where: Place, tmp_path: Path, seed: int) -> None:
    count, kills = LONG
    check_topics(where, archive_of(tmp_path / "in", count, seed), kills, seed)
