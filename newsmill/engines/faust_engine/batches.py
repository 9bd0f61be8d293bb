"""The batch loop of a Faust worker: take what the agent left, run the stage, write, commit, again.

At least once, and in this order, each step confirmed by the broker before the next begins:

1. the stage's log records,
2. the outputs (and dead letters),
3. the offsets of the input.

A worker that dies between two of them leaves input that is read again. If its log record is there, the stage repeats
the decision in it, so what is written twice is written with the same key and value. Were outputs written before the
log, a worker that died in between would decide afresh, and could contradict what it has already published.

Any failure ends the process: whether the broker has what was written is then unknown, and the next start finds out by
reading its input, and its log, from the broker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from newsmill import clients
from newsmill.engines.broker.marks import Marks
from newsmill.engines.broker.partitions import KILLED_DETAIL, Partition, cut
from newsmill.engines.broker.required import MissingTopicsError, check_routes, required_topics
from newsmill.engines.broker.restore import SNAPSHOT_SECONDS, LogTail
from newsmill.engines.faust_engine.errors import CommitError, StuckError
from newsmill.engines.faust_engine.inbox import Inbox, size
from newsmill.engines.faust_engine.outbox import Outbox
from newsmill.engines.faust_engine.positions import Lag
from newsmill.engines.result import KILLED, BatchResult
from newsmill.engines.runner import Runner
from newsmill.health import Health
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from schemas import topics
from workers.stage import Record, StatefulStage

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.5

Offsets = dict[TP, OffsetAndMetadata]


class BatchLoop:
    """Runs one stage on what a Faust app consumes.

    Args:
        app: the Faust app, for its consumer and producer.
        runner: runs the stage.
        on_step: called between the steps of a batch: `polled`, `processed`, `logged`, `written`, `committed`, `done`.
    """

    def __init__(
        self,
        app: Any,
        runner: Runner,
        settings: Settings,
        metrics: Metrics,
        health: Health,
        on_step: Callable[[str], None],
    ) -> None:
        self._app = app
        self._runner = runner
        self._stage = runner.stage
        self._settings = settings
        self._metrics = metrics
        self._health = health
        self._on_step = on_step
        self._inbox = Inbox(settings.batch_records, settings.batch_bytes)
        self._partitions: dict[TP, Partition] = {}
        self._new: set[TP] = set()
        self._tails: dict[int, LogTail] = {}
        # The generation whose partitions were taken away: what was read under it is another worker's.
        self._revoked: int | None = None
        self._busy = asyncio.Lock()
        self._stopping = False
        # Why the broker does not answer, until it answers again: Faust goes on with what it has fetched.
        self._away = ""
        # When a batch became durable, or nothing waited that could have come; monotonic seconds.
        self._moved = time.monotonic()

    # -- called by Faust

    async def admit(self, message: Any) -> None:
        """Wait until there is room for a fetched message."""
        await self._inbox.admit(message)

    def has_room(self) -> bool:
        """Whether the next message is admitted without waiting."""
        return self._inbox.has_room()

    async def consume(self, stream: Any) -> None:
        """The agent: hand each message to the loop. Nothing is acked through Faust, see transport."""
        async for event in stream.noack().events():
            await self._inbox.put(event.message)

    async def assigned(self, partitions: set[TP]) -> None:
        """The group has given this worker `partitions`."""
        self._metrics.rebalances.labels(self._stage.name).inc()
        if not partitions:
            self._health.ready("no partition is assigned")
        self._new = {tp for tp in partitions if tp.topic == self._source}
        await self._inbox.wake()

    async def revoked(self) -> None:
        """The group takes all partitions back: wait for the batch in flight, then drop everything."""
        self._revoked = self._app.consumer_generation_id
        self._new = set()
        await self._inbox.clear()
        async with self._busy:
            for tp in sorted(self._partitions):
                self._give_up(tp)
        self._health.ready("the group rebalances")

    async def finish(self) -> None:
        """Let the batch in flight end; begin no other."""
        self._stopping = True
        await self._inbox.wake()
        async with self._busy:
            for tail in self._tails.values():
                tail.snapshot()

    async def run(self) -> None:
        """Work until `finish`. Raises what ended it: the process must then exit without another try."""
        self._lag = await asyncio.to_thread(Lag, self._settings, self._stage.name, self._metrics)
        try:
            await self._check_topics()
            while not self._stopping:
                messages = await self._inbox.gather(WAIT_SECONDS, self._settings.linger_ms / 1000)
                async with self._busy:
                    await self._turn(messages)
                await self._look_around()
        finally:
            self._lag.close()

    async def _check_topics(self) -> None:
        """Raise MissingTopicsError now, rather than wait for a topic that nobody creates."""
        missing = await self._lag.missing(required_topics(self._settings, self._stage))
        if missing:
            raise MissingTopicsError(missing)
        if topics.ARTICLES in self._stage.sinks:
            articles = clients.physical(self._settings, topics.ARTICLES)
            check_routes(self._settings, await self._lag.partitions(articles))

    # -- a turn

    @property
    def _source(self) -> str:
        return clients.physical(self._settings, self._stage.source)

    def _generation(self) -> int | None:
        """Return the generation of the group under which this worker owns partitions; None when it owns none."""
        now: int = self._app.consumer_generation_id
        return None if now == self._revoked else now

    async def _turn(self, messages: Sequence[Any]) -> None:
        generation = self._generation()
        messages = [message for message in messages if message.generation_id == generation]
        for tp in sorted(self._new | {message.tp for message in messages}):
            if tp not in self._partitions and not self._stopping and not await self._take_on(tp):
                # Taken away again while its state was restored.
                return
        self._new = set()
        if self._partitions:
            self._health.ready(self._away)
        # A record that Faust hands over twice (it does, when it seeks back around a rebalance) is processed once.
        messages = [message for message in messages if message.offset >= self._partitions[message.tp].done]
        batches = cut(
            ((message.tp, message) for message in messages),
            self._partitions,
            self._settings.batch_bytes,
            lambda message: int(message.offset),
            size,
        )
        for batch in batches:
            if self._stopping or self._generation() != generation:
                return
            try:
                await self._process(batch)
            except BaseException:
                # The worker ends, and writes snapshots on its way out: of what is durable alone.
                self._runner.rollback()
                raise

    async def _process(self, batch: Sequence[Any]) -> None:
        self._on_step("polled")
        # A batch in hand is input that waits: one that never ends must be seen, and nothing is measured meanwhile.
        self._health.waiting(True)
        first = {message.tp: message.offset for message in reversed(batch)}
        last = {message.tp: message for message in batch}
        result = self._deadly(batch)
        if result is None:
            await self._mark_starts(first, len(batch))
            result = self._runner.run([to_record(message) for message in batch])
        self._on_step("processed")
        started = time.perf_counter()
        written = await self._write(result)
        windows = result.windows
        offsets = {
            tp: OffsetAndMetadata(message.offset + 1, Marks(failures=windows[tp.partition].dump()).dump())
            for tp, message in last.items()
        }
        await self._commit(offsets)
        self._metrics.committing.labels(self._stage.name).observe(time.perf_counter() - started)
        self._on_step("committed")
        self._durable(result, last, written)
        self._on_step("done")

    async def _write(self, result: BatchResult) -> dict[tuple[str, int], int]:
        outbox = Outbox(self._settings, self._app.producer)
        written = await outbox.write([output for output in result.outputs if output.partition is not None])
        self._on_step("logged")
        await outbox.write([output for output in result.outputs if output.partition is None])
        self._on_step("written")
        return written

    async def _commit(self, offsets: Offsets) -> None:
        try:
            async with asyncio.timeout(self._settings.commit_timeout_s):
                await self._app.consumer.thread.commit_offsets(offsets)
        except TimeoutError:
            raise CommitError(f"committing took longer than {self._settings.commit_timeout_s:g} s") from None
        except KafkaError as error:
            raise CommitError(f"offsets were not committed: {error!r}") from error

    def _durable(self, result: BatchResult, last: dict[TP, Any], written: dict[tuple[str, int], int]) -> None:
        self._runner.commit(result)
        for tp, message in last.items():
            self._partitions[tp].durable(message.offset + 1, result.windows[tp.partition].dump())
            self._lag.processed(tp.partition, milliseconds(message), message.offset + 1)
        entries = {output.partition: output for output in result.outputs if output.partition is not None}
        for partition, entry in entries.items():
            offset = written[clients.physical(self._settings, entry.topic), partition]
            self._tails[partition].wrote(offset, entry.key, entry.value)
        self._health.progress()
        self._moved = time.monotonic()

    # -- records that take workers down

    async def _mark_starts(self, first: dict[TP, int], records: int) -> None:
        offsets: Offsets = {}
        for tp, offset in first.items():
            partition = self._partitions[tp]
            if (marks := partition.start_mark(offset)) is not None:
                at = offset if partition.committed is None else partition.committed
                offsets[tp] = OffsetAndMetadata(at, marks.dump())
        if offsets:
            await self._commit(offsets)
            for tp, sent in offsets.items():
                self._partitions[tp].marked(Marks.load(sent.metadata), sent.offset, records)

    def _deadly(self, batch: Sequence[Any]) -> BatchResult | None:
        message = batch[0]
        if not self._partitions[message.tp].deadly(message.offset):
            return None
        log.error(
            "offset %d of %s took the worker down while it was tried alone; it is a dead letter now",
            message.offset,
            message.tp,
        )
        return self._runner.dead_letter(to_record(message), KILLED, KILLED_DETAIL)

    # -- partitions come and go

    async def _take_on(self, tp: TP) -> bool:
        """Restore what is known of `tp`; return False when it was taken away meanwhile."""
        generation = self._generation()
        found = (await self._app.consumer.thread.committed_offsets([tp])).get(tp)
        marks = Marks.load(found.metadata if found else None)
        partition = Partition(found.offset if found else None, marks)
        if marks.careful:
            log.warning(
                "%d workers died on %s without progress; its next records are tried one at a time", marks.starts, tp
            )
            partition.careful = self._settings.batch_records
        self._runner.restore_window(tp.partition, marks.failures)
        if isinstance(self._stage, StatefulStage) and not await self._restore(self._stage, tp.partition, generation):
            return False
        self._partitions[tp] = partition
        self._lag.assigned(tp.partition, partition.committed)
        self._moved = time.monotonic()
        return True

    async def _restore(self, stage: StatefulStage, partition: int, generation: int | None) -> bool:
        self._health.ready("restoring state")
        started = time.monotonic()
        tail = LogTail(self._settings, stage, partition)
        folded = 0
        for so_far in tail.restore():
            folded = so_far
            self._health.progress()
            # Lets a rebalance or a stop in. The membership is kept alive by the consumer's own thread.
            await asyncio.sleep(0)
            if self._generation() != generation or self._stopping:
                stage.forget(partition)
                return False
        seconds = time.monotonic() - started
        self._metrics.restore_seconds.labels(stage.name).set(seconds)
        log.info("restored %s/%d from %d log records in %.1f s", stage.log_topic, partition, folded, seconds)
        self._tails[partition] = tail
        return True

    def _give_up(self, tp: TP) -> None:
        if tail := self._tails.pop(tp.partition, None):
            tail.snapshot()
        if isinstance(self._stage, StatefulStage):
            self._stage.forget(tp.partition)
        del self._partitions[tp]
        self._lag.revoked(tp.partition)

    # -- between batches

    async def _look_around(self) -> None:
        """What is done now and then: measure lag, commit positions behind transaction markers, write snapshots."""
        thread = self._app.consumer.thread
        try:
            waiting = await self._lag.measure_faust(thread, {tp: p.done for tp, p in self._partitions.items()})
        except (KafkaError, TimeoutError) as error:
            self._away = f"the broker does not answer: {error!r}"
            self._health.ready(self._away)
            self._moved = time.monotonic()
            return
        if not self._partitions:
            self._moved = time.monotonic()
        if waiting is not None:
            self._away = ""
            self._health.waiting(waiting > 0)
            self._check_moving(waiting)
            if waiting == 0:
                async with self._busy:
                    await self._commit_positions(thread)
        for tail in self._tails.values():
            tail.snapshot(at_most_every_s=SNAPSHOT_SECONDS)

    def _check_moving(self, waiting: int) -> None:
        """Raise StuckError when the broker has records for this worker and none has come for long.

        That was seen once, after a broker had been killed. By its source (0.15.3, faust/tables/recovery.py,
        `_resume_streams`) Faust may leave its flow suspended when another rebalance overtakes one; this is a guess. The
        next start of the worker goes on from what is committed.
        """
        if waiting == 0:
            self._moved = time.monotonic()
        elif (still := time.monotonic() - self._moved) > self._settings.commit_timeout_s:
            raise StuckError(
                f"{waiting} records wait, and Faust has handed over none for {still:.0f} s; the worker ends, and its "
                "next start goes on from what is committed"
            )

    async def _commit_positions(self, thread: Any) -> None:
        """On an idle partition only markers of transactions may lie behind the committed offset. Step over them, or
        the group shows a lag for ever."""
        behind: Offsets = {}
        for tp, partition in self._partitions.items():
            position = thread.position_behind(tp, partition.done)
            if partition.committed is not None and partition.committed < position:
                behind[tp] = OffsetAndMetadata(position, partition.marks.dump())
        if not behind or self._generation() is None:
            return
        try:
            await self._commit(behind)
        except CommitError as error:
            log.info("positions behind markers were not committed, later then: %s", error)
            return
        for tp, offset in behind.items():
            self._partitions[tp].committed = self._partitions[tp].done = offset.offset


def milliseconds(message: Any) -> int:
    """Return the timestamp of a Faust message, which has it in seconds as a float, as it was on the wire."""
    return round(float(message.timestamp) * 1000)


def to_record(message: Any) -> Record:
    """Return a Faust message as a Record. A header without a value gets an empty one."""
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple((name, value or b"") for name, value in message.headers or ()),
        milliseconds(message),
    )
