"""Why two articles are or are not copies: what dedup measures, beside what it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.codec import decode, encode
from schemas.messages import Article, DedupLogEntry, Part
from schemas.topics import ARTICLES
from workers.dedup import lineage
from workers.dedup.differences import Differences, differences
from workers.dedup.fingerprint import fingerprint
from workers.dedup.options import DedupOptions
from workers.dedup.stage import DedupStage
from workers.dedup.table import Table
from workers.dedup.verify import LEAST_SHARED, Look, Overlap, compare, evidence, look, needed, refusal
from workers.stage import Emit, Record

MOST_SHOWN: Final = 12
"""Names or numbers of a kind that are listed."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """`entry` is what dedup logs for the second article when the first alone is known. `candidate`: whether they share
    a key, so that they are compared at all, however full the window is. `refusal`: why the texts are not near copies,
    None when they are (see `workers.dedup.verify`); it doesn't count where ids or whole texts are equal."""

    entry: DedupLogEntry
    candidate: int
    overlap: Overlap
    seen: Look
    evidence: float
    needed: float
    refusal: str | None
    origins: tuple[tuple[str, ...], tuple[str, ...]]
    differ: Differences


def explain(first: Article, second: Article, options: DedupOptions) -> Explanation:
    """Return what dedup makes of `second` after `first`."""
    stage = DedupStage(options)
    records = [
        Record(ARTICLES, 0, n, article.id.encode(), encode(article)) for n, article in enumerate((first, second))
    ]
    outcome = stage.process(records)[1]
    if not isinstance(outcome, Emit) or outcome.log is None:
        raise ValueError(f"not an article: {outcome}")
    older, newer = (fingerprint(article.headline, article.body) for article in (first, second))
    table = Table()
    table.grow(1)
    table.put(0, older, outlet=lineage.outlet(first.source))
    overlap = compare(newer, table, np.array([0]), lineage.outlet(second.source))[0]
    seen = look(newer, older)
    return Explanation(
        entry=decode(outcome.log.value, DedupLogEntry),
        candidate=len(np.intersect1d(older.keys, newer.keys)),
        overlap=overlap,
        seen=seen,
        evidence=evidence(overlap, seen),
        needed=needed(overlap, seen, options),
        refusal=refusal(overlap, None, options) or refusal(overlap, seen, options),
        origins=(_origins(first), _origins(second)),
        differ=differences(f"{first.headline}\n\n{first.body}", f"{second.headline}\n\n{second.body}"),
    )


_REASONS = {
    "little_shared": "too few words in common",
    "other_numbers": "other numbers beside the same words: another issue of the same template",
    "shared_passage": "what they share is one passage, not the story: a quotation, or a house text",
}


def lines(found: Explanation, options: DedupOptions) -> list[str]:
    """Return `found` for a person to read, a line each."""
    entry, overlap, seen = found.entry, found.overlap, found.seen
    out = [f"verdict: {entry.verdict}" + (f" by {entry.match.rule}" if entry.match else "")]
    if entry.verdict in ("unique", "near_copy"):
        why = "they are copies" if found.refusal is None else f"not copies: {_REASONS[found.refusal]}"
        out.append(f"why: {why if found.candidate else 'they share no key, so they are not even compared'}")
    out += [
        f"keys in common: {found.candidate} (at least 1 to be compared)",
        f"word pairs in common: {overlap.shared} of the sketches (at least {LEAST_SHARED})",
        f"similarity: {overlap.similarity:.3f} (at least {options.similarity:g})",
        f"share of the second text that is in the first: {overlap.contained:.3f}",
        f"share of the first text that is in the second: {overlap.covers:.3f} (one of the two at least "
        f"{options.containment:g})",
        f"words beside numbers: {seen.agree} with the same numbers, {seen.differ} with others (not more than the same, "
        "from three on)",
        f"names in common: {overlap.names:.2f} of the shorter text's",
        f"openings in common: {seen.opening:.2f} of 2; longest stretch of one text's own: {seen.gap:.2f} of it",
        f"evidence for one story: {found.evidence:.2f} (here at least {found.needed:.2f}"
        + (", as both are of one outlet)" if overlap.same_outlet else ")"),
        *_differing(found.differ),
        f"agencies credited: {', '.join(found.origins[0]) or 'none'}; {', '.join(found.origins[1]) or 'none'}",
        *_linked(entry),
    ]
    if entry.changes is not None:
        changes = entry.changes
        out.append(
            f"changes: headline {'other' if changes.headline else 'same'}, {changes.paragraphs_added} paragraphs new, "
            f"{changes.paragraphs_removed} gone, {changes.words:+d} words, {changes.numbers} other numbers"
        )
    return out


def _differing(differ: Differences) -> list[str]:
    """What the texts themselves say differently: all of it, where the figures above are of samples."""
    out = []
    for what, (first, second), common in (
        ("names", differ.names, differ.common_names),
        ("numbers", differ.numbers, differ.common_numbers),
    ):
        if first or second or common:
            out.append(
                f"{what}: {common} in both; in the first alone: {_some(first)}; in the second alone: {_some(second)}"
            )
    if differ.beside:
        said = [f"{word} ({first}; {second})" for word, first, second in differ.beside]
        out.append(f"other numbers beside the same word: {_some(said)}")
    return out


def _linked(entry: DedupLogEntry) -> list[str]:
    """Which cluster the second is in, over what, and who is behind it."""
    if entry.match is None:
        return [f"linked: no; the second begins the cluster {entry.cluster_id}"]
    out = [f"linked: with {entry.match.article_id}, in the cluster {entry.cluster_id}"]
    if entry.part is not None:
        out.append(f"the story is a part of the second text: {_share(entry.part)} of it")
    out += [f"the story is a part of the first text: {_share(held.part)} of it" for held in entry.holders]
    out.append(f"independent sources of the cluster: {entry.independent_sources}")
    return out


def _share(part: Part) -> str:
    return f"from {part.start / 256:.0%} to {part.end / 256:.0%}"


def _some(items: Sequence[str]) -> str:
    shown = ", ".join(items[:MOST_SHOWN])
    return f"{shown} and {len(items) - MOST_SHOWN} more" if len(items) > MOST_SHOWN else shown or "none"


def _origins(article: Article) -> tuple[str, ...]:
    return lineage.names(lineage.origins(article.body, article.authors))
