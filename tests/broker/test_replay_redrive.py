"""Dead letters on the real Kafka: back to where they came from, once, as they were, however often the process dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from newsmill.engines.kafka.producer import FencedError
from newsmill.replay import journal
from newsmill.replay.redrive import Selection
from newsmill.replay.session import Session
from schemas import headers as h
from schemas import topics
from schemas.replays import Plan
from tests.support.driver import Killed
from tests.support.kafka import Place, Running, die_at
from tests.support.replays import redrive
from tests.support.stages import CountingStage, EchoStage
from workers.stage import Record

pytestmark = pytest.mark.broker


class Mended(EchoStage):
    """The same stage once the bug is mended: `bad...` passes."""

    version = "1.0.1"

    def _one(self, record: Record):  # type: ignore[no-untyped-def]
        if (record.value or b"").startswith(b"bad"):
            record = Record(record.topic, record.partition, record.offset, record.key, b"was " + (record.value or b""))
        return super()._one(record)


def fed(where: Place, *values: bytes, headers: h.Headers = ()) -> None:
    """Feed news.raw, and let a worker refuse what is bad."""
    refused = sum(value.startswith(b"bad") for value in values)
    dead, good = len(where.read(topics.DEAD_LETTERS)), len(where.read(topics.ARTICLES))
    where.feed(topics.RAW, values, headers=headers)
    worker = Running(EchoStage(), where.settings)
    where.wait_for(topics.DEAD_LETTERS, dead + refused)
    where.wait_for(topics.ARTICLES, good + len(values) - refused)
    worker.stop()


def test_what_was_refused_goes_back_as_it_was_and_passes_once_the_bug_is_mended(place: Callable[..., Place]) -> None:
    where = place(raw=3)
    fed(where, b"bad 1", b"good", b"bad 2", headers=(("x-own", b"7"), (h.TRACEPARENT, b"t")))
    before = where.read(topics.RAW)

    result = redrive(where.settings, "r1")
    assert (result.finished, result.counts) == (True, Counter(redriven=2, written=2))

    back = [record for record in where.read(topics.RAW) if h.get(record.headers, h.REDRIVEN)]
    originals = {record.value: record for record in before}
    assert sorted(record.value or b"" for record in back) == [b"bad 1", b"bad 2"]
    for record in back:
        original = originals[record.value]
        assert (record.key, record.partition) == (original.key, original.partition)
        assert set(original.headers) <= set(record.headers), "original headers, with the original time"
        assert h.get(record.headers, h.ORIGIN) == f"{original.topic}/{original.partition}/{original.offset}".encode()
        assert not {name for name, _ in record.headers} & (h.DEAD | {h.REPLAY})

    worker = Running(Mended(), where.settings)
    articles = where.wait_for(topics.ARTICLES, 3)
    worker.stop()
    assert sorted(record.value or b"" for record in articles) == [b"GOOD", b"WAS BAD 1", b"WAS BAD 2"]
    assert len(where.read(topics.DEAD_LETTERS)) == 2


def test_what_fails_again_carries_its_count_and_stays_at_the_limit(place: Callable[..., Place]) -> None:
    where = place()
    fed(where, b"bad")
    for n in range(1, 4):
        assert redrive(where.settings, f"r{n}").counts["redriven"] == 1
        worker = Running(EchoStage(), where.settings)
        dead = where.wait_for(topics.DEAD_LETTERS, n + 1)
        worker.stop()
        assert h.get(dead[-1].headers, h.REDRIVEN) == b"%d" % n
    assert redrive(where.settings, "r4").counts == Counter(already=3, limit=1, written=0)
    assert len(where.read(topics.RAW)) == 4


def test_a_dead_letter_is_put_back_once_unless_it_is_asked_for_again(place: Callable[..., Place]) -> None:
    where = place()
    fed(where, b"bad 1", b"bad 2", b"bad 3")
    first = redrive(where.settings, "r1", Selection(places=frozenset({(0, where.read(topics.DEAD_LETTERS)[1].offset)})))
    assert first.counts == Counter(redriven=1, not_selected=2, written=1)
    assert redrive(where.settings, "r2").counts == Counter(redriven=2, already=1, written=2)
    assert redrive(where.settings, "r2").before, "a finished run is not done once more"
    assert where.values(topics.RAW)[3:] == [b"bad 2", b"bad 1", b"bad 3"]
    assert redrive(where.settings, "r3", again=True, most=2).counts == Counter(redriven=2, written=2)
    assert len(where.read(topics.RAW)) == 8


def test_letters_that_say_no_way_back_stay(place: Callable[..., Place]) -> None:
    where = place()
    raw = where.physical(topics.RAW).encode()
    ways: list[h.Headers] = [
        (),
        ((h.DEAD_TOPIC, raw),),
        ((h.DEAD_TOPIC, raw), (h.DEAD_PARTITION, b"one")),
        ((h.DEAD_TOPIC, raw), (h.DEAD_PARTITION, b"7")),
        ((h.DEAD_TOPIC, b"news.elsewhere"), (h.DEAD_PARTITION, b"0")),
        # A document that brought headers of these names itself: those of the stage come last.
        ((h.DEAD_TOPIC, b"news.elsewhere"), (h.DEAD_TOPIC, raw), (h.DEAD_PARTITION, b"0")),
        ((h.DEAD_TOPIC, raw), (h.DEAD_PARTITION, b"0"), (h.REDRIVEN, b"many")),
    ]
    for way in ways:
        where.feed(topics.DEAD_LETTERS, [b"x"], headers=way)
    assert redrive(where.settings, "r1").counts == Counter(no_way_back=3, other_topic=2, redriven=1, limit=1, written=1)


@pytest.mark.parametrize("step", ["begun", "sent", "flushed", "committed", "confirmed"])
def test_a_redrive_that_dies_goes_on_and_puts_back_each_letter_once(place: Callable[..., Place], step: str) -> None:
    where = place(raw=2)
    values = [b"bad %d" % n for n in range(25)]
    fed(where, *values)
    settings = where.settings
    small = type(settings)(
        bootstrap=settings.bootstrap, namespace=settings.namespace, batch_records=10, commit_timeout_s=20.0
    )
    worker = Running(EchoStage(), settings)
    with pytest.raises(Killed):
        redrive(small, "r1", on_step=dying(step))
    result = redrive(small, "r1")
    assert result.counts == Counter(redriven=25, written=25)
    where.wait_for(topics.DEAD_LETTERS, 50)
    worker.stop()
    again = [r.value or b"" for r in where.read(topics.RAW) if h.get(r.headers, h.REDRIVEN)]
    assert sorted(again) == sorted(values)


def dying(step: str) -> Callable[[str], None]:
    return die_at(step, nth=3)


def test_two_redrives_at_once_put_nothing_back_twice(place: Callable[..., Place]) -> None:
    where = place()
    fed(where, b"bad 1", b"bad 2")
    first = Session(where.settings, "r1", "redrive")
    first.begin({}, lambda _: Plan(topic=topics.DEAD_LETTERS))
    assert redrive(where.settings, "r2").counts["redriven"] == 2
    with pytest.raises(FencedError, match="another redrive has been started"):
        first.checkpoint([], {}, {})
    first.close()


def test_live_groups_and_state_are_what_they_would_be(place: Callable[..., Place]) -> None:
    where = place()
    fed(where, b"a", b"bad b", b"a")
    ingest, dedup = Running(EchoStage(), where.settings), Running(CountingStage(), where.settings)
    # Refused by dedup, too, so it is a dead letter of the second stage.
    dead = where.wait_for(topics.DEAD_LETTERS, 1)
    where.wait_for(topics.UNIQUE, 2)
    log = where.values(topics.DEDUP_LOG)
    assert redrive(where.settings, "r1", Selection(reasons=frozenset({"bad_value"}), stages=frozenset({"ingest"})))
    where.wait_for(topics.DEAD_LETTERS, len(dead) + 1)
    ingest.stop()
    dedup.stop()
    assert where.values(topics.DEDUP_LOG) == log
    events = [record.event for record in journal.history(where.settings, "r1")]
    assert events == ["started", "checkpoint", "finished"]
