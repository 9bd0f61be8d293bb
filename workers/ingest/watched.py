"""What is known of one source, to tell how it does: its days, its latest documents, what it is broken by.

`count` is for each document, and made to cost little. There are no cycles in what is held, so the garbage collector
need not look at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from schemas.messages import SourceProblem
from workers.stage import SourceState

REFUSED: Final = 1
EMPTY: Final = 2
NO_DATE: Final = 4
NO_AUTHOR: Final = 8
"""Marks of a document: refused, refused for there is no text in it, and what its article lacks."""

PROBLEMS: Final[tuple[SourceProblem, ...]] = ("refused", "empty_bodies", "short_bodies", "no_dates", "no_authors")
"""What the latest documents of a source may have in common: the first two of all documents, the others of articles."""

SLOT_US: Final = 6 * 3600 * 1_000_000
SLOTS_OF_DAY: Final = 4
SLOTS_OF_WEEK: Final = 7 * SLOTS_OF_DAY
"""Event time is cut into slots of six hours, so that a night is compared with a night, and a Sunday with a Sunday."""

DAYS: Final = 14
"""Days, the current one included, that a source is compared with. After as many what was broken is how it is now."""

LATEST: Final = 20
"""Documents that are looked at."""

SHORT: Final = 4
"""A body is short when it is shorter than one part in so many of the mean of those that are not."""

WATCHED_BYTES: Final = 5_400
"""Bytes that a watched source takes at most, about: 14 days, 20 lengths, its name."""

_MASK: Final = (1 << LATEST) - 1

Trouble = tuple[int, int, int, int, int]
"""For each of `PROBLEMS` how many documents had it, or a bit for each of the latest ones."""

_NONE: Final[Trouble] = (0, 0, 0, 0, 0)


class Day(Struct, frozen=True, gc=False, array_like=True):
    """One day of a source: documents by slot; and of those that make up what is usual the number, how many of them had
    each of `PROBLEMS`, and the characters of the bodies that were not short. What comes while it is broken is left out.
    """

    day: int
    slots: tuple[int, int, int, int]
    documents: int
    trouble: Trouble
    chars: int


class Sums(Struct, frozen=True, gc=False, array_like=True):
    """Several days together. `volume`: documents of all slots."""

    volume: int
    documents: int
    trouble: Trouble
    chars: int


class Broken(Struct, frozen=True, gc=False, array_like=True):
    """What a source is broken by, since which slot, and how long its bodies were before."""

    problem: SourceProblem
    since: int
    body_chars: int


class Watched(Struct, gc=False, array_like=True):
    """What is known of one source. `days`: those before `day`, the one of its last document; `past`: they together.
    `slots`, `documents`, `trouble`, `chars`: of `day`, as in `Day`. `latest`: for each of `PROBLEMS` a bit for each of
    the latest documents (of articles for the last three), the newest lowest; `lengths`: of the latest bodies.
    `last_us`: event time when its last document came; `seen`: number of that document in the partition."""

    days: tuple[Day, ...] = ()
    past: Sums = Sums(0, 0, _NONE, 0)
    day: int = -1
    slots: tuple[int, int, int, int] = (0, 0, 0, 0)
    documents: int = 0
    trouble: Trouble = _NONE
    chars: int = 0
    latest: Trouble = _NONE
    lengths: tuple[int, ...] = ()
    broken: tuple[Broken, ...] = ()
    last_us: int = 0
    seen: int = 0

    @property
    def today(self) -> Day:
        """The day of its last document."""
        return Day(self.day, self.slots, self.documents, self.trouble, self.chars)

    @property
    def volume(self) -> int:
        """Documents of all days."""
        return self.past.volume + sum(self.slots)


def count(watched: Watched, clock_us: int, number: int, marks: int, chars: int) -> None:
    """Count one document of a source: it came at event time `clock_us`, is the partition's with this number, has these
    marks and a body of so many characters."""
    at = clock_us // SLOT_US
    if watched.day != at // SLOTS_OF_DAY:
        _begin(watched, at // SLOTS_OF_DAY)
    slot = at % SLOTS_OF_DAY
    i, j, k, m = watched.slots
    watched.slots = i + (slot == 0), j + (slot == 1), k + (slot == 2), m + (slot == 3)
    watched.last_us, watched.seen = clock_us, number
    refused, empty = bool(marks & REFUSED), bool(marks & EMPTY)
    article = not (refused or empty)
    short = article and chars * SHORT < _usual_length(watched)
    if article:
        watched.lengths = (*watched.lengths[1 - LATEST :], chars)
    if marks or short or watched.latest != _NONE:
        undated, unsigned = article and bool(marks & NO_DATE), article and bool(marks & NO_AUTHOR)
        a, b, c, d, e = watched.latest
        a, b = (a << 1 | refused) & _MASK, (b << 1 | empty) & _MASK
        if article:
            c, d, e = (c << 1 | short) & _MASK, (d << 1 | undated) & _MASK, (e << 1 | unsigned) & _MASK
        watched.latest = a, b, c, d, e
    else:
        undated = unsigned = False
    if watched.broken and any(one.problem != "silent" for one in watched.broken):
        return
    watched.documents += 1
    if marks or short:
        p, q, t, u, v = watched.trouble
        watched.trouble = p + refused, q + empty, t + short, u + undated, v + unsigned
    if article and not short:
        watched.chars += chars


def _begin(watched: Watched, day: int) -> None:
    """Go on to a later day, and let go what has fallen out."""
    watched.days = tuple(row for row in (*watched.days, watched.today) if row.day > day - DAYS)
    watched.past = _sums(watched.days)
    watched.day, watched.slots, watched.documents, watched.trouble, watched.chars = day, (0, 0, 0, 0), 0, _NONE, 0


def state_of(name: str, watched: Watched, slot: int) -> SourceState:
    """Return how a source does in a slot that has begun."""
    articles = max(1, len(watched.lengths))
    day = slot // SLOTS_OF_DAY
    whole = [row for row in (*watched.days, watched.today) if day - DAYS < row.day < day]
    return SourceState(
        source=name,
        broken=tuple(broken.problem for broken in watched.broken),
        body_chars=sum(watched.lengths) // articles,
        usual_body_chars=_usual_length(watched),
        without_date=watched.latest[3].bit_count() / articles,
        without_author=watched.latest[4].bit_count() / articles,
        day_documents=sum(in_slot(watched, slot - n) for n in range(1, SLOTS_OF_DAY + 1)),
        usual_day_documents=sum(sum(row.slots) for row in whole) // (day - whole[0].day) if whole else 0,
    )


def before(watched: Watched, number: int, often: int) -> tuple[int, int]:
    """Return how many documents (articles, where the problem is one of articles) are known from before the latest ones,
    and how many of them had the problem with this number; `often` of the latest ones have it."""
    p, t = watched.past.trouble, watched.trouble
    known = watched.past.documents + watched.documents - LATEST  # the latest ones are among them
    if number >= 2:
        known -= p[0] + p[1] + t[0] + t[1]
    return max(0, known), max(0, p[number] + t[number] - often)


def _usual_length(watched: Watched) -> int:
    """Return how long the bodies of a source are, short ones left out; as long as they are too short, how long they
    were before."""
    for one in watched.broken:
        if one.problem == "short_bodies":
            return one.body_chars
    past = watched.past
    p, t = past.trouble, watched.trouble
    long = past.documents + watched.documents - p[0] - p[1] - p[2] - t[0] - t[1] - t[2]
    return (past.chars + watched.chars) // long if long else 0


def in_slot(watched: Watched, slot: int) -> int:
    """Return how many documents there were in a slot."""
    day, number = divmod(slot, SLOTS_OF_DAY)
    for row in (watched.today, *watched.days):
        if row.day == day:
            return row.slots[number]
    return 0


def _added(one: Trouble, two: Trouble) -> Trouble:
    return one[0] + two[0], one[1] + two[1], one[2] + two[2], one[3] + two[3], one[4] + two[4]


def _sums(days: Iterable[Day]) -> Sums:
    volume = documents = chars = 0
    trouble = _NONE
    for row in days:
        volume, documents, chars = volume + sum(row.slots), documents + row.documents, chars + row.chars
        trouble = _added(trouble, row.trouble)
    return Sums(volume, documents, trouble, chars)
