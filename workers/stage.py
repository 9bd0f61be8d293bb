"""The stage contract: what an engine may ask of a stage, and what a stage may assume of an engine.

A stage turns each input record into exactly one outcome: messages for its sink topics, or a rejection with a reason.
It does no I/O and reads no clock and no environment, so the same records always give the same bytes. Engines own
everything else: transport, time, retries, dead letters, metrics, processes.

The life of a batch, in every engine:

    outcomes = stage.process(batch)      # state changes are staged
    ... the engine makes outputs, log records and input positions durable ...
    stage.commit()                       # now they are part of the state; or
    stage.rollback()                     # as if the batch had never been seen
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from schemas.headers import Headers


@dataclass(frozen=True, slots=True)
class Record:
    """An input record, as an engine hands it to a stage.

    `timestamp_ms` is the broker's append time (milliseconds since the Unix epoch). `prepared` is what the stage's
    `prepare` returned for this record, where the engine has already called it.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int = 0
    prepared: Any = None


@dataclass(frozen=True, slots=True)
class Message:
    """An output for a sink topic. The engine adds the headers that are passed on from the input.

    `language` is that of the article (ISO 639-1), where the topic can be split by language.
    """

    topic: str
    key: bytes
    value: bytes
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """The record is done. `kind` names what happened for the metrics (a fixed, small set a stage: `article`,
    `unique`, `near_copy`, ...). `log` is the record for the stage's log, where it has state. `notes` are things worth
    counting beside (from the stage's `notes`)."""

    kind: str
    messages: tuple[Message, ...]
    log: Message | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """The record can't be processed: it goes to news.dead-letters as it came, with this reason code and detail.

    `reason` is one of the stage's declared `reasons`; `detail` is for a person to read. `messages` are what is written
    beside the dead letter; `log` is the record for the stage's log, where its state takes note of what it refuses.
    """

    reason: str
    detail: str = ""
    messages: tuple[Message, ...] = ()
    log: Message | None = None


Outcome = Emit | Reject


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source does, as the stage that reads news.raw has seen it.

    `broken`: a code for each thing that is wrong with it. Lengths of bodies are means in characters, of the latest ones
    and of those that are usual; `without_date`, `without_author`: shares of the latest articles; documents are of the
    last 24 whole hours of event time, and of a usual day.
    """

    source: str
    broken: tuple[str, ...]
    body_chars: int
    usual_body_chars: int
    without_date: float
    without_author: float
    day_documents: int
    usual_day_documents: int


class Stage(ABC):
    """A stage without state. Subclasses set the class attributes and implement `process`."""

    name: str
    source: str
    """Topic that it reads."""
    sinks: tuple[str, ...]
    """Topics that it writes, dead letters and its log aside."""
    kinds: tuple[str, ...]
    """Every `Emit.kind` that it can return."""
    reasons: tuple[str, ...]
    """Every `Reject.reason` that it can return."""
    notes: tuple[str, ...] = ()
    """Every note that its `Emit.notes` can hold."""
    version: str
    """Declared version, plus a hash of weights and data where it has any. It changes when output changes."""

    heavy_prepare: bool = False
    """Whether `prepare` costs so much more than moving a record to another process that engines should."""

    def prepare(self, record: Record) -> Any:
        """Return work that needs this record alone (parsing HTML, say). Pure, so an engine may run it elsewhere;
        the result must be picklable between processes of the same program. Default: nothing to prepare."""
        return None

    @abstractmethod
    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        """Return one outcome for each record of `batch`, in order.

        A bad record is rejected alone. An exception means a bug: the engine bisects the batch to find the record.
        Outcomes must not depend on how records are cut into batches.
        """


class StatefulStage(Stage):
    """A stage whose state is a function of its log topic, one state for each partition of its source.

    Rules that engines rely on:

    - `process` only stages changes. After `rollback` the state is what it was before the batch.
    - A record at or below the last logged offset of its partition gets its logged decision again and logs nothing.
    - A record with a `replay` header reads state and never changes it; it logs nothing.
    - `restore` may be called many times in a row, with log records in order; the state is their fold.
    """

    log_topic: str

    @abstractmethod
    def commit(self) -> None:
        """The last processed batch is durable: make its staged changes part of the state."""

    @abstractmethod
    def rollback(self) -> None:
        """The last processed batch is not durable: forget its staged changes."""

    @abstractmethod
    def restore(self, partition: int, log: Iterable[Record]) -> None:
        """Fold records of the log topic into the state of `partition`.

        Raises StateVersionError when an entry was written in a form that this version can't fold.
        """

    def rebuild(
        self, partition: int, log: Iterable[Record], retained: Callable[[int], Record | None]
    ) -> tuple[int, int]:
        """Fold records of the log into the state of `partition` as `restore` does, but learn anew from the input what
        an older version has written in a form of its own. `retained` returns the input record at an offset, None when
        it is no longer kept; it is called with ascending offsets.

        Returns (entries learnt anew, entries whose input is gone). Raises StateVersionError when even that is not
        possible.
        """
        raise StateVersionError(f"{self.name} can't rebuild its state from its input")

    @abstractmethod
    def forget(self, partition: int) -> None:
        """The partition has moved to another worker: drop its state."""

    @abstractmethod
    def snapshot(self, partition: int) -> bytes:
        """Return the state of `partition` in a form that `load_snapshot` of the same version takes. No pickle."""

    @abstractmethod
    def load_snapshot(self, partition: int, data: bytes) -> None:
        """Replace the state of `partition`. Raises StateVersionError (state unchanged) when `data` is of another
        version or damaged; the caller then folds the whole log."""

    @abstractmethod
    def state_size(self) -> tuple[int, int]:
        """Return (entries, bytes) held in memory over all partitions, for the metrics."""

    def source_states(self) -> Sequence[SourceState]:
        """Return how the sources do, where the stage watches them. Another thread may call it at any time, so it may
        show what a batch has not committed yet. Anyone can make up a source: whoever shows them bounds them."""
        return ()

    def state_limit(self) -> int | None:
        """Return how many entries it may hold over the partitions that it has now; None where nothing limits them."""
        return None

    def reach(self) -> timedelta | None:
        """Return for how long a log entry matters: what is older changes no decision. None: for ever."""
        return None


class StateVersionError(Exception):
    """A log entry or snapshot is of a version that can't be folded. The text names the versions."""
