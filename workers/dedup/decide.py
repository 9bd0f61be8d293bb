"""The verdict on one article, from what the state knows. Reads the state and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec import Struct

from schemas.messages import Article, Match
from workers.dedup import lineage
from workers.dedup.decisions import Decision, from_us, unpack
from workers.dedup.fingerprint import Sketched
from workers.dedup.index import Hits
from workers.dedup.options import DedupOptions
from workers.dedup.state import PartitionState
from workers.dedup.verify import Overlap, changes, compare, look, refusal

ALIKE: Final = 0.5
"""From this similarity on, the rule of a near copy is named `near_copy.similarity`. Below it, `near_copy.contained` (a
trimmed copy) or `near_copy.covers` (a round-up, a longer version) when one text is mostly in the other, else
`near_copy.rewritten`."""

MOSTLY: Final = 0.5
"""A text of which this share is in another is mostly part of it."""

JOINING: Final = 0.67
"""An article makes one of two clusters when each has an article that holds so much of it (then they share a third of
it with each other) or shares with it throughout, opening included. So a round-up, whose parts lie beside each other,
doesn't make one story of those that it holds."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is found out from an article alone: it, its fingerprint and the agencies that it credits."""

    article: Article
    sketched: Sketched
    origins: tuple[int, ...]


class Outcome(Struct, frozen=True):
    """A decision, and the number that stands for the outlet when it wrote most of its copy itself."""

    decision: Decision
    writer: int | None = None


def decide(prepared: Prepared, hits: Hits, state: PartitionState, options: DedupOptions, version: str) -> Outcome:
    """Return the verdict on a live article; `hits` is what the state's `lookup` said of its probes."""
    article = prepared.article
    outlet = lineage.outlet(article.source)
    current = state.current(article.id)
    if current >= 0:
        known = state.revision_of(article.id, article.content_hash)
        if known >= 0:
            found = _Found(known, "recrawl.same_id_and_text", int(state.table.revision[known]))
            return _outcome(prepared, Decision("recrawl"), found, state, version)
        overlap = compare(prepared.sketched.made, state.table, np.array([current]), outlet)[0]
        found = _Found(current, "revision.same_id_other_text", int(state.table.revision[current]) + 1, overlap)
        changed = changes(prepared.sketched.made, state.table.fingerprint(current), overlap)
        return _outcome(prepared, Decision("revision", changes=changed), found, state, version)
    first = state.text(article.content_hash)
    if first >= 0:
        return _outcome(prepared, Decision("exact_copy"), _Found(first, "exact_copy.same_text", 1), state, version)
    near = _near_copy(prepared.sketched, hits, state, options, outlet)
    if near is None:
        agencies = lineage.mask(names := lineage.names(prepared.origins))
        return Outcome(Decision("unique", origins=names, independent_sources=lineage.independent(agencies, 0)))
    return _outcome(prepared, Decision("near_copy"), near, state, version)


def recall(article: Article, state: PartitionState) -> Decision | None:
    """Return the decision that was logged when this article was first seen with this text, or None if unknown."""
    known = state.revision_of(article.id, article.content_hash)
    return None if known < 0 else unpack(state.table.decisions[known])


def known_revision(article: Article, state: PartitionState) -> int:
    """Return the latest known revision of the article; 1 when it is not known."""
    current = state.current(article.id)
    return 1 if current < 0 else int(state.table.revision[current])


@dataclass(frozen=True, slots=True)
class _Found:
    """The row matched, by which rule, and the revision that the article gets; rows whose clusters it joins."""

    row: int
    rule: str
    revision: int
    overlap: Overlap | None = None
    joins: tuple[int, ...] = ()


def _near_copy(
    sketched: Sketched, hits: Hits, state: PartitionState, options: DedupOptions, outlet: int
) -> _Found | None:
    """The most similar candidate that verification lets pass; of equals the one that came first."""
    rows = state.candidates(sketched.probes, hits)
    if not len(rows):
        return None
    table = state.table
    likely = sorted(
        (-overlap.similarity, -overlap.containment, int(table.seq[row]), row, overlap)
        for row, overlap in zip(rows.tolist(), compare(sketched.made, table, rows, outlet), strict=True)
        if refusal(overlap, None, options) is None
    )
    best: tuple[int, Overlap, bool] | None = None
    clusters: set[str] = set()
    joins = []
    for _, _, _, row, overlap in likely:
        if best is not None and (not best[2] or state.cluster(row)[0] in clusters):
            continue
        seen = look(sketched.made, table.fingerprint(row))
        if refusal(overlap, seen, options) is not None:
            continue
        whole = overlap.contained >= JOINING or seen.throughout
        if overlap.similarity < ALIKE and _is_collection(unpack(table.decisions[row])):
            continue
        if best is None:
            best = row, overlap, whole
        elif whole:
            joins.append(row)
        else:
            continue
        clusters.add(state.cluster(row)[0])
    if best is None:
        return None
    row, overlap, _ = best
    if overlap.similarity >= ALIKE:
        rule = "near_copy.similarity"
    elif overlap.contained >= max(MOSTLY, overlap.covers):
        rule = "near_copy.contained"
    elif overlap.covers >= MOSTLY:
        rule = "near_copy.covers"
    else:
        rule = "near_copy.rewritten"
    return _Found(row, rule, 1, overlap, tuple(joins))


def _is_collection(decision: Decision) -> bool:
    """Whether an article was found to hold another one among more: what else it holds is another story, or several."""
    return decision.match is not None and decision.match.rule == "near_copy.covers"


def _outcome(prepared: Prepared, decision: Decision, found: _Found, state: PartitionState, version: str) -> Outcome:
    """Complete `decision` with the cluster, the evidence and the sources."""
    article, overlap = prepared.article, found.overlap
    cluster, joins = _clusters(state, (found.row, *found.joins))
    names = lineage.names(prepared.origins)
    writer = lineage.writer(article.source) if found.rule == "near_copy.rewritten" and not names else None
    table = state.table
    match = Match(
        article_id=table.digest(table.id, found.row),
        similarity=round(overlap.similarity, 4) if overlap else 1.0,
        containment=round(overlap.containment, 4) if overlap else 1.0,
        first_seen=from_us(int(table.first_us[found.row])),
        rule=found.rule,
        url=table.urls[found.row],
        contained=round(overlap.contained, 4) if overlap else 1.0,
        covers=round(overlap.covers, 4) if overlap else 1.0,
        version=version,
    )
    behind = state.behind((cluster, *joins), (article.id, match.article_id), names, writer)
    decided = Decision(
        decision.verdict,
        found.revision,
        None if cluster == article.id else cluster,
        match,
        names,
        lineage.independent(*behind),
        joins,
        decision.changes,
    )
    return Outcome(decided, writer)


def _clusters(state: PartitionState, rows: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the cluster of `rows` whose first article came first, and the others, the oldest first."""
    roots: dict[str, int] = {}
    for row in rows:
        cluster, head = state.cluster(row)
        roots.setdefault(cluster, int(state.table.seq[head]) if head >= 0 else -1)
    ordered = sorted(roots, key=lambda cluster: (roots[cluster], cluster))
    return ordered[0], tuple(ordered[1:])
