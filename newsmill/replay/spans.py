"""Sets of offsets, kept as spans: thousands of offsets that follow one another take the room of one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from schemas.replays import Span


class SpanSet:
    """A set of offsets of one partition. Adding and asking take logarithmic time in the number of spans, beside the
    moving of list entries."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        """Add the offsets from `start` up to and without `end`."""
        if start >= end:
            return
        # Spans from `low` up to and without `high` overlap the new one or touch it.
        low = bisect_left(self._ends, start)
        high = bisect_right(self._starts, end)
        if low < high:
            start = min(start, self._starts[low])
            end = max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def __contains__(self, offset: int) -> bool:
        index = bisect_right(self._starts, offset) - 1
        return index >= 0 and offset < self._ends[index]

    def __len__(self) -> int:
        """Return how many offsets are in the set."""
        return sum(self._ends) - sum(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._ends, strict=True))


def spans(partition: int, offsets: Iterable[int]) -> tuple[Span, ...]:
    """Return `offsets` of a partition as spans, ascending."""
    found = SpanSet()
    for offset in offsets:
        found.add(offset, offset + 1)
    return tuple(Span(partition=partition, start=start, end=end) for start, end in found)
