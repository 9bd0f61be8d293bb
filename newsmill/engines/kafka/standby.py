"""A worker that waits keeps the state warm: it folds the log of a partition while another worker writes it.

When the other dies, what is left to read is the end of the log. A follower decides nothing and writes nothing; the
state that it holds is the fold of what is committed, and at the takeover it goes through the same restore as any other,
which checks that the log still has the last record folded, and reads on from there.
"""

from __future__ import annotations

import logging
import math
import time
import zlib
from collections.abc import Collection, Sequence
from typing import Any, Final

from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.engines.broker.records import to_record
from newsmill.engines.broker.restore import SNAPSHOT_SECONDS, LogTail, RestoreError
from newsmill.engines.tally import show_state
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from workers.stage import StatefulStage

log = logging.getLogger(__name__)

PIECE_RECORDS: Final = 500
"""Log records that are folded at once: some hundredths of a second."""

IDLE_SECONDS: Final = 0.25
"""How long a worker without input folds between two polls of its group."""

WAIT_MS: Final = 50
"""How long it waits for a fetch of a log of which it knows that there is more."""

MEASURE_SECONDS: Final = 5.0

AGAIN_SECONDS: Final = 5.0
"""After an error of the broker's, when a log is followed again."""

ONE_IF_ONE: Final = -1
"""As the setting: a log of one partition is followed, of several none."""


class Standby:
    """Follows the log of partitions that other workers have. Used by the main loop alone.

    Args:
        settings: how many partitions at most, and where the broker is.
        stage: whose state is kept; partitions that are followed are in it beside those that are assigned.
        metrics: of this worker.
        partitions: all of the stage's log.
    """

    def __init__(self, settings: Settings, stage: StatefulStage, metrics: Metrics, partitions: Collection[int]) -> None:
        self._settings = settings
        self._stage = stage
        self._metrics = metrics
        self._folded = metrics.standby_records.labels(stage.name)
        most = settings.standby_partitions
        self._most = int(len(partitions) == 1) if most == ONE_IF_ONE else most
        # Workers that wait begin at different places, so that together they follow as many as they can.
        ordered = sorted(partitions)
        turn = zlib.crc32(settings.instance.encode()) % max(1, len(ordered))
        self._order: Sequence[int] = ordered[turn:] + ordered[:turn]
        self._followers: dict[int, _Follower] = {}

    @property
    def behind(self) -> bool:
        """Whether there is more to fold at once."""
        return any(follower.behind for follower in self._followers.values())

    def problem(self) -> str:
        """Return why a worker that has no partition is no standby either; empty when it is one."""
        if not self._followers:
            return "no partition is assigned, and none is followed (NEWSMILL_STANDBY_PARTITIONS)"
        return next((problem for f in self._followers.values() if (problem := f.problem)), "")

    def follow(self, assigned: Collection[int], *, busy: bool) -> None:
        """Fold what has arrived on the logs that are followed, a piece of each.

        Args:
            assigned: partitions that this worker has itself.
            busy: it has input to do. Then there is one piece at most and no wait.
        """
        wanted = self._wanted(assigned)
        for partition in [p for p in self._followers if p not in wanted]:
            self._drop(partition)
        for partition in wanted:
            if partition not in self._followers:
                tail = LogTail(self._settings, self._stage, partition)
                self._followers[partition] = _Follower(self._settings, self._stage, partition, tail)
        folded = 0
        for partition, follower in self._followers.items():
            folded += follower.step(seconds=0.0 if busy else IDLE_SECONDS / len(self._followers))
            lag = self._metrics.standby_lag.labels(self._stage.name, partition)
            lag.set(math.nan if follower.lag is None else follower.lag)
        if folded:
            self._folded.inc(folded)
            show_state(self._stage, self._metrics)

    def take(self, partition: int) -> LogTail:
        """The partition is this worker's now: return what has its state, warm if it was followed. The caller restores
        it before any input is processed."""
        follower = self._followers.pop(partition, None)
        if follower is None:
            return LogTail(self._settings, self._stage, partition)
        self._unfollow(follower)
        return follower.tail

    def give(self, partition: int, tail: LogTail | None) -> None:
        """The partition is another worker's now, `tail` has its state (None: it was not restored yet): follow it from
        here on, or drop the state."""
        if tail is not None and len(self._followers) < self._most:
            self._followers[partition] = _Follower(self._settings, self._stage, partition, tail)
        elif partition not in self._followers:
            self._stage.forget(partition)

    def close(self) -> None:
        """Write what is known into snapshots, and close the connections."""
        for follower in self._followers.values():
            follower.close()
            follower.tail.snapshot()

    def _wanted(self, assigned: Collection[int]) -> list[int]:
        """What is warm stays; the rest in this worker's order."""
        known = [p for p in self._followers if p not in assigned]
        more = [p for p in self._order if p not in assigned and p not in self._followers]
        return [*known, *more][: self._most]

    def _drop(self, partition: int) -> None:
        follower = self._followers.pop(partition)
        self._unfollow(follower)
        follower.tail.drop()

    def _unfollow(self, follower: _Follower) -> None:
        follower.close()
        self._metrics.standby_lag.remove(self._stage.name, follower.partition)


