"""An index whose changes are staged: looked up at once, linked or taken back later, for a whole batch together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from workers.dedup.chains import I64, U32, Bools, Chains

_NOTHING: Final[list[int]] = []

Hits = tuple[I64, I64]
"""Places in the keys that were looked up, and the row under the key there."""


class Index:
    """Rows by key, over `Chains`. What was added since the last `commit` is held in a dictionary beside them."""

    def __init__(self, width: int) -> None:
        self.chains = Chains(width)
        # The first row under each key, and further ones: few have any, and a list for each key would cost more.
        self._fresh: dict[int, int] = {}
        self._more: dict[int, list[int]] = {}
        self._fetched: dict[int, list[int]] = {}
        self._staged: list[int] = []

    @property
    def nbytes(self) -> int:
        """Bytes of keys and links."""
        return self.chains.nbytes

    @property
    def head_bytes(self) -> int:
        """Bytes of the buckets."""
        return self.chains.head_bytes

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows."""
        self.chains.grow(rows)

    def add(self, row: int, keys: U32, wanted: Bools | None) -> None:
        """Keep `keys`, none of which is there twice, in `row`, and find it under those that are `wanted`, or all."""
        self.chains.keep(row, keys)
        listed, first = keys.tolist(), row * self.chains.width
        places: Sequence[int] = range(len(listed))
        if wanted is not None:
            places = np.flatnonzero(wanted).tolist()
            listed = [listed[place] for place in places]
        self._staged.extend([first + place for place in places])
        if self._fresh.keys().isdisjoint(listed):
            self._fresh.update(dict.fromkeys(listed, row))
        else:
            for key in listed:
                self._stage(key, row)

    def add_one(self, row: int, key: int) -> None:
        """Find `row` under `key` alone."""
        self.chains.keep_one(row, key)
        self._staged.append(row * self.chains.width)
        self._stage(key, row)

    def fetch(self, keys: Sequence[int], alive: Bools) -> None:
        """Look up single keys together, so that `rows` needs not look for them until the next commit."""
        listed = np.array(keys, np.uint32)
        places, _ = self.chains.find(listed, alive)
        self._fetched.update(dict.fromkeys(keys, _NOTHING))
        for key in set(listed[places].tolist()):
            self._fetched[key] = self.chains.rows(key, alive)

    def rows(self, key: int, alive: Bools) -> list[int]:
        """Return the live rows under `key`, newest first."""
        found = self._fetched.get(key)
        if found is None:
            found = self.chains.rows(key, alive)
        elif found:
            found = [row for row in found if alive[row]]
        fresh = [row for row in reversed(self._added(key)) if alive[row]] if key in self._fresh else _NOTHING
        return fresh + found if fresh else found

    def lookup(self, keys: Sequence[U32], alive: Bools) -> list[Hits]:
        """Look up several sets of keys together: much cheaper than one by one. `live` completes the result."""
        if not keys:
            return []
        places, rows = self.chains.find(np.concatenate(keys), alive)
        order = np.argsort(places, kind="stable")
        places, rows = places[order], rows[order]
        starts = np.cumsum([0] + [len(part) for part in keys])
        cuts = np.searchsorted(places, starts).tolist()
        return [
            (places[cut:end] - start, rows[cut:end])
            for cut, end, start in zip(cuts, cuts[1:], starts.tolist(), strict=False)
        ]

    def live(self, hits: Hits, keys: U32, alive: Bools) -> Hits:
        """Return what of `hits` is still alive, and what was added under `keys` since they were looked up."""
        places, rows = hits
        if len(rows):
            living = alive.take(rows)
            if np.count_nonzero(living) < len(rows):
                places, rows = places[living], rows[living]
        listed = keys.tolist()
        if self._fresh.keys().isdisjoint(listed):
            return places, rows
        fresh = [
            (place, row)
            for place, key in enumerate(listed)
            if key in self._fresh
            for row in self._added(key)
            if alive[row]
        ]
        if not fresh:
            return places, rows
        added = np.array(fresh, np.int64)
        return np.concatenate([places, added[:, 0]]), np.concatenate([rows, added[:, 1]])

    def most(self, hits: Hits, keys: U32) -> int:
        """Return how many rows `live` returns at the most."""
        listed = keys.tolist()
        if self._fresh.keys().isdisjoint(listed):
            return len(hits[1])
        return len(hits[1]) + sum(len(self._added(key)) for key in listed if key in self._fresh)

    def commit(self, dead: I64, alive: Bools) -> None:
        """Link what was added, and unlink the rows `dead`, some of which may have been added just now."""
        if self._staged:
            postings = np.array(self._staged, np.int64)
            self.chains.link(postings[alive[postings // self.chains.width]])
        if len(dead):
            self.chains.unlink(dead, alive)
        self.rollback()

    def rollback(self) -> None:
        """Forget what was added since the last commit."""
        for changes in (self._fresh, self._more, self._fetched, self._staged):
            changes.clear()

    def _stage(self, key: int, row: int) -> None:
        if self._fresh.setdefault(key, row) != row:
            self._more.setdefault(key, []).append(row)

    def _added(self, key: int) -> list[int]:
        return [self._fresh[key], *self._more.get(key, _NOTHING)]
