"""What the page shows, held in memory: written by the threads that read Kafka, read by those who watch. All bounded.

Each thing that the board takes gets the next number. Those who watch remember the last number that they were told, and
ask for what came after it: nothing is queued for them, and one who is slow misses what has gone meanwhile.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Plain = Mapping[str, Any]

ARTICLES: Final = 200
DUPLICATES: Final = 500
DEAD_LETTERS: Final = 100
SAMPLES: Final = 15 * 60 // 2
"""A quarter of an hour, one sample every two seconds."""

_JOINS: Final = 5_000


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One record as it is shown. `brief` is for lists, `full` (JSON) for a look at this one alone.

    Args:
        at_ms: when it arrived, milliseconds since the Unix epoch.
        place: `PARTITION-OFFSET`.
    """

    at_ms: int
    place: str
    brief: Plain = field(compare=False)
    full: bytes = field(compare=False, default=b"")


class _Ring:
    """The newest items, by the time of their arrival."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: list[Item] = []
        self._by_place: dict[str, tuple[int, Item]] = {}

    def add(self, item: Item, number: int) -> None:
        if item.place in self._by_place:
            return  # read once more after a connection was lost
        insort(self._items, item)
        self._by_place[item.place] = (number, item)
        if len(self._items) > self._most:
            del self._by_place[self._items.pop(0).place]

    def get(self, place: str) -> Item | None:
        return self._by_place.get(place, (0, None))[1]

    def after(self, number: int) -> list[Item]:
        return [item for item in self._items if self._by_place[item.place][0] > number]


@dataclass(frozen=True, slots=True)
class Changes:
    """What has come since a number. `status` is None when it is as it was."""

    number: int
    articles: Sequence[Plain]
    duplicates: Sequence[Plain]
    dead_letters: Sequence[Plain]
    samples: Sequence[Plain]
    status: Plain | None
    troubles: Mapping[str, str]


class Board:
    """Everything that is shown. Any thread may call any of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._articles = _Ring(ARTICLES)
        self._duplicates = _Ring(DUPLICATES)
        self._dead = _Ring(DEAD_LETTERS)
        self._samples: deque[tuple[int, Plain]] = deque(maxlen=SAMPLES)
        self._status: tuple[int, Plain | None] = (0, None)
        self._troubles: dict[str, str] = {}
        self._joined: dict[str, str] = {}

    def _next(self) -> int:
        self._number += 1
        return self._number

    def add_article(self, item: Item) -> None:
        """Take an article."""
        with self._lock:
            self._articles.add(item, self._next())

    def add_duplicate(self, item: Item) -> None:
        """Take a copy that did not go on."""
        with self._lock:
            self._duplicates.add(item, self._next())

    def add_dead_letter(self, item: Item) -> None:
        """Take a dead letter."""
        with self._lock:
            self._dead.add(item, self._next())

    def join(self, cluster: str, joins: Sequence[str]) -> None:
        """Remember that the clusters `joins` are one with `cluster`."""
        with self._lock:
            for other in joins:
                if other != cluster:
                    self._joined[other] = cluster
            while len(self._joined) > _JOINS:
                del self._joined[next(iter(self._joined))]

    def picture(self, status: Plain, sample: Plain) -> None:
        """Take what `newsmill.status` has seen."""
        with self._lock:
            number = self._next()
            self._samples.append((number, sample))
            self._status = (number, status)

    def trouble(self, who: str, text: str) -> None:
        """Say why a reader can't do its work now; empty when it can."""
        with self._lock:
            if self._troubles.get(who, "") != text:
                self._troubles[who] = text
                self._next()

    def article(self, place: str) -> bytes | None:
        """Return the JSON of an article; None when it is not (or no longer) here."""
        with self._lock:
            return item.full if (item := self._articles.get(place)) else None

    def dead_letter(self, place: str) -> bytes | None:
        """Return the JSON of a dead letter; None when it is not (or no longer) here."""
        with self._lock:
            return item.full if (item := self._dead.get(place)) else None

    def copies(self, cluster: str) -> list[Plain]:
        """Return the copies of the story `cluster` that have lately come, the oldest first."""
        with self._lock:
            wanted = self._root(cluster)
            return [
                item.brief for item in self._duplicates.after(0) if self._root(str(item.brief["cluster"])) == wanted
            ]

    def since(self, number: int) -> Changes | None:
        """Return what has come since `number` (0: everything); None when nothing has."""
        with self._lock:
            if number == self._number and number:
                return None
            status_number, status = self._status
            return Changes(
                number=self._number,
                articles=[item.brief for item in self._articles.after(number)],
                duplicates=[item.brief for item in self._duplicates.after(number)],
                dead_letters=[item.brief for item in self._dead.after(number)],
                samples=[sample for at, sample in self._samples if at > number],
                status=status if status_number > number else None,
                troubles={who: text for who, text in self._troubles.items() if text},
            )

    def _root(self, cluster: str) -> str:
        for _ in range(20):  # joins may form a ring if records come in odd order
            if (further := self._joined.get(cluster)) is None:
                break
            cluster = further
        return cluster
