"""Kills workers at random moments, spread over the work, some of them while they write a batch."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.settings import Settings
from schemas import topics
from tests.support.background import Background
from tests.support.chaos.supervisor import Slot, Supervisor
from tests.support.chaos.watch import Broker, Watch, answers
from workers.pipeline import STAGES

SINK = {
    "ingest": topics.ARTICLES,
    "dedup": topics.UNIQUE,
    "entities": topics.TAGGED,
    "classify": topics.CLASSIFIED,
}
"""The topic whose growth shows that a stage is writing a batch."""

SETTLED_SECONDS = 0.3
"""What is committed within this time after a kill was on its way before."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One SIGKILL: of whom, at what time (monotonic seconds), and what the worker was doing.

    `alone`: it was the only worker of its stage, so that until its next start nothing moved.
    """

    slot: str
    at: float
    doing: str
    alone: bool


class Killer(Background):
    """Kills each stage's worker `times` times.

    Which worker is killed after which share of the work is drawn with `seed`. A worker is killed only once it has
    committed something since its last start, so that each kill finds one at work.

    Args:
        progress: returns the share of the work that is done, 0 to 1.
    """

    def __init__(
        self,
        settings: Settings,
        engine: str,
        supervisor: Supervisor,
        watch: Watch,
        progress: Callable[[], float],
        *,
        times: int,
        until: float,
        seed: int,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._engine = engine
        self._supervisor = supervisor
        self._watch = watch
        self._progress = progress
        self._rng = random.Random(seed)
        self._broker = Broker(settings)
        self._turn = threading.Lock()
        order = [stage for stage in STAGES for _ in range(times)]
        self._rng.shuffle(order)
        self._plan = sorted(zip((self._rng.uniform(0.03, until) for _ in order), order, strict=True))
        self.kills: list[Kill] = []

    def close(self) -> None:
        """Kill no more."""
        super().close()
        self._broker.close()

    @property
    def done(self) -> bool:
        """Whether all planned kills have happened."""
        return self.ended

    def by_slot(self) -> Counter[str]:
        """Return how many times each worker was killed."""
        return Counter(kill.slot for kill in self.kills)

    def work(self) -> None:
        for after, stage in self._plan:
            self._wait(lambda after=after: self._progress() >= after)
            self._wait(lambda stage=stage: self._kill_one(stage))

    def _wait(self, condition: Callable[[], bool]) -> None:
        while not self._over.is_set() and not condition():
            time.sleep(0.05)

    def _kill_one(self, stage: str) -> bool:
        with self._turn:
            slot = self._at_work(stage)
            if slot is None:
                return False
            # Half of them while a batch is written, or soon after.
            if self._rng.random() < 0.5:
                self.wait_for_writing(stage)
                time.sleep(self._rng.uniform(0, 0.004))
            else:
                time.sleep(self._rng.uniform(0, 1.0))
            return self.kill(slot) is not None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Kill nobody at random meanwhile."""
        with self._turn:
            yield

    def kill(self, slot: Slot, *, again: bool = True) -> Kill | None:
        """Kill the worker of a slot, and note what it was doing; None where none was running."""
        alone = len(self._supervisor.of(slot.stage)) == 1 or all(
            other.process is None for other in self._supervisor.of(slot.stage) if other is not slot
        )
        at = self._supervisor.kill(slot, again=again)
        if at is None:
            return None
        self.kills.append(Kill(slot.name, at, self.doing(slot), alone))
        return self.kills[-1]

    def doing(self, slot: Slot) -> str:
        """Return the state of the slot's transaction, in the broker's words; empty for an engine that has none."""
        if self._engine == "faust":
            return ""
        return self._broker.transaction(f"{self._settings.namespace}newsmill.{slot.stage}.{slot.instance}")

    def _at_work(self, stage: str) -> Slot | None:
        """Return a worker of `stage` that owns partitions and whose stage has committed since it last ended."""
        owners = self._broker.owners(stage) or {}
        slots = [slot for slot in self._supervisor.of(stage) if slot.process and owners.get(slot.name)]
        if not slots:
            return None
        slot = self._rng.choice(slots)
        ended = slot.exits[-1].at if slot.exits else 0.0
        return slot if self._watch.moved_after(stage, ended + SETTLED_SECONDS) else None

    def wait_for_writing(self, stage: str) -> None:
        """Return when records arrive on the sink of `stage`, committed or not; after some seconds in any case."""
        if not answers(self._settings):
            return
        topic = clients.physical(self._settings, SINK[stage])
        options = clients.consumer(self._settings) | {"isolation_level": "read_uncommitted"}
        try:
            lookup: Any = KafkaConsumer(**options, request_timeout_ms=2_000, bootstrap_timeout_ms=2_000)
        except KafkaError:  # the broker restarts
            return
        try:
            places = [TopicPartition(topic, number) for number in lookup.partitions_for_topic(topic) or ()]
            before = lookup.end_offsets(places)
            deadline = time.monotonic() + 3
            while lookup.end_offsets(places) == before and time.monotonic() < deadline:
                pass
        except KafkaError:
            return
        finally:
            lookup.close()
