"""Which partition a key belongs to: as Kafka's own clients say, at less cost than kafka-python's way of saying it."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from typing import Any, Final

from kafka.partitioner import DefaultPartitioner

_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


class KeyPartitioner(DefaultPartitioner):  # type: ignore[misc]  # kafka-python has no types
    """Places each key where kafka-python's default partitioner and the Java client place it.

    A topic with one partition needs no hash; that is where most records of a pipeline with one dedup go.
    """

    def partition(
        self, topic: str, key: Any, serialized_key: bytes | None, value: Any, serialized_value: Any, cluster: Any
    ) -> int:
        """Return the partition of a record. Raises ValueError for a topic that the cluster doesn't have."""
        partitions = cluster.partitions_for_topic(topic)
        if serialized_key is None or not partitions:
            chosen: int = super().partition(topic, key, serialized_key, value, serialized_value, cluster)
            return chosen
        return partition_of(serialized_key, sorted(partitions), ())


def partition_of(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """Return which of `partitions`, in ascending order, `key` belongs to; without a key, an available one.

    This is the form in which aiokafka asks.
    """
    if len(partitions) == 1:
        return partitions[0]
    if key is None:
        return random.choice(available or partitions)  # noqa: S311  (spreads load, hides nothing)
    return partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)]


def murmur2(data: bytes) -> int:
    """Return the 32-bit MurmurHash2 of `data`, unsigned, with the seed that Kafka uses.

    Source: org.apache.kafka.common.utils.Utils.murmur2.
    """
    words = len(data) >> 2
    value = 0x9747B28C ^ len(data)
    for word in struct.unpack_from(f"<{words}I", data):
        word = word * _M & _MASK
        value = (value * _M & _MASK) ^ ((word ^ word >> 24) * _M & _MASK)
    if rest := data[words << 2 :]:
        value = (value ^ int.from_bytes(rest, "little")) * _M & _MASK
    value = (value ^ value >> 13) * _M & _MASK
    return value ^ value >> 15
