"""What was decided on which input, so that a redelivered record gets its decision again: what was cut from it, and what
was told of sources with it."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from schemas.messages import SourceHealth

MOST: Final = 50_000
"""Most decisions that are held for a partition: those to cut something. That nothing is cut takes no room."""

MOST_TOLD: Final = 2_000
"""Most messages on the health of sources that are held for a partition, each with the offset it was told with."""

Mark = tuple[int, int, int, int]


class Decisions:
    """What was cut, by ascending offset. Offsets between `first` and the last one that are not held: nothing was cut.

    A decision is the hashes of the lines that were cut, each of `recurring.HASH_BYTES` bytes, joined.
    """

    def __init__(self, first: int = -1) -> None:
        self.first = first
        self._offsets = array("q")
        self._cuts: list[bytes] = []
        self._start = 0
        self._told: list[tuple[int, SourceHealth]] = []

    @classmethod
    def of(cls, first: int, offsets: list[int], cuts: list[bytes], told: list[tuple[int, SourceHealth]]) -> Decisions:
        """Return what `dump` was called on. Raises ValueError when the lists are of different lengths."""
        made = cls(first)
        for offset, cut in zip(offsets, cuts, strict=True):
            made.add(offset, cut)
        made._told = told
        return made

    def dump(self) -> tuple[int, list[int], list[bytes], list[tuple[int, SourceHealth]]]:
        """Return (first, offsets, what was cut at each, what was told at which offset) of all that is held."""
        return self.first, self._offsets[self._start :].tolist(), self._cuts[self._start :], self._told

    def __len__(self) -> int:
        return len(self._offsets) - self._start

    def add(self, offset: int, cut: bytes) -> None:
        """Note the decision on `offset`, which is above all offsets so far."""
        if self.first < 0:
            self.first = offset
        if not cut:
            return
        self._offsets.append(offset)
        self._cuts.append(cut)
        if len(self) > MOST:
            self.first = self._offsets[self._start] + 1
            self._start += 1

    def get(self, offset: int) -> bytes | None:
        """Return what was cut at `offset`, or None when that is not known (any more)."""
        if not 0 <= self.first <= offset:
            return None
        at = bisect_left(self._offsets, offset, self._start)
        return self._cuts[at] if at < len(self._offsets) and self._offsets[at] == offset else b""

    def tell(self, offset: int, told: Iterable[SourceHealth]) -> None:
        """Note what was told of sources with the input at `offset`, which is not below any offset so far."""
        self._told += [(offset, message) for message in told]

    def told(self, offset: int) -> tuple[SourceHealth, ...]:
        """Return what was told of sources with the input at `offset`, as far as it is held."""
        if not self._told or not self._told[0][0] <= offset <= self._told[-1][0]:
            return ()
        return tuple(message for at, message in self._told if at == offset)

    def mark(self) -> Mark:
        """Return what `back_to` needs to undo all that follows, up to the next `compact`."""
        return self.first, self._start, len(self._offsets), len(self._told)

    def back_to(self, mark: Mark) -> None:
        """Undo everything since `mark`."""
        self.first, self._start, end, told = mark
        del self._offsets[end:], self._cuts[end:], self._told[told:]

    def compact(self) -> None:
        """Give the memory of dropped decisions back, when there are many."""
        del self._told[:-MOST_TOLD]
        if self._start > MOST // 8:
            del self._offsets[: self._start], self._cuts[: self._start]
            self._start = 0
