"""Lag and positions of a Faust worker, measured as the kafka engine measures them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from faust.types import TP

from newsmill.engines.broker.positions import Positions


class _Facts:
    """Answers what `Positions.measure` asks of a kafka-python consumer, from facts found before."""

    def __init__(self, ends: Mapping[TP, int], places: Mapping[TP, int]) -> None:
        self._ends = ends
        self._places = places

    def end_offsets(self, partitions: list[TP], timeout_ms: int) -> Mapping[TP, int]:
        return self._ends

    def position(self, tp: TP, timeout_ms: int) -> int:
        return self._places[tp]


class Lag(Positions):
    """Positions of what a Faust consumer reads. Made, and closed, it talks to the broker: off the event loop."""

    async def missing(self, topics: Sequence[str]) -> list[str]:
        """Return those of `topics` that the cluster doesn't have."""
        there = await asyncio.to_thread(self._lookup.topics)
        return [topic for topic in topics if topic not in there]

    async def partitions(self, topic: str) -> int:
        """Return how many partitions `topic` has."""
        return len(await asyncio.to_thread(self._lookup.partitions_for_topic, topic) or ())

    async def measure_faust(self, thread: Any, done: Mapping[TP, int]) -> int | None:
        """Measure if it is time to; return how many records wait in all, None where not measured.

        Args:
            thread: the consumer's thread.
            done: by partition, the offset before which everything is processed.
        """
        if not done or time.monotonic() < self._due:
            return None
        ends = await thread.end_offsets(done)
        places = {tp: thread.position_behind(tp, offset) for tp, offset in done.items()}
        return await asyncio.to_thread(self.measure, _Facts(ends, places), set(done))
