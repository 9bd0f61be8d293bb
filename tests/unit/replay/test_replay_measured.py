"""What a session tells its metrics: each offset and each record once, also when a process takes a run up."""

from __future__ import annotations

from newsmill.engines.result import Output
from newsmill.metrics import ReplayMetrics
from newsmill.replay import journal
from newsmill.replay.journal import Work
from newsmill.replay.session import Session
from newsmill.settings import Settings
from schemas import topics
from schemas.replays import Plan, Span

PLAN = Plan(
    topic=topics.RAW, spans=(Span(partition=0, start=10, end=30), Span(partition=1, start=5, end=15)), options={}
)


class _Session(Session):
    """Without a broker."""

    def __init__(self, meter: ReplayMetrics, work: Work) -> None:
        self.settings, self.run, self.operation = Settings(), "r1", "run"
        self._meter, self._plan, self._reached = meter, Plan(topic=""), {}
        self._begun(work)


def test_offsets_and_records_are_counted_once() -> None:
    meter = ReplayMetrics("r1")
    work = Work(journal.note("r1", "run", "started", plan=PLAN))
    work.checkpoint = journal.note("r1", "run", "checkpoint", positions={"news.raw/0": 14}, counts={"records": 4})
    session = _Session(meter, work)

    def value(name: str, **labels: str) -> float | None:
        return meter.registry.get_sample_value(f"newsmill_replay_{name}", {"run": "r1", **labels})

    assert value("ahead_offsets") == 16 + 10
    assert value("records", kind="records") == 4
    assert value("read_offsets_total", topic="news.raw") == 0, "an earlier process has read them"
    session.measure([Output(topics.UNIQUE, b"k", b"v", ())], {"news.raw/0": 20, "news.raw/1": 5}, {"records": 8})
    session.measure([], {"news.raw/0": 20, "news.raw/1": 5}, {"records": 8})
    session.measure([Output(topics.UNIQUE, b"k", b"v", ())], {"news.raw/0": 30, "news.raw/1": 6}, {"records": 12})
    assert value("read_offsets_total", topic="news.raw") == 17
    assert value("written_records_total", topic="news.unique") == 2
    assert value("ahead_offsets") == 9
    assert value("records", kind="records") == 12


def test_what_has_no_offsets_is_counted_as_written() -> None:
    meter = ReplayMetrics("r1")
    session = _Session(meter, Work(journal.note("r1", "run", "started", plan=Plan(topic=topics.RAW))))
    session.measure([Output(topics.UNIQUE, b"k", b"v", ())], {}, {"records": 1})
    sample = meter.registry.get_sample_value
    assert sample("newsmill_replay_written_records_total", {"run": "r1", "topic": "news.unique"}) == 1
    assert sample("newsmill_replay_ahead_offsets", {"run": "r1"}) == 0
