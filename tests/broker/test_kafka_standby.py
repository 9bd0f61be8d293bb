"""A worker that waits keeps the state warm, and takes over as one that has just started would."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill import topics as admin
from newsmill.engines.broker.restore import LogTail, RestoreError
from newsmill.engines.kafka import standby
from newsmill.engines.kafka.abandoned import end_abandoned
from newsmill.settings import Settings
from schemas import topics
from tests.support.driver import Killed
from tests.support.kafka import PATIENCE, Place, Running, die_at, each_once
from tests.support.stages import CountingStage
from workers.stage import Record, StateVersionError

pytestmark = pytest.mark.broker

MakePlace = Callable[..., Place]
SPREAD = 5


class Watched(CountingStage):
    """Notes how many log records it folded."""

    def __init__(self) -> None:
        super().__init__()
        self.folded = 0

    def restore(self, partition: int, log: Iterable[Record]) -> None:
        records = list(log)
        self.folded += len(records)
        super().restore(partition, records)


class Newer(Watched):
    """A version that can't fold what the others wrote."""

    version = "2.0.0"

    def restore(self, partition: int, log: Iterable[Record]) -> None:
        super().restore(partition, list(log)[:1])
        raise StateVersionError("form 1 can't be folded by 2.0.0")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "MEASURE_SECONDS", 0.2)
    monkeypatch.setattr(standby, "AGAIN_SECONDS", 0.2)


def worker(p: Place, instance: str, stage: CountingStage | None = None, **options: object) -> Running:
    """A worker with a state directory of its own."""
    on_step = options.pop("on_step", lambda _: None)
    own = {"instance": instance, "state_dir": str(Path(p.settings.state_dir, instance)), **options}
    settings: Settings = dataclasses.replace(p.settings, **own)  # type: ignore[arg-type]
    return Running(stage or Watched(), settings, on_step=on_step)  # type: ignore[arg-type]


def values(count: int) -> list[bytes]:
    return [b"v%d" % (i % SPREAD) for i in range(count)]


