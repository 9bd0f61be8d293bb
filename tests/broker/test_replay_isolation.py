"""A record that takes the process of a run down, again and again, is found and set aside; all others come through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from newsmill.engines.result import KILLED
from newsmill.replay import isolated, journal
from newsmill.replay.control import Control
from newsmill.replay.fused import DEADLY_STARTS, DEADLY_TRIES, State
from newsmill.replay.pace import Pace
from newsmill.replay.progress import ReplayProgress
from newsmill.replay.request import Request
from newsmill.replay.run import Outcome, Surroundings, into_topics
from newsmill.replay.session import Session
from schemas import headers as h
from schemas import topics
from tests.support.driver import Killed
from tests.support.kafka import Place
from tests.support.replays import abandoned
from tests.support.stages import CountingStage, EchoStage
from workers.stage import Record, Stage

pytestmark = pytest.mark.broker

BATCH = 8


class _Deadly(CountingStage):
    """Dies of a record as native code does: nothing is left to catch."""

    def process(self, batch: Sequence[Record]):  # type: ignore[no-untyped-def]
        if any((record.value or b"").startswith(b"DIE") for record in batch):
            raise Killed("in native code")
        return super().process(batch)


def run(where: Place, name: str, stages: Sequence[Stage]) -> Outcome:
    around = Surroundings(Control(), Pace(), lambda total, done: ReplayProgress(name, total, done=done, quiet=True))
    request = Request(base="empty", order="time")
    settings = replace(where.settings, batch_records=BATCH)
    with abandoned(Session(settings, name, "run")) as session:
        outcome = into_topics(session, request, stages, {}, around)
    session.close()
    return outcome


def values(where: Place, run: str, topic: str) -> list[bytes | None]:
    return [record.value for record in where.read(isolated.own_topic(run, topic))]


def test_a_record_that_kills_the_process_is_set_aside(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.RAW, [b"die" if n in (10, 12) else b"v%d" % n for n in range(30)])
    deaths = 0
    while True:
        try:
            outcome = run(where, "r1", [EchoStage(), _Deadly()])
            break
        except Killed:
            deaths += 1
            assert deaths < 20
    assert outcome.counts["records"] == 30
    assert outcome.counts[f"ingest/{KILLED}"] == 2
    # The first one three times in its batch; the second one is met while records are tried alone.
    assert deaths == DEADLY_STARTS + 2 * DEADLY_TRIES
    dead = where.read(isolated.own_topic("r1", topics.DEAD_LETTERS))
    assert [(r.value, h.get(r.headers, h.DEAD_REASON)) for r in dead] == [(b"die", KILLED.encode())] * 2
    assert [h.get(r.headers, h.DEAD_OFFSET) for r in dead] == [b"10", b"12"]

    other = place()
    other.feed(topics.RAW, [b"bad" if n in (10, 12) else b"v%d" % n for n in range(30)])
    assert run(other, "r1", [EchoStage(), CountingStage()]).finished
    for topic in (topics.ARTICLES, topics.UNIQUE, topics.DEDUP_LOG):
        assert values(where, "r1", topic) == values(other, "r1", topic), topic


def test_processes_that_get_on_are_not_careful(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.RAW, [b"v%d" % n for n in range(40)])
    stages = [EchoStage(), CountingStage()]
    for reached in (8, 16, 24, 32):
        died = _DyingBehind(reached)
        with pytest.raises(Killed):
            run(where, "r1", [died, CountingStage()])
        work = journal.read(where.settings).work("r1", "run")
        assert work is not None
        assert work.positions == {"news.raw/0": reached}
        state = State.load(work.checkpoint.state or "") if work.checkpoint else State()
        assert (state.starts, state.alone, state.trying) == (1, 0, "")
    assert run(where, "r1", stages).counts["records"] == 40


class _DyingBehind(EchoStage):
    def __init__(self, records: int) -> None:
        super().__init__()
        self._records = records

    def process(self, batch: Sequence[Record]):  # type: ignore[no-untyped-def]
        if batch[0].offset >= self._records:
            raise Killed("from outside")
        return super().process(batch)
