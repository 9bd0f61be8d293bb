"""Processes of redrive and of a replay in place are killed at random moments, with live workers beside them. What is on
the topics in the end is what an undisturbed run puts there."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from newsmill.local import LocalKafka
from newsmill.replay import journal
from schemas import headers as h
from schemas import topics
from tests.support.kafka import PATIENCE, Place, Running
from tests.support.replays import PROCESS, REPOSITORY, article, have_run, write
from tests.support.stages import CountingStage, EchoStage
from workers.stage import Record

pytestmark = [pytest.mark.broker, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]

BATCH = 20
SHORT, LONG = 3, 20
"""Kills of a run, and so many records that there is time for them."""


@pytest.fixture
def where(broker: LocalKafka, tmp_path) -> Iterator[Place]:  # type: ignore[no-untyped-def]
    yield Place(broker.bootstrap, "chaos", tmp_path / "state", raw=3)
    Running.bury_all()


def killed_at_random(where: Place, operation: str, kills: int, seed: int) -> int:
    """Run the operation until it has finished, kill its process at `kills` random moments; return how often a process
    died while it worked."""
    rng = random.Random(seed)
    died = 0
    for life in range(kills + 1):
        with subprocess.Popen(
            [sys.executable, "-c", PROCESS, where.settings.bootstrap, where.settings.namespace, str(BATCH), operation,
             "r1"],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == "starting\n"
            if life < kills:
                # Opening clients takes some tenths of a second, each transaction some hundredths.
                time.sleep(rng.uniform(0.1, 1.2))
                process.kill()
                died += process.wait() < 0
            else:
                try:
                    said, _ = process.communicate(timeout=PATIENCE)
                finally:
                    process.kill()
                assert (said.strip(), process.returncode) == ("finished True", 0)
    return died


def each_once_in_order(where: Place, wanted: dict[int, list[bytes | None]], mark: str) -> None:
    marked = [record for record in where.read(topics.RAW) if h.get(record.headers, mark) is not None]
    for partition, values in wanted.items():
        assert [record.value for record in marked if record.partition == partition] == values, partition


def by_partition(records: list[Record]) -> dict[int, list[bytes | None]]:
    return {p: [record.value for record in records if record.partition == p] for p in range(3)}


def check_redrive(where: Place, count: int, kills: int, seed: int) -> None:
    values = [b"bad %d" % n for n in range(count)]
    where.feed(topics.RAW, values)
    ingest = Running(EchoStage(), where.settings)
    where.wait_for(topics.DEAD_LETTERS, count)
    originals = by_partition(where.read(topics.RAW))
    died = killed_at_random(where, "redrive", kills, seed)
    where.wait_for(topics.DEAD_LETTERS, 2 * count)
    ingest.stop()
    each_once_in_order(where, originals, h.REDRIVEN)
    counts = journal.read(where.settings).runs["r1"].works["redrive"].counts
    assert counts == {"redriven": count, "written": count}
    assert died > 0, "no process was killed while it worked"


def check_in_place(where: Place, count: int, kills: int, seed: int) -> None:
    values = [b"v%d" % n for n in range(count)]
    where.feed(topics.RAW, values)
    ingest, dedup = Running(EchoStage(), where.settings), Running(CountingStage(), where.settings)
    where.wait_for(topics.UNIQUE, count)
    originals, log = by_partition(where.read(topics.RAW)), where.read(topics.DEDUP_LOG)
    died = killed_at_random(where, "in_place", kills, seed)
    where.wait_for(topics.UNIQUE, 2 * count)
    ingest.stop()
    dedup.stop()
    each_once_in_order(where, originals, h.REPLAY)
    assert where.read(topics.DEDUP_LOG) == log, "a replay teaches dedup nothing"
    again = [record for record in where.read(topics.UNIQUE) if h.get(record.headers, h.REPLAY) is not None]
    assert Counter(record.key for record in again) == Counter(b"k%d" % n for n in range(count))
    assert died > 0, "no process was killed while it worked"


def check_promote(where: Place, count: int, kills: int, seed: int) -> None:
    live = [(f"a{n}", f"news.raw/0/{n}", article(f"a{n}", f"text {n}")) for n in range(count)]
    # Every third article has another model say something new, and every tenth has been revised since.
    changed = range(0, count, 3)
    made = [(f"a{n}", f"news.raw/0/{n}", article(f"a{n}", f"text {n}", model="new")) for n in changed]
    write(where, topics.CLASSIFIED, *live)
    have_run(where, made)
    revised = [(f"a{n}", f"news.raw/1/{n}", article(f"a{n}", f"more {n}", revision=2)) for n in range(0, count, 10)]
    write(where, topics.CLASSIFIED, *revised)
    wanted = [made[n // 3] for n in changed if n % 10]
    died = killed_at_random(where, "promote", kills, seed)
    found = [record for record in where.read(topics.CLASSIFIED) if h.get(record.headers, h.PROMOTED) is not None]
    assert [(r.key, r.value) for r in found] == [(name.encode(), value) for name, _, value in wanted]
    counts = journal.read(where.settings).runs["r1"].works["promote"].counts
    assert counts == {"promoted": len(wanted), "superseded": len(made) - len(wanted)}
    assert died > 0, "no process was killed while it worked"


CHECKS: dict[str, Callable[[Place, int, int, int], None]] = {
    "redrive": check_redrive,
    "in_place": check_in_place,
    "promote": check_promote,
}


@pytest.mark.parametrize("operation", CHECKS)
def test_a_killed_process_goes_on(where: Place, operation: str, seed: int) -> None:
    CHECKS[operation](where, 1_500, SHORT, seed)


@pytest.mark.chaos
@pytest.mark.parametrize("operation", CHECKS)
def test_a_process_that_is_killed_twenty_times_goes_on(where: Place, operation: str, seed: int) -> None:
    CHECKS[operation](where, 10_000, LONG, seed)
