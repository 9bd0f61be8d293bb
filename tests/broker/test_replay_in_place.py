"""A range again into its own topic, with live workers beside it: no second article, and no state moves."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from newsmill.replay.pace import Pace
from schemas import headers as h
from schemas import topics
from tests.support.chaos.news import Raw, invented
from tests.support.driver import Killed
from tests.support.kafka import PATIENCE, Place, Running, die_at
from tests.support.replays import in_place
from tests.support.stages import EchoStage
from workers import ingest
from workers.dedup import DedupStage
from workers.stage import Record

pytestmark = pytest.mark.broker

WRITTEN = (topics.ARTICLES, topics.UNIQUE, topics.DUPLICATES, topics.DEAD_LETTERS, topics.DEDUP_LOG)


def live(records: list[Record]) -> list[Record]:
    return [record for record in records if h.get(record.headers, h.REPLAY) is None]


def replayed(records: list[Record]) -> list[Record]:
    return [record for record in records if h.get(record.headers, h.REPLAY) is not None]


def body(record: Record) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(record.value or b"")
    return plain


def facts(record: Record) -> tuple[bytes | None, bytes | None, bytes | None]:
    return record.key, record.value, h.get(record.headers, h.ORIGIN)


def revisions(records: list[Record]) -> set[tuple[str, int, str, str]]:
    """Return (id, revision, verdict, cluster) of records of news.unique."""
    plain = [json.loads(record.value or b"") for record in records]
    return {(one["id"], one["revision"], one["verdict"], one["cluster_id"]) for one in plain}


def test_downstream_sees_new_processing_of_the_same_revision_and_dedup_learns_nothing(
    place: Callable[..., Place],
) -> None:
    where = place(raw=3)
    documents = invented(120, seed=5)
    ingesting = Running(ingest.load(), where.settings)
    dedup = Running(DedupStage(), where.settings)

    def feed(some: list[Raw]) -> None:
        where.feed(topics.RAW, [raw.value for raw in some], key=lambda i: some[i].key)

    def quiet(raw: int, log: int) -> dict[str, list[Record]]:
        """Return what is on the topics once so many records of news.raw and decisions of dedup have passed."""
        where.wait_for(topics.RAW, raw)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = {topic: where.read(topic) for topic in WRITTEN}
            through = len(found[topics.ARTICLES]) + len(found[topics.DEAD_LETTERS]) == raw
            decided = len(found[topics.UNIQUE]) + len(found[topics.DUPLICATES]) == len(found[topics.ARTICLES])
            if through and decided and len(found[topics.DEDUP_LOG]) == log:
                return found
            time.sleep(0.2)
        raise AssertionError({topic: len(records) for topic, records in found.items()})

    feed(documents)
    articles = sum(not raw.key.startswith(b"broken") for raw in documents)
    before = quiet(120, articles)
    assert {facts["verdict"] for facts in map(body, before[topics.DUPLICATES])} == {
        "exact_copy",
        "near_copy",
        "recrawl",
    }
    state = dedup.stage.snapshot(0)

    result = in_place(where.settings, "r1")
    assert result.counts == Counter(replayed=120, written=120)
    after = quiet(240, articles)

    for topic, old in before.items():
        assert live(after[topic]) == old, f"{topic}: what is live is not touched"
        again = replayed(after[topic])
        assert {h.get(record.headers, h.RUN) for record in again} <= {b"r1"}
        assert {h.get(record.headers, h.INGESTED_AT) for record in again} <= {b"1000"}
    for topic in (topics.ARTICLES, topics.DEAD_LETTERS):
        assert sorted(map(facts, replayed(after[topic]))) == sorted(map(facts, before[topic])), "key, value, origin"
    assert revisions(replayed(after[topics.UNIQUE])) <= revisions(before[topics.UNIQUE]), "no second article"
    known = {body(record)["id"] for record in before[topics.UNIQUE]}
    assert {body(record)["id"] for record in replayed(after[topics.UNIQUE])} == known, "each is processed again"
    assert after[topics.DEDUP_LOG] == before[topics.DEDUP_LOG]
    assert dedup.stage.snapshot(0) == state, "the state is what it was, byte for byte"

    # A replay of the range as it now is does not replay the replay.
    assert in_place(where.settings, "r2").counts == Counter(replayed=120, replay=120, written=120)
    # Documents that come meanwhile find the state that they would have found.
    feed([documents[0], invented(3, seed=77)[0]])
    last = quiet(362, articles + 2)
    verdicts = [body(record)["verdict"] for record in last[topics.DEDUP_LOG][-2:]]
    ingesting.stop()
    dedup.stop()
    assert sorted(verdicts) == ["recrawl", "unique"]
    assert ingesting.sample("newsmill_records_total", outcome="article") == articles + 2
    assert ingesting.sample("newsmill_replayed_records_total", outcome="article") == 2 * articles


@pytest.mark.parametrize("step", ["sent", "flushed", "committed"])
def test_a_replay_that_dies_goes_on_and_sends_each_record_once(place: Callable[..., Place], step: str) -> None:
    where = place(raw=2)
    values = [b"v%d" % n for n in range(40)]
    where.feed(topics.RAW, values)
    small = type(where.settings)(
        bootstrap=where.settings.bootstrap, namespace=where.settings.namespace, batch_records=10, commit_timeout_s=20.0
    )
    worker = Running(EchoStage(), where.settings)
    with pytest.raises(Killed):
        in_place(small, "r1", on_step=die_at(step, nth=3))
    result = in_place(small, "r1")
    assert result.counts == Counter(replayed=40, written=40)
    where.wait_for(topics.ARTICLES, 80)
    worker.stop()
    again = replayed(where.read(topics.RAW))
    per_partition = {p: [r.value for r in again if r.partition == p] for p in (0, 1)}
    first = {p: [r.value for r in live(where.read(topics.RAW)) if r.partition == p] for p in (0, 1)}
    assert per_partition == first, "each once, in the order of its partition"


def test_filters_a_bound_and_a_rate(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.RAW, [b"v%d" % n for n in range(40)])

    def even(record: Record) -> bool:
        return int((record.value or b"")[1:]) % 2 == 0

    result = in_place(where.settings, "r1", selects=even, most=5, pace=Pace(rate=50.0))
    assert result.counts["written"] == result.counts["replayed"] == 5
    assert [r.value for r in replayed(where.read(topics.RAW))] == [b"v0", b"v2", b"v4", b"v6", b"v8"]
