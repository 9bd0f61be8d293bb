"""What ingest writes to its log, and reads from it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import structs

from schemas import headers, topics
from schemas.codec import InvalidMessage, decode, encode
from schemas.keys import UNKNOWN_SOURCE
from schemas.messages import IngestLogEntry, SourceHealth
from workers.ingest.draft import Draft
from workers.ingest.health import Change
from workers.ingest.memory import Decided, Memory, packed_hashes, unpacked_hashes
from workers.ingest.recurring import FORM
from workers.ingest.refusal import WITHOUT_TEXT
from workers.ingest.watched import EMPTY, NO_AUTHOR, NO_DATE, REFUSED
from workers.stage import Message, Record, StateVersionError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_KEY_BYTES: Final = 200

NO_ARTICLE: Final = "0" * 32
"""Key of the log record on a document that was refused. It has the form of an article's id, so that ingest before 1.3.0
can fold the log, too."""


def short_id(article: str) -> int:
    """Return the first 64 bits of an article id (32 hex digits)."""
    return int(article[:16], 16)


def microseconds(at: datetime) -> int:
    """Return an instant as microseconds since the Unix epoch."""
    return (at - _EPOCH) // _MICROSECOND


def keyed_by(record: Record) -> str:
    """Return what a document is keyed by, empty when nothing says it."""
    key = (record.key or b"")[:_MOST_KEY_BYTES].decode("utf-8", "replace")
    return "" if key == UNKNOWN_SOURCE else key


def article_entry(draft: Draft, settled: Draft, keyed: str, time_us: int, decided: Decided) -> IngestLogEntry:
    """Return the entry on a draft; `settled` is what is left of it without what was cut, `keyed` what the document is
    keyed by, `time_us` its event time, microseconds since the Unix epoch."""
    hashes = draft.lines.hashes
    return IngestLogEntry(
        source=draft.origin,
        event_time=_EPOCH + timedelta(microseconds=time_us),
        lines=base64.b64encode(packed_hashes(hashes, range(len(hashes)))).decode(),
        story=decided.story,
        cut=sum(1 << number for number in decided.cut),
        form=FORM,
        marks=(0 if settled.published else NO_DATE) | (0 if settled.authors else NO_AUTHOR),
        chars=sum(map(len, settled.paragraphs)) + 2 * len(settled.paragraphs) - 2,
        keyed=keyed if keyed and keyed != draft.origin.casefold() else None,
    )


def refused_entry(reason: str, keyed: str, time_us: int) -> IngestLogEntry:
    """Return the entry on a document that was refused."""
    return IngestLogEntry(
        source=keyed,
        event_time=_EPOCH + timedelta(microseconds=time_us),
        lines="",
        story=False,
        form=FORM,
        marks=EMPTY if reason in WITHOUT_TEXT else REFUSED,
    )


def log_message(entry: IngestLogEntry, article: str, told: Sequence[SourceHealth]) -> Message:
    """Return the log record on an article (its id; `NO_ARTICLE` for a refused document), with what was told with it."""
    if told:
        entry = structs.replace(entry, health=tuple(told))
    return Message(topics.INGEST_LOG, article.encode(), encode(entry))


def observe(memory: Memory, entry: IngestLogEntry, time_us: int, offset: int, version: str) -> tuple[SourceHealth, ...]:
    """Count a new document for the health of its source; `time_us` is the event time in its entry. Returns what is to
    be told."""
    changes = memory.watch.observe(_watched(entry), time_us, entry.marks or 0, entry.chars)
    if not changes:
        return ()
    found = tuple(_health(change, entry.event_time, version) for change in changes)
    memory.decisions.tell(offset, found)
    return found


def fold(memory: Memory, record: Record) -> None:
    """Learn again what a log record says; one that is known already changes nothing. Raises StateVersionError."""
    entry, offset = entry_of(record)
    if entry.form != FORM and not is_refused(entry):
        raise StateVersionError(
            f"{record.topic}/{record.partition}/{record.offset} has lines of form {entry.form}; ingest now folds {FORM}"
        )
    try:
        hashes = unpacked_hashes(base64.b64decode(entry.lines, validate=True))
        article = short_id((record.key or b"").decode("ascii"))
        cut = [number for number in range(entry.cut.bit_length()) if entry.cut >> number & 1]
        packed = packed_hashes(hashes, cut)
    except (binascii.Error, ValueError, IndexError) as error:
        raise StateVersionError(f"the log entry for offset {offset} can't be read: {error}") from error
    if offset <= memory.last_offset:
        return
    if is_refused(entry):
        memory.reach(offset)
    else:
        time_us = microseconds(entry.event_time)
        memory.apply(offset, entry.source.casefold(), article, time_us, hashes, story=entry.story, cut=packed)
    fold_health(memory, entry, offset)


def fold_health(memory: Memory, entry: IngestLogEntry, offset: int) -> None:
    """Learn again what an entry of any form says of how its source does. Older ones say nothing."""
    if entry.marks is None:
        return
    told = [(health.source, health.status, health.problem, health.usual_body_chars) for health in entry.health]
    memory.watch.observe(_watched(entry), microseconds(entry.event_time), entry.marks, entry.chars, told)
    memory.decisions.tell(offset, entry.health)


def entry_of(record: Record) -> tuple[IngestLogEntry, int]:
    """Return the entry in a log record of any form, and the offset of its input. Raises StateVersionError."""
    try:
        entry = decode(record.value, IngestLogEntry)
        offset = int((headers.get(record.headers, headers.INPUT_OFFSET) or b"").decode("ascii"))
    except (InvalidMessage, ValueError) as error:
        raise StateVersionError(
            f"{record.topic}/{record.partition}/{record.offset} is not a log entry of ingest: {error}"
        ) from error
    return entry, offset


def is_refused(entry: IngestLogEntry) -> bool:
    """Return whether an entry is on a document that was refused."""
    return entry.marks is not None and bool(entry.marks & (REFUSED | EMPTY))


def _watched(entry: IngestLogEntry) -> str | None:
    """Return the source as it is watched, None when it is not known."""
    source = entry.keyed or entry.source.casefold()
    return source if source != UNKNOWN_SOURCE else None


def _health(change: Change, at: datetime, version: str) -> SourceHealth:
    return SourceHealth(
        source=change.source,
        status=change.status,
        problem=change.problem,
        at=at,
        last_at=_EPOCH + timedelta(microseconds=change.last_us),
        body_chars=change.body_chars,
        usual_body_chars=change.usual_body_chars,
        day_documents=change.day_documents,
        usual_day_documents=change.usual_day_documents,
        processing={"ingest": version},
        share=change.share,
        usual_share=change.usual_share,
    )
