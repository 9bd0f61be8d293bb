"""State over restarts: from the log, from a snapshot, from a bad one; redelivered and replayed records."""

from __future__ import annotations

import json
from pathlib import Path

from schemas import headers as h
from schemas import topics
from tests.contract.conftest import BY_DESIGN
from tests.support.driver import EngineDriver, Item
from tests.support.stages import CountingStage

VALUES = [b"a", b"b", b"a", b"c", b"a", b"b"]
COUNTS = [0, 0, 1, 0, 2, 1]


class Watched(CountingStage):
    """Notes how many log records it was restored from."""

    def __init__(self) -> None:
        super().__init__()
        self.folded = 0

    def restore(self, partition, log):  # type: ignore[no-untyped-def]
        log = list(log)
        self.folded += len(log)
        super().restore(partition, log)


def records(values: list[bytes], prefix: str, headers: h.Headers = ()) -> list[Item]:
    return [Item(f"{prefix}{number}".encode(), value, headers) for number, value in enumerate(values)]


def output(value: str, count: int) -> bytes:
    return json.dumps({"value": value, "count": count}).encode()


def worked_off(driver: EngineDriver) -> None:
    driver.feed(topics.ARTICLES, records(VALUES, "first"))
    assert driver.live(CountingStage()).error is None


def _whole(path: Path) -> None:
    pass


def _torn(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_state_comes_from_a_snapshot_from_a_torn_one_and_from_the_log_alone(driver: EngineDriver) -> None:
    """One life after the other, each with one more record of a value; what it counts tells what it remembers."""
    has_snapshots = (driver.name, "snapshot") not in BY_DESIGN
    worked_off(driver)
    logged = len(VALUES)
    for damage in (_whole, _torn, Path.unlink):
        snapshots = driver.snapshots()
        assert len(snapshots) == has_snapshots
        for path in snapshots:
            damage(path)
        stage = Watched()
        driver.feed(topics.ARTICLES, records([b"a", b"b"], damage.__name__))
        assert driver.live(stage).error is None
        # A whole snapshot leaves nothing to fold; a bad one is not believed, not even in part.
        assert stage.folded == (0 if has_snapshots and damage is _whole else logged), damage.__name__
        logged += 2
    expected = [output(value.decode(), count) for value, count in zip(VALUES, COUNTS, strict=True)]
    for more in range(3):
        expected += [output("a", 3 + more), output("b", 2 + more)]
    assert [value for _, value in driver.pairs(topics.UNIQUE)] == expected
    assert driver.pairs(topics.DEDUP_LOG) == driver.pairs(topics.UNIQUE)


def test_a_redelivered_input_repeats_its_logged_decision_byte_for_byte(driver: EngineDriver) -> None:
    worked_off(driver)
    first, log = driver.pairs(topics.UNIQUE), driver.pairs(topics.DEDUP_LOG)
    driver.rewind(CountingStage())
    assert driver.done(CountingStage()) == 0
    driver.feed(topics.ARTICLES, [Item(b"new", b"a")])
    life = driver.live(CountingStage(), batch_records=4)
    assert life.error is None
    assert life.counted() == {"unique": len(VALUES) + 1}, "the whole input came again"
    assert driver.pairs(topics.UNIQUE) == [*first, *first, (b"new", output("a", 3))]
    assert driver.pairs(topics.DEDUP_LOG) == [*log, (b"new", output("a", 3))], "and logged nothing but the new one"


def test_a_replayed_record_reads_the_state_and_does_not_change_it(driver: EngineDriver) -> None:
    worked_off(driver)
    log = driver.pairs(topics.DEDUP_LOG)
    replay = ((h.REPLAY, b"r1"), (h.RUN, b"r1"))
    driver.feed(topics.ARTICLES, records([b"a", b"new", b"a"], "replay", replay))
    driver.feed(topics.ARTICLES, records([b"new", b"a"], "live"))
    life = driver.live(CountingStage(), batch_records=2)
    assert life.error is None
    live = [(b"live0", output("new", 0)), (b"live1", output("a", 3))]
    assert driver.pairs(topics.UNIQUE)[len(VALUES) :] == [
        (b"replay0", output("a", 3)),
        (b"replay1", output("new", 0)),
        (b"replay2", output("a", 3)),
        *live,
    ]
    assert driver.pairs(topics.DEDUP_LOG) == [*log, *live]
    assert life.counted() == {"unique": 2}
    assert life.counted(replayed=True) == {"unique": 3}
