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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

from newsmill import clients
from newsmill.engines.kafka.marks import Marks
from newsmill.engines.kafka.positions import Positions
from newsmill.engines.kafka.records import size, to_record
from newsmill.engines.kafka.restore import LogTail
from newsmill.engines.kafka.transaction import StaleMembershipError, Transactor
from newsmill.engines.runner import KILLED, BatchResult, Runner
from newsmill.errors import NewsmillError
from newsmill.health import Health
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from schemas import topics
from workers.stage import Record, Stage, StatefulStage

log = logging.getLogger(__name__)

POLL_MS = 500
SNAPSHOT_SECONDS = 300.0


class MissingTopicsError(NewsmillError):
    """Topics that the stage needs are not there. The text names them."""


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
        self.runner = Runner(stage, metrics, dead_letter_limit=settings.dead_letter_limit, pool=pool, prepare=prepare)
        self._on_step = on_step
        self._topic = clients.physical(settings, stage.source)
        self._group = clients.group(settings, stage.name)
        self._stopping = threading.Event()
        self._changes = _Changes()
        self._marks: dict[TopicPartition, Marks] = {}
        self._begun: set[TopicPartition] = set()
        self._careful: dict[TopicPartition, int] = {}
        self._tails: dict[int, LogTail] = {}
        self._committed: dict[TopicPartition, int] = {}

    def stop(self) -> None:
        """Finish the batch, commit it, leave the group. May be called from a signal handler or another thread."""
        self._stopping.set()

    def run(self) -> None:
        """Work until `stop`.

        Raises TransactionError, FencedError, RestoreError, DeadLetterLimitExceeded, KafkaError: the process must then
        exit without another try; nothing of the batch counts until the broker says so, and the next start goes on
        from there.
        """
        self._transactor = Transactor(self.settings, self.stage.name, self._on_step)
        self._transactor.start()
        self._positions = Positions(self.settings, self.stage.name, self.metrics)
        self._consumer: Any = KafkaConsumer(
            **clients.consumer(self.settings),
            group_id=self._group,
            client_id=f"{self.stage.name}-{self.settings.instance}",
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
        log_topics = [self.stage.log_topic] if isinstance(self.stage, StatefulStage) else []
        wanted = (self.stage.source, *self.stage.sinks, topics.DEAD_LETTERS, *log_topics)
        missing = [
            name
            for name in (clients.physical(self.settings, topic) for topic in wanted)
            if not self._consumer.partitions_for_topic(name)
        ]
        if missing:
            raise MissingTopicsError(f"these topics don't exist: {', '.join(missing)}. Run `newsmill topics create`")

    def _turn(self) -> None:
        self._follow_changes()
        polled = self._poll()
        if self._changes.any():
            # Partitions moved while the batch was gathered. Whatever is still this worker's is read again.
            self._follow_changes()
            self._rewind()
            return
        membership = self._consumer.group_metadata()
        self.health.ready("" if self._consumer.assignment() else "no partition is assigned")
        try:
            for batch in self._batches(polled):
                self._on_step("polled")
                self._transact(batch, membership)
                if self._stopping.is_set():
                    return
        except StaleMembershipError as error:
            log.warning("the group has rebalanced under a batch, which is read again: %s", error)
            self.metrics.aborts.labels(self.stage.name).inc()
            self.runner.rollback()
            self._rewind()
            return
        self._look_around()

    # -- reading

    def _poll(self) -> dict[TopicPartition, list[Any]]:
        """Return records, after waiting `linger_ms` for a batch to fill once there are any."""
        limit = self.settings.batch_records
        polled: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=POLL_MS, max_records=limit)
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

    def _batches(self, polled: dict[TopicPartition, list[Any]]) -> Iterator[list[Any]]:
        """Cut what was read into batches of at most `batch_bytes`; records that are to be tried alone come alone."""
        batch: list[Any] = []
        held = 0
        for tp, records in polled.items():
            for record in records:
                alone = self._careful.get(tp, 0) > 0 or self._tried_alone(tp, record)
                if batch and (alone or held + size(record) > self.settings.batch_bytes):
                    yield batch
                    batch, held = [], 0
                batch.append(record)
                held += size(record)
                if alone:
                    yield batch
                    batch, held = [], 0
        if batch:
            yield batch

    def _tried_alone(self, tp: TopicPartition, record: Any) -> bool:
        marks = self._marks.get(tp)
        return marks is not None and marks.trying == record.offset

    def _rewind(self) -> None:
        """Read again from what is committed."""
        for tp in self._consumer.assignment():
            committed = self._committed.get(tp)
            if committed is not None:
                self._consumer.seek(tp, committed)
            else:
                self._consumer.seek_to_beginning(tp)

    # -- writing

    def _transact(self, batch: Sequence[Any], membership: ConsumerGroupMetadata) -> None:
        last: dict[TopicPartition, Any] = {TopicPartition(r.topic, r.partition): r for r in batch}
        result = self._deadly(batch) or self._process(batch, last, membership)
        self._on_step("processed")
        offsets = {}
        for tp, record in last.items():
            window = result.windows[tp.partition]
            offsets[tp] = OffsetAndMetadata(record.offset + 1, Marks(failures=window.dump()).dump(), -1)
        started = time.perf_counter()
        written = self._transactor.write(result.outputs, offsets, membership, self._confirm)
        self.metrics.committing.labels(self.stage.name).observe(time.perf_counter() - started)
        self._durable(result, last, offsets, written)
        self._on_step("done")

    def _process(
        self, batch: Sequence[Any], last: dict[TopicPartition, Any], membership: ConsumerGroupMetadata
    ) -> BatchResult:
        self._mark_start(batch, last, membership)
        return self.runner.run([to_record(record) for record in batch])

    def _mark_start(
        self, batch: Sequence[Any], last: dict[TopicPartition, Any], membership: ConsumerGroupMetadata
    ) -> None:
        """Commit that this worker begins, before its first batch of a partition, and before each record that is tried
        alone. If the process dies now, the next start finds the mark."""
        marks = {}
        for tp in last:
            if self._careful.get(tp, 0) > 0:
                self._careful[tp] -= len(batch)
                marks[tp] = Marks(self._marks[tp].failures, self._marks[tp].starts, batch[0].offset)
            elif tp not in self._begun:
                marks[tp] = self._marks.get(tp, Marks()).started()
        if not marks:
            return
        first: dict[TopicPartition, int] = {}
        for record in batch:
            first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        self._transactor.write(
            [],
            {tp: OffsetAndMetadata(self._committed.get(tp, first[tp]), mark.dump(), -1) for tp, mark in marks.items()},
            membership,
            self._confirm,
        )
        for tp, mark in marks.items():
            self._committed.setdefault(tp, first[tp])
            self._marks[tp] = mark
            self._begun.add(tp)

    def _deadly(self, batch: Sequence[Any]) -> BatchResult | None:
        """Return the result for a record that has already taken a worker down while it was tried alone."""
        record = batch[0]
        tp = TopicPartition(record.topic, record.partition)
        if tp in self._begun or not self._tried_alone(tp, record):
            return None
        log.error(
            "offset %d of %s took the worker down while it was tried alone; it is a dead letter now", record.offset, tp
        )
        self._begun.add(tp)
        return self.runner.dead_letter(
            to_record(record), KILLED, "the worker died three times on the batch of this record, then on it alone"
        )

    def _confirm(self, tp: TopicPartition) -> OffsetAndMetadata | None:
        """Return what is committed of `tp`, from the broker, once no transaction is open on it. Raises KafkaError."""
        timeout_ms = int(self.settings.commit_timeout_s * 1000)
        found: OffsetAndMetadata | None = self._consumer.committed(tp, metadata=True, timeout_ms=timeout_ms)
        return found

    def _durable(
        self,
        result: BatchResult,
        last: dict[TopicPartition, Any],
        offsets: dict[TopicPartition, OffsetAndMetadata],
        written: dict[tuple[str, int], int],
    ) -> None:
        self.runner.commit(result)
        for tp, record in last.items():
            self._committed[tp] = offsets[tp].offset
            self._marks[tp] = Marks.load(offsets[tp].metadata)
            self._begun.add(tp)
            self._positions.processed(tp.partition, record.timestamp, offsets[tp].offset)
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
            self.health.ready(f"the broker does not answer: {error!r}")
            return
        if waiting is not None:
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
                if position is not None and self._committed.get(tp, position) < position:
                    behind[tp] = OffsetAndMetadata(position, self._marks.get(tp, Marks()).dump(), -1)
            if behind:
                self._consumer.commit(behind, timeout_ms=5_000)
        except KafkaError as error:
            log.info("positions behind markers were not committed, later then: %r", error)
            return
        for tp, offset in behind.items():
            self._committed[tp] = offset.offset
            self._positions.stepped(tp.partition, offset.offset)

    def _follow_changes(self) -> None:
        """Do what the listener has noted: drop what was revoked, restore what was assigned."""
        while self._changes.any():
            gone, new = self._changes.take()
            self.metrics.rebalances.labels(self.stage.name).inc()
            for tp in sorted(gone):
                self._give_up(tp)
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
        if isinstance(self.stage, StatefulStage):
            self.stage.forget(tp.partition)
        for known in (self._marks, self._committed, self._careful):
            known.pop(tp, None)
        self._begun.discard(tp)
        self._positions.revoked(tp.partition)

    def _take_on(self, tp: TopicPartition) -> bool:
        """Get ready for a partition that is new here; False when the group rebalanced meanwhile and it is undone."""
        found = self._confirm(tp)
        marks = Marks.load(found.metadata if found else None)
        if isinstance(self.stage, StatefulStage) and not self._restore(self.stage, tp.partition):
            return False
        self._marks[tp] = marks
        if found is not None:
            self._committed[tp] = found.offset
        if marks.careful:
            log.warning(
                "%d workers died on %s without progress; its next records are tried one at a time", marks.starts, tp
            )
            self._careful[tp] = self.settings.batch_records
        self.runner.restore_window(tp.partition, marks.failures)
        self._positions.assigned(tp.partition, found.offset if found else None)
        return True

    def _restore(self, stage: StatefulStage, partition: int) -> bool:
        """Rebuild the state of `partition`; False when the group rebalanced meanwhile."""
        self.health.ready("restoring state")
        started = time.monotonic()
        tail = LogTail(self.settings, stage, partition)
        self._consumer.pause(*self._consumer.assignment())
        folded = 0
        for count in tail.restore():
            folded = count
            self.health.progress()
            # Keeps the membership alive; everything is paused, so it brings no records.
            self._consumer.poll(timeout_ms=0)
            if self._changes.any():
                return False
        seconds = time.monotonic() - started
        self.metrics.restore_seconds.labels(stage.name).set(seconds)
        log.info("restored %s/%d from %d log records in %.1f s", stage.log_topic, partition, folded, seconds)
        self._tails[partition] = tail
        return True

    def _leave(self) -> None:
        for tail in self._tails.values():
            tail.snapshot()
        self._consumer.close(autocommit=False)
        self._positions.close()
        self._transactor.close()


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Notes what a rebalance changed, for the main loop."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self._lock = threading.Lock()
        self._events: list[tuple[bool, frozenset[TopicPartition]]] = []

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Pause them: the main loop resumes them once their state is there."""
        self.consumer.pause(*assigned)
        with self._lock:
            self._events.append((True, frozenset(assigned)))

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Their state is dropped by the main loop."""
        with self._lock:
            self._events.append((False, frozenset(revoked)))

    def again(self, partitions: Sequence[TopicPartition]) -> None:
        """Note partitions as newly assigned once more, before anything noted since: taking them on was interrupted."""
        with self._lock:
            self._events.insert(0, (True, frozenset(partitions)))

    def any(self) -> bool:
        """Whether something has changed since the last `take`."""
        return bool(self._events)

    def take(self) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """Return (partitions gone, partitions new) since the last call; one that went and came back is in both."""
        with self._lock:
            events, self._events = self._events, []
        gone: set[TopicPartition] = set()
        new: set[TopicPartition] = set()
        for assigned, partitions in events:
            if assigned:
                new |= partitions
            else:
                gone |= partitions
                new -= partitions
        return gone, new
