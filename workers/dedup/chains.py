"""A multimap from 32-bit keys to rows, in numpy arrays: buckets of doubly linked postings, newest first."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]
Bools = NDArray[np.bool_]

_MULTIPLIER: Final = 0x9E3779B1  # odd, near 2**32 / golden ratio (Knuth, TAOCP 6.4): spreads the low keys of sketches
_FEWEST_BITS: Final = 10
_UNLINKED: Final = -1


class Chains:
    """Up to `width` postings a row. A posting costs 12 bytes and its share of a bucket 4 to 8.

    Posting `row * width + j` is stored under that number plus one, so that 0 ends a chain. The order within a chain is
    the order of linking, newest first, whatever the number of buckets; removing a posting keeps the order of the rest.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._keys: U32 = np.zeros(0, np.uint32)
        self._next: I32 = np.zeros(0, np.int32)
        self._previous: I32 = np.zeros(0, np.int32)
        self._bits = _FEWEST_BITS
        self._heads: I32 = np.zeros(1 << self._bits, np.int32)
        self._linked = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self._keys.nbytes + self._next.nbytes + self._previous.nbytes + self._heads.nbytes

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows."""
        more = rows * self.width - len(self._keys)
        self._keys = np.concatenate([self._keys, np.zeros(more, np.uint32)])
        self._next = np.concatenate([self._next, np.full(more, _UNLINKED, np.int32)])
        self._previous = np.concatenate([self._previous, np.zeros(more, np.int32)])

    def link(self, row: int, keys: U32, wanted: Bools) -> None:
        """Link postings of `row` for those of `keys` that are `wanted`; `row` must have none yet."""
        start = row * self.width
        self._keys[start : start + len(keys)] = keys
        chosen = np.flatnonzero(wanted) + start
        if not len(chosen):
            return
        if self._linked + len(chosen) > len(self._heads):
            self._rehash()
        buckets = self._buckets(self._keys[chosen])
        self._linked += len(chosen)
        if len(chosen) > 1 and len(np.unique(buckets)) == len(buckets):
            heads = self._heads[buckets]
            self._next[chosen] = heads
            self._previous[chosen] = 0
            followed = heads > 0
            self._previous[heads[followed] - 1] = chosen[followed] + 1
            self._heads[buckets] = chosen + 1
            return
        for posting, bucket in zip(chosen.tolist(), buckets.tolist(), strict=True):
            head = int(self._heads[bucket])
            self._next[posting] = head
            self._previous[posting] = 0
            if head:
                self._previous[head - 1] = posting + 1
            self._heads[bucket] = posting + 1

    def unlink(self, row: int) -> None:
        """Remove all postings of `row`."""
        start = row * self.width
        for posting in (np.flatnonzero(self._next[start : start + self.width] != _UNLINKED) + start).tolist():
            after, before = int(self._next[posting]), int(self._previous[posting])
            if after:
                self._previous[after - 1] = before
            if before:
                self._next[before - 1] = after
            else:
                self._heads[self._buckets(self._keys[posting : posting + 1])[0]] = after
            self._next[posting] = _UNLINKED
            self._linked -= 1

    def linked(self, rows: I64) -> Bools:
        """Which postings of `rows` are linked: rows x `width` booleans."""
        there: Bools = self._next.reshape(-1, self.width)[rows] != _UNLINKED
        return there

    def rows(self, key: int, alive: Bools) -> list[int]:
        """Return the live rows under `key`, newest first."""
        posting = int(self._heads[(key * _MULTIPLIER & 0xFFFFFFFF) >> (32 - self._bits)])
        found = []
        while posting:
            row = (posting - 1) // self.width
            if self._keys[posting - 1] == key and alive[row]:
                found.append(row)
            posting = int(self._next[posting - 1])
        return found

    def find(self, keys: U32, alive: Bools) -> tuple[I64, I64]:
        """Return (places in `keys`, rows) of all live postings under `keys`, in no particular order."""
        place: I64 = np.arange(len(keys))
        postings = self._heads[self._buckets(keys)]
        places, rows = [], []
        while True:
            there = postings > 0
            if not there.all():
                place, postings = place[there], postings[there]
            if not len(postings):
                break
            at = postings - 1
            row = at // self.width
            hit = (self._keys[at] == keys[place]) & alive[row]
            if hit.any():
                places.append(place[hit])
                rows.append(row[hit])
            postings = self._next[at]
        if not rows:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return np.concatenate(places), np.concatenate(rows).astype(np.int64)

    def rebuild(self, order: I64, keys: U32, wanted: Bools) -> None:
        """Set all postings at once: `keys` and `wanted` (each rows x width) of the rows in `order`, oldest first."""
        self._keys.reshape(-1, self.width)[order] = keys
        self._next.fill(_UNLINKED)
        chosen = (order[:, None] * self.width + np.arange(self.width))[wanted]
        self._linked = len(chosen)
        self._lay(chosen)

    def _rehash(self) -> None:
        """Double the buckets. Each chain splits in two and keeps its order."""
        chains, seen = [], self._heads[self._heads > 0] - 1
        while len(seen):
            chains.append(seen)
            after = self._next[seen]
            seen = after[after > 0] - 1
        oldest_first = np.concatenate(chains[::-1]) if chains else np.empty(0, np.int64)
        self._lay(oldest_first.astype(np.int64))

    def _lay(self, postings: I64) -> None:
        """Link `postings`, oldest first within each chain, into enough buckets."""
        while len(postings) + self.width >= 1 << self._bits:
            self._bits += 1
        self._heads = np.zeros(1 << self._bits, np.int32)
        buckets = self._buckets(self._keys[postings])
        order = np.argsort(buckets, kind="stable")
        ordered, buckets = postings[order], buckets[order]
        same = np.zeros(len(ordered) + 1, bool)
        same[1:-1] = buckets[1:] == buckets[:-1]
        older = np.concatenate([np.zeros(1, np.int64), ordered[:-1] + 1])[: len(ordered)]
        newer = np.concatenate([ordered[1:] + 1, np.zeros(1, np.int64)])[: len(ordered)]
        self._next[ordered] = np.where(same[:-1], older, 0)
        self._previous[ordered] = np.where(same[1:], newer, 0)
        last = ~same[1:]
        self._heads[buckets[last]] = ordered[last] + 1

    def _buckets(self, keys: U32) -> U32:
        mixed: U32 = (keys * np.uint32(_MULTIPLIER)) >> np.uint32(32 - self._bits)
        return mixed
