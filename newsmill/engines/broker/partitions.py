"""What a worker knows of its partitions: where they stand, and which records have taken workers down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from newsmill.engines.broker.marks import Marks

P = TypeVar("P")
M = TypeVar("M")

KILLED_DETAIL = "the worker died three times on the batch of this record, then on it alone"
"""Detail of the dead letter that a deadly record becomes."""


@dataclass(slots=True)
class Partition:
    """One assigned partition.

    `done`: every record before this offset is processed (-1: nothing known yet). `committed`: the group's offset, or
    None. `careful`: how many more records are tried alone. `begun`: this worker has finished a batch, or marked that
    it starts on one.
    """

    committed: int | None
    marks: Marks
    careful: int = 0
    begun: bool = False
    done: int = field(init=False)

    def __post_init__(self) -> None:
        self.done = -1 if self.committed is None else self.committed

    def deadly(self, offset: int) -> bool:
        """Whether the record at `offset` has already taken down a worker that tried it alone."""
        return not self.begun and self.marks.trying == offset

    def start_mark(self, first: int) -> Marks | None:
        """Return the marks to commit before the stage begins on a batch whose first record is at `first`; None where
        no mark is due.

        One is due at a worker's first batch of the partition, and before each record that is tried alone.
        """
        if self.careful > 0:
            return Marks(self.marks.failures, self.marks.starts, first)
        return None if self.begun else self.marks.started()

    def marked(self, marks: Marks, committed: int, records: int) -> None:
        """Note that `marks` are committed, with this offset, for a batch of `records` records."""
        self.marks = marks
        self.committed = committed
        self.careful = max(0, self.careful - records)
        self.begun = True

    def durable(self, offset: int, failures: str) -> None:
        """Note that everything before `offset` is processed and committed, with this failure window."""
        self.done = self.committed = offset
        self.marks = Marks(failures=failures)
        self.begun = True


def cut(
    messages: Iterable[tuple[P, M]],
    partitions: Mapping[P, Partition],
    most_bytes: int,
    offset: Callable[[M], int],
    size: Callable[[M], int],
) -> list[list[M]]:
    """Cut messages, each with the key of its partition, into batches of at most `most_bytes`; a record that is to be
    tried alone is a batch of its own."""
    batches: list[list[M]] = []
    batch: list[M] = []
    held = 0
    careful = {key: p.careful for key, p in partitions.items() if p.careful > 0 or p.marks.trying >= 0}
    for key, message in messages:
        alone = False
        if key in careful:
            alone = careful[key] > 0 or partitions[key].marks.trying == offset(message)
            careful[key] -= 1
        more = size(message)
        if batch and (alone or held + more > most_bytes):
            batches.append(batch)
            batch, held = [], 0
        batch.append(message)
        held += more
        if alone:
            batches.append(batch)
            batch, held = [], 0
    if batch:
        batches.append(batch)
    return batches
