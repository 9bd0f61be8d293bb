"""What a batch came to, and the records that are to be written for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from newsmill.engines.limit import FailureWindow
from schemas import headers as h

RAISED: Final = "stage_raised"
"""Reason code of a record on which the stage raised an exception (a bug of ours, not bad input)."""

KILLED: Final = "killed_worker"
"""Reason code of a record that took the whole process down (a crash in native code, or memory)."""

PROMOTED: Final = "promoted"
"""Outcome of a record that a run has published with all that follows from it: it is passed over."""


@dataclass(frozen=True, slots=True)
class Output:
    """A record to be written. `partition` is set for log records (that of the input) and where a table of languages
    says so; else the key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: h.Headers
    partition: int | None = None


@dataclass(slots=True)
class BatchResult:
    """What a batch came to: the records to write, and by what each input is to be counted."""

    outputs: list[Output] = field(default_factory=list)
    counts: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    """(outcome, reason or empty, replayed) -> records"""
    notes: Counter[str] = field(default_factory=Counter)
    windows: dict[int, FailureWindow] = field(default_factory=dict)
    """Failure window of each partition of the batch, as it is once the batch is durable."""
    ingested_ms: list[int] = field(default_factory=list)
    """When each document was brought in, milliseconds since the Unix epoch; replayed ones are left out."""
    appended_ms: list[int] = field(default_factory=list)
    """When each record arrived in the stage's topic, in the same way; 0 where there is no such time is left out."""
    sources: Counter[tuple[bytes | None, str]] = field(default_factory=Counter)
    """(key of news.raw, outcome) -> records, for the stage that reads news.raw."""
    began: float = 0.0
    """When the batch went into the stage, seconds since the Unix epoch."""
    seconds: float = 0.0
    """How long the stage took."""

    @property
    def records(self) -> int:
        """Input records of the batch."""
        return sum(self.counts.values())
