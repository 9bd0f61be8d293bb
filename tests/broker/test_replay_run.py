"""A replay into a run of its own, on the real Kafka: the same records come to the same as in the live run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from newsmill.local import LocalKafka
from newsmill.replay import diff, isolated
from newsmill.replay.filters import Filters, parse_made_by
from newsmill.replay.fused import DECIDED, LEFT_OUT, RECORDS
from newsmill.replay.journal import JournalError
from newsmill.replay.ranges import parse
from newsmill.replay.request import Request
from schemas import headers as h
from schemas import topics
from tests.support.chaos.news import invented
from tests.support.driver import Killed
from tests.support.kafka import Place, Running, die_at
from tests.support.replay import LIVE, feed, pipeline_of, replay, same_as_live, until_through
from workers.dedup import DedupStage
from workers.stage import Record

pytestmark = pytest.mark.broker

PARTITIONS = {"raw": 4, "ingest_log": 4, "unique": 4, "tagged": 4, "classified": 4}


def test_a_whole_topic_gives_what_live_gave(place: Callable[..., Place]) -> None:
    where = place(**PARTITIONS)
    feed(where, invented(600, seed=1))
    with pipeline_of(where):
        until_through(where, 600)
    outcome = replay(where, "again")
    assert outcome.finished
    assert outcome.counts[RECORDS] == 600
    assert outcome.counts[DECIDED] == 0
    assert outcome.newer == 0
    same_as_live(where, "again")
    for record in where.read(isolated.own_topic("again", topics.CLASSIFIED)):
        assert h.get(record.headers, h.RUN) == b"again"
        assert h.get(record.headers, h.REPLAY) is None


@pytest.fixture(scope="module")
def lived(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A pipeline whose work is done, for several replays to look at."""
    where = Place(kafka.bootstrap, "lived", tmp_path_factory.mktemp("lived"), **PARTITIONS)
    feed(where, invented(800, seed=2))
    with pipeline_of(where):
        until_through(where, 800)
    yield where
    Running.bury_all()


def of_live(where: Place, run: str, wanted: Callable[[Record], bool]) -> None:
    """The run holds what live has of the documents that are `wanted`, and nothing else."""
    origins = {origin_of(record) for record in where.read(topics.RAW) if wanted(record)}
    assert origins
    for topic in (*LIVE, topics.DEAD_LETTERS):
        own = [
            (origin_of(record), record.key, record.value)
            for record in where.read(isolated.own_topic(run, topic))
            if h.get(record.headers, h.TAKEN_OVER) is None
        ]
        live = [
            (origin_of(record), record.key, record.value)
            for record in where.read(topic)
            if origin_of(record) in origins
        ]
        if topic == topics.DEAD_LETTERS:
            own, live = sorted(own, key=str), sorted(live, key=str)
        assert own == live, topic


def origin_of(record: Record) -> bytes:
    here = f"{record.topic}/{record.partition}/{record.offset}".encode()
    return h.get(record.headers, h.ORIGIN) or here


def test_one_source_sees_what_live_saw(lived: Place) -> None:
    outcome = replay(lived, "one-source", Request(filters=Filters(sources=("Birch Post",))))
    assert outcome.counts[LEFT_OUT] + outcome.counts[RECORDS] == 800
    assert outcome.counts[DECIDED] > 100
    of_live(lived, "one-source", lambda record: record.key == b"birch post")


