"""Keys go where every other Kafka client would put them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner as TheirDefault
from kafka.partitioner import DefaultPartitioner
from kafka.partitioner.default import murmur2 as theirs

from newsmill.partitioner import KeyPartitioner, murmur2, partition_of


class Topics:
    def __init__(self, *partitions: int) -> None:
        self._partitions = set(partitions)

    def topics(self) -> set[str]:
        return {"t"}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self._partitions if topic == "t" else None

    available_partitions_for_topic: Any = partitions_for_topic


def test_the_hash_is_kafkas() -> None:
    draw = random.Random(7)
    for size in range(70):
        for _ in range(5):
            data = draw.randbytes(size)
            assert murmur2(data) == theirs(data), data
    # From the tests of the Java client (UtilsTest.testMurmur2).
    assert murmur2(b"foobar") == -790332482 & 0xFFFFFFFF
    assert murmur2(b"a-little-bit-long-string") == -985981536 & 0xFFFFFFFF


@pytest.mark.parametrize("partitions", [(0,), (0, 1, 2, 3), tuple(range(17)), (0, 2, 5)])
def test_partitions_are_those_of_the_default(partitions: tuple[int, ...]) -> None:
    ours, default, cluster = KeyPartitioner(), DefaultPartitioner(), Topics(*partitions)
    for number in range(300):
        key = b"key-%d" % number
        assert ours.partition("t", key, key, b"", b"", cluster) == default.partition("t", key, key, b"", b"", cluster)


@pytest.mark.parametrize("count", [1, 4, 17])
def test_aiokafka_is_told_the_same(count: int) -> None:
    partitions, default = list(range(count)), TheirDefault()
    for number in range(100):
        key = b"key-%d" % number
        assert partition_of(key, partitions, []) == default(key, partitions, [])
    assert partition_of(None, partitions, [count - 1]) == count - 1
    assert partition_of(None, partitions, []) in partitions


def test_a_record_without_a_key_goes_to_some_partition() -> None:
    assert KeyPartitioner().partition("t", None, None, b"", b"", Topics(3)) == 3


def test_an_unknown_topic_is_refused() -> None:
    with pytest.raises(ValueError, match="not found"):
        KeyPartitioner().partition("u", b"k", b"k", b"", b"", Topics(0))
