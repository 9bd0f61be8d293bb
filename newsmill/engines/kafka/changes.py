"""What a rebalance changed, noted for the main loop."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from kafka import ConsumerRebalanceListener
from kafka.structs import TopicPartition


class Changes(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Notes what a rebalance changed, for the main loop."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self._lock = threading.Lock()
        self._events: list[tuple[bool, frozenset[TopicPartition]]] = []

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Pause them: the main loop resumes them once their state is there."""
        self.consumer.pause(*assigned)
        with self._lock:
            self._events.append((True, frozenset(assigned)))

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Their state is dropped by the main loop."""
        with self._lock:
            self._events.append((False, frozenset(revoked)))

    def again(self, partitions: Sequence[TopicPartition]) -> None:
        """Note partitions as newly assigned once more, before anything noted since: taking them on was interrupted."""
        with self._lock:
            self._events.insert(0, (True, frozenset(partitions)))

    def any(self) -> bool:
        """Whether something has changed since the last `take`."""
        return bool(self._events)

    def take(self) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """Return (partitions gone, partitions new) since the last call; one that went and came back is in both."""
        with self._lock:
            events, self._events = self._events, []
        gone: set[TopicPartition] = set()
        new: set[TopicPartition] = set()
        for assigned, partitions in events:
            if assigned:
                new |= partitions
            else:
                gone |= partitions
                new -= partitions
        return gone, new
