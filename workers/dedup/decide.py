"""The verdict on one article, from what the state knows. Reads the state and changes nothing."""

from __future__ import annotations

from typing import Final

import numpy as np

from schemas.messages import Article, Match
from workers.dedup.decisions import PLAIN, Decision, Verdict, from_us, unpack
from workers.dedup.fingerprint import U32, Fingerprint
from workers.dedup.options import DedupOptions
from workers.dedup.state import PartitionState
from workers.dedup.verify import Likeness, compare, is_copy

ALIKE: Final = 0.5
"""From this similarity on, the rule of a near copy is named `near_copy.similarity`, below it `near_copy.containment`
(one text is largely part of the other: a trimmed copy, a round-up)."""


def decide(article: Article, made: Fingerprint, probes: U32, state: PartitionState, options: DedupOptions) -> Decision:
    """Return the verdict on a live article whose fingerprint is `made`."""
    current = state.current(article.id)
    if current >= 0:
        known = state.revision_of(article.id, article.content_hash)
        if known >= 0:
            return _decision(state, known, "recrawl", _same(state, known, "recrawl.same_id_and_text"))
        return _revision(state, current, made)
    first = state.text(article.content_hash)
    if first >= 0:
        return _decision(state, first, "exact_copy", _same(state, first, "exact_copy.same_text"), revision=1)
    return _near_copy(state, made, probes, options) or PLAIN


def recall(article: Article, state: PartitionState) -> Decision | None:
    """Return the decision that was logged when this article was first seen with this text, or None if unknown."""
    known = state.revision_of(article.id, article.content_hash)
    return None if known < 0 else unpack(state.table.decisions[known])


def known_revision(article: Article, state: PartitionState) -> int:
    """Return the latest known revision of the article; 1 when it is not known."""
    current = state.current(article.id)
    return 1 if current < 0 else int(state.table.revision[current])


def _near_copy(state: PartitionState, made: Fingerprint, probes: U32, options: DedupOptions) -> Decision | None:
    """The most similar candidate that verification lets pass; of equals the one that came first."""
    rows = state.candidates(probes)
    if not len(rows):
        return None
    table = state.table
    likely = [
        (-like.similarity, -like.containment, int(table.seq[row]), row, like)
        for row, like in zip(rows.tolist(), compare(made, table, rows), strict=True)
        if is_copy(like, options)
    ]
    if not likely:
        return None
    *_, row, like = min(likely, key=lambda found: found[:3])
    rule = "near_copy.similarity" if like.similarity >= ALIKE else "near_copy.containment"
    return _decision(state, row, "near_copy", _match(state, row, like, rule), revision=1)


def _revision(state: PartitionState, current: int, made: Fingerprint) -> Decision:
    like = compare(made, state.table, np.array([current]))[0]
    match = _match(state, current, like, "revision.same_id_other_text")
    return _decision(state, current, "revision", match, revision=int(state.table.revision[current]) + 1)


def _decision(
    state: PartitionState,
    row: int,
    verdict: Verdict,
    match: Match,
    revision: int | None = None,
) -> Decision:
    table = state.table
    if revision is None:
        revision = int(table.revision[row])
    return Decision(verdict, revision, table.digest(table.cluster, row), match)


def _same(state: PartitionState, row: int, rule: str) -> Match:
    return _evidence(state, row, 1.0, 1.0, rule)


def _match(state: PartitionState, row: int, like: Likeness, rule: str) -> Match:
    return _evidence(state, row, round(like.similarity, 4), round(like.containment, 4), rule)


def _evidence(state: PartitionState, row: int, similarity: float, containment: float, rule: str) -> Match:
    table = state.table
    return Match(
        article_id=table.digest(table.id, row),
        similarity=similarity,
        containment=containment,
        first_seen=from_us(int(table.first_us[row])),
        rule=rule,
        url=table.urls[row],
    )
