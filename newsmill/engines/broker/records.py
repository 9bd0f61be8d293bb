"""kafka-python's records to ours."""

from __future__ import annotations

from typing import Any

from workers.stage import Record


def to_record(raw: Any) -> Record:
    """Return a ConsumerRecord of kafka-python as a Record. A header without a value gets an empty one."""
    return Record(
        raw.topic,
        raw.partition,
        raw.offset,
        raw.key,
        raw.value,
        tuple([(name, value or b"") for name, value in raw.headers]),
        raw.timestamp,
    )


def size(raw: Any) -> int:
    """Return the bytes of a ConsumerRecord that count for a batch."""
    return len(raw.key or b"") + len(raw.value or b"") + 64
