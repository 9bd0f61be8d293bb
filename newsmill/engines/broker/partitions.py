"""What a worker knows of its partitions: where they stand, and which records have taken workers down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from newsmill.engines.kafka.marks import Marks

Offsets = dict[TP, OffsetAndMetadata]


@dataclass(slots=True)
class Partition:
    """One assigned partition.

    `done`: every record before this offset is processed (-1: nothing known yet). `committed`: the group's offset, or
    None. `careful`: how many more records are tried alone. `begun`: this worker has finished a batch, or marked that
    it starts on one.
    """

    tp: TP
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

    def mark_start(self, first: int, records: int) -> bool:
        """Note that the stage begins on `records` records from `first`; return whether the mark must be committed.

        That is so at a worker's first batch of the partition, and before each record that is tried alone.
        """
        if self.careful > 0:
            self.careful -= records
            self.marks = Marks(self.marks.failures, self.marks.starts, first)
        elif not self.begun:
            self.marks = self.marks.started()
        else:
            return False
        self.begun = True
        return True

    def durable(self, offset: int, failures: str) -> None:
        """Note that everything before `offset` is processed and committed, with this failure window."""
        self.done = self.committed = offset
        self.marks = Marks(failures=failures)
        self.begun = True


def cut(
    messages: Sequence[Any], partitions: Mapping[TP, Partition], most_bytes: int, size: Callable[[Any], int]
) -> list[list[Any]]:
    """Cut messages into batches of at most `most_bytes`; a record that is to be tried alone is a batch of its own."""
    batches: list[list[Any]] = []
    batch: list[Any] = []
    held = 0
    careful = {tp: partition.careful for tp, partition in partitions.items()}
    for message in messages:
        alone = careful[message.tp] > 0 or partitions[message.tp].marks.trying == message.offset
        careful[message.tp] -= 1
        if batch and (alone or held + size(message) > most_bytes):
            batches.append(batch)
            batch, held = [], 0
        batch.append(message)
        held += size(message)
        if alone:
            batches.append(batch)
            batch, held = [], 0
    if batch:
        batches.append(batch)
    return batches
