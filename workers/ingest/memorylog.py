"""What ingest writes to its log, and reads from it."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas import headers, topics
from schemas.codec import InvalidMessage, decode, encode
from schemas.messages import IngestLogEntry
from workers.ingest.draft import Draft
from workers.ingest.memory import Decided, Memory, packed_hashes, unpacked_hashes
from workers.ingest.recurring import FORM
from workers.stage import Message, Record, StateVersionError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def short_id(article: str) -> int:
    """Return the first 64 bits of an article id (32 hex digits)."""
    return int(article[:16], 16)


def log_message(draft: Draft, time_us: int, decided: Decided) -> Message:
    """Return the log record on a draft; `time_us` is its event time, microseconds since the Unix epoch."""
    hashes = draft.lines.hashes
    entry = IngestLogEntry(
        source=draft.source,
        event_time=_EPOCH + timedelta(microseconds=time_us),
        lines=base64.b64encode(packed_hashes(hashes, range(len(hashes)))).decode(),
        story=decided.story,
        cut=sum(1 << number for number in decided.cut),
        form=FORM,
    )
    return Message(topics.INGEST_LOG, draft.id.encode(), encode(entry))


def fold(memory: Memory, record: Record) -> None:
    """Learn again what a log record says; one that is known already changes nothing. Raises StateVersionError."""
    entry, offset = entry_of(record)
    if entry.form != FORM:
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
    time_us = (entry.event_time - _EPOCH) // _MICROSECOND
    memory.apply(offset, entry.source.casefold(), article, time_us, hashes, story=entry.story, cut=packed)


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
