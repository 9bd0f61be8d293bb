"""What a run has changed, published to the live topics: exactly that, each once, however often the process dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from newsmill.replay import diff, journal
from newsmill.replay.copy import Result
from newsmill.replay.journal import JournalError
from newsmill.replay.session import Session
from schemas import headers as h
from schemas import topics
from schemas.replays import Plan
from tests.support import replays
from tests.support.driver import Killed
from tests.support.kafka import Place, Running, die_at
from tests.support.replays import article, have_run, write
from tests.support.stages import CountingStage
from workers.stage import Record

pytestmark = pytest.mark.broker


def promote(where: Place, on_step: Callable[[str], None] = lambda _: None, batch: int = 500) -> Result:
    return replays.promote(replace(where.settings, batch_records=batch), "r1", on_step=on_step)


def published(where: Place, topic: str = topics.CLASSIFIED) -> list[Record]:
    return [record for record in where.read(topic) if h.get(record.headers, h.PROMOTED) is not None]


def old_and_new(count: int) -> tuple[list[tuple[str, str, bytes]], list[tuple[str, str, bytes]]]:
    """Return what is live and what the run has made: every third article is another one."""
    live = [(f"a{n}", f"news.raw/0/{n}", article(f"a{n}", f"text {n}")) for n in range(count)]
    model = {n: "new" if n % 3 == 0 else "old" for n in range(count)}
    run = [(f"a{n}", f"news.raw/0/{n}", article(f"a{n}", f"text {n}", model=model[n])) for n in range(count)]
    return live, run


def test_exactly_what_has_changed_is_published_and_a_second_time_nothing(place: Callable[..., Place]) -> None:
    where = place()
    live, run = old_and_new(30)
    write(where, topics.CLASSIFIED, *live)
    have_run(where, run)
    assert promote(where).counts == Counter(promoted=10)
    found = published(where)
    assert [(r.key, r.value) for r in found] == [(run[n][0].encode(), run[n][2]) for n in range(0, 30, 3)]
    for record, n in zip(found, range(0, 30, 3), strict=True):
        headers = dict(record.headers)
        assert (headers[h.RUN], headers[h.REPLAY], headers[h.PROMOTED]) == (b"r1", b"r1", b"r1")
        assert headers[h.ORIGIN] == f"news.raw/0/{n}".encode()
        assert len(headers) == len(record.headers), "each header once"
    again = promote(where)
    assert (again.before, again.counts) == (True, Counter(promoted=10))
    assert len(where.read(topics.CLASSIFIED)) == 40
    assert list(diff.changes(where.settings, "r1")) == []


@pytest.mark.parametrize("step", ["begun", "sent", "flushed", "committed", "confirmed"])
def test_a_promotion_that_dies_goes_on_and_publishes_each_once(place: Callable[..., Place], step: str) -> None:
    where = place()
    live, run = old_and_new(60)
    write(where, topics.CLASSIFIED, *live)
    have_run(where, run)
    with pytest.raises(Killed):
        promote(where, die_at(step, nth=3), batch=6)
    assert promote(where, batch=6).counts == Counter(promoted=20)
    assert [r.key for r in published(where)] == [b"a%d" % n for n in range(0, 60, 3)]


def test_an_article_that_has_moved_on_is_superseded(place: Callable[..., Place]) -> None:
    where = place()
    live, run = old_and_new(9)  # 0, 3 and 6 are changed
    write(where, topics.CLASSIFIED, *live)
    have_run(where, [*run, ("gained", "news.raw/0/77", article("gained", "g", model="new")),
                     ("late", "news.raw/0/78", article("late", "first", model="new"))])  # fmt: skip
    later = [
        ("a0", "news.raw/0/90", article("a0", "text 0, revised", revision=2)),
        # The same text crawled again is no other revision.
        ("a3", "news.raw/0/91", article("a3", "text 3")),
        ("late", "news.raw/0/92", article("late", "second")),
    ]
    write(where, topics.CLASSIFIED, *later)
    # Processed again in place: the same revision, whatever it says.
    write(where, topics.CLASSIFIED, ("a6", "news.raw/0/6", article("a6", "other")), marks=((h.REPLAY, b"r0"),))
    assert promote(where).counts == Counter(promoted=3, superseded=2)
    assert [record.key for record in published(where)] == [b"a3", b"a6", b"gained"]


def test_what_moves_on_between_two_batches_is_superseded(place: Callable[..., Place]) -> None:
    where = place()
    live, run = old_and_new(9)
    write(where, topics.CLASSIFIED, *live)
    have_run(where, run)
    commits: list[str] = []

    def on_step(step: str) -> None:
        if step == "confirmed":
            commits.append(step)
            if len(commits) == 2:  # the first one begins the promotion
                write(where, topics.CLASSIFIED, ("a6", "news.raw/0/99", article("a6", "newest", revision=2)))

    assert promote(where, on_step, batch=1).counts == Counter(promoted=2, superseded=1)
    assert [record.key for record in published(where)] == [b"a0", b"a3"]


def test_live_workers_pass_over_what_is_promoted(place: Callable[..., Place]) -> None:
    where = place()
    live = [("a", "news.raw/0/0", article("a", "t"))]
    dedup = Running(CountingStage(), where.settings)
    write(where, topics.ARTICLES, *live)
    where.wait_for(topics.UNIQUE, 1)
    have_run(where, [("a", "news.raw/0/0", article("a", "t", model="new"))], topics.ARTICLES)
    assert promote(where).counts["promoted"] == 1
    write(where, topics.ARTICLES, ("b", "news.raw/0/1", article("b", "u")))
    unique = where.wait_for(topics.UNIQUE, 2)
    dedup.stop()
    assert [record.key for record in unique] == [b"a", b"b"]
    assert len(where.read(topics.DEDUP_LOG)) == 2
    assert dedup.sample("newsmill_replayed_records_total", outcome="promoted") == 1


def test_only_a_finished_run_is_promoted(place: Callable[..., Place]) -> None:
    where = place()
    with pytest.raises(JournalError, match="nothing to promote"):
        promote(where)
    session = Session(where.settings, "r1", "run")
    session.begin({}, lambda _: Plan(topic=topics.RAW))
    session.close()
    with pytest.raises(JournalError, match="not finished"):
        promote(where)
    assert [record.event for record in journal.history(where.settings, "r1")] == ["started"]
