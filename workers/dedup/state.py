"""The state of one partition: the fold of its log entries.

`apply` is the only thing that changes it, both live and when the log is folded, so a restored state is the live one.
Changes since the last `commit` can be taken back: rows are added and marked dead, and only `commit` unlinks dead ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.messages import DedupLogEntry, Part
from workers.dedup import lineage
from workers.dedup.decisions import Decision, Decisions, pack, to_us
from workers.dedup.fingerprint import EMPTY, U32, Fingerprint
from workers.dedup.index import Hits, Index
from workers.dedup.options import DedupOptions
from workers.dedup.queue import Item, Oldest
from workers.dedup.sizes import KEYS
from workers.dedup.table import Table, words

MOST_POSTINGS: Final = 32
"""Most live articles under one key. A key that so many share is boilerplate; more articles are not put under it."""

MOST_REVISIONS: Final = 8
"""Most revisions of an article whose texts are known; the oldest is forgotten first."""

MOST_CANDIDATES: Final = 32
"""Most articles that a new one is compared with: those that share the most and the rarest keys."""

SEVERAL: Final = 0
"""Stands for the outlet of a text that several have published: it is nobody's alone."""

NEVER: Final = -(1 << 62)
_LOW: Final = 0xFFFFFFFF


class PartitionState:
    """Articles and decisions of the window, of one partition."""

    def __init__(self, options: DedupOptions) -> None:
        self._window_us = options.window_us
        self._most = options.max_entries
        self.table = Table()
        self.by_id = Index(1)
        self.by_text = Index(1)
        self.by_key = Index(KEYS)
        self.decisions = Decisions()
        self.last_offset = -1
        self.watermark_us = NEVER
        self.next_seq = 0
        self.entries = 0
        self._used = 0
        self._free: list[int] = []
        self._oldest = Oldest()
        self._added: list[int] = []
        self._killed: list[int] = []
        self._changed: list[tuple[str, int, Any]] = []
        self._popped: list[Item] = []
        self._before: tuple[int, int, int, int, tuple[int, int]] | None = None

    # ---- reading --------------------------------------------------------------------------------------------------

    def current(self, article_id: str) -> int:
        """Return the row of the latest known revision of the article, or -1."""
        rows = self._with_id(article_id)
        return rows[0] if rows else -1

    def revision_of(self, article_id: str, content_hash: str) -> int:
        """Return the row of the known revision of the article that has this text, or -1."""
        wanted = words(content_hash)
        for row in self._with_id(article_id):
            if tuple(self.table.hash[row].tolist()) == wanted:
                return row
        return -1

    def text(self, content_hash: str) -> int:
        """Return the row of the first article with this text, or -1."""
        wanted = words(content_hash)
        for row in self.by_text.rows(wanted[1] & _LOW, self.table.alive):
            if tuple(self.table.hash[row].tolist()) == wanted:
                return row
        return -1

    def cluster(self, row: int) -> tuple[str, int]:
        """Return the id of the cluster that `row` belongs to now, and the row of that cluster's first article or -1.

        A cluster that was found to be part of another points to it in the row of its first article.
        """
        table = self.table
        cluster = table.digest(table.cluster, row)
        while (head := self.current(cluster)) >= 0 and (above := table.digest(table.cluster, head)) != cluster:
            cluster = above
        return cluster, head

    def behind(
        self, clusters: Sequence[str], articles: Sequence[str], origins: Sequence[str], writer: int | None
    ) -> tuple[int, int]:
        """Return the sets (bits) of agencies and of outlets behind `clusters` and `articles` and what is given."""
        agencies = lineage.mask(origins)
        writers = 0 if writer is None else 1 << writer
        for article_id in (*clusters, *articles):
            row = self.current(article_id)
            if row >= 0:
                agencies |= int(self.table.agencies[row])
                writers |= int(self.table.writers[row])
        return agencies, writers

    def lookup(self, keys: Sequence[U32]) -> list[Hits]:
        """Look up the keys of several articles together, before the first of them is applied."""
        return self.by_key.lookup(keys, self.table.alive)

    def fetch(self, ids: Sequence[str], content_hashes: Sequence[str]) -> None:
        """Look up articles and texts together, which are likely to be asked for before the next commit."""
        for index, digests in ((self.by_id, ids), (self.by_text, content_hashes)):
            index.fetch([words(digest)[1] & _LOW for digest in digests], self.table.alive)

    def part(self, row: int) -> Part | None:
        """Return which part of the text in `row` is the story of its cluster, None when that isn't known to be a part
        alone."""
        start, end = self.table.part[row].tolist()
        return Part(start=start, end=end) if end else None

    def candidates(self, keys: U32, hits: Hits) -> NDArray[np.int64]:
        """Return up to `MOST_CANDIDATES` rows that share some of `keys`: those with the most in common, then the
        oldest. `hits` is what `lookup` said of them."""
        places, found = self.by_key.live(hits, keys, self.table.alive)
        if len(found) <= MOST_CANDIDATES:
            return found if len(found) < 2 else np.array(sorted(set(found.tolist())), np.int64)
        # A key that few share says more than one that many share.
        shares = MOST_POSTINGS // np.minimum(np.bincount(places, minlength=len(keys)), MOST_POSTINGS)[places]
        rows, which = np.unique(found, return_inverse=True)
        weights = np.bincount(which, weights=shares).astype(np.int64)
        return rows[np.lexsort((self.table.seq[rows], -weights))[:MOST_CANDIDATES]]

    def nbytes(self) -> int:
        """Bytes held, about: columns of rows in use; URLs, decisions and queue by their usual size."""
        columns = self.table.nbytes + self.by_id.nbytes + self.by_text.nbytes + self.by_key.nbytes
        heads = self.by_id.head_bytes + self.by_text.head_bytes + self.by_key.head_bytes
        return columns * self._used // max(1, self.table.rows) + heads + self.decisions.nbytes + 200 * self.entries

    # ---- changing -------------------------------------------------------------------------------------------------

    def advance(self, time_us: int) -> None:
        """Move event time on to `time_us` (never back) and let go what falls out of the window."""
        self._begin()
        self.watermark_us = max(self.watermark_us, time_us)
        self._expire(self._most)

    def apply(self, entry: DedupLogEntry, made: Fingerprint, offset: int, hits: Hits) -> None:
        """Fold one log entry, whose fingerprint is `made`; `hits` is what `lookup` said of its keys (at least).
        What is at or below `last_offset` is in it already."""
        if offset <= self.last_offset:
            return
        time_us = to_us(entry.event_time)
        self.advance(time_us)
        cluster = None if entry.cluster_id == entry.id else entry.cluster_id
        packed = pack(
            Decision(
                entry.verdict,
                entry.revision,
                cluster,
                entry.match,
                entry.origins,
                entry.independent_sources,
                entry.joins,
                entry.changes,
            )
        )
        self.decisions.add(offset, time_us, packed)
        self.last_offset = offset
        self._refresh(entry, time_us)
        sources = self._merge(entry)
        for held in entry.holders:
            row = self.revision_of(held.article_id, held.content_hash)
            if row >= 0:
                self._set("part", row, (held.part.start, held.part.end))
        if entry.verdict != "recrawl" or self.current(entry.id) < 0:
            self._add(entry, made, time_us, packed, hits, sources)
        self._expire(self._most)

    def commit(self) -> None:
        """Make everything since the last commit final."""
        dead = np.array(self._killed, np.int64)
        for index in (self.by_id, self.by_text, self.by_key):
            index.commit(dead, self.table.alive)
        for row in self._killed:
            self._release(row)
        self.decisions.compact()
        self._forget_changes()

    def rollback(self) -> None:
        """Undo everything since the last commit."""
        if self._before is None:
            return
        for index in (self.by_id, self.by_text, self.by_key):
            index.rollback()
        for name, row, value in reversed(self._changed):
            getattr(self.table, name)[row] = value
        for row in self._killed:
            self.table.alive[row] = True
        for row in reversed(self._added):
            self.table.alive[row] = False
            self._release(row)
        for item in self._popped:
            self._oldest.push(item)
        self.last_offset, self.watermark_us, self.next_seq, self.entries, mark = self._before
        self.decisions.back_to(mark)
        self._forget_changes()

    @property
    def staged(self) -> bool:
        """Whether there are changes that are neither committed nor rolled back."""
        return self._before is not None

    def occupy(self, rows: int) -> None:
        """Take the first `rows` rows of a new state into use, for a snapshot to fill."""
        self.reserve(rows)
        self._used = rows

    def queue(self, row: int) -> None:
        """Enter `row` into the queue of the oldest."""
        self._oldest.push((int(self.table.last_us[row]), int(self.table.seq[row]), row))

    def queue_all(self, rows: int) -> None:
        """Enter the first `rows` rows into the queue of the oldest."""
        last_us, seq = self.table.last_us[:rows], self.table.seq[:rows]
        order = np.lexsort((seq, last_us))
        self._oldest.fill(last_us[order].tolist(), seq[order].tolist(), order.tolist())

    def reserve(self, rows: int) -> None:
        """Make room for `rows` rows in all."""
        for part in (self.table, self.by_id, self.by_text, self.by_key):
            part.grow(rows)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._before is None:
            mark = self.decisions.mark()
            self._before = self.last_offset, self.watermark_us, self.next_seq, self.entries, mark

    def _forget_changes(self) -> None:
        for changes in (self._added, self._killed, self._changed, self._popped):
            changes.clear()
        self._before = None

    def _with_id(self, article_id: str) -> list[int]:
        wanted = words(article_id)
        rows = self.by_id.rows(wanted[1] & _LOW, self.table.alive)
        return [row for row in rows if tuple(self.table.id[row].tolist()) == wanted] if rows else rows

    def _refresh(self, entry: DedupLogEntry, time_us: int) -> None:
        """Whatever was seen again stays for another window: the article itself, the one that it is a copy of, and the
        first of its cluster."""
        if entry.verdict == "recrawl":
            self._touch(self.current(entry.id), time_us)
            self._touch(self.revision_of(entry.id, entry.content_hash), time_us)
        if entry.verdict in ("recrawl", "exact_copy"):
            self._touch(self.text(entry.content_hash), time_us)
        elif entry.verdict == "near_copy" and entry.match is not None:
            self._touch(self.current(entry.match.article_id), time_us)
        if entry.cluster_id != entry.id:
            self._touch(self.current(entry.cluster_id), time_us)

    def _merge(self, entry: DedupLogEntry) -> tuple[int, int]:
        """Let the clusters that the entry joins become one; return the agencies and outlets behind it (bits)."""
        if entry.match is None:
            return lineage.mask(entry.origins), 0
        heads = [self.current(cluster) for cluster in (entry.cluster_id, *entry.joins)]
        articles = entry.id, entry.match.article_id
        behind = self.behind((entry.cluster_id, *entry.joins), articles, entry.origins, entry.writer)
        root = words(entry.cluster_id)
        for head, cluster in zip(heads[1:], entry.joins, strict=True):
            if head >= 0 and cluster != entry.cluster_id:
                self._set("cluster", head, root)
        if heads[0] >= 0 and entry.verdict != "recrawl":
            self._set("agencies", heads[0], behind[0])
            self._set("writers", heads[0], behind[1])
        return behind

    def _touch(self, row: int, time_us: int) -> None:
        if row >= 0 and int(self.table.last_us[row]) < time_us:
            self._set("last_us", row, time_us)

    def _set(self, name: str, row: int, value: Any) -> None:
        """Change a row that was there before; `rollback` changes it back."""
        column = getattr(self.table, name)
        self._changed.append((name, row, column[row].copy()))
        column[row] = value

    def _add(
        self,
        entry: DedupLogEntry,
        made: Fingerprint,
        time_us: int,
        packed: bytes | None,
        hits: Hits,
        sources: tuple[int, int],
    ) -> None:
        versions = self._with_id(entry.id)
        first_us = int(self.table.first_us[versions[0]]) if versions else time_us
        for row in versions[MOST_REVISIONS - 1 :]:
            self._kill(row)
        known = self.text(entry.content_hash)
        row, table = self._take(), self.table
        identity, text, outlet = words(entry.id), words(entry.content_hash), lineage.outlet(entry.source)
        copied = known >= 0 and entry.verdict == "exact_copy"
        table.put(
            row,
            EMPTY if copied else made,
            identity=identity,
            text=text,
            cluster=words(entry.cluster_id),
            seq=self.next_seq,
            first_us=first_us,
            last_us=time_us,
            agencies=sources[0],
            writers=sources[1],
            revision=entry.revision,
            outlet=outlet,
            part=(entry.part.start, entry.part.end) if entry.part else (0, 0),
        )
        if copied:
            table.copy_fingerprint(known, row)
        if known >= 0 and int(table.outlet[known]) not in (SEVERAL, outlet):
            self._set("outlet", known, SEVERAL)
        table.urls[row] = entry.url
        table.decisions[row] = packed
        self.by_id.add_one(row, identity[1] & _LOW)
        # Only the first article of a text is found by its words: the others would be the same candidate again.
        if known < 0:
            self.by_text.add_one(row, text[1] & _LOW)
        keys = made.keys if known < 0 else EMPTY.keys
        wanted = None
        if self.by_key.most(hits, keys) >= MOST_POSTINGS:
            places, _ = self.by_key.live(hits, keys, table.alive)
            wanted = np.bincount(places[places < len(keys)], minlength=len(keys)) < MOST_POSTINGS
        self.by_key.add(row, keys, wanted)
        table.alive[row] = True
        self._added.append(row)
        self.next_seq += 1
        self.entries += 1
        self.queue(row)

    def _take(self) -> int:
        if self._free:
            return self._free.pop()
        if self._used == self.table.rows:
            self.reserve(max(1024, self.table.rows * 5 // 4))
        self._used += 1
        return self._used - 1

    def _kill(self, row: int) -> None:
        self.table.alive[row] = False
        self._killed.append(row)
        self.entries -= 1

    def _release(self, row: int) -> None:
        self.table.urls[row] = None
        self.table.decisions[row] = None
        self._free.append(row)

    def _expire(self, most: int) -> None:
        """Let go articles outside the window and, beyond `most`, those that have not been seen for longest."""
        cutoff = self.watermark_us - self._window_us
        self.decisions.expire(cutoff, most)
        while (oldest := self._oldest.least()) and (oldest[0] < cutoff or self.entries > most):
            item = self._oldest.pop()
            self._popped.append(item)
            time_us, seq, row = item
            if not self.table.alive[row] or int(self.table.seq[row]) != seq:
                continue
            if int(self.table.last_us[row]) != time_us:
                self.queue(row)
            else:
                self._kill(row)
