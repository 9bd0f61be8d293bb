"""Verification: how much two texts share, estimated from their fingerprints, and whether that makes them copies.

Two steps. `compare` counts, for many candidates at once, what the sketches have in common. `look` goes into one
candidate that shares enough: where in both texts the common passages are, and whether numbers agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.messages import Changes
from workers.dedup.fingerprint import END, U8, U16, Fingerprint
from workers.dedup.letters import Bools, Ints
from workers.dedup.options import DedupOptions
from workers.dedup.table import Table

LEAST_SHARED: Final = 8
"""Fewer common pairs than this in the sketches prove nothing."""

OPENING: Final = 64
"""Where the opening of a text ends, in 256ths of it: the lead and what follows."""

FEWEST_NUMBERS: Final = 3
"""So many words beside numbers must be common before numbers can speak against a copy."""

MOST_OWN: Final = 0.5
"""A longer stretch of its own in both texts makes what they share a passage."""

_STEEPNESS: Final = 2.0
_SAME_OUTLET: Final = 0.6
_ENOUGH: Final = 1.9
_WHOLLY: Final = 0.97
_STRETCH: Final = 0.15

_TOGETHER: Final = 32
"""New texts that are compared together: their marks, 64 KiB each, fit into the second cache."""
_PASS: Final = 1024
"""Pairs of texts that are compared together."""
_STRIDE: Final = END + 1

END_PLACE: Final = 255
"""The last place in a text."""

Span = tuple[int, int]
"""First and last place of a part of a text, in 256ths of it."""

NAMELESS: Final = 0.5
"""What counts for the names of a text that has none."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two sketches of pairs and of names have in common below the lower of their bounds.

    `similarity`: estimated Jaccard similarity of the word pairs. `contained`: share of the first text's pairs that are
    in the second; `covers`: share of the second's that are in the first. `names`: share of the names of the shorter
    text (by pairs) that are in the other. `same_outlet`: both were published by one outlet.
    """

    shared: int
    similarity: float
    contained: float
    covers: float
    names: float
    same_outlet: bool = False

    @property
    def containment(self) -> float:
        """The larger of the two shares."""
        return max(self.contained, self.covers)


@dataclass(frozen=True, slots=True)
class Look:
    """What `look` finds. `opening`: share of the openings' pairs that are common, of the first text plus of the second
    (0 to 2). `gap`: the longest run of pairs that are not common, as a share of all: in the text where it is shorter;
    `longer_gap`: in the other. `spans`: where in the first text and in the second the common pairs lie (first and last
    place, in 256ths), a tenth of them at either end left aside.
    `agree`, `differ`: words beside numbers in both texts, with the same numbers and with others."""

    opening: float
    gap: float
    longer_gap: float
    spans: tuple[Span, Span]
    agree: int
    differ: int


def compare(made: Fingerprint, table: Table, rows: NDArray[np.int64], outlet: int = 0) -> list[Overlap]:
    """Return what `made`, published by `outlet` (0: unknown), has in common with each of `rows`."""
    counted = _counts([made], table, np.zeros(len(rows), np.int64), rows)
    others = table.outlet[rows].tolist()
    return [
        overlap(counts, outlet != 0 and outlet == other)
        for counts, other in zip(counted.T.tolist(), others, strict=True)
    ]


def compare_many(
    made: Sequence[Fingerprint], table: Table, of: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[tuple[int, int, list[int]]]:
    """Compare, for each n, `made[of[n]]` (`of` ascends) with `rows[n]`: much cheaper than one by one.

    Returns (of, row, counts) of those that have as much in common as proves anything; `overlap` takes the counts.
    """
    out: list[tuple[int, int, list[int]]] = []
    edges = np.searchsorted(of, np.arange(0, len(made) + _TOGETHER, _TOGETHER)).tolist()
    for first, (start, end) in enumerate(pairwise(edges)):
        for at in range(start, end, _PASS):
            some = slice(at, min(end, at + _PASS))
            texts = made[first * _TOGETHER : (first + 1) * _TOGETHER]
            counted = _counts(texts, table, of[some] - first * _TOGETHER, rows[some])
            enough = np.flatnonzero(counted[0] >= LEAST_SHARED)
            out.extend(
                zip(of[some][enough].tolist(), rows[some][enough].tolist(), counted[:, enough].T.tolist(), strict=True)
            )
    return out


def overlap(counts: Sequence[int], same_outlet: bool) -> Overlap:
    """Return the overlap in which there are these pairs: common, of the first text, of the second; and such names."""
    common, left, right, common_names, left_names, right_names = counts
    # Of equally long texts the one with fewer names, so that it doesn't matter which of the two is the first.
    inner_names = min((left, left_names), (right, right_names))[1]
    return Overlap(
        shared=common,
        similarity=common / (left + right - common) if common else 0.0,
        contained=common / left if common else 0.0,
        covers=common / right if common else 0.0,
        names=common_names / inner_names if inner_names else NAMELESS,
        same_outlet=same_outlet,
    )


def look(left: Fingerprint, right: Fingerprint) -> Look:
    """Compare two texts that have at least one pair in common."""
    in_left, in_right = _common(left, right)
    sides = (left.places[: len(in_left)], in_left), (right.places[: len(in_right)], in_right)
    agree, differ = _numbers(left, right)
    openings = [_opening(places, common) for places, common in sides]
    gaps = [_gap(places, common) for places, common in sides]
    return Look(
        opening=sum(openings),
        gap=min(gaps),
        longer_gap=max(gaps),
        spans=(_span(*sides[0]), _span(*sides[1])),
        agree=agree,
        differ=differ,
    )


def refusal(overlap: Overlap, seen: Look | None, options: DedupOptions) -> str | None:
    """Return why two texts are not copies of one story, or None when they are.

    `seen` None asks what `compare` alone can say. The reasons: `little_shared`; `other_numbers` beside the same words:
    the next issue of a template; `shared_passage`: a quotation, or the house text under two short items.
    """
    if (
        overlap.shared < LEAST_SHARED
        or overlap.similarity < options.similarity
        or overlap.containment < options.containment
    ):
        return "little_shared"
    if seen is None:
        return None
    if seen.agree + seen.differ >= FEWEST_NUMBERS and seen.differ > seen.agree:
        return "other_numbers"
    if seen.gap > MOST_OWN or evidence(overlap, seen) < needed(overlap, seen, options):
        return "shared_passage"
    return None


def evidence(overlap: Overlap, seen: Look) -> float:
    """How much speaks for one story: common openings and names for it, a long stretch of its own against it."""
    return seen.opening + overlap.names / 2 - seen.gap


def needed(overlap: Overlap, seen: Look, options: DedupOptions) -> float:
    """The evidence that makes a copy: more where neither text has half of the other, as with a passage quoted; and
    more, the more alike they are: openings of copies are as alike as the rest, those over a common house text aren't.
    One outlet seldom publishes a story twice under two addresses, but often two stories over one house text: then at
    least one of them has a stretch of its own.
    """
    least = (
        options.evidence
        + _STEEPNESS * max(0.0, 0.5 - overlap.containment)
        + _STEEPNESS * max(0.0, overlap.similarity - 0.4)
    )
    if overlap.same_outlet and overlap.containment < _WHOLLY and seen.longer_gap > _STRETCH:
        return max(least, min(_ENOUGH, least + _SAME_OUTLET))
    return least


def changes(new: Fingerprint, old: Fingerprint, overlap: Overlap) -> Changes:
    """Return what a revision changed; `overlap` is of the new text with the old."""
    before, after = old.paragraphs.tolist(), new.paragraphs.tolist()
    known = set(before)
    fresh = [n for n, paragraph in enumerate(after) if paragraph not in known]
    quarter = len(after) / 4
    parts = {"opening" if n < quarter else "end" if n >= len(after) - quarter else "middle" for n in fresh}
    return Changes(
        headline=new.headline != old.headline,
        added=round(1 - overlap.contained, 4),
        removed=round(1 - overlap.covers, 4),
        paragraphs_added=len(fresh),
        paragraphs_removed=len(known.difference(after)),
        words=new.length - old.length,
        numbers=_numbers(new, old)[1],
        parts=tuple(part for part in ("opening", "middle", "end") if part in parts),
    )


def _common(left: Fingerprint, right: Fingerprint) -> tuple[Bools, Bools]:
    """Which pairs of each text are in the other, below the lower of their bounds."""
    bound = min(left.bounds[0], right.bounds[0])
    a, b = left.pairs[: np.searchsorted(left.pairs, bound)], right.pairs[: np.searchsorted(right.pairs, bound)]
    marks = np.zeros(END + 1, bool)
    marks[b] = True
    in_left = marks[a]
    marks[b] = False
    marks[a] = True
    return in_left, marks[b]


def _counts(made: Sequence[Fingerprint], table: Table, of: NDArray[np.int64], rows: NDArray[np.int64]) -> Ints:
    """Return, for each n, how many pairs `made[of[n]]` and `rows[n]` have in common, how many the one and how many the
    other has, below the smaller of their bounds; then the same of names. 6 x n."""
    # The records are fetched once: they lie far apart.
    records = table.records.take(rows)
    sizes, whole = records["sizes"].astype(np.int64), records["whole"]
    bounds = np.array([one.bounds for one in made])
    pairs = _common_counts([one.pairs for one in made], bounds[:, 0], of, records["pairs"], sizes[:, 0], whole[:, 0])
    names = _common_counts([one.names for one in made], bounds[:, 1], of, records["names"], sizes[:, 1], whole[:, 1])
    return np.concatenate([pairs, names])


def _common_counts(lefts: Sequence[U16], left_bounds: Ints, of: Ints, rights: U16, sizes: Ints, whole: Bools) -> Ints:
    last = rights[np.arange(len(rights)), np.maximum(sizes, 1) - 1].astype(np.int64)
    bounds = np.minimum(np.where(whole, END, last + 1), left_bounds.take(of))
    below = rights < bounds[:, None]
    # Each text has a stretch of its own among the marks.
    lengths = np.array([len(left) for left in lefts])
    marked = np.concatenate(lefts).astype(np.int64) + np.repeat(np.arange(len(lefts)) * _STRIDE, lengths)
    marks = np.zeros(len(lefts) * _STRIDE, bool)
    marks[marked] = True
    begins = of * _STRIDE
    common = marks.take(rights + begins[:, None])
    common &= below
    of_left = np.searchsorted(marked, begins + bounds) - (np.cumsum(lengths) - lengths).take(of)
    return np.stack([common.sum(axis=1), of_left, below.sum(axis=1)])


def _span(places: U8, common: Bools) -> Span:
    spots = np.sort(places[common])
    if not len(spots):
        return 0, END_PLACE
    aside = len(spots) // 10
    return int(spots[aside]), int(spots[-1 - aside])


def _opening(places: U8, common: Bools) -> float:
    early = places < OPENING
    count = int(np.count_nonzero(early))
    return int(np.count_nonzero(common & early)) / count if count else 0.0


def _gap(places: U8, common: Bools) -> float:
    """Longest run of pairs without a common one, in the order of the text, as a share of all pairs."""
    if not len(places):
        return 1.0
    at = np.flatnonzero(common.take(places.argsort(kind="stable")))
    if not len(at):
        return 1.0
    between = int((at[1:] - at[:-1]).max(initial=1)) - 1
    return max(int(at[0]), between, len(places) - 1 - int(at[-1])) / len(places)


def _numbers(left: Fingerprint, right: Fingerprint) -> tuple[int, int]:
    """Return how many words beside numbers are common (agree, differ): with at least half of the numbers of the text
    that has fewer there, and with less."""
    bound = min(left.bounds[2], right.bounds[2])
    mine, theirs = (made.contexts[: np.searchsorted(made.contexts, bound)].tolist() for made in (left, right))
    both = set(mine).intersection(theirs)
    if not both:
        return 0, 0
    in_left, in_right = _by_context(mine, left, both), _by_context(theirs, right, both)
    agree = sum(
        2 * len(in_left[context] & in_right[context]) >= min(len(in_left[context]), len(in_right[context]))
        for context in both
    )
    return agree, len(both) - agree


def _by_context(contexts: list[int], made: Fingerprint, wanted: set[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {context: set() for context in wanted}
    for context, value in zip(contexts, made.values[: len(contexts)].tolist(), strict=True):
        if context in wanted:
            found[context].add(value)
    return found
