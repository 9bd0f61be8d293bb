"""A multimap from 32-bit keys to rows, in numpy arrays: buckets of linked postings, newest first."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.dedup.table import grown

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]
Bools = NDArray[np.bool_]

_MULTIPLIER: Final = 0x9E3779B1  # odd, near 2**32 / golden ratio (Knuth, TAOCP 6.4): spreads the low keys of sketches
_FEWEST_BITS: Final = 10
_LOW: Final = 0xFFFFFFFF


class Chains:
    """Up to `width` postings a row. A posting costs 8 bytes and its share of a bucket 4 to 8.

    A head holds the number of a posting (`row * width + j`) plus one, a link that plus two: 0 is an empty bucket or a
    posting that is not linked, and 1 ends a chain. So fresh memory, all zeros, need not be touched. The order
    within a chain is that of linking, newest first, whatever the number of buckets; removing a posting keeps the order
    of the rest.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._keys: U32 = np.zeros((0, width), np.uint32)
        self._next: I32 = np.zeros((0, width), np.int32)
        self._bits = _FEWEST_BITS
        self._heads: I32 = np.zeros(1 << self._bits, np.int32)
        self._linked = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return self._keys.nbytes + self._next.nbytes

    @property
    def head_bytes(self) -> int:
        """Bytes of the buckets."""
        return self._heads.nbytes

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows."""
        self._keys, self._next = grown(self._keys, rows), grown(self._next, rows)

    def keep(self, row: int, keys: U32) -> None:
        """Keep `keys` (at most `width`) in `row`, unlinked."""
        self._keys[row, : len(keys)] = keys
        if len(keys) < self.width:
            self._keys[row, len(keys) :] = 0

    def keep_one(self, row: int, key: int) -> None:
        """Keep `key` alone in `row`, unlinked."""
        if self.width > 1:
            self._keys[row] = 0
        self._keys[row, 0] = key

    def link(self, postings: I64) -> None:
        """Link the postings `row * width + place`, none of which is linked, in this order, under the keys kept."""
        self._linked += len(postings)
        if self._linked > len(self._heads):
            self._rehash()
        self._lay(postings)

    def unlink(self, rows: I64, alive: Bools) -> None:
        """Remove all postings of `rows`; these and no other linked rows are not `alive`."""
        places = self._next[rows] != 0
        count = int(np.count_nonzero(places))
        if not count:
            return
        following = self._next.reshape(-1)
        buckets = np.unique(self._buckets(self._keys[rows][places]))
        # All chains are walked side by side: `kept` is the last living posting in each, 0 for the head.
        at = self._heads[buckets]
        kept = np.zeros(len(at), np.int32)
        while len(at):
            after = following[at - 1] - 1
            dead = ~alive[(at - 1) // self.width]
            first = dead & (kept == 0)
            self._heads[buckets[first]] = after[first]
            later = dead & (kept != 0)
            following[kept[later] - 1] = after[later] + 1
            kept = np.where(dead, kept, at)
            there = after > 0
            buckets, at, kept = buckets[there], after[there], kept[there]
        self._next[rows] = 0
        self._linked -= count

    def keys(self, rows: I64) -> U32:
        """Return the keys kept in `rows`, linked or not: rows x `width`, zeros at the end of each."""
        return self._keys[rows]

    def linked(self, rows: I64) -> Bools:
        """Which postings of `rows` are linked: rows x `width` booleans."""
        there: Bools = self._next[rows] != 0
        return there

    def rows(self, key: int, alive: Bools) -> list[int]:
        """Return the live rows under `key`, newest first."""
        keys, following = self._keys.reshape(-1), self._next.reshape(-1)
        posting = int(self._heads[(key * _MULTIPLIER & _LOW) >> (32 - self._bits)])
        found = []
        while posting:
            row = (posting - 1) // self.width
            if keys[posting - 1] == key and alive[row]:
                found.append(row)
            posting = int(following[posting - 1]) - 1
        return found

    def find(self, keys: U32, alive: Bools) -> tuple[I64, I64]:
        """Return (places in `keys`, rows) of all live postings under `keys`, in no particular order."""
        kept, following = self._keys.reshape(-1), self._next.reshape(-1)
        places, found = [], []
        at = self._heads[self._buckets(keys)] - 1
        place: I64 = np.flatnonzero(at >= 0)
        at = at[place]
        while len(at):
            hit = kept[at] == keys[place]
            if hit.any():
                places.append(place[hit])
                found.append(at[hit])
            at = following[at] - 2
            there = at >= 0
            place, at = place[there], at[there]
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        rows = np.concatenate(found).astype(np.int64) // self.width
        living = alive[rows]
        return np.concatenate(places)[living], rows[living]

    def rebuild(self, keys: U32, wanted: Bools) -> None:
        """Set everything at once: `keys` and what of them is `wanted` (each rows x `width`), of the first rows, oldest
        first."""
        self._keys[: len(keys)] = keys
        self._next.fill(0)
        chosen = np.flatnonzero(wanted)
        self._linked = len(chosen)
        self._empty()
        self._lay(chosen)

    def _rehash(self) -> None:
        """Make enough buckets. Each chain splits and keeps its order."""
        following, at = self._next.reshape(-1), self._heads[self._heads > 0] - 1
        newest_first = [np.empty(0, np.int32)]
        while len(at):
            newest_first.append(at)
            at = following[at] - 2
            at = at[at >= 0]
        self._empty()
        self._lay(np.concatenate(newest_first[::-1]).astype(np.int64))

    def _empty(self) -> None:
        while self._linked + self.width > 1 << self._bits:
            self._bits += 1
        self._heads = np.zeros(1 << self._bits, np.int32)

    def _lay(self, at: I64) -> None:
        """Put the postings `at`, oldest first within each chain, before what is in the buckets."""
        if not len(at):
            return
        buckets = self._buckets(self._keys.reshape(-1)[at])
        order = np.argsort(buckets, kind="stable")
        at, buckets = at[order], buckets[order]
        oldest = np.ones(len(at), bool)
        np.not_equal(buckets[1:], buckets[:-1], out=oldest[1:])
        older = self._heads[buckets].astype(np.int64)
        older[1:] = np.where(oldest[1:], older[1:], at[:-1] + 1)
        self._next.reshape(-1)[at] = older + 1
        newest = np.append(oldest[1:], True)
        self._heads[buckets[newest]] = at[newest] + 1

    def _buckets(self, keys: U32) -> U32:
        mixed: U32 = (keys * np.uint32(_MULTIPLIER)) >> np.uint32(32 - self._bits)
        return mixed