def test_a_part_of_the_topic_begins_with_the_state_of_then(lived: Place) -> None:
    raw = lived.read(topics.RAW)
    starts = {0: 60, 1: 10, 2: 90, 3: 0}
    ends = {p: (3 * sum(r.partition == p for r in raw)) // 4 + 1 for p in starts}
    request = Request(
        since=parse("offset:" + ",".join(f"{p}={o}" for p, o in starts.items())),
        until=parse("offset:" + ",".join(f"{p}={o}" for p, o in ends.items())),
    )
    outcome = replay(lived, "a-part", request)
    expected = [r for r in raw if starts[r.partition] <= r.offset < ends[r.partition]]
    assert outcome.counts[RECORDS] == len(expected)
    of_live(lived, "a-part", lambda r: starts[r.partition] <= r.offset < ends[r.partition])


def test_from_the_middle_of_the_pipeline(lived: Place) -> None:
    outcome = replay(lived, "articles", Request(topic=topics.ARTICLES, since=parse("offset:300")))
    assert outcome.finished
    numbers = {origin_of(r) for r in lived.read(topics.ARTICLES) if r.offset >= 300}
    for topic in (topics.DEDUP_LOG, topics.UNIQUE, topics.DUPLICATES, topics.TAGGED, topics.CLASSIFIED):
        own = [(r.partition, r.key, r.value) for r in lived.read(isolated.own_topic("articles", topic))]
        assert own == [(r.partition, r.key, r.value) for r in lived.read(topic) if origin_of(r) in numbers], topic


def test_records_of_an_older_version(lived: Place) -> None:
    request = Request(topic=topics.UNIQUE, filters=Filters(made_by=(parse_made_by("dedup<1.0"),)))
    assert replay(lived, "older", request).counts[RECORDS] == 0
    request = Request(
        topic=topics.UNIQUE, filters=Filters(made_by=(parse_made_by(f"dedup<={DedupStage.version}"),)), most=7
    )
    assert replay(lived, "newer", request).counts[RECORDS] == 7


@pytest.mark.parametrize("filters", [Filters(), Filters(sources=("Birch Post", "Heath"))], ids=["all", "two sources"])
def test_killed_and_continued(lived: Place, filters: Filters) -> None:
    run = "killed" + ("-two" if filters.any else "")
    request, small = Request(filters=filters), {"batch_records": 15 if filters.any else 60}
    assert replay(lived, f"{run}-not", request, settings=small).finished
    deaths = (("sent", 3), ("flushed", 2), ("committed", 2), ("begun", 4), ("confirmed", 3), ("committed", 1))
    for step, nth in deaths:
        with pytest.raises(Killed):
            replay(lived, run, request, on_step=die_at(step, nth), settings=small)
    assert replay(lived, run, request, settings=small).finished
    for topic in (*LIVE, topics.DEAD_LETTERS):
        killed = lived.read(isolated.own_topic(run, topic))
        undisturbed = lived.read(isolated.own_topic(f"{run}-not", topic))
        assert [(r.partition, r.key, r.value) for r in killed] == [(r.partition, r.key, r.value) for r in undisturbed]
    if not filters.any:
        same_as_live(lived, run)


def test_other_options_do_not_go_on_with_a_run(lived: Place) -> None:
    with pytest.raises(Killed):
        replay(lived, "begun", on_step=die_at("committed", 3))
    with pytest.raises(JournalError, match="other options"):
        replay(lived, "begun", Request(most=5))


def test_a_finished_run_is_left_as_it_is(lived: Place) -> None:
    request = Request(most=20)
    first = replay(lived, "short", request)
    records = lived.read(isolated.own_topic("short", topics.ARTICLES))
    second = replay(lived, "short", request)
    assert second.finished
    assert second.counts == first.counts
    assert lived.read(isolated.own_topic("short", topics.ARTICLES)) == records


def test_diff_of_a_run_that_says_the_same(lived: Place) -> None:
    replay(lived, "same")
    found = diff.report(lived.settings, "same")
    assert not found.kinds
    assert sum(found.same.values()) == sum(len(lived.read(topic)) for topic in diff.COMPARED)


def test_diff_of_a_run_that_knows_nothing_of_before(lived: Place) -> None:
    request = Request(topic=topics.ARTICLES, since=parse("offset:500"), base="empty")
    replay(lived, "empty", request)
    found = diff.report(lived.settings, "empty")
    assert found.kinds[topics.DUPLICATES, "lost"] > 0
    assert found.kinds[topics.UNIQUE, "gained"] > 0
    assert not found.kinds[topics.ARTICLES, "gained"]  # the run does not write them, so it can't differ there
    for one in diff.changes(lived.settings, "empty"):
        assert (one.run_value is None) == (one.kind == "lost")
        assert (one.live_value is None) == (one.kind == "gained")
