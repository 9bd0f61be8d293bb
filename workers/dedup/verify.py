"""Verification: how much two texts share, estimated from their fingerprints, and whether that makes them copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.dedup.fingerprint import FACT_END, PAIR_END, Fingerprint
from workers.dedup.options import DedupOptions
from workers.dedup.table import Table

LEAST_SHARED: Final = 8
"""Fewer common pairs than this in the sketches prove nothing."""

FACTLESS_SIMILARITY: Final = 0.8
"""Least similarity of two texts without any number or name: nothing else could tell them apart."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """`similarity`: estimated Jaccard similarity of the word pairs; `containment`: the larger share of common pairs in
    one of the two texts; `facts`: (common + 1) / (all + 4) facts of that text, so that few facts prove little."""

    similarity: float
    containment: float
    facts: float
    shared_pairs: int
    any_facts: bool


def compare(made: Fingerprint, table: Table, rows: NDArray[np.int64]) -> list[Likeness]:
    """Return how like `made` each of `rows` is.

    Below the smaller of the two bounds both sketches are complete; everything is counted there.
    """
    sizes, whole = table.sizes[rows], table.whole[rows]
    pairs = _overlap(made.pairs, made.pairs_bound, table.pairs[rows], sizes[:, 0], whole[:, 0], PAIR_END)
    facts = _overlap(made.facts, made.facts_bound, table.facts[rows], sizes[:, 1], whole[:, 1], FACT_END)
    return [_likeness(p, f) for p, f in zip(pairs, facts, strict=True)]


def is_copy(like: Likeness, options: DedupOptions) -> bool:
    """Whether two texts that are so alike are copies of one story, and not two fillings of one template."""
    if like.shared_pairs < LEAST_SHARED or like.similarity < options.similarity:
        return False
    if not like.any_facts:
        return like.similarity >= max(FACTLESS_SIMILARITY, options.containment)
    return like.containment >= options.containment and like.facts >= options.facts


def _overlap(
    left: NDArray[np.unsignedinteger],
    left_bound: int,
    rights: NDArray[np.unsignedinteger],
    sizes: NDArray[np.uint8],
    whole: NDArray[np.bool_],
    end: int,
) -> list[tuple[int, int, int]]:
    """Return (common, of left, of right) for `left` with each row of `rights`, below the smaller of the bounds."""
    last = rights[np.arange(len(rights)), np.maximum(sizes.astype(np.int64), 1) - 1].astype(np.int64)
    bounds = np.minimum(np.where(whole, end, last + 1), left_bound)
    below = rights < bounds[:, None]
    of_left = np.searchsorted(left.astype(np.int64), bounds)
    if not len(left):
        return [(0, 0, n) for n in below.sum(axis=1).tolist()]
    at = np.minimum(np.searchsorted(left, rights.ravel()).reshape(rights.shape), len(left) - 1)
    common = ((left[at] == rights) & below).sum(axis=1)
    return list(zip(common.tolist(), of_left.tolist(), below.sum(axis=1).tolist(), strict=True))


def _likeness(pairs: tuple[int, int, int], facts: tuple[int, int, int]) -> Likeness:
    common, left, right = pairs
    union = left + right - common
    common_facts, left_facts, right_facts = facts
    # The text with the larger share in common has the fewer pairs: it is the one that is contained.
    inner_facts = left_facts if left <= right else right_facts
    return Likeness(
        similarity=common / union if union else 0.0,
        containment=common / min(left, right) if common else 0.0,
        facts=(common_facts + 1) / (inner_facts + 4),
        shared_pairs=common,
        any_facts=bool(left_facts or right_facts),
    )
