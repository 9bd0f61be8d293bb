"""The main loop: read a batch, run the stage, write it in one transaction, again.

The rebalance listener runs on the client's I/O thread, where waiting would stop heartbeats. It only notes what
changed and pauses new partitions; the main loop forgets and restores state between two polls. A batch is never in the
air while the group rebalances without its transaction noticing: the membership that it was read under goes into the
transaction, and the broker refuses an older one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, ClassVar

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

from newsmill import clients, routes
from newsmill.engines.broker.marks import Marks
from newsmill.engines.broker.partitions import KILLED_DETAIL, Partition, cut
from newsmill.engines.broker.positions import Positions
from newsmill.engines.broker.records import size, to_record
from newsmill.engines.broker.required import MissingTopicsError, check_routes, required_topics
from newsmill.engines.broker.restore import SNAPSHOT_SECONDS, LogTail
from newsmill.engines.kafka.abandoned import client_id, end_abandoned
from newsmill.engines.kafka.changes import Changes
from newsmill.engines.kafka.consumer import GroupConsumer
from newsmill.engines.kafka.standby import Standby
from newsmill.engines.kafka.transaction import StaleMembershipError, Transactor
from newsmill.engines.result import KILLED, BatchResult
from newsmill.engines.runner import Runner
from newsmill.errors import NewsmillError
from newsmill.health import Health
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from newsmill.sources import shown_sources
from schemas import topics
from workers.stage import Record, Stage, StatefulStage

log = logging.getLogger(__name__)

POLL_MS = 500


class HeldBackError(NewsmillError):
    """A partition's committed offset is not to be had. The worker must exit."""

    exit_code: ClassVar[int] = 1