def outputs(count: int) -> list[bytes]:
    """What an undisturbed worker says of them."""
    return [b'{"value": "v%d", "count": %d}' % (i % SPREAD, i // SPREAD) for i in range(count)]


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        Running.check()
        time.sleep(0.05)


def warm(running: Running, folded: int) -> None:
    """Wait until a worker that waits has folded so many records in its life, and reads that it has them all."""
    until(
        lambda: (
            running.stage.folded >= folded  # type: ignore[attr-defined]
            and running.sample("newsmill_standby_lag_records", partition="0") == 0
            and not running.engine.health.not_ready()
        ),
        f"the second has folded {running.stage.folded} records: {running.engine.health.not_ready()}",  # type: ignore[attr-defined]
    )


def has(running: Running, partition: int = 0) -> None:
    until(lambda: partition in running.engine._tails, f"it does not get partition {partition}")


def one_works_one_waits(p: Place) -> tuple[Running, Running]:
    """Start two workers, and feed 50 values; return the one that has processed them and the one that follows."""
    first = worker(p, "0")
    has(first)
    second = worker(p, "1")
    p.feed(topics.ARTICLES, values(50))
    p.wait_for(topics.UNIQUE, 50)
    warm(second, 50)
    return first, second


def test_a_worker_that_waits_is_ready_and_takes_over_with_the_tail_alone(place: MakePlace) -> None:
    p = place()
    first, second = one_works_one_waits(p)
    assert second.sample("newsmill_standby_records_total") == 50
    assert second.sample("newsmill_state_entries") == SPREAD
    assert first.sample("newsmill_standby_records_total") == 0
    assert not second.engine._tails
    first.stop()
    has(second)
    assert second.stage.folded == 50  # type: ignore[attr-defined]  # nothing was read twice
    assert second.sample("newsmill_standby_lag_records", partition="0") is None
    p.feed(topics.ARTICLES, values(50))
    found = p.wait_for(topics.UNIQUE, 100)
    second.stop()
    assert [r.value for r in found] == outputs(100)


@pytest.mark.parametrize("step", ["processed", "flushed", "offsets", "committed"])
def test_a_death_in_the_middle_of_a_batch_loses_and_doubles_nothing(place: MakePlace, step: str) -> None:
    p = place()
    first = worker(p, "0", batch_records=20, on_step=die_at(step, 4), transaction_timeout_s=600.0)
    has(first)
    second = worker(p, "1")
    p.feed(topics.ARTICLES, values(200))
    # Its transaction would stay open for longer than the test waits.
    assert isinstance(first.ended(), Killed)
    found = p.wait_for(topics.UNIQUE, 200)
    second.stop()
    assert [r.value for r in found] == outputs(200)
    assert p.values(topics.DEDUP_LOG) == outputs(200)


def test_a_member_with_an_open_transaction_is_not_shut_out(place: MakePlace) -> None:
    """It is alive, and the group has rebalanced under its batch: it rolls back and goes on."""
    p = place(articles=2, dedup_log=2)
    p.feed(topics.ARTICLES, [b"v%d" % (i % 5) for i in range(40)], key=lambda i: b"k%d" % (i % 5))
    second: list[Running] = []

    def on_step(step: str) -> None:
        if step == "flushed" and not second:
            second.append(worker(p, "1"))
            # Long enough for the broker to begin a rebalance, which waits for this one.
            time.sleep(4)

    first = worker(p, "0", batch_records=40, on_step=on_step)
    found = p.wait_for(topics.UNIQUE, 40)
    assert first.alive
    # Whoever is no member is told nothing of the others.
    assert end_abandoned(dataclasses.replace(p.settings, instance="2"), "dedup") == []
    first.stop()
    second[0].stop()
    each_once(found, [b'{"value": "v%d", "count": %d}' % (i % 5, i // 5) for i in range(40)])


def test_the_partition_goes_back_and_forth_and_the_state_stays_warm(place: MakePlace) -> None:
    p = place()
    one, other = worker(p, "a"), None
    has(one)
    done = 0
    for turn in range(4):
        p.feed(topics.ARTICLES, values(25))
        done += 25
        p.wait_for(topics.UNIQUE, done)
        other = other or worker(p, "b")
        warm(other, 25 if turn == 0 else 0)
        one.stop()
        has(other)
        # The one that left comes back as an empty process with its snapshot, and follows.
        name = "a" if turn % 2 == 0 else "b"
        one, other = other, worker(p, name)
    p.feed(topics.ARTICLES, values(25))
    found = p.wait_for(topics.UNIQUE, done + 25)
    one.stop()
    assert other is not None
    other.stop()
    assert [r.value for r in found] == outputs(done + 25)


def test_a_partition_that_is_given_away_is_followed_from_there(place: MakePlace) -> None:
    """Two partitions: the first worker has both and gives one away, whose state it keeps; the second dies."""
    p = place(articles=2, dedup_log=2)
    first = worker(p, "0", standby_partitions=2)
    has(first, 0)
    has(first, 1)

    def feed() -> None:
        p.feed(topics.ARTICLES, [b"v%d" % (i % 40) for i in range(80)], key=lambda i: b"k%d" % (i % 40))

    feed()
    p.wait_for(topics.UNIQUE, 80)
    second = worker(p, "1")
    until(lambda: len(second.engine._tails) == 1, "the second gets a partition")
    (moved,) = second.engine._tails
    feed()
    p.wait_for(topics.UNIQUE, 160)
    followed = len([r for r in p.read(topics.DEDUP_LOG) if r.partition == moved]) // 2
    until(lambda: first.stage.folded == followed, "the first follows what it gave away")  # type: ignore[attr-defined]
    second.stop()
    has(first, moved)
    feed()
    found = p.wait_for(topics.UNIQUE, 240)
    first.stop()
    assert first.stage.folded == followed  # type: ignore[attr-defined]
    each_once(found, [b'{"value": "v%d", "count": %d}' % (i % 40, i // 40) for i in range(240)])


def test_one_that_has_fallen_behind_reads_the_rest_first(place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    p = place()
    first, second = one_works_one_waits(p)
    monkeypatch.setattr(standby._Follower, "step", lambda self, seconds: 0)
    p.feed(topics.ARTICLES, values(50))
    p.wait_for(topics.UNIQUE, 100)
    assert second.stage.folded == 50  # type: ignore[attr-defined]
    first.stop()
    p.feed(topics.ARTICLES, values(50))
    found = p.wait_for(topics.UNIQUE, 150)
    second.stop()
    assert second.stage.folded == 100  # type: ignore[attr-defined]
    assert [r.value for r in found] == outputs(150)


def test_a_log_that_was_cut_below_it_is_folded_anew(place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention has deleted what the one that waits has not read. What is left is the state, as for any restart."""
    p = place()
    first, second = one_works_one_waits(p)
    step = standby._Follower.step

    def away(self: standby._Follower, seconds: float) -> int:
        self.close()
        return 0

    monkeypatch.setattr(standby._Follower, "step", away)
    follower = second.engine._standby._followers[0]  # type: ignore[union-attr]
    until(lambda: follower._consumer is None, "it has lost its connection")
    p.feed(topics.ARTICLES, [b"w%d" % i for i in range(20)])
    p.wait_for(topics.UNIQUE, 70)
    log = p.read(topics.DEDUP_LOG)
    with admin.admin_client(clients.connection(p.settings)) as client:
        client.delete_records({TopicPartition(p.physical(topics.DEDUP_LOG), 0): log[60].offset})
    monkeypatch.setattr(standby._Follower, "step", step)
    kept = [r.value for r in p.read(topics.DEDUP_LOG)]
    assert kept == [b'{"value": "w%d", "count": 0}' % i for i in range(10, 20)]
    until(
        lambda: second.stage.folded >= 60 and not second.engine.health.not_ready(),  # type: ignore[attr-defined]
        "it starts over",
    )
    assert second.stage.seen[0][0] == {f"w{i}": 1 for i in range(10, 20)}  # type: ignore[attr-defined]
    first.stop()
    has(second)
    p.feed(topics.ARTICLES, [b"w15", b"v0"])
    found = p.wait_for(topics.UNIQUE, 72)
    second.stop()
    assert [r.value for r in found[-2:]] == [b'{"value": "w15", "count": 1}', b'{"value": "v0", "count": 0}']


def test_another_log_under_the_same_name_is_not_gone_on_with(place: MakePlace) -> None:
    p = place()
    first = worker(p, "0")
    p.feed(topics.ARTICLES, values(50))
    p.wait_for(topics.UNIQUE, 50)
    first.stop()
    stage = Watched()
    tail = LogTail(dataclasses.replace(p.settings, state_dir=p.settings.state_dir + "2"), stage, 0)
    assert list(tail.restore())[-1] == 50
    # As if its last record had been another one: the log was cut by an unclean election, or made anew.
    assert tail._last is not None
    tail._last = (tail._last[0], "0" * 32)
    assert list(tail.restore())[-1] == 50
    assert sum(tail.restore()) == 0
    assert stage.folded == 100
    assert stage.seen[0][0] == {f"v{i}": 10 for i in range(SPREAD)}


def test_a_version_that_cannot_fold_the_log_does_not_follow_and_says_so(place: MakePlace) -> None:
    p = place()
    first = worker(p, "0")
    p.feed(topics.ARTICLES, values(10))
    p.wait_for(topics.UNIQUE, 10)
    second = worker(p, "1", Newer())
    until(lambda: "rebuild" in second.engine.health.not_ready(), "it says what to do")
    assert second.stage.seen == {}  # type: ignore[attr-defined]
    p.feed(topics.ARTICLES, values(10))
    p.wait_for(topics.UNIQUE, 20)
    first.stop()
    error = second.ended()
    assert isinstance(error, RestoreError)
    assert "newsmill dedup rebuild" in str(error)
    assert len(p.values(topics.UNIQUE)) == 20, "it decides nothing without the state"


def test_it_can_be_switched_off(place: MakePlace) -> None:
    p = place()
    first = worker(p, "0")
    has(first)
    second = worker(p, "1", standby_partitions=0)
    p.feed(topics.ARTICLES, values(10))
    p.wait_for(topics.UNIQUE, 10)
    until(lambda: "NEWSMILL_STANDBY_PARTITIONS" in second.engine.health.not_ready(), "it is not ready, and says why")
    assert second.stage.folded == 0  # type: ignore[attr-defined]
    first.stop()
    p.feed(topics.ARTICLES, values(10))
    found = p.wait_for(topics.UNIQUE, 20)
    second.stop()
    assert [r.value for r in found] == outputs(20)


def test_one_that_waits_begins_with_its_snapshot_and_writes_the_next(place: MakePlace) -> None:
    p = place()
    first, second = one_works_one_waits(p)
    second.stop()
    again = worker(p, "1")
    p.feed(topics.ARTICLES, values(5))
    p.wait_for(topics.UNIQUE, 55)
    warm(again, 5)
    assert again.stage.folded == 5  # type: ignore[attr-defined]
    first.stop()
    p.feed(topics.ARTICLES, values(5))
    found = p.wait_for(topics.UNIQUE, 60)
    again.stop()
    assert [r.value for r in found] == outputs(60)


def test_a_broker_that_fails_for_a_while_costs_nothing_but_time(
    place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kafka.errors import KafkaTimeoutError

    p = place()
    first, second = one_works_one_waits(p)
    fold = standby._Follower._fold

    def fail(self: object, seconds: float) -> int:
        raise KafkaTimeoutError("no answer")

    monkeypatch.setattr(standby._Follower, "_fold", fail)
    until(lambda: "can't be followed" in second.engine.health.not_ready(), "it says that it is not warm")
    p.feed(topics.ARTICLES, values(50))
    p.wait_for(topics.UNIQUE, 100)
    monkeypatch.setattr(standby._Follower, "_fold", fold)
    warm(second, 100)
    assert second.stage.folded == 100  # type: ignore[attr-defined]
    first.stop()
    second.stop()
