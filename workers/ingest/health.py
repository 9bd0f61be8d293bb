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

from msgspec import structs

from schemas.messages import SourceProblem, SourceStatus
from workers.ingest.watched import (
    DAYS,
    EMPTY,
    LATEST,
    PROBLEMS,
    REFUSED,
    SLOT_US,
    SLOTS_OF_DAY,
    SLOTS_OF_WEEK,
    Broken,
    Watched,
    before,
    count,
    in_slot,
    state_of,
)
from workers.stage import SourceState

NEEDED: Final = ((5, 1, 14), (5, 2, 18), (2, 1, 20))
"""(parts, at most so many of them, needed): of the latest documents, so many in trouble make a break where before at
most this share of documents had it. Each is as rare by chance: some two in a million (binomial)."""

KNOWN: Final = 20
"""Documents that must be known from before the latest ones."""

WELL: Final = 5
"""Of the latest ones so many in trouble or fewer make a recovery."""

MISSED: Final = 12
"""A source is missed when it had so many documents in these slots a week ago, with"""

MOST_MISSED_OF_SLOT: Final = 6
"""no slot counting for more: one busy hour of last week is no habit."""

LATE_US: Final = 24 * 3600 * 1_000_000
"""What was fetched so long before the newest document is brought in late."""

MOST_WATCHED: Final = 500
"""Sources of a partition that are watched: those with the most documents in two weeks."""

_FEWEST: Final = min(needed for _, _, needed in NEEDED)

