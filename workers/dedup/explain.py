"""Why two articles are or are not copies: what dedup measures, beside what it asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.codec import decode, encode
from schemas.messages import Article, DedupLogEntry
from schemas.topics import ARTICLES
from workers.dedup import lineage
from workers.dedup.fingerprint import fingerprint
from workers.dedup.options import DedupOptions
from workers.dedup.stage import DedupStage
from workers.dedup.table import Table
from workers.dedup.verify import LEAST_SHARED, Look, Overlap, compare, evidence, look, needed, refusal
from workers.stage import Emit, Record


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
        f"agencies credited: {', '.join(found.origins[0]) or 'none'}; {', '.join(found.origins[1]) or 'none'}",
    ]
    if entry.changes is not None:
        changes = entry.changes
        out.append(
            f"changes: headline {'other' if changes.headline else 'same'}, {changes.paragraphs_added} paragraphs new, "
            f"{changes.paragraphs_removed} gone, {changes.words:+d} words, {changes.numbers} other numbers"
        )
    return out


def _origins(article: Article) -> tuple[str, ...]:
    return lineage.names(lineage.origins(article.body, article.authors))
