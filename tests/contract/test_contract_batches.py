"""Bytes in, bytes out: what every engine makes of a stage's outcomes, however the input is cut into batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from newsmill.engines.result import RAISED
from schemas import headers as h
from schemas import topics
from tests.contract.conftest import BY_DESIGN, ENGINES, MakeDriver, needs
from tests.support.driver import EngineDriver, Item, Life, Pair
from tests.support.stages import CountingStage, EchoStage

REPLAYED = ((h.REPLAY, b"r1"), (h.RUN, b"r1"))
INGESTED: tuple[str, bytes] = (h.INGESTED_AT, b"1000")

VALUES = [
    b"a", b"b", b"bad 1", b"a", b"c", b"a", b"replay a", b"a", b"b", b"d", b"raise 1", b"a", b"e",
    b"bad 2", b"replay z", b"f", b"a", b"b", b"c", b"g", b"z", b"h", b"replay a", b"i", b"a",
]  # fmt: skip
"""Few different values, so that the count in an output tells whether the state was right at that moment: that a replay
has not changed it, and that no attempt to find the record that raises has left a trace in it."""


def items(partition: int) -> list[Item]:
    """Return the records of a partition; the key says where each belongs."""
    made = []
    for number, value in enumerate(VALUES):
        own = REPLAYED if value.startswith(b"replay ") else ()
        key = b"p%d/%d" % (partition, number)
        made.append(Item(key, value.removeprefix(b"replay "), (INGESTED, ("x-own", key), *own)))
    return made


@dataclass
class Expected:
    """What a stage that counts must have made of the records of a partition, worked out without any engine."""

    outputs: list[Pair] = field(default_factory=list)
    log: list[Pair] = field(default_factory=list)
    dead: list[tuple[Item, str]] = field(default_factory=list)
    live: Counter[str] = field(default_factory=Counter)
    replayed: Counter[str] = field(default_factory=Counter)


def expect(partition: int) -> Expected:
    expected, seen = Expected(), Counter[str]()
    for item in items(partition):
        assert item.value is not None
        value = item.value.decode()
        if value.startswith(("bad", "raise")):
            expected.dead.append((item, "bad_value" if value.startswith("bad") else RAISED))
            expected.live["dead_letter"] += 1
            continue
        pair = item.key, json.dumps({"value": value, "count": seen[value]}).encode()
        expected.outputs.append(pair)
        if REPLAYED[0] in item.headers:
            expected.replayed["unique"] += 1
            continue
        expected.log.append(pair)
        expected.live["unique"] += 1
        seen[value] += 1
    return expected


@dataclass
class Mixed:
    """A run over everything that a stage can do with a record."""

    driver: EngineDriver
    life: Life

    def __post_init__(self) -> None:
        self.partitions = range(self.driver.partitions)
        self.logs = [self.driver.read(topics.DEDUP_LOG, partition) for partition in self.partitions]
        self._rows = {topic: self.driver.read(topic) for topic in (topics.UNIQUE, topics.DEAD_LETTERS)}

    def of(self, topic: str, partition: int) -> list[Item]:
        """Return the rows of a topic that were made from records of `partition`, in order."""
        return [row for row in self._rows[topic] if (row.key or b"").startswith(b"p%d/" % partition)]


@pytest.fixture(scope="module", params=[1, 7, 500], ids=lambda cut: f"cut{cut}")
def cut(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture(scope="module", params=ENGINES)
def mixed(
    request: pytest.FixtureRequest, cut: int, make_driver: MakeDriver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mixed]:
    driver = make_driver(request.param, tmp_path_factory.mktemp("mixed"), partitions=2)
    for partition in range(driver.partitions):
        driver.feed(topics.ARTICLES, items(partition), partition)
    life = driver.live(CountingStage(), batch_records=cut)
    assert life.error is None
    yield Mixed(driver, life)
    driver.close()


def test_outputs_are_there_byte_for_byte_in_the_order_of_their_partition(mixed: Mixed) -> None:
    for partition in mixed.partitions:
        assert [row.pair for row in mixed.of(topics.UNIQUE, partition)] == expect(partition).outputs


def test_two_partitions_have_a_state_each(mixed: Mixed) -> None:
    needs(mixed.driver.name, "two partitions")
    first, second = ([row.value for row in mixed.of(topics.UNIQUE, partition)] for partition in mixed.partitions)
    assert first == second


def test_the_log_is_on_the_partition_of_its_input_with_its_offsets(mixed: Mixed) -> None:
    for partition in mixed.partitions:
        rows = mixed.logs[partition]
        expected = expect(partition)
        assert [row.pair for row in rows] == expected.log
        keys = [item.key for item in items(partition)]
        offsets = [int(h.get(row.headers, h.INPUT_OFFSET) or b"-1") for row in rows]
        assert offsets == [keys.index(key) for key, _ in expected.log]


def test_dead_letters_keep_key_value_and_headers_and_say_why(mixed: Mixed) -> None:
    for partition in mixed.partitions:
        rows = mixed.of(topics.DEAD_LETTERS, partition)
        expected = expect(partition).dead
        assert [(row.key, row.value) for row in rows] == [(item.key, item.value) for item, _ in expected]
        for row, (item, reason) in zip(rows, expected, strict=True):
            assert set(item.headers) <= set(row.headers)
            headers = dict(row.headers)
            assert headers[h.DEAD_REASON] == reason.encode()
            assert headers[h.DEAD_STAGE] == b"dedup"
            assert headers[h.DEAD_VERSION] == b"1.0.0"
            assert (int(headers[h.DEAD_PARTITION]), int(headers[h.DEAD_OFFSET])) == (
                partition,
                [i.key for i in items(partition)].index(item.key),
            )
            if reason == RAISED:
                assert f"cannot digest {item.value.decode()!r}".encode() in headers[h.DEAD_DETAIL]  # type: ignore[union-attr]


def test_headers_that_travel_are_passed_on_and_others_are_not(mixed: Mixed) -> None:
    for partition in mixed.partitions:
        rows = mixed.of(topics.UNIQUE, partition)
        assert rows
        for row in rows:
            headers = dict(row.headers)
            assert headers[h.INGESTED_AT] == b"1000"
            assert headers[h.RUN] == (b"r1" if h.REPLAY in headers else b"live")
            assert "x-own" not in headers
        origins = [h.get(row.headers, h.ORIGIN) for row in rows]
        assert len({*origins}) == len(rows)
        assert None not in origins


def test_each_input_is_counted_once_and_replayed_ones_apart(mixed: Mixed) -> None:
    live, replayed = Counter[str](), Counter[str]()
    for partition in mixed.partitions:
        live += expect(partition).live
        replayed += expect(partition).replayed
    assert mixed.life.counted() == live
    assert mixed.life.counted(replayed=True) == replayed
    assert live.total() + replayed.total() == len(VALUES) * len(mixed.partitions)
    assert mixed.life.reasons() == {"bad_value": 2 * len(mixed.partitions), RAISED: len(mixed.partitions)}


HARD = [
    Item(b"\xff\x00key", bytes(range(256))),
    Item(b"", b""),
    Item(b"k", "größer".encode(), (("h", b"\xff\x00"), ("h", b"twice"), ("h", b""))),
    Item(b"\xfe", b"bad \xff\x00\n", (("x", b"\x80"), ("x", b"\x80"), ("empty", b""))),
]
MISSING = [Item(b"k", None), Item(None, b"v"), Item(None, b"bad")]


def test_keys_values_and_headers_are_bytes_that_nobody_decodes(driver: EngineDriver) -> None:
    missing = [] if (driver.name, "missing key or value") in BY_DESIGN else MISSING
    driver.feed(topics.RAW, [*HARD, *missing])
    assert driver.live(EchoStage()).error is None
    dead = driver.read(topics.DEAD_LETTERS)
    good = [item for item in (*HARD, *missing) if not (item.value or b"").startswith(b"bad")]
    bad = [item for item in (*HARD, *missing) if item not in good]
    assert driver.pairs(topics.ARTICLES) == [(item.key or b"", (item.value or b"").upper()) for item in good]
    assert [row.pair for row in dead] == [item.pair for item in bad]
    assert [row.headers[: len(item.headers)] for row, item in zip(dead, bad, strict=True)] == [i.headers for i in bad]
