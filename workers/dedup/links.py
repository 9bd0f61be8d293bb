"""Which known articles are one story with a new one.

A link is a function of the two articles alone, whichever comes first: of their fingerprints (candidates share one of
their keys, which are also what is looked up) and of whether one outlet published both. A cluster is what links
connect. So who is together doesn't depend on the order of arrival, with one exception that can't be helped: a round-up
holds several stories and belongs to one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from schemas.messages import Part
from workers.dedup.fingerprint import Fingerprint
from workers.dedup.index import Hits
from workers.dedup.options import DedupOptions
from workers.dedup.state import MOST_CANDIDATES, PartitionState
from workers.dedup.verify import Overlap, Span, compare, compare_many, look, overlap, refusal

ALIKE: Final = 0.5
"""From this similarity on, two texts are one story as they are, and neither holds the other as a part."""

WIDE: Final = 154
"""What lies over more of a text, in 256ths, is no part of it but the text: 60 %."""


@dataclass(frozen=True, slots=True)
class Link:
    """A known article, its row, that is one story with the new one, and what they have in common. `held`: the part of
    the known article that is this story, where that is a part alone and was not known."""

    row: int
    overlap: Overlap
    held: Part | None


@dataclass(frozen=True, slots=True)
class Links:
    """The links of an article, the most similar first; of equals the one that came first. `part`: the part of its text
    that is their story, None when it is no part alone."""

    found: tuple[Link, ...] = ()
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """Known articles with which a new one was compared before its turn came: the rows, and what is in common with
    those that have something in common."""

    rows: frozenset[int] = frozenset()
    counts: dict[int, list[int]] = field(default_factory=dict)


NOT_COMPARED: Final = Compared()


def compare_all(made: Sequence[Fingerprint], hits: Sequence[Hits], state: PartitionState) -> list[Compared]:
    """Compare several new articles with what their keys have found (`hits`, of the state's `lookup`), all at once.

    What an article has in common with another never changes, so nothing depends on when it is counted. Where there are
    more than will be compared, it is left until it is known which.
    """
    out, some, rows = [NOT_COMPARED] * len(made), [], []
    for n, (_, found) in enumerate(hits):
        if len(found) and len(there := set(found.tolist())) <= MOST_CANDIDATES:
            out[n] = Compared(frozenset(there))
            some.append(n)
            rows.append(list(there))
    of = np.repeat(np.arange(len(some)), [len(there) for there in rows])
    flat = np.array([row for there in rows for row in there], np.int64)
    for n, row, counts in compare_many([made[n] for n in some], state.table, of, flat):
        out[some[n]].counts[row] = counts
    return out


def links(
    made: Fingerprint,
    hits: Hits,
    outlet: int,
    state: PartitionState,
    options: DedupOptions,
    part: Part | None = None,
    compared: Compared = NOT_COMPARED,
) -> Links:
    """Return the links of the article that `made` is of; `hits` is what the state's `lookup` said of its keys, `part`
    the part of it that is already known to be its story, `compared` what is known of what it has in common.

    An article that holds others as parts has the story of the one that was first linked with it; others are linked
    with it only where they lie in the same part. What links the whole texts comes first, then what is in a cluster
    that is linked already. So a round-up belongs to one of the clusters that it holds, and leads no two together.
    """
    table = state.table
    likely = sorted(
        (-shared.similarity, -shared.containment, int(table.seq[row]), row, shared)
        for row, shared in _overlaps(made, hits, outlet, state, compared)
        if refusal(shared, None, options) is None
    )
    if not likely:
        return Links()
    whole: list[tuple[int, Overlap, Part | None, Part | None]] = []
    partial: list[tuple[int, Overlap, Part | None, Part | None]] = []
    clusters: set[str] = set()
    for _, _, _, row, shared in likely:
        alike = shared.similarity >= ALIKE
        if alike and clusters and state.cluster(row)[0] in clusters:
            continue
        seen = look(made, table.fingerprint(row))
        if refusal(shared, seen, options) is not None:
            continue
        if alike:
            clusters.add(state.cluster(row)[0])
            own = held = None
        else:
            own, held = (_part(span) for span in seen.spans)
        (whole if own is None else partial).append((row, shared, own, held))
    if clusters:
        # A copy of a round-up has the story that the round-up has.
        partial.sort(key=lambda link: state.cluster(link[0])[0] not in clusters)
    found = []
    for row, shared, own, held in whole + partial:
        known = state.part(row)
        if _apart(own, part) or _apart(held, known):
            continue
        part = part or own
        found.append(Link(row, shared, held if known is None else None))
    found.sort(key=lambda link: (-link.overlap.similarity, -link.overlap.containment, int(table.seq[link.row])))
    return Links(tuple(found), part)


def _overlaps(
    made: Fingerprint, hits: Hits, outlet: int, state: PartitionState, compared: Compared
) -> Iterator[tuple[int, Overlap]]:
    """What the article has in common with the candidates, where that is anything to speak of."""
    candidates = state.candidates(made.keys, hits).tolist()
    if not candidates:
        return
    table, others = state.table, []
    for row in candidates:
        if row not in compared.rows:
            others.append(row)
        elif counts := compared.counts.get(row):
            yield row, overlap(counts, outlet != 0 and outlet == int(table.outlet[row]))
    if others:
        yield from zip(others, compare(made, table, np.array(others, np.int64), outlet), strict=True)


def _part(span: Span) -> Part | None:
    start, end = span
    if end - start >= WIDE:
        return None
    start = min(start, 254)
    return Part(start=start, end=max(end, start + 1))


def _apart(left: Part | None, right: Part | None) -> bool:
    """Whether less than a quarter of the shorter of two parts lies in the other; nothing is apart from a whole."""
    if left is None or right is None:
        return False
    common = min(left.end, right.end) - max(left.start, right.start)
    return 4 * common < min(left.end - left.start, right.end - right.start)
