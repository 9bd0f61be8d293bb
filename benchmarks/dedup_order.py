"""Dedup over a labelled stream, in order and shuffled: do the same articles end in the same clusters?"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from benchmarks.dedup_articles import article
from schemas.codec import decode, encode
from schemas.messages import DedupLogEntry
from schemas.topics import ARTICLES
from workers.dedup import DedupOptions, DedupStage
from workers.stage import Emit, Record

Document = dict[str, Any]
EVER = DedupOptions(window=timedelta(days=3650))
"""What leaves the window can't be invariant: of two texts further apart than the window, one is gone."""


def run(documents: Sequence[Document], options: DedupOptions | None = None) -> tuple[list[DedupLogEntry], float]:
    """Return what dedup logs for each document, and the processor seconds, reading and writing JSON included."""
    records = []
    for offset, row in enumerate(documents):
        made = article(row["url"], row["source"], row["title"], row["text"], datetime.fromisoformat(row["fetched_at"]))
        records.append(Record(ARTICLES, 0, offset, made.id.encode(), encode(made)))
    stage, outcomes = DedupStage(options), []
    start = time.process_time()
    for at in range(0, len(records), 500):
        outcomes.extend(stage.process(records[at : at + 500]))
        stage.commit()
    spent = time.process_time() - start
    entries = []
    for row, outcome in zip(documents, outcomes, strict=True):
        if not isinstance(outcome, Emit) or outcome.log is None:
            raise SystemExit(f"{row['url']} was refused: {outcome}")
        entries.append(decode(outcome.log.value, DedupLogEntry))
    return entries, spent


def members(entries: Sequence[DedupLogEntry]) -> list[list[str]]:
    """Return the clusters in the end, each as its article ids in order of arrival. A document that comes again counts
    once: its cluster is that of the article."""
    above: dict[str, str] = {}

    def root(cluster: str) -> str:
        while above.get(cluster, cluster) != cluster:
            cluster = above[cluster]
        return cluster

    first: dict[str, str] = {}
    for entry in entries:
        first.setdefault(entry.id, entry.cluster_id)
        for other in entry.joins:
            if root(other) != root(entry.cluster_id):
                above[root(other)] = root(entry.cluster_id)
    found: dict[str, list[str]] = {}
    for identity, cluster in first.items():
        found.setdefault(root(cluster), []).append(identity)
    return list(found.values())


def agreement(documents: Sequence[Document], shuffles: int) -> str:
    """Feed the documents in `shuffles` other orders; return, over all, how many of the pairs of articles put together
    are the same as in the order given, and how often all of them are."""
    wanted = _pairs(run(documents, EVER)[0])
    same, both, put = 0, 0, 0
    for seed in range(shuffles):
        order = list(documents)
        random.Random(seed).shuffle(order)
        found = _pairs(run(order, EVER)[0])
        same, both, put = same + (found == wanted), both + len(found & wanted), put + len(found) + len(wanted)
    return f"{200 * both / put if put else 100:.3f} % of {len(wanted)} pairs; {same} of {shuffles} orders the same"


def _pairs(entries: Sequence[DedupLogEntry]) -> set[tuple[str, str]]:
    return {(min(a, b), max(a, b)) for group in members(entries) for n, a in enumerate(group) for b in group[:n]}
