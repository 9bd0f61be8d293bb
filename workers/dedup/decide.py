"""The verdict on one article, from what the state knows. Reads the state and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec import Struct

from schemas.messages import Article, Holder, Match, Part
from workers.dedup import lineage
from workers.dedup.decisions import Decision, from_us, unpack
from workers.dedup.fingerprint import Fingerprint
from workers.dedup.index import Hits
from workers.dedup.links import ALIKE, Compared, Link, Links, links
from workers.dedup.options import DedupOptions
from workers.dedup.state import SEVERAL, PartitionState
from workers.dedup.table import Table
from workers.dedup.verify import Overlap, changes, compare

MOSTLY: Final = 0.5
"""A text of which this share is in another is mostly part of it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is found out from an article alone: it, its fingerprint and the agencies that it credits."""

    article: Article
    made: Fingerprint
    origins: tuple[int, ...]


class Outcome(Struct, frozen=True):
    """A decision; the number that stands for the outlet when it wrote most of its copy itself; and what else the state
    learns: the part of the article that is its story, and articles of which this story is a part."""

    decision: Decision
    writer: int | None = None
    part: Part | None = None
    holders: tuple[Holder, ...] = ()


def decide(
    prepared: Prepared,
    hits: Hits,
    compared: Compared,
    state: PartitionState,
    options: DedupOptions,
    version: str,
) -> Outcome:
    """Return the verdict on a live article; `hits` is what the state's `lookup` said of its keys, `compared` what it is
    known to have in common with them."""
    article, made = prepared.article, prepared.made
    outlet = lineage.outlet(article.source)
    current = state.current(article.id)
    if current >= 0:
        known = state.revision_of(article.id, article.content_hash)
        if known >= 0:
            found = _Found(known, "recrawl.same_id_and_text", int(state.table.revision[known]))
            return _outcome(prepared, Decision("recrawl"), found, state, version)
        return _revision(prepared, current, hits, compared, state, options, version)
    first = state.text(article.content_hash)
    if first >= 0:
        found = _Found(first, "exact_copy.same_text", 1)
        if int(state.table.outlet[first]) not in (SEVERAL, outlet):
            # What two outlets publish is judged less strictly than what one does twice: there may be new links.
            before = state.part(first)
            linked = links(made, hits, outlet, state, options, before, compared)
            part = linked.part if before is None else None
            found = _Found(first, found.rule, 1, linked=linked.found, part_of_match=part)
        return _outcome(prepared, Decision("exact_copy"), found, state, version)
    linked = links(made, hits, outlet, state, options, compared=compared)
    if not linked.found:
        agencies = lineage.mask(names := lineage.names(prepared.origins))
        return Outcome(Decision("unique", origins=names, independent_sources=lineage.independent(agencies, 0)))
    best = linked.found[0]
    near = _Found(best.row, _rule(best.overlap), 1, best.overlap, linked.found, linked.part)
    return _outcome(prepared, Decision("near_copy"), near, state, version)


def _revision(
    prepared: Prepared,
    current: int,
    hits: Hits,
    compared: Compared,
    state: PartitionState,
    options: DedupOptions,
    version: str,
) -> Outcome:
    """A revision stays in its cluster. What its new text is linked with comes in, unless it has become another story:
    a front page must not join all that it ever showed."""
    article, made, table = prepared.article, prepared.made, state.table
    outlet = lineage.outlet(article.source)
    overlap = compare(made, table, np.array([current]))[0]
    before = table.fingerprint(current)
    linked, same_text = Links(), -1
    if overlap.containment >= MOSTLY:
        linked = links(made, hits, outlet, state, options, compared=compared)
        same_text = state.text(article.content_hash)
    found = _Found(
        current,
        "revision.same_id_other_text",
        int(table.revision[current]) + 1,
        overlap,
        linked.found,
        linked.part,
        same_text,
    )
    return _outcome(prepared, Decision("revision", changes=changes(made, before, overlap)), found, state, version)


def _rule(overlap: Overlap) -> str:
    """How a near copy is told: a trimmed copy is contained in the other, a round-up or a longer version covers it."""
    if overlap.similarity >= ALIKE:
        return "near_copy.similarity"
    if overlap.contained >= max(MOSTLY, overlap.covers):
        return "near_copy.contained"
    return "near_copy.covers" if overlap.covers >= MOSTLY else "near_copy.rewritten"


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
    """The row matched, by which rule, and the revision that the article gets; the links by which clusters join it;
    the part of the article that is its story; that of the row matched, when its text is the article's and it was not
    known; another row with the same text, or -1."""

    row: int
    rule: str
    revision: int
    overlap: Overlap | None = None
    linked: tuple[Link, ...] = ()
    part: Part | None = None
    same_text: int = -1
    part_of_match: Part | None = None


def _outcome(prepared: Prepared, decision: Decision, found: _Found, state: PartitionState, version: str) -> Outcome:
    """Complete `decision` with the cluster, the evidence and the sources."""
    article, overlap = prepared.article, found.overlap
    cluster, joins = _clusters(state, found)
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
    held = [(link.row, link.held) for link in found.linked] + [(found.row, found.part_of_match)]
    return Outcome(
        decided, writer, found.part, tuple(_holder(table, row, part) for row, part in held if part is not None)
    )


def _holder(table: Table, row: int, part: Part) -> Holder:
    return Holder(article_id=table.digest(table.id, row), content_hash=table.digest(table.hash, row), part=part)


def _clusters(state: PartitionState, found: _Found) -> tuple[str, tuple[str, ...]]:
    """Return the cluster, of those of the rows found, whose first article came first, and the others, the oldest
    first."""
    roots: dict[str, int] = {}
    for row in (found.row, *(link.row for link in found.linked), *((found.same_text,) if found.same_text >= 0 else ())):
        cluster, head = state.cluster(row)
        roots.setdefault(cluster, int(state.table.seq[head]) if head >= 0 else -1)
    ordered = sorted(roots, key=lambda cluster: (roots[cluster], cluster))
    return ordered[0], tuple(ordered[1:])