class KafkaEngine:
    """Runs one stage as a member of its consumer group, exactly once.

    Args:
        stage: the stage, loaded.
        settings: broker, instance, batch and timeouts.
        metrics: of this worker.
        health: of this worker.
        pool, prepare: where records are prepared, see Runner.
        on_step: called between the steps of a batch: `polled`, `processed`, those of the Transactor, `done`.
    """

    name = "kafka"

    def __init__(
        self,
        stage: Stage,
        settings: Settings,
        metrics: Metrics,
        health: Health | None = None,
        *,
        pool: Executor | None = None,
        prepare: Callable[[Record], object] | None = None,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.stage = stage
        self.settings = settings
        self.metrics = metrics
        self.health = health or Health(settings.stall_s)
        self.runner = Runner(
            stage,
            metrics,
            dead_letter_limit=settings.dead_letter_limit,
            pool=pool,
            prepare=prepare,
            sources=shown_sources(settings.metrics_sources, metrics, stage.name),
            routes=routes.parse(settings.dedup_routes),
        )
        self._on_step = on_step
        self._topic = clients.physical(settings, stage.source)
        self._group = clients.group(settings, stage.name)
        self._stopping = threading.Event()
        self._changes = Changes()
        self._partitions: dict[TopicPartition, Partition] = {}
        self._tails: dict[int, LogTail] = {}
        self._standby: Standby | None = None
        self._away = ""

    def stop(self) -> None:
        """Finish the batch, commit it, leave the group. May be called from a signal handler or another thread."""
        self._stopping.set()

    def run(self) -> None:
        """Work until `stop`.

        Raises TransactionError, FencedError, RestoreError, HeldBackError, DeadLetterLimitExceeded, KafkaError: the
        process must then exit without another try; nothing of the batch counts until the broker says so, and the
        next start goes on from there.
        """
        self._transactor = Transactor(self.settings, self.stage.name, self._on_step)
        self._transactor.start()
        self._positions = Positions(self.settings, self.stage.name, self.metrics)
        self._consumer: Any = GroupConsumer(
            **clients.consumer(self.settings),
            group_id=self._group,
            client_id=client_id(self.stage.name, self.settings.instance),
            partition_assignment_strategy=(CooperativeStickyAssignor,),
            session_timeout_ms=int(self.settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(self.settings.session_timeout_s * 1000 / 4),
            max_poll_interval_ms=int(self.settings.max_batch_s * 1000),
            # An offset of a transaction that is not settled yet is asked for again after this.
            retry_backoff_ms=20,
        )
        self._check_topics()
        self._changes.consumer = self._consumer
        self._consumer.subscribe([self._topic], listener=self._changes)
        self.metrics.announce(self.stage.name, self.stage.version, self.name)
        while not self._stopping.is_set():
            self._turn()
        self._leave()

    def _check_topics(self) -> None:
        needed = required_topics(self.settings, self.stage)
        if missing := [name for name in needed if not self._consumer.partitions_for_topic(name)]:
            raise MissingTopicsError(missing)
        if topics.ARTICLES in self.stage.sinks:
            articles = self._consumer.partitions_for_topic(clients.physical(self.settings, topics.ARTICLES))
            check_routes(self.settings, len(articles))
        if isinstance(self.stage, StatefulStage):
            partitions = self._consumer.partitions_for_topic(clients.physical(self.settings, self.stage.log_topic))
            self._standby = Standby(self.settings, self.stage, self.metrics, partitions)

    def _turn(self) -> None:
        self._follow_changes()
        polled = self._poll()
        if self._changes.any() or (polled and self._consumer.joining):
            # Partitions moved, or are about to, while the batch was gathered. Whatever is still this worker's is read
            # again. Until it has joined it sends no heartbeats, so no work is begun that could outlast its session.
            self._follow_changes()
            self._rewind()
            return
        membership = self._consumer.group_metadata()
        self.health.ready(self._away or self._idle())
        if polled:
            # A batch in hand is input that waits: one that never ends must be seen, and nothing is measured meanwhile.
            self.health.waiting(True)
        try:
            for batch in self._cut(polled):
                self._on_step("polled")
                self._transact(batch, membership)
                if self._stopping.is_set():
                    return
        except StaleMembershipError as error:
            log.warning("the group has rebalanced under a batch, which is read again: %s", error)
            self.metrics.aborts.labels(self.stage.name).inc()
            self.runner.rollback()
            self._consumer.join_again()
            self._rewind()
            return
        self._look_around()
        if self._standby is not None and not self._consumer.joining:
            self._standby.follow({tp.partition for tp in self._consumer.assignment()}, busy=bool(polled))

    def _idle(self) -> str:
        """Return why this worker has nothing to do and is no standby either; empty when it has, or is."""
        if self._consumer.assignment():
            return ""
        # Whatever waited on a partition that it had is another's.
        self.health.waiting(False)
        return self._standby.problem() if self._standby else "no partition is assigned"

    # -- reading

    def _poll(self) -> dict[TopicPartition, list[Any]]:
        """Return records, after waiting `linger_ms` for a batch to fill once there are any."""
        limit = self.settings.batch_records
        hurry = self._standby is not None and self._standby.behind and not self._consumer.joining
        polled: dict[TopicPartition, list[Any]]
        polled = self._consumer.poll(timeout_ms=0 if hurry else POLL_MS, max_records=limit)
        deadline = time.monotonic() + self.settings.linger_ms / 1000
        count = sum(map(len, polled.values()))
        while polled and count < limit and not self._changes.any():
            left_ms = int((deadline - time.monotonic()) * 1000)
            if left_ms <= 0:
                break
            for tp, records in self._consumer.poll(timeout_ms=left_ms, max_records=limit - count).items():
                polled.setdefault(tp, []).extend(records)
                count += len(records)
        return polled

    def _cut(self, polled: dict[TopicPartition, list[Any]]) -> list[list[Any]]:
        records = ((tp, record) for tp, records in polled.items() for record in records)
        return cut(records, self._partitions, self.settings.batch_bytes, lambda record: int(record.offset), size)

    def _rewind(self) -> None:
        """Read again from what is committed."""
        for tp in self._consumer.assignment():
            committed = self._partitions[tp].committed
            if committed is not None:
                self._consumer.seek(tp, committed)
            else:
                self._consumer.seek_to_beginning(tp)

    # -- writing

    def _transact(self, batch: Sequence[Any], membership: ConsumerGroupMetadata) -> None:
        first: dict[TopicPartition, int] = {}
        last: dict[TopicPartition, Any] = {}
        place = _place(batch[0])
        for record in batch:
            if record.partition != place.partition:
                place = _place(record)
            first.setdefault(place, record.offset)
            last[place] = record
        result = self._deadly(batch)
        if result is None:
            self._mark_starts(first, len(batch), membership)
            result = self.runner.run([to_record(record) for record in batch])
        self._on_step("processed")
        offsets = {}
        for tp, record in last.items():
            window = result.windows[tp.partition]
            offsets[tp] = OffsetAndMetadata(record.offset + 1, Marks(failures=window.dump()).dump(), -1)
        started = time.perf_counter()
        written = self._transactor.write(result.outputs, offsets, membership, self._confirm)
        self.metrics.committing.labels(self.stage.name).observe(time.perf_counter() - started)
        self._durable(result, last, written)
        self._on_step("done")

    def _mark_starts(self, first: dict[TopicPartition, int], records: int, membership: ConsumerGroupMetadata) -> None:
        """Commit that this worker begins, before its first batch of a partition, and before each record that is tried
        alone. If the process dies now, the next start finds the mark."""
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for tp, offset in first.items():
            partition = self._partitions[tp]
            if (marks := partition.start_mark(offset)) is not None:
                at = offset if partition.committed is None else partition.committed
                offsets[tp] = OffsetAndMetadata(at, marks.dump(), -1)
        if offsets:
            self._transactor.write([], offsets, membership, self._confirm)
            for tp, sent in offsets.items():
                self._partitions[tp].marked(Marks.load(sent.metadata), sent.offset, records)

    def _deadly(self, batch: Sequence[Any]) -> BatchResult | None:
        """Return the result for a record that has already taken a worker down while it was tried alone."""
        record = batch[0]
        tp = _place(record)
        if not self._partitions[tp].deadly(record.offset):
            return None
        log.error(
            "offset %d of %s took the worker down while it was tried alone; it is a dead letter now", record.offset, tp
        )
        return self.runner.dead_letter(to_record(record), KILLED, KILLED_DETAIL)

    def _confirm(self, tp: TopicPartition) -> OffsetAndMetadata | None:
        """Return what is committed of `tp`, from the broker, once no transaction is open on it. Raises KafkaError."""
        timeout_ms = int(self.settings.commit_timeout_s * 1000)
        found: OffsetAndMetadata | None = self._consumer.committed(tp, metadata=True, timeout_ms=timeout_ms)
        return found

    def _durable(
        self,
        result: BatchResult,
        last: dict[TopicPartition, Any],
        written: dict[tuple[str, int], int],
    ) -> None:
        self.runner.commit(result)
        for tp, record in last.items():
            self._partitions[tp].durable(record.offset + 1, result.windows[tp.partition].dump())
            self._positions.processed(tp.partition, record.timestamp, record.offset + 1)
        if isinstance(self.stage, StatefulStage):
            logs = {o.partition: o for o in result.outputs if o.topic == self.stage.log_topic}
            for partition, entry in logs.items():
                if partition is not None:
                    topic = clients.physical(self.settings, entry.topic)
                    self._tails[partition].wrote(written[topic, partition], entry.key, entry.value)
        self.health.progress()

    # -- between batches

    def _look_around(self) -> None:
        """What is done now and then: measure lag, commit positions behind transaction markers, write snapshots."""
        assignment = self._consumer.assignment()
        try:
            waiting = self._positions.measure(self._consumer, assignment)
        except KafkaError as error:
            # Until the next measurement succeeds: a poll of a broker that is away finds nothing and says nothing.
            self._away = f"the broker does not answer: {error!r}"
            self.health.ready(self._away)
            return
        if waiting is not None:
            self._away = ""
            self.health.waiting(waiting > 0)
            if waiting == 0:
                self._commit_positions(assignment)
        for tail in self._tails.values():
            tail.snapshot(at_most_every_s=SNAPSHOT_SECONDS)

    def _commit_positions(self, assignment: set[TopicPartition]) -> None:
        """On an idle partition only markers of transactions may lie behind the committed offset. Step over them, or
        the group shows a lag for ever."""
        behind = {}
        try:
            for tp in assignment:
                position = self._consumer.position(tp, timeout_ms=5_000)
                partition = self._partitions[tp]
                if position is not None and partition.committed is not None and partition.committed < position:
                    behind[tp] = OffsetAndMetadata(position, partition.marks.dump(), -1)
            if behind:
                self._consumer.commit(behind, timeout_ms=5_000)
        except KafkaError as error:
            log.info("positions behind markers were not committed, later then: %r", error)
            return
        for tp, offset in behind.items():
            self._partitions[tp].committed = offset.offset
            self._positions.stepped(tp.partition, offset.offset)

    def _follow_changes(self) -> None:
        """Do what the listener has noted: drop what was revoked, restore what was assigned."""
        while self._changes.any():
            gone, new = self._changes.take()
            self.metrics.rebalances.labels(self.stage.name).inc()
            for tp in sorted(gone):
                self._give_up(tp)
            if new:
                end_abandoned(self.settings, self.stage.name)
            remaining = sorted(new)
            while remaining and self._take_on(remaining[0]):
                remaining.pop(0)
            if remaining:
                # The group has rebalanced meanwhile: these are looked at again with what that changed.
                self._changes.again(remaining)
        self._consumer.resume(*self._consumer.assignment())

    def _give_up(self, tp: TopicPartition) -> None:
        if tail := self._tails.pop(tp.partition, None):
            tail.snapshot()
        if self._standby is not None:
            self._standby.give(tp.partition, tail)
        self._partitions.pop(tp, None)
        self._positions.revoked(tp.partition)

    def _take_on(self, tp: TopicPartition) -> bool:
        """Get ready for a partition that is new here; False when the group rebalanced meanwhile and it is undone."""
        try:
            found = self._confirm(tp)
        except KafkaTimeoutError as error:
            raise HeldBackError(
                f"the committed offset of {tp.topic}/{tp.partition} was not to be had for "
                f"{self.settings.commit_timeout_s:g} s: the broker is slow or away, or a transaction is open on it. "
                'Start the worker again; if it ends like this over and over, see "Nothing moves" in docs/operations.md'
            ) from error
        marks = Marks.load(found.metadata if found else None)
        if self._standby is not None and not self._restore(self._standby, tp.partition):
            return False
        partition = self._partitions[tp] = Partition(found.offset if found else None, marks)
        if marks.careful:
            log.warning(
                "%d workers died on %s without progress; its next records are tried one at a time", marks.starts, tp
            )
            partition.careful = self.settings.batch_records
        self.runner.restore_window(tp.partition, marks.failures)
        self._positions.assigned(tp.partition, partition.committed)
        return True

    def _restore(self, standby: Standby, partition: int) -> bool:
        """Rebuild the state of `partition`, or what is missing of it; False when the group rebalanced meanwhile."""
        self.health.ready("restoring state")
        started = time.monotonic()
        tail = standby.take(partition)
        self._consumer.pause(*self._consumer.assignment())
        folded = 0
        for count in tail.restore():
            folded = count
            self.health.progress()
            # Keeps the membership alive; everything is paused, so it brings no records. A join that is not finished
            # within a poll is begun again by the next one, and makes the whole group begin again.
            self._consumer.poll(timeout_ms=POLL_MS if self._consumer.joining else 0)
            if self._changes.any():
                standby.give(partition, tail)
                return False
        seconds = time.monotonic() - started
        self.metrics.restore_seconds.labels(self.stage.name).set(seconds)
        log.info("restored the state of %s/%d from %d log records in %.1f s", self._topic, partition, folded, seconds)
        self._tails[partition] = tail
        return True

    def _leave(self) -> None:
        # First of all, so that whoever takes over need not wait for the snapshots.
        self._consumer.close(autocommit=False)
        self._positions.close()
        self._transactor.close()
        for tail in self._tails.values():
            tail.snapshot()
        if self._standby is not None:
            self._standby.close()


def _place(record: Any) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
