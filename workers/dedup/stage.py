"""Dedup as a stage: news.articles in; news.unique, news.duplicates and the log of decisions out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

import msgspec

from schemas import headers, topics
from schemas.codec import InvalidMessage, decode, encode
from schemas.messages import Article, DedupLogEntry, Duplicate, UniqueArticle
from workers.dedup import lineage, snapshot
from workers.dedup.decide import Prepared, decide, known_revision, recall
from workers.dedup.decisions import Decision, from_us, to_us
from workers.dedup.fingerprint import EMPTY, FINGERPRINT_VERSION, Fingerprint, fingerprints
from workers.dedup.index import Hits
from workers.dedup.links import Compared, compare_all
from workers.dedup.options import DedupOptions
from workers.dedup.state import PartitionState
from workers.stage import Emit, Message, Outcome, Record, Reject, StatefulStage, StateVersionError

_CHUNK = 512
"""Log records that are folded together: looking up keys is much cheaper for many at once."""

_Found = tuple[Hits, Compared]

_LONGEST_URL = 2_000
"""A longer URL is not kept as evidence: the state must stay small."""


class DedupStage(StatefulStage):
    """Tells new articles from copies, revisions and recrawls.

    Event time is `fetched_at`, else `ingested_at`. What goes out is a function of the article and the decision alone,
    so a decision from the log gives the same bytes again.
    """

    name = "dedup"
    source = topics.ARTICLES
    sinks = (topics.UNIQUE, topics.DUPLICATES)
    log_topic = topics.DEDUP_LOG
    kinds = ("unique", "revision", "exact_copy", "near_copy", "recrawl", "not_checked")
    reasons = ("bad_article",)
    version = "2.1.0"

    def __init__(self, options: DedupOptions | None = None) -> None:
        self.options = options or DedupOptions()
        self._states: dict[int, PartitionState] = {}

    def prepare(self, record: Record) -> Prepared | Reject:
        """Return the decoded article with its fingerprint, or why it is none. Pure, so any process may do it."""
        return self._prepare([record])[0]

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        """Return one outcome for each record; later records see what earlier ones of the batch changed."""
        prepared: list[Any] = [record.prepared for record in batch]
        bare = [n for n, done in enumerate(prepared) if done is None]
        for n, done in zip(bare, self._prepare([batch[n] for n in bare]), strict=True):
            prepared[n] = done
        looked_up = self._look_up(batch, prepared)
        return [self._process(*item) for item in zip(batch, prepared, looked_up, strict=True)]

    def _prepare(self, records: Sequence[Record]) -> list[Prepared | Reject]:
        """Prepare many records together, which costs half as much for each."""
        decoded: list[Article | Reject] = []
        for record in records:
            try:
                decoded.append(decode(record.value, Article))
            except InvalidMessage as error:
                decoded.append(Reject("bad_article", str(error)))
        articles = [item for item in decoded if isinstance(item, Article)]
        made = iter(fingerprints([(article.headline, article.body) for article in articles]))
        return [
            item if isinstance(item, Reject) else Prepared(item, next(made), lineage.origins(item.body, item.authors))
            for item in decoded
        ]

    def _look_up(self, batch: Sequence[Record], prepared: Sequence[Prepared | Reject]) -> list[_Found | None]:
        """Look up all articles at once, and compare them with what their keys find, partition by partition."""
        found: list[_Found | None] = [None] * len(batch)
        places: dict[int, list[int]] = {}
        for n, (record, done) in enumerate(zip(batch, prepared, strict=True)):
            if not isinstance(done, Reject):
                places.setdefault(record.partition, []).append(n)
        for partition, here in places.items():
            items = [done for n in here if not isinstance(done := prepared[n], Reject)]
            state, made = self._state(partition), [item.made for item in items]
            state.fetch([item.article.id for item in items], [item.article.content_hash for item in items])
            hits = state.lookup([one.keys for one in made])
            for n, both in zip(here, zip(hits, compare_all(made, hits, state), strict=True), strict=True):
                found[n] = both
        return found

    def commit(self) -> None:
        """Make the staged changes part of the state."""
        for state in self._states.values():
            state.commit()

    def rollback(self) -> None:
        """Forget the staged changes."""
        for state in self._states.values():
            state.rollback()

    def restore(self, partition: int, log: Iterable[Record]) -> None:
        """Fold log records, in order, into the state of `partition`. Records that are in it already change nothing."""
        self._fold(partition, (_log_entry(record) for record in log))

    def rebuild(
        self, partition: int, log: Iterable[Record], retained: Callable[[int], Record | None]
    ) -> tuple[int, int]:
        """Fold log records of this version or an older one; what was fingerprinted in another form is fingerprinted
        anew from the article. An article whose text is gone is still known by its id, text hash and decision."""
        anew, gone = 0, 0

        def entries() -> Iterator[tuple[DedupLogEntry, Fingerprint, int]]:
            nonlocal anew, gone
            for record in log:
                entry, offset = _entry_of_any_version(record)
                if entry.fingerprint_version == FINGERPRINT_VERSION or not entry.fingerprint:
                    yield entry, _learnt(entry), offset
                    continue
                found = retained(offset)
                prepared = None if found is None else self.prepare(found)
                if isinstance(prepared, Prepared) and prepared.article.id == entry.id:
                    anew += 1
                    names = lineage.names(prepared.origins)
                    source = prepared.article.source
                    yield msgspec.structs.replace(entry, origins=names, source=source), prepared.made, offset
                else:
                    gone += 1
                    yield entry, EMPTY, offset

        self._fold(partition, entries())
        return anew, gone

    def _fold(self, partition: int, entries: Iterable[tuple[DedupLogEntry, Fingerprint, int]]) -> None:
        state, remaining = self._state(partition), iter(entries)
        while chunk := list(islice(remaining, _CHUNK)):
            state.fetch([entry.id for entry, _, _ in chunk], [entry.content_hash for entry, _, _ in chunk])
            looked_up = state.lookup([made.keys for _, made, _ in chunk])
            for (entry, made, offset), hits in zip(chunk, looked_up, strict=True):
                state.apply(entry, made, offset, hits)
            state.commit()

    def forget(self, partition: int) -> None:
        """Drop the state of `partition`."""
        self._states.pop(partition, None)

    def snapshot(self, partition: int) -> bytes:
        """Return the committed state of `partition` in dedup's own format (see `workers.dedup.snapshot`)."""
        return snapshot.dump(self._state(partition), self.options, self.version)

    def load_snapshot(self, partition: int, data: bytes) -> None:
        """Replace the state of `partition`. Raises StateVersionError, state unchanged, when `data` does not fit."""
        self._states[partition] = snapshot.load(data, self.options, self.version)

    def state_size(self) -> tuple[int, int]:
        """Return (articles, bytes) held over all partitions."""
        states = self._states.values()
        return sum(state.entries for state in states), sum(state.nbytes() for state in states)

    def state_limit(self) -> int:
        """Return the articles that it may hold over the partitions that it has."""
        return self.options.max_entries * max(1, len(self._states))

    def reach(self) -> timedelta:
        """Return the window in which copies are looked for."""
        return self.options.window

    def _state(self, partition: int) -> PartitionState:
        state = self._states.get(partition)
        if state is None:
            state = self._states[partition] = PartitionState(self.options)
        return state

    def _process(self, record: Record, prepared: Prepared | Reject, found: _Found | None) -> Outcome:
        if isinstance(prepared, Reject) or found is None:
            return prepared if isinstance(prepared, Reject) else Reject("bad_article")
        article, state = prepared.article, self._state(record.partition)
        replayed = headers.get(record.headers, headers.REPLAY) is not None
        try:
            if not replayed and record.offset > state.last_offset:
                return self._decide(prepared, *found, state, record.offset)
            decision = None if replayed else state.decisions.get(record.offset)
            decision = decision or recall(article, state)
            if decision is None:
                return self._not_checked(prepared, known_revision(article, state))
            return Emit(decision.verdict, self._messages(article, decision))
        except InvalidMessage as error:
            return Reject("bad_article", str(error))

    def _decide(self, prepared: Prepared, hits: Hits, compared: Compared, state: PartitionState, offset: int) -> Emit:
        article, made = prepared.article, prepared.made
        time_us = to_us(article.fetched_at or article.ingested_at)
        state.advance(time_us)
        found = decide(prepared, hits, compared, state, self.options, self.version)
        decision = found.decision
        # A copy word for word teaches nothing: its fingerprint is the other's.
        learns = decision.verdict not in ("exact_copy", "recrawl")
        entry = DedupLogEntry(
            id=article.id,
            content_hash=article.content_hash,
            event_time=from_us(time_us),
            verdict=decision.verdict,
            revision=decision.revision,
            cluster_id=decision.cluster_id or article.id,
            fingerprint=made.encode() if learns else "",
            fingerprint_version=FINGERPRINT_VERSION,
            match=decision.match,
            url=article.url if len(article.url or "") <= _LONGEST_URL else None,
            origins=decision.origins,
            independent_sources=decision.independent_sources,
            joins=decision.joins,
            changes=decision.changes,
            writer=found.writer,
            source=article.source,
            part=found.part,
            holders=found.holders,
        )
        log = Message(topics.DEDUP_LOG, article.id.encode("ascii"), encode(entry))
        emit = Emit(decision.verdict, self._messages(article, decision), log)
        state.apply(entry, made if learns else EMPTY, offset, hits)
        return emit

    def _messages(self, article: Article, decision: Decision) -> tuple[Message, ...]:
        """Return what goes out; it depends on nothing but the article, the decision, and `forward_copies`."""
        key, cluster, match = article.id.encode("ascii"), decision.cluster_id or article.id, decision.match
        verdict = decision.verdict
        if verdict == "unique" or verdict == "revision" or match is None:
            return (Message(topics.UNIQUE, key, self._unique(article, decision)),)
        small = Duplicate(
            id=article.id,
            source=article.source,
            headline=article.headline,
            verdict=verdict,
            cluster_id=cluster,
            match=match,
            content_hash=article.content_hash,
            language=article.language,
            ingested_at=article.ingested_at,
            processing=self._stamped(article),
            url=article.url,
            published=article.published,
            fetched_at=article.fetched_at,
            origins=decision.origins,
            independent_sources=decision.independent_sources,
            joins=decision.joins,
        )
        duplicate = Message(topics.DUPLICATES, key, encode(small))
        if verdict == "near_copy" and self.options.forward_copies:
            return Message(topics.UNIQUE, key, self._unique(article, decision)), duplicate
        return (duplicate,)

    def _not_checked(self, prepared: Prepared, revision: int) -> Emit:
        article, origins = prepared.article, lineage.names(prepared.origins)
        decision = Decision("unique", revision, origins=origins)
        message = Message(topics.UNIQUE, article.id.encode("ascii"), self._unique(article, decision, "not_checked"))
        return Emit("not_checked", (message,))

    def _unique(self, article: Article, decision: Decision, verdict: str | None = None) -> bytes:
        fields = msgspec.structs.asdict(article)
        fields.update(
            processing=self._stamped(article),
            verdict=verdict or decision.verdict,
            revision=decision.revision,
            cluster_id=decision.cluster_id or article.id,
            match=decision.match,
            origins=decision.origins,
            independent_sources=decision.independent_sources,
            joins=decision.joins,
            changes=decision.changes,
        )
        return encode(UniqueArticle(**fields))

    def _stamped(self, article: Article) -> dict[str, str]:
        return {**article.processing, self.name: self.version}


