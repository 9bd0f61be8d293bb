"""How the sources of one partition do, each against its own last two weeks of event time.

A source breaks when most of its latest documents lack what they used to have (a new layout, empty bodies, refusals), or
when nothing comes from it in hours in which it used to deliver, while the others deliver as they did. Fewer documents
than usual are a quiet day.

`Watch.observe` is the only thing that changes it, both live and when the log is folded. What is judged is a decision:
it is in the log, and a fold takes it from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from schemas.messages import SourceProblem, SourceStatus
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

NEEDED: Final = ((5, 1, 14), (5, 2, 18), (2, 1, 20))
"""(parts, at most so many of them, needed): of the latest documents, so many in trouble make a break where before at
most this share of documents had it. Each is as rare by chance: some two in a million (binomial)."""

KNOWN: Final = 20
"""Documents that must be known from before the latest ones."""

WELL: Final = 5
"""Of the latest ones so many in trouble or fewer make a recovery."""

SHORT: Final = 4
"""A body is short when it is shorter than one part in so many of the mean of those that are not."""

MISSED: Final = 12
"""A source is missed when it had so many documents in these slots a week ago, with"""

MOST_MISSED_OF_SLOT: Final = 6
"""no slot counting for more: one busy hour of last week is no habit."""

MOST_WATCHED: Final = 500
"""Sources of a partition that are watched: those with the most documents in two weeks."""

WATCHED_BYTES: Final = 5_400
"""Bytes that a watched source takes at most, about: 14 days, 20 lengths, its name."""

_SLACK: Final = 4
"""The bound is passed by one part in so many before it is gone back to."""

_MASK: Final = (1 << LATEST) - 1

Trouble = tuple[int, int, int, int, int]
"""For each of `PROBLEMS` how many documents had it, or a bit for each of the latest ones."""

_NONE: Final[Trouble] = (0, 0, 0, 0, 0)


class Day(NamedTuple):
    """One day of a source: documents by slot; and of those that make up what is usual the number, how many of them had
    each of `PROBLEMS`, and the characters of the bodies that were not short. What comes while it is broken is left out.
    """

    day: int
    slots: tuple[int, int, int, int]
    documents: int
    trouble: Trouble
    chars: int


class Sums(NamedTuple):
    """Several days together. `volume`: documents of all slots."""

    volume: int
    documents: int
    trouble: Trouble
    chars: int

    @property
    def articles(self) -> int:
        """Documents that became articles."""
        return self.documents - self.trouble[0] - self.trouble[1]

    @property
    def body_chars(self) -> int:
        """Mean length of bodies, the short ones left out, in characters."""
        return self.chars // max(1, self.articles - self.trouble[2])


class Broken(NamedTuple):
    """What a source is broken by, since which slot, and how long its bodies were before."""

    problem: SourceProblem
    since: int
    body_chars: int


class Watched(NamedTuple):
    """What is known of one source. `past`: all days but the last together. `latest`: for each of `PROBLEMS` a bit for
    each of the latest documents (of articles for the last three), the newest lowest; `lengths`: of the latest bodies.
    `last_us`: event time when its last document came; `seen`: number of that document in the partition."""

    days: tuple[Day, ...] = ()
    past: Sums = Sums(0, 0, _NONE, 0)
    latest: Trouble = _NONE
    lengths: tuple[int, ...] = ()
    broken: tuple[Broken, ...] = ()
    last_us: int = 0
    seen: int = 0


class Change(NamedTuple):
    """A source has broken or recovered, as `schemas.messages.SourceHealth` tells it. `last_us`: event time of its last
    document, microseconds since the Unix epoch."""

    source: str
    status: SourceStatus
    problem: SourceProblem
    share: float | None
    usual_share: float | None
    body_chars: int
    usual_body_chars: int
    day_documents: int
    usual_day_documents: int
    last_us: int


Told = tuple[str, SourceStatus, SourceProblem, int]
"""Source, status, problem and usual length of bodies of a change that was told."""


class Watch:
    """The sources of one partition that are watched."""

    def __init__(self) -> None:
        self.sources: dict[str, Watched] = {}
        self.clock_us = -1
        self.documents = 0
        self._changed: dict[str, Watched | None] = {}
        self._before: tuple[int, int] | None = None

    # ---- reading --------------------------------------------------------------------------------------------------

    def states(self) -> list[SourceState]:
        """Return how each source does, by name. Another thread may call it at any time."""
        slot = self.clock_us // SLOT_US
        return [_state(name, watched, slot) for name, watched in sorted(self.sources.copy().items())]

    # ---- changing -------------------------------------------------------------------------------------------------

    def observe(
        self, source: str | None, time_us: int, marks: int, chars: int, told: Iterable[Told] | None = None
    ) -> list[Change]:
        """Count one document that came at event time `time_us`, with the length of its body; `source` is None when it
        is not known.

        Returns what has changed by it, in order: where it begins a slot, also of other sources. With `told` nothing is
        judged: that is what was found when it was.
        """
        if self._before is None:
            self._before = self.clock_us, self.documents
        slot, now = time_us // SLOT_US, self.clock_us // SLOT_US
        if slot < now - SLOTS_OF_DAY:
            return []  # brought in late: it says nothing of how the source does now
        turned = slot > now
        self.clock_us = max(self.clock_us, time_us)
        changes = self._let_go() if turned else []
        if source is not None:
            self._count(source, marks, chars)
            if len(self.sources) > MOST_WATCHED * (_SLACK + 1) // _SLACK:
                changes += self._shrink()
        if told is None:
            if source is not None and source in self.sources:
                changes += self._judged(source)
            if turned:
                changes += self._silent()
            told = [(change.source, change.status, change.problem, change.usual_body_chars) for change in changes]
        for name, status, problem, body_chars in told:
            self._mark(name, status, problem, body_chars)
        return changes

    def commit(self) -> None:
        """Make everything since the last commit final."""
        self._changed.clear()
        self._before = None

    def rollback(self) -> None:
        """Undo everything since the last commit."""
        if self._before is None:
            return
        for name, watched in self._changed.items():
            if watched is None:
                self.sources.pop(name, None)
            else:
                self.sources[name] = watched
        self.clock_us, self.documents = self._before
        self.commit()

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _put(self, name: str, watched: Watched) -> None:
        self._changed.setdefault(name, self.sources.get(name))
        self.sources[name] = watched

    def _drop(self, name: str) -> Iterator[Change]:
        watched = self.sources.pop(name)
        self._changed.setdefault(name, watched)
        for broken in watched.broken:
            yield self._change(name, watched, "dropped", broken.problem)

    def _count(self, name: str, marks: int, chars: int) -> None:
        self.documents += 1
        watched = self.sources.get(name, _NEW)
        day, slot = divmod(self.clock_us // SLOT_US, SLOTS_OF_DAY)
        days, past = watched.days, watched.past
        if not days or days[-1].day != day:
            days = tuple(row for row in days if row.day > day - DAYS)
            past = _sums(days)
            days = (*days, Day(day, (0, 0, 0, 0), 0, _NONE, 0))
        last = days[-1]
        article = not marks & (REFUSED | EMPTY)
        short = article and chars * SHORT < _usual_length(watched, past, last)
        refused, empty = bool(marks & REFUSED), bool(marks & EMPTY)
        undated, unsigned = article and bool(marks & NO_DATE), article and bool(marks & NO_AUTHOR)
        a, b, c, d, e = watched.latest
        a, b = (a << 1 | refused) & _MASK, (b << 1 | empty) & _MASK
        lengths = watched.lengths
        if article:
            c, d, e = (c << 1 | short) & _MASK, (d << 1 | undated) & _MASK, (e << 1 | unsigned) & _MASK
            lengths = (*lengths[1 - LATEST :], chars)
        documents, trouble, total = last.documents, last.trouble, last.chars
        if all(broken.problem == "silent" for broken in watched.broken):
            documents += 1
            if marks or short:
                t = trouble
                trouble = (t[0] + refused, t[1] + empty, t[2] + short, t[3] + undated, t[4] + unsigned)
            if article and not short:
                total += chars
        i, j, k, m = last.slots
        slots = (i + (slot == 0), j + (slot == 1), k + (slot == 2), m + (slot == 3))
        days = (*days[:-1], Day(day, slots, documents, trouble, total))
        self._put(name, Watched(days, past, (a, b, c, d, e), lengths, watched.broken, self.clock_us, self.documents))

    def _judged(self, name: str) -> Iterator[Change]:
        """Yield what has changed with a source by its newest document."""
        watched = self.sources[name]
        if watched.latest == _NONE and not watched.broken:
            return
        by = {broken.problem: broken for broken in watched.broken}
        if "silent" in by:
            yield self._change(name, watched, "recovered", "silent")
        usual = _usual(watched)
        for number, problem in enumerate(PROBLEMS):
            often = watched.latest[number].bit_count()
            if problem in by:
                if often <= WELL:
                    yield self._change(name, watched, "recovered", problem)
                elif self.clock_us // SLOT_US - by[problem].since >= DAYS * SLOTS_OF_DAY:
                    yield self._change(name, watched, "usual", problem)
            elif often >= NEEDED[0][2]:
                # The latest ones are among the usual ones already.
                known = (usual.documents if number < 2 else usual.articles) - LATEST
                before = max(0, usual.trouble[number] - often)
                if known >= KNOWN and any(
                    often >= needed and before * parts <= known * most for parts, most, needed in NEEDED
                ):
                    yield self._change(name, watched, "broken", problem)

    def _silent(self) -> Iterator[Change]:
        """At the begin of a slot: yield who is missed in the whole slots before it."""
        now = self.clock_us // SLOT_US
        totals: dict[int, int] = {}
        for watched in self.sources.values():
            for row in watched.days:
                for number, count in enumerate(row.slots):
                    at = row.day * SLOTS_OF_DAY + number
                    totals[at] = totals.get(at, 0) + count
        for name, watched in sorted(self.sources.items()):
            first = max(watched.last_us // SLOT_US + 1, now - SLOTS_OF_WEEK)
            if first >= now or any(broken.problem == "silent" for broken in watched.broken):
                continue
            own = [_in_slot(watched.days, slot - SLOTS_OF_WEEK) for slot in range(first, now)]
            if sum(min(count, MOST_MISSED_OF_SLOT) for count in own) < MISSED:
                continue
            there = sum(totals.get(slot, 0) for slot in range(first, now))
            were = sum(totals.get(slot - SLOTS_OF_WEEK, 0) for slot in range(first, now)) - sum(own)
            # Else it is quiet everywhere, or nothing reaches us.
            if there and there * 2 >= were:
                yield self._change(name, watched, "broken", "silent")

    def _mark(self, name: str, status: SourceStatus, problem: SourceProblem, body_chars: int) -> None:
        watched = self.sources.get(name)
        if watched is None:
            return  # dropped
        kept = tuple(broken for broken in watched.broken if broken.problem != problem)
        if status == "broken":
            kept = (*kept, Broken(problem, self.clock_us // SLOT_US, body_chars))
        self._put(name, watched._replace(broken=kept))

    def _let_go(self) -> list[Change]:
        """Forget those that have been silent for all the days that are known."""
        oldest = self.clock_us - DAYS * SLOTS_OF_DAY * SLOT_US
        gone = sorted(name for name, watched in self.sources.items() if watched.last_us < oldest)
        return [change for name in gone for change in self._drop(name)]

    def _shrink(self) -> list[Change]:
        """Keep those that are broken and those with the most documents; of equals those seen last."""
        order = sorted(
            (bool(watched.broken), watched.past.volume + sum(watched.days[-1].slots), watched.seen, name)
            for name, watched in self.sources.items()
        )
        return [change for *_, name in order[:-MOST_WATCHED] for change in self._drop(name)]

    def _change(self, name: str, watched: Watched, status: SourceStatus, problem: SourceProblem) -> Change:
        usual, share, usual_share = _usual(watched), None, None
        if problem != "silent":
            number = PROBLEMS.index(problem)
            often = watched.latest[number].bit_count()
            known = (usual.documents if number < 2 else usual.articles) - LATEST
            share = round(often / LATEST, 3)
            usual_share = round(min(1.0, max(0, usual.trouble[number] - often) / max(1, known)), 3)
        state = _state(name, watched, self.clock_us // SLOT_US)
        return Change(
            name,
            status,
            problem,
            share,
            usual_share,
            state.body_chars,
            state.usual_body_chars,
            state.day_documents,
            state.usual_day_documents,
            watched.last_us,
        )


_NEW: Final = Watched()


def _state(name: str, watched: Watched, slot: int) -> SourceState:
    usual = _usual(watched)
    articles = max(1, len(watched.lengths))
    day = slot // SLOTS_OF_DAY
    whole = [row for row in watched.days if day - DAYS < row.day < day]
    return SourceState(
        source=name,
        broken=tuple(broken.problem for broken in watched.broken),
        body_chars=sum(watched.lengths) // articles,
        usual_body_chars=next((b.body_chars for b in watched.broken if b.problem == "short_bodies"), usual.body_chars),
        without_date=watched.latest[3].bit_count() / articles,
        without_author=watched.latest[4].bit_count() / articles,
        day_documents=sum(_in_slot(watched.days, slot - n) for n in range(1, SLOTS_OF_DAY + 1)),
        usual_day_documents=sum(sum(row.slots) for row in whole) // (day - whole[0].day) if whole else 0,
    )


def _usual(watched: Watched) -> Sums:
    """Return all days together."""
    past = watched.past
    if not watched.days:
        return past
    last = watched.days[-1]
    return Sums(
        past.volume + sum(last.slots),
        past.documents + last.documents,
        _added(past.trouble, last.trouble),
        past.chars + last.chars,
    )


def _usual_length(watched: Watched, past: Sums, last: Day) -> int:
    """Return how long the bodies of a source are; as long as they are too short, how long they were before."""
    for broken in watched.broken:
        if broken.problem == "short_bodies":
            return broken.body_chars
    p, t = past.trouble, last.trouble
    long = past.documents + last.documents - p[0] - p[1] - p[2] - t[0] - t[1] - t[2]
    return (past.chars + last.chars) // long if long else 0


def _in_slot(days: tuple[Day, ...], slot: int) -> int:
    """Return how many documents there were in a slot."""
    day, number = divmod(slot, SLOTS_OF_DAY)
    for row in days:
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
