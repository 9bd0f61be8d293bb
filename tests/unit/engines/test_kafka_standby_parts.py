"""Which logs a worker that waits follows, how much it folds at a time, and when it is ready; without a broker."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from newsmill.engines.broker.restore import RestoreError
from newsmill.engines.kafka import standby
from newsmill.engines.kafka.standby import PIECE_RECORDS, Standby
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from tests.support.stages import CountingStage
from workers.stage import Record


class Log:
    """A log that grows by `growth` records each time that somebody asks where it ends. In place of a consumer."""

    def __init__(self, records: int, growth: int = 0) -> None:
        self.end, self.at, self.growth = records, 0, growth
        self.waits: list[int] = []
        self.fails: Exception | None = None

    def poll(self, timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:
        self.waits.append(timeout_ms)
        if self.fails is not None:
            raise self.fails
        count = min(max_records, self.end - self.at)
        place = next(iter(self.places))
        records = [
            SimpleNamespace(topic="l", partition=0, offset=self.at + n, key=b"", value=b"{}", headers=(), timestamp=0)
            for n in range(count)
        ]
        self.at += count
        return {place: records} if records else {}

    def position(self, place: Any) -> int:
        return self.at

    def end_offsets(self, places: Iterable[Any], timeout_ms: int) -> dict[Any, int]:
        self.end += self.growth
        return dict.fromkeys(places, self.end)

    def close(self) -> None:
        pass

    places: set[Any]


class Tail:
    """A LogTail that counts."""

    logs: dict[int, Log]

    def __init__(self, settings: Settings, stage: CountingStage, partition: int) -> None:
        self.partition, self.folded, self.dropped = partition, 0, False
        self.refuses = False

    def follow(self) -> Log:
        return self.logs[self.partition]

    def fold(self, records: list[Record]) -> None:
        if self.refuses:
            raise RestoreError("run `newsmill dedup rebuild`")
        self.folded += len(records)

    def drop(self) -> None:
        self.dropped = True

    def snapshot(self, *, at_most_every_s: float = 0.0) -> None:
        pass


class Bench:
    """A Standby over logs without a broker, and a clock that stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.metrics = Metrics()
        monkeypatch.setattr(standby, "LogTail", Tail)
        monkeypatch.setattr(standby.time, "monotonic", lambda: self.now)

    def make(self, logs: dict[int, Log], **settings: Any) -> Standby:
        Tail.logs = logs
        made = Standby(Settings(**settings), CountingStage(), self.metrics, logs.keys())
        for number, log in logs.items():
            log.places = {standby.TopicPartition("news.dedup-log", number)}
        return made

    def lag(self, partition: int = 0) -> float | None:
        labels = {"stage": "dedup", "partition": str(partition)}
        return self.metrics.registry.get_sample_value("newsmill_standby_lag_records", labels)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_under_load_it_is_ready_once_it_has_read_what_was_there(bench: Bench) -> None:
    log = Log(2_000, growth=3)
    waits = bench.make({0: log})
    waits.follow((), busy=True)
    assert "not read yet" in waits.problem()
    assert bench.lag() == 2_003 - PIECE_RECORDS
    for _ in range(4):
        waits.follow((), busy=True)
    assert log.at == 2_003
    assert waits.problem() == ""
    bench.now += 60
    waits.follow((), busy=True)
    assert bench.lag() == 3, "there is always something that has just come in"
    assert waits.problem() == ""


def test_beside_input_it_folds_one_piece_and_never_waits(bench: Bench) -> None:
    log = Log(10_000)
    waits = bench.make({0: log, 1: Log(10_000)}, standby_partitions=1, instance="0")
    followed = waits._order[0]
    for turn in range(1, 4):
        waits.follow((), busy=True)
        assert Tail.logs[followed].at == turn * PIECE_RECORDS
    assert set(Tail.logs[followed].waits) == {0}
    assert waits.behind


def test_without_input_it_folds_for_a_while_and_no_longer(bench: Bench) -> None:
    log = Log(100_000)
    waits = bench.make({0: log})
    real = log.poll

    def slow(timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:
        bench.now += 0.1
        return real(timeout_ms, max_records)

    log.poll = slow  # type: ignore[method-assign]
    waits.follow((), busy=False)
    assert log.at == 3 * PIECE_RECORDS


@pytest.mark.parametrize(("partitions", "most", "followed"), [(1, -1, 1), (4, -1, 0), (4, 2, 2), (4, 9, 3), (1, 0, 0)])
def test_how_many_are_followed(bench: Bench, partitions: int, most: int, followed: int) -> None:
    waits = bench.make({n: Log(5) for n in range(partitions)}, standby_partitions=most)
    waits.follow({0} if partitions > 1 else (), busy=False)
    assert [n for n in range(partitions) if bench.lag(n) is not None] == sorted(waits._followers)
    assert len(waits._followers) == followed
    assert (0 in waits._followers) == (partitions == 1 and most != 0)
    if not followed:
        assert "NEWSMILL_STANDBY_PARTITIONS" in waits.problem()


def test_workers_that_wait_begin_with_different_partitions(bench: Bench) -> None:
    logs = {n: Log(5) for n in range(4)}
    first = {bench.make(logs, standby_partitions=1, instance=name)._wanted(())[0] for name in "abcdefgh"}
    assert len(first) > 1


def test_what_is_given_away_is_followed_before_others_and_what_is_taken_is_no_longer(bench: Bench) -> None:
    waits = bench.make({n: Log(5) for n in range(4)}, standby_partitions=1)
    waits.follow({0, 1, 2, 3}, busy=False)
    assert waits._followers == {}
    tail: Any = Tail(Settings(), CountingStage(), 3)
    waits.give(3, tail)
    waits.follow({0, 1, 2}, busy=False)
    assert list(waits._followers) == [3]
    assert waits.take(3) is tail
    assert bench.lag(3) is None
    waits.give(2, None)
    assert waits._followers == {}


def test_an_error_of_the_brokers_is_tried_again_and_a_log_that_cannot_be_folded_is_not(bench: Bench) -> None:
    log = Log(10)
    waits = bench.make({0: log})
    log.fails = KafkaTimeoutError("no answer")
    waits.follow((), busy=False)
    assert "no answer" in waits.problem()
    log.fails = None
    waits.follow((), busy=False)
    assert log.at == 0, "not at once"
    bench.now += 60
    waits.follow((), busy=False)
    waits.follow((), busy=False)
    assert waits.problem() == ""
    tail: Any = waits._followers[0].tail
    tail.refuses = True
    log.end += 5
    bench.now += 60
    waits.follow((), busy=False)
    assert tail.dropped
    assert "rebuild" in waits.problem()
    polls = len(log.waits)
    bench.now += 600
    waits.follow((), busy=False)
    assert len(log.waits) == polls
    assert waits.take(0) is tail
