"""What a replay refuses, with the reason: ranges that are no longer whole, and states that can't be told any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from kafka.admin import ConfigResource
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.replay import base, diff, journal, ranges
from newsmill.replay.errors import RangeError
from newsmill.replay.ranges import parse
from newsmill.replay.reader import bounds
from newsmill.replay.session import Session
from newsmill.topics import admin_client
from schemas import headers as h
from schemas import topics
from schemas.replays import Plan, Span
from tests.support.kafka import Place
from tests.support.replays import article, have_run, write
from tests.support.stages import CountingStage
from workers import ingest
from workers.dedup import DedupOptions, DedupStage

pytestmark = pytest.mark.broker


def take_away(where: Place, topic: str, before: int) -> None:
    """Have retention take the records of partition 0 before offset `before`."""
    with admin_client(clients.connection(where.settings)) as admin:
        admin.delete_records({TopicPartition(where.physical(topic), 0): before})
    assert bounds(where.settings, topic)[0].start == before


def test_a_range_that_retention_has_taken_a_part_of(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.RAW, [b"%d" % n for n in range(10)])
    whole = ranges.freeze(where.settings, topics.RAW, parse("last 1h"))
    assert whole.offsets == 10
    take_away(where, topics.RAW, 4)
    with pytest.raises(RangeError, match=r"news.raw/0 begins with offset 4 now: .*--from offset:0=4"):
        ranges.freeze(where.settings, topics.RAW, parse("offset:3"))
    with pytest.raises(RangeError, match=r"the oldest record that news.raw/0 keeps arrived at .*retention may have"):
        ranges.freeze(where.settings, topics.RAW, parse("last 1h"))
    assert ranges.freeze(where.settings, topics.RAW, parse("offset:4")).offsets == 6
    assert ranges.freeze(where.settings, topics.RAW).offsets == 6


def test_a_compacted_topic(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.UNIQUE, [b"a"])
    with admin_client(clients.connection(where.settings)) as admin:
        compacted = {"cleanup.policy": "compact"}
        admin.alter_configs([ConfigResource("topic", where.physical(topics.UNIQUE), compacted)])
    with pytest.raises(RangeError, match=r"news.unique is compacted .*records of the range may be gone"):
        ranges.freeze(where.settings, topics.UNIQUE)


def test_logs_that_do_not_reach_back_far_enough(place: Callable[..., Place]) -> None:
    where = place(ingest_log=1)
    for topic in (topics.RAW, topics.INGEST_LOG, topics.DEDUP_LOG):
        where.feed(topic, [b"{}"] * 6)
    where.feed(topics.RAW, [b"{}"] * 3)
    range_ = ranges.freeze(where.settings, topics.RAW, parse("offset:6"))
    # Its window is so short that what is left of its log is enough.
    ingests, dedup = ingest.load(), DedupStage(DedupOptions(window=timedelta(microseconds=1)))
    base.logs_of(where.settings, [ingests, dedup], range_)
    take_away(where, topics.DEDUP_LOG, 2)
    assert [log.stage.name for log in base.logs_of(where.settings, [ingests, dedup], range_)] == ["ingest", "dedup"]
    with pytest.raises(RangeError, match=r"news.dedup-log/0 reaches back to 20.*, and not 7 days, 0:00:00 before"):
        base.logs_of(where.settings, [ingests, DedupStage()], range_)
    take_away(where, topics.INGEST_LOG, 2)
    with pytest.raises(RangeError, match=r"news.ingest-log/0 reaches back to 20.*, and not 14 days, 0:00:00 before"):
        base.logs_of(where.settings, [ingests, dedup], range_)
    with pytest.raises(RangeError, match=r"news.dedup-log/0 reaches back .* and not to its beginning"):
        base.logs_of(where.settings, [CountingStage()], range_)
    assert len(base.logs_of(where.settings, [ingests, dedup], range_, complete=False)) == 2
    take_away(where, topics.DEDUP_LOG, 6)
    with pytest.raises(RangeError, match=r"news.dedup-log/0 reaches back to nowhere"):
        base.logs_of(where.settings, [dedup], range_)


def test_documents_of_which_a_run_leaves_nothing_are_lost(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.RAW, [b"0", b"1", b"2", b"3"])
    raw = where.physical(topics.RAW)
    write(where, topics.CLASSIFIED, *((f"a{n}", f"{raw}/0/{n}", article(f"a{n}", "t")) for n in range(4)))
    have_run(where, [("a0", f"{raw}/0/0", article("a0", "t"))])
    assert list(diff.changes(where.settings, "r1")) == []  # its plan has no range

    def run(name: str, options: dict[str, str]) -> list[tuple[str, str]]:
        session = Session(where.settings, name, "run")
        plan = Plan(topic=topics.RAW, spans=(Span(partition=0, start=0, end=4),), options=options)
        session.begin(options, lambda _: plan)
        session.checkpoint([], {"news.raw/0": 3}, {})
        session.close()
        return [(change.kind, change.origin) for change in diff.changes(where.settings, name)]

    classified = where.physical("replay.r2.news.classified")
    with admin_client(clients.connection(where.settings)) as admin:
        admin.create_topics({classified: {"num_partitions": 1, "replication_factor": 1}})
    write(where, "replay.r2.news.classified", ("a0", f"{raw}/0/0", article("a0", "t")), run="r2")
    lost = run("r2", {})
    assert lost == [("lost", f"{raw}/0/1"), ("lost", f"{raw}/0/2")], "what is behind it, and not what is ahead"
    with admin_client(clients.connection(where.settings)) as admin:
        admin.create_topics({classified.replace("r2", "r3"): {"num_partitions": 1, "replication_factor": 1}})
    write(where, "replay.r3.news.classified", ("a0", f"{raw}/0/0", article("a0", "t")), run="r3")
    assert run("r3", {"source": "a"}) == [], "which ones a filter has left out is not known"
    dead = ((h.DEAD_REASON, b"bad_json"),)
    with admin_client(clients.connection(where.settings)) as admin:
        dead_letters = where.physical("replay.r3.news.dead-letters")
        admin.create_topics({dead_letters: {"num_partitions": 1, "replication_factor": 1}})
    write(where, "replay.r3.news.dead-letters", ("a1", f"{raw}/0/1", b"x"), run="r3", marks=dead)
    kinds = [(c.topic, c.kind) for c in diff.changes(where.settings, "r3")]
    assert kinds == [(topics.CLASSIFIED, "lost"), (topics.DEAD_LETTERS, "gained")], "refused by the run"
    assert journal.read(where.settings).runs.keys() == {"r1", "r2", "r3"}
