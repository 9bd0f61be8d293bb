"""The engines behind one small interface, so that one suite of tests runs on all of them.

A driver has topics and, beside them, whatever its engine keeps between two starts. `feed` adds records to a topic,
`live` starts a new process's worth of engine on one stage and returns when all that was fed is done, or when the
engine has ended by itself, and `read` returns what a careful reader finds. A death is a part of a life: see `die_at`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from newsmill.metrics import Metrics
from schemas.headers import Headers
from workers.stage import Stage

Pair = tuple[bytes | None, bytes | None]


@dataclass(frozen=True, slots=True)
class Item:
    """A record that is fed, or that was read."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def pair(self) -> Pair:
        """Key and value: what byte identity is about."""
        return self.key, self.value


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it, nothing is cleaned up."""


@dataclass(frozen=True, slots=True)
class Life:
    """What a life of an engine came to. `error` is what it ended with, None when it was stopped or had done all."""

    metrics: Metrics
    error: BaseException | None

    def counted(self, *, replayed: bool = False) -> Counter[str]:
        """Return how many input records were counted, by outcome."""
        counter = self.metrics.replayed if replayed else self.metrics.records
        found: Counter[str] = Counter()
        for family in counter.collect():
            for sample in family.samples:
                if sample.name.endswith("_total") and sample.value:
                    found[sample.labels["outcome"]] += int(sample.value)
        return found

    def reasons(self) -> Counter[str]:
        """Return how many dead letters were counted, by reason."""
        return Counter(
            {
                sample.labels["reason"]: int(sample.value)
                for family in self.metrics.dead_letters.collect()
                for sample in family.samples
                if sample.name.endswith("_total") and sample.value
            }
        )


OnStep = Callable[[str, Callable[[], None]], None]
"""Called between the steps of a batch with the step's name and what stops the engine in good order."""


def go_on(step: str, stop: Callable[[], None]) -> None:
    """Let the engine work."""


def die_at(step: str, batch: int = 1) -> OnStep:
    """Kill the engine when it is at `step` of its `batch`-th batch."""
    seen: Counter[str] = Counter()

    def on_step(name: str, stop: Callable[[], None]) -> None:
        seen[name] += 1
        # Some engines go through some of the steps once more to mark a start. A batch is what the stage has processed.
        now = seen["processed"] + (name in BEFORE_PROCESSED)
        if name == step and now == batch:
            raise Killed(step)

    return on_step


def stop_at(step: str, batch: int = 1) -> OnStep:
    """Ask the engine to stop, as SIGTERM does, when it is at `step` of its `batch`-th batch."""
    death = die_at(step, batch)

    def on_step(name: str, stop: Callable[[], None]) -> None:
        try:
            death(name, stop)
        except Killed:
            stop()

    return on_step


BEFORE_PROCESSED = frozenset({"polled"})


class EngineDriver(ABC):
    """One engine, its topics, and what it keeps between its lives."""

    name: ClassVar[str]
    steps: ClassVar[tuple[str, ...]]
    """The steps of a batch, in order."""
    exactly_once: ClassVar[bool]
    partitions: int = 1
    """Partitions of news.articles and of the log of dedup."""

    @abstractmethod
    def feed(self, topic: str, items: Iterable[Item], partition: int = 0) -> None:
        """Add records to a partition of `topic`."""

    @abstractmethod
    def live(
        self,
        stage: Stage,
        *,
        batch_records: int = 500,
        dead_letter_limit: int = 100,
        on_step: OnStep = go_on,
    ) -> Life:
        """Start the engine on `stage`; return when everything that was fed to its source is done, or it has ended."""

    @abstractmethod
    def read(self, topic: str, partition: int = 0) -> list[Item]:
        """Return the records of a partition of `topic` that a read-committed reader gets, in order."""

    @abstractmethod
    def done(self, stage: Stage) -> int:
        """Return the offset, in partition 0 of the stage's source, before which everything is durably done."""

    @abstractmethod
    def rewind(self, stage: Stage) -> None:
        """Make the engine's next life get the whole input of `stage` again, while logs and outputs stay."""

    @abstractmethod
    def snapshots(self) -> Sequence[Path]:
        """Return the files of local snapshots of state."""

    def pairs(self, topic: str, partition: int = 0) -> list[Pair]:
        """Return key and value of the records of `topic`."""
        return [item.pair for item in self.read(topic, partition)]

    def close(self) -> None:  # noqa: B027  (not every engine holds something)
        """Let go of what dead engines have left open."""