class _Follower:
    """One partition that is followed. `lag`: log records (and markers of transactions) that it has not read, None
    where that is not known. `problem`: why its state is not warm; empty when it is."""

    def __init__(self, settings: Settings, stage: StatefulStage, partition: int, tail: LogTail) -> None:
        self.partition = partition
        self.tail = tail
        self.lag: int | None = None
        self.problem = f"the log of partition {partition} is not read yet"
        self._tp = TopicPartition(clients.physical(settings, stage.log_topic), partition)
        self._stage = stage
        self._consumer: Any = None
        self._refused = False
        self._due = 0.0
        self._end = 0
        self._measured = 0.0

    @property
    def behind(self) -> bool:
        """Whether there is more to read at once."""
        return self._consumer is not None and bool(self.lag)

    def step(self, seconds: float) -> int:
        """Fold what has arrived for about so long, at least one piece; return the number of log records.

        What goes wrong is logged and tried again later. The takeover doesn't depend on it: it reads what is missing.
        """
        if self._refused or time.monotonic() < self._due:
            return 0
        try:
            if self._consumer is None:
                self._consumer = self.tail.follow()
            folded = self._fold(seconds)
            if self.lag == 0 and self.problem:
                # Read to where the log ended when that was asked. From now on it is warm, also while it is a little
                # behind: under load there is always something that has just come in.
                log.info("%s is followed: its state is warm", self._tp)
                self.problem = ""
            self._measure()
        except RestoreError as error:
            # Another version has written it. Whoever takes the partition over starts over, and says what to do.
            log.warning("%s is not followed: %s", self._tp, error)
            self._refused = True
            self._stop(str(error))
            self.tail.drop()
            return 0
        except KafkaError as error:
            log.warning("%s is followed again in %g s: %r", self._tp, AGAIN_SECONDS, error)
            self._stop(f"{self._tp.topic} can't be followed: {error!r}")
            self._due = time.monotonic() + AGAIN_SECONDS
            return 0
        self.tail.snapshot(at_most_every_s=SNAPSHOT_SECONDS)
        return folded

    def _fold(self, seconds: float) -> int:
        folded = 0
        until = time.monotonic() + seconds
        while True:
            wait_ms = WAIT_MS if seconds and self.lag else 0
            polled = self._consumer.poll(timeout_ms=wait_ms, max_records=PIECE_RECORDS).get(self._tp, ())
            if polled:
                self.tail.fold([to_record(raw) for raw in polled])
                folded += len(polled)
            # Otherwise it is known at the next measurement only that there is no more.
            if self.lag is not None:
                self.lag = max(0, self._end - self._consumer.position(self._tp))
            if not polled or time.monotonic() >= until:
                return folded

    def _measure(self) -> None:
        """Ask where the log ends: now and then, and sooner where there seems to be no more to read."""
        if time.monotonic() < self._measured + (MEASURE_SECONDS if self.lag else MEASURE_SECONDS / 5):
            return
        self._measured = time.monotonic()
        self._end = self._consumer.end_offsets([self._tp], timeout_ms=5_000)[self._tp]
        self.lag = max(0, self._end - self._consumer.position(self._tp))

    def _stop(self, problem: str) -> None:
        self.problem = problem
        self.lag = None
        self.close()

    def close(self) -> None:
        """Close the connection; the state stays."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
