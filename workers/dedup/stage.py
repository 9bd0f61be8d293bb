"""Dedup as a stage: news.articles in; news.unique, news.duplicates and the log of decisions out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from schemas import headers, topics
from schemas.codec import InvalidMessage, decode, encode
from schemas.messages import Article, DedupLogEntry, Duplicate, Match, UniqueArticle
from workers.dedup import snapshot
from workers.dedup.decide import decide, known_revision, recall
from workers.dedup.decisions import Decision, from_us, to_us
from workers.dedup.fingerprint import EMPTY, FINGERPRINT_VERSION, U32, Fingerprint, fingerprint
from workers.dedup.options import DedupOptions
from workers.dedup.state import PartitionState
from workers.stage import Emit, Message, Outcome, Record, Reject, StatefulStage, StateVersionError

_LONGEST_URL = 2_000
"""A longer URL is not kept as evidence: the state must stay small."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare` finds out from a record alone: the article, its fingerprint, and keys to look up candidates."""

    article: Article
    made: Fingerprint
    probes: U32


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
    version = "1.0.0"

    def __init__(self, options: DedupOptions | None = None) -> None:
        self.options = options or DedupOptions()
        self._states: dict[int, PartitionState] = {}

    def prepare(self, record: Record) -> Prepared | Reject:
        """Return the decoded article with its fingerprint, or why it is none. Pure, so any process may do it."""
        try:
            article = decode(record.value, Article)
        except InvalidMessage as error:
            return Reject("bad_article", str(error))
        return Prepared(article, *fingerprint(f"{article.headline}\n\n{article.body}"))

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        """Return one outcome for each record; later records see what earlier ones of the batch changed."""
        return [self._process(record) for record in batch]

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
        state = self._state(partition)
        for record in log:
            entry, offset = _log_entry(record)
            state.apply(entry, _learnt(entry), offset)
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

    def _state(self, partition: int) -> PartitionState:
        return self._states.setdefault(partition, PartitionState(self.options))

    def _process(self, record: Record) -> Outcome:
        prepared: Any = record.prepared if record.prepared is not None else self.prepare(record)
        if isinstance(prepared, Reject):
            return prepared
        article, state = prepared.article, self._state(record.partition)
        replayed = headers.get(record.headers, headers.REPLAY) is not None
        try:
            if not replayed and record.offset > state.last_offset:
                return self._decide(article, prepared.made, prepared.probes, state, record.offset)
            decision = None if replayed else state.decisions.get(record.offset)
            decision = decision or recall(article, state)
            if decision is None:
                return self._not_checked(article, known_revision(article, state))
            return Emit(decision.verdict, self._messages(article, decision))
        except InvalidMessage as error:
            return Reject("bad_article", str(error))

    def _decide(self, article: Article, made: Fingerprint, probes: U32, state: PartitionState, offset: int) -> Emit:
        time_us = to_us(article.fetched_at or article.ingested_at)
        state.advance(time_us)
        decision = decide(article, made, probes, state, self.options)
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
        )
        log = Message(topics.DEDUP_LOG, article.id.encode("ascii"), encode(entry))
        emit = Emit(decision.verdict, self._messages(article, decision), log)
        state.apply(entry, made if learns else EMPTY, offset)
        return emit

    def _messages(self, article: Article, decision: Decision) -> tuple[Message, ...]:
        """Return what goes out; it depends on nothing but the article, the decision, and `forward_copies`."""
        key, cluster, match = article.id.encode("ascii"), decision.cluster_id or article.id, decision.match
        verdict = decision.verdict
        if verdict == "unique" or verdict == "revision" or match is None:
            return (
                Message(topics.UNIQUE, key, self._unique(article, decision.verdict, decision.revision, cluster, match)),
            )
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
        )
        duplicate = Message(topics.DUPLICATES, key, encode(small))
        if verdict == "near_copy" and self.options.forward_copies:
            forwarded = self._unique(article, verdict, decision.revision, cluster, match)
            return Message(topics.UNIQUE, key, forwarded), duplicate
        return (duplicate,)

    def _not_checked(self, article: Article, revision: int) -> Emit:
        value = self._unique(article, "not_checked", revision, article.id, None)
        return Emit("not_checked", (Message(topics.UNIQUE, article.id.encode("ascii"), value),))

    def _unique(self, article: Article, verdict: str, revision: int, cluster_id: str, match: Match | None) -> bytes:
        fields = {name: getattr(article, name) for name in Article.__struct_fields__}
        fields.update(
            processing=self._stamped(article), verdict=verdict, revision=revision, cluster_id=cluster_id, match=match
        )
        return encode(UniqueArticle(**fields))

    def _stamped(self, article: Article) -> dict[str, str]:
        return {**article.processing, self.name: self.version}


def _log_entry(record: Record) -> tuple[DedupLogEntry, int]:
    """Return the entry in a log record, and the offset of its input."""
    where = f"{record.topic}/{record.partition}/{record.offset}"
    try:
        entry = decode(record.value, DedupLogEntry)
        offset = int((headers.get(record.headers, headers.INPUT_OFFSET) or b"").decode("ascii"))
    except (InvalidMessage, ValueError) as error:
        raise StateVersionError(f"{where} is not a log entry of dedup {DedupStage.version}: {error}") from error
    if entry.fingerprint_version != FINGERPRINT_VERSION:
        raise StateVersionError(
            f"{where} has fingerprints {entry.fingerprint_version}; "
            f"dedup {DedupStage.version} folds {FINGERPRINT_VERSION}"
        )
    return entry, offset


def _learnt(entry: DedupLogEntry) -> Fingerprint:
    try:
        return Fingerprint.decode(entry.fingerprint) if entry.fingerprint else EMPTY
    except ValueError as error:
        raise StateVersionError(f"the log entry on {entry.id} can't be read: {error}") from error