def _log_entry(record: Record) -> tuple[DedupLogEntry, Fingerprint, int]:
    """Return the entry in a log record, the fingerprint in it, and the offset of its input."""
    entry, offset = _entry_of_any_version(record)
    if entry.fingerprint_version != FINGERPRINT_VERSION:
        raise StateVersionError(
            f"{record.topic}/{record.partition}/{record.offset} has fingerprints {entry.fingerprint_version}; "
            f"dedup {DedupStage.version} folds {FINGERPRINT_VERSION}"
        )
    return entry, _learnt(entry), offset


def _entry_of_any_version(record: Record) -> tuple[DedupLogEntry, int]:
    where = f"{record.topic}/{record.partition}/{record.offset}"
    try:
        entry = decode(record.value, DedupLogEntry)
        offset = int((headers.get(record.headers, headers.INPUT_OFFSET) or b"").decode("ascii"))
    except (InvalidMessage, ValueError) as error:
        raise StateVersionError(f"{where} is not a log entry of dedup {DedupStage.version}: {error}") from error
    return entry, offset


def _learnt(entry: DedupLogEntry) -> Fingerprint:
    try:
        return Fingerprint.decode(entry.fingerprint) if entry.fingerprint else EMPTY
    except ValueError as error:
        raise StateVersionError(f"the log entry on {entry.id} can't be read: {error}") from error
