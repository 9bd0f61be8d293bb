"""Which article has not been seen for longest."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Sequence
from typing import Final

Item = tuple[int, int, int]
"""Event time (microseconds since the Unix epoch), the number of the row among all that were ever made, the row."""

_FEWEST: Final = 1024


class Oldest:
    """A priority queue of items, least first.

    News comes nearly in the order of event time: what is not less than all before it is appended to arrays, 24 bytes
    each. The rest goes into a heap, whose tuples cost five times that, and which the cycle collector walks through.
    """

    def __init__(self) -> None:
        self._times = array("q")
        self._seqs = array("q")
        self._rows = array("q")
        self._start = 0
        self._heap: list[Item] = []

    def push(self, item: Item) -> None:
        """Add an item."""
        time_us, seq, row = item
        if self._times and item < (self._times[-1], self._seqs[-1], self._rows[-1]):
            heapq.heappush(self._heap, item)
            return
        self._times.append(time_us)
        self._seqs.append(seq)
        self._rows.append(row)

    def fill(self, times: Sequence[int], seqs: Sequence[int], rows: Sequence[int]) -> None:
        """Add many items, which ascend, to an empty queue."""
        for column, part in ((self._times, times), (self._seqs, seqs), (self._rows, rows)):
            column.extend(part)

    def least(self) -> Item | None:
        """Return the least item, or None when there is none."""
        at, heap = self._start, self._heap
        if at == len(self._times):
            return heap[0] if heap else None
        first = self._times[at], self._seqs[at], self._rows[at]
        return heap[0] if heap and heap[0] < first else first

    def pop(self) -> Item:
        """Remove the least item and return it. Raises IndexError when there is none."""
        item = self.least()
        if item is None:
            raise IndexError("nothing is queued")
        if self._heap and item is self._heap[0]:
            return heapq.heappop(self._heap)
        self._start += 1
        if self._start > _FEWEST and self._start * 2 > len(self._times):
            for column in (self._times, self._seqs, self._rows):
                del column[: self._start]
            self._start = 0
        return item
