"""Transactions of replays: outputs and checkpoint arrive together or not at all, and the next process goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from newsmill.engines.kafka.producer import FencedError
from newsmill.engines.result import Output
from newsmill.replay import journal
from newsmill.replay.control import Control
from newsmill.replay.journal import Journal, JournalError
from newsmill.replay.session import Session
from schemas import topics
from schemas.replays import Plan, Span
from tests.support.driver import Killed
from tests.support.kafka import Place, die_at

pytestmark = pytest.mark.broker
STEPS = ("begun", "sent", "flushed", "committed", "confirmed")
OPTIONS = {"from": "last 24h"}


def outputs(*names: str) -> list[Output]:
    return [Output(topics.UNIQUE, b"k", name.encode(), (("run", b"r1"),), 0) for name in names]


def plan(_: Journal) -> Plan:
    return Plan(topic=topics.RAW, spans=(Span(partition=0, start=0, end=9),), options=OPTIONS)


@pytest.mark.parametrize("step", STEPS)
def test_a_process_that_dies_between_two_steps_leaves_all_or_nothing(place: Callable[..., Place], step: str) -> None:
    where = place()
    first = Session(where.settings, "r1", "run", die_at(step, nth=3))
    first.begin(OPTIONS, plan)
    first.checkpoint(outputs("a"), {"news.raw/0": 1}, {"written": 1})
    with pytest.raises(Killed):
        first.checkpoint(outputs("b", "c"), {"news.raw/0": 3}, {"written": 3})
    first.writer.producer._sender.force_close()  # a killed process sends nothing more, not even what it has buffered

    second = Session(where.settings, "r1", "run")
    work = second.begin(OPTIONS, plan)
    committed = step in ("committed", "confirmed")
    assert work.positions == {"news.raw/0": 3 if committed else 1}
    assert work.counts == {"written": 3 if committed else 1}
    if not committed:
        second.checkpoint(outputs("b", "c"), {"news.raw/0": 3}, {"written": 3})
    second.finish({"written": 3})
    assert where.values(topics.UNIQUE) == [b"a", b"b", b"c"]
    between = ["checkpoint", "continued"] if committed else ["continued", "checkpoint"]
    events = [record.event for record in journal.history(where.settings, "r1")]
    assert events == ["started", "checkpoint", *between, "finished"]
    for session in (first, second):
        session.close()


def test_a_second_process_of_a_run_shuts_out_the_first(place: Callable[..., Place]) -> None:
    where = place()
    first, second = (Session(where.settings, "r1", "run") for _ in range(2))
    first.begin(OPTIONS, plan)
    second.begin(OPTIONS, plan)
    with pytest.raises(FencedError, match="another process has taken up the run r1"):
        first.checkpoint(outputs("a"), {"news.raw/0": 1}, {})
    second.checkpoint(outputs("a"), {"news.raw/0": 1}, {})
    assert where.values(topics.UNIQUE) == [b"a"]
    for session in (first, second):
        session.close()


def test_a_finished_run_is_not_taken_up_and_a_name_means_one_thing(place: Callable[..., Place]) -> None:
    where = place()
    session = Session(where.settings, "r1", "redrive")
    session.begin(OPTIONS, plan)
    session.finish({"redriven": 7})
    session.close()
    again = Session(where.settings, "r1", "redrive")
    assert again.begin(OPTIONS, plan).counts == {"redriven": 7}
    with pytest.raises(JournalError, match="other options"):
        again.begin({"from": "last 2h"}, plan)
    again.close()
    other = Session(where.settings, "r1", "in_place")
    with pytest.raises(JournalError, match="taken by a run of another kind"):
        other.begin(OPTIONS, plan)
    other.close()
    assert [r.event for r in journal.history(where.settings, "r1")] == ["started", "finished"]


def test_pause_and_resume_reach_a_running_process_and_no_other(place: Callable[..., Place]) -> None:
    where = place()
    with Control(where.settings, "r1") as mine, Control(where.settings, "r2") as other:
        journal.append(where.settings, journal.note("r1", "run", "pause"))
        mine_paused = wait_until(lambda: mine.paused)
        journal.append(where.settings, journal.note("r1", "run", "resume"))
        assert mine_paused
        assert wait_until(lambda: not mine.paused)
        assert not other.paused
        journal.append(where.settings, journal.note("r1", "run", "dropped"))
        assert wait_until(lambda: mine.stopping)
        assert not other.stopping


def wait_until(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 30
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    return true()