_SLACK: Final = 4
"""The bound is passed by one part in so many before it is gone back to."""


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
        return [state_of(name, watched, slot) for name, watched in sorted(self.sources.copy().items())]

    # ---- changing -------------------------------------------------------------------------------------------------

    def observe(
        self, source: str | None, time_us: int, marks: int, chars: int, told: Iterable[Told] | None = None
    ) -> list[Change]:
        """Count one document that came at event time `time_us`, with the length of its body; `source` is None when it
        is not known. A refused one does not move time on: when it was fetched can't be read.

        Returns what has changed by it, in order: where it begins a slot, also of other sources. With `told` nothing is
        judged: that is what was found when it was.
        """
        clock_us = self.clock_us
        if self._before is None:
            self._before = clock_us, self.documents
        turned = False
        if time_us > clock_us and (not marks & (REFUSED | EMPTY) or clock_us < 0):
            turned = time_us // SLOT_US > clock_us // SLOT_US
            self.clock_us = clock_us = time_us
        elif clock_us - time_us > LATE_US:
            return []  # it says nothing of how the source does now
        changes = self._let_go() if turned else []
        if source is not None:
            self.documents += 1
            watched = self._own(source)
            count(watched, clock_us, self.documents, marks, chars)
            if len(self.sources) > MOST_WATCHED * (_SLACK + 1) // _SLACK:
                changes += self._shrink()
            if told is None and (watched.broken or _doubtful(watched)) and source in self.sources:
                changes += self._judged(source, watched)
        if turned and told is None:
            changes += self._silent()
        if told is None:
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

    def _own(self, name: str) -> Watched:
        """Return what is known of a source, to be changed; what was known at the last commit is put aside."""
        found = self.sources.get(name)
        if found is not None and name in self._changed:
            return found
        self._changed.setdefault(name, found)
        made = self.sources[name] = Watched() if found is None else structs.replace(found)
        return made

    def _drop(self, name: str) -> Iterator[Change]:
        watched = self.sources.pop(name)
        self._changed.setdefault(name, watched)
        for broken in watched.broken:
            yield self._change(name, watched, "dropped", broken.problem)

    def _judged(self, name: str, watched: Watched) -> Iterator[Change]:
        """Yield what has changed with a source by its newest document."""
        by = {broken.problem: broken for broken in watched.broken}
        if "silent" in by:
            yield self._change(name, watched, "recovered", "silent")
        for number, bits in enumerate(watched.latest):
            often, problem = bits.bit_count(), PROBLEMS[number]
            if problem in by:
                if often <= WELL:
                    yield self._change(name, watched, "recovered", problem)
                elif self.clock_us // SLOT_US - by[problem].since >= DAYS * SLOTS_OF_DAY:
                    yield self._change(name, watched, "usual", problem)
            elif often >= _FEWEST:
                known, had = before(watched, number, often)
                if known >= KNOWN and often >= _needed(known, had):
                    yield self._change(name, watched, "broken", problem)

    def _silent(self) -> Iterator[Change]:
        """At the begin of a slot: yield who is missed in the whole slots before it."""
        now = self.clock_us // SLOT_US
        earliest = now - SLOTS_OF_WEEK
        totals: dict[int, int] | None = None
        for name, watched in sorted(self.sources.items()):
            first = max(watched.last_us // SLOT_US + 1, earliest)
            if first >= now or any(broken.problem == "silent" for broken in watched.broken):
                continue
            own = [in_slot(watched, slot - SLOTS_OF_WEEK) for slot in range(first, now)]
            if sum(min(had, MOST_MISSED_OF_SLOT) for had in own) < MISSED:
                continue
            totals = totals or self._totals()
            there = sum(totals.get(slot, 0) for slot in range(first, now))
            were = sum(totals.get(slot - SLOTS_OF_WEEK, 0) for slot in range(first, now)) - sum(own)
            # Else it is quiet everywhere, or nothing reaches us.
            if there and there * 2 >= were:
                yield self._change(name, watched, "broken", "silent")

    def _totals(self) -> dict[int, int]:
        """Return the documents of all sources by slot."""
        totals: dict[int, int] = {}
        for watched in self.sources.values():
            for row in (*watched.days, watched.today):
                for at, documents in enumerate(row.slots, row.day * SLOTS_OF_DAY):
                    totals[at] = totals.get(at, 0) + documents
        return totals

    def _mark(self, name: str, status: SourceStatus, problem: SourceProblem, body_chars: int) -> None:
        if name not in self.sources:
            return  # dropped
        watched = self._own(name)
        kept = tuple(broken for broken in watched.broken if broken.problem != problem)
        if status == "broken":
            kept = (*kept, Broken(problem, self.clock_us // SLOT_US, body_chars))
        watched.broken = kept

    def _let_go(self) -> list[Change]:
        """Forget those that have been silent for all the days that are known."""
        oldest = self.clock_us - DAYS * SLOTS_OF_DAY * SLOT_US
        gone = sorted(name for name, watched in self.sources.items() if watched.last_us < oldest)
        return [change for name in gone for change in self._drop(name)]

    def _shrink(self) -> list[Change]:
        """Keep those that are broken and those with the most documents; of equals those seen last."""
        order = sorted(
            (bool(watched.broken), watched.volume, watched.seen, name) for name, watched in self.sources.items()
        )
        return [change for *_, name in order[:-MOST_WATCHED] for change in self._drop(name)]

    def _change(self, name: str, watched: Watched, status: SourceStatus, problem: SourceProblem) -> Change:
        share = usual_share = None
        if problem != "silent":
            number = PROBLEMS.index(problem)
            often = watched.latest[number].bit_count()
            known, had = before(watched, number, often)
            share = round(often / LATEST, 3)
            usual_share = round(min(1.0, had / max(1, known)), 3)
        state = state_of(name, watched, self.clock_us // SLOT_US)
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


def _doubtful(watched: Watched) -> bool:
    """Return whether so many of the latest documents have the same problem that it may be more than usual."""
    a, b, c, d, e = watched.latest
    if not (a or b or c or d or e):
        return False
    return any(bits and bits.bit_count() >= _FEWEST for bits in (a, b, c, d, e))


def _needed(known: int, had: int) -> int:
    """Return how many of the latest documents must be in trouble when `had` of `known` ones were before."""
    for parts, most, needed in NEEDED:
        if had * parts <= known * most:
            return needed
    return LATEST + 1
