"""The stages in a row: what one writes for the topic of the next is handed on, as a broker would, with its offset."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from newsmill.engines.embedded.pool import Spread, StagePool, preparing
from newsmill.engines.result import BatchResult, Output
from newsmill.engines.runner import Runner, ingested_at_ms
from newsmill.metrics import Metrics
from newsmill.routes import Routes
from schemas import headers as h
from schemas import topics
from workers.stage import Record, Stage, StatefulStage


@dataclass(frozen=True, slots=True)
class Decided:
    """What another run has decided about a record that this one does not process: it becomes part of the state.

    `stage` is the stage that logged it, `partition` that of its input, `entry` the log record. `after` says how many
    records of the batch came before it.
    """

    stage: str
    partition: int
    entry: Record
    after: int = 0


@dataclass(slots=True)
class Batch:
    """What all stages made of a batch, before any of it is durable.

    `sinks` and `logs` hold the records to write, by topic. `offsets` are the next offsets of all topics once the batch
    is durable. `open` are those of `results` that are not yet part of the stages' state.
    """

    results: list[tuple[Runner, BatchResult]] = field(default_factory=list)
    open: list[tuple[Runner, BatchResult]] = field(default_factory=list)
    sinks: dict[str, list[Output]] = field(default_factory=dict)
    logs: dict[str, list[Output]] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)


class Chain:
    """Runs batches through the stages. Records of the first topic have the partitions that they come with.

    Args:
        stages: in the order of the pipeline: none reads what a later one writes.
        metrics: shared by all stages.
        dead_letter_limit: exceptions allowed among the last 1,000 records of a stage.
        pool: where stages without state run, beside the main process, and where those of the others that say so
            (`heavy_prepare`) prepare their records.
        partition: returns the partition of a record that is handed on, of its topic and key; always 0 if not given.
        routes: which partition an article goes to instead; None: its key decides.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        metrics: Metrics,
        *,
        dead_letter_limit: int,
        pool: StagePool | None = None,
        partition: Callable[[str, bytes | None], int] = lambda topic, key: 0,
        routes: Routes | None = None,
    ) -> None:
        if not stages:
            raise ValueError("there are no stages to run")
        self.runners: list[Runner] = []
        self._spread: list[Spread] = []
        read: set[str] = set()
        for stage in stages:
            if {*stage.sinks} & {*read, stage.source}:
                raise ValueError(f"{stage.name} writes what an earlier stage reads")
            read.add(stage.source)
            prepared = None
            if not isinstance(stage, StatefulStage):
                stage = Spread(stage, pool)
                self._spread.append(stage)
            elif pool is not None and stage.heavy_prepare and stage.name in pool.names:
                prepared = preparing(pool, stage.name)
            runner = Runner(stage, metrics, dead_letter_limit=dead_letter_limit, prepared=prepared, routes=routes)
            self.runners.append(runner)
        self._read = frozenset(read)
        self._partition = partition

    @property
    def source(self) -> str:
        """Topic of the first stage."""
        return self.runners[0].stage.source

    def leave_pool(self) -> None:
        """From now on run everything in the main process."""
        for stage in self._spread:
            stage.pool = None
        for runner in self.runners:
            runner.prepared = None

    def run(self, records: Sequence[Record], offsets: Mapping[str, int], decided: Sequence[Decided] = ()) -> Batch:
        """Run `records` of the first stage's topic through all stages.

        Args:
            records: the batch.
            offsets: next offset of each topic, by `place`.
            decided: what is folded into the state between records, in order. It takes an offset of the topic that its
                stage reads, and its log record is among the batch's logs. A batch with such can't be rolled back: after
                a failure the process has to begin again from what is durable.

        Raises DeadLetterLimitExceeded and PoolDied; then no stage's state has changed.
        """
        batch = Batch(offsets={**offsets, **{place(self.source, r.partition): r.offset + 1 for r in records}})
        made: dict[str, list[Output]] = {}
        order = _order(records) if decided else {}
        try:
            for runner in self.runners:
                stage = runner.stage
                own = deque(one for one in decided if one.stage == stage.name)
                inputs: Iterable[tuple[int, Record | Output]] = (
                    enumerate(records)
                    if stage.source == self.source
                    else ((order.get(_origin(o.headers), 0), o) for o in made.pop(stage.source, ()))
                )
                for entries, piece in _pieces(inputs, own):
                    self._fold(runner, entries, batch)
                    arrived = [one if isinstance(one, Record) else self._arrive(one, batch) for one in piece]
                    if arrived:
                        # Entered before it runs: what it has staged is to be rolled back, too.
                        batch.open.append((runner, BatchResult()))
                        result = runner.run(arrived)
                        batch.open[-1] = (runner, result)
                        batch.results.append((runner, result))
                        self._hand_on(runner, result, batch, made)
        except BaseException:
            self.rollback(batch)
            raise
        self._sort_dead_letters(batch, records)
        return batch

    def refuse(
        self,
        record: Record,
        reason: str,
        detail: str,
        offsets: Mapping[str, int],
        decided: Sequence[Decided] = (),
    ) -> Batch:
        """Return the batch for a record that no stage is shown, behind what is `decided` (see `run`)."""
        batch = self.run((), offsets, decided)
        batch.offsets[place(self.source, record.partition)] = record.offset + 1
        runner = self.runners[0]
        result = runner.dead_letter(record, reason, detail)
        batch.results.append((runner, result))
        batch.open.append((runner, result))
        self._hand_on(runner, result, batch, {})
        return batch

    def commit(self, batch: Batch) -> None:
        """The batch is durable: state and metrics follow."""
        for runner, result in batch.open:
            runner.commit(result)

    def rollback(self, batch: Batch) -> None:
        """The batch is not durable: leave no trace of it."""
        for runner, _ in batch.open:
            runner.rollback()

    def _arrive(self, output: Output, batch: Batch) -> Record:
        """Return what a stage wrote as the next stage reads it."""
        partition = output.partition
        if partition is None:
            partition = self._partition(output.topic, output.key)
        offset = _take(batch, place(output.topic, partition))
        arrived = ingested_at_ms(output.headers) or 0
        return Record(output.topic, partition, offset, output.key, output.value, output.headers, arrived)

    def _fold(self, runner: Runner, decided: Sequence[Decided], batch: Batch) -> None:
        """Make decisions part of the state. A fold is final, so what was staged before it becomes final, too."""
        stage = runner.stage
        if not decided or not isinstance(stage, StatefulStage):
            return
        for _, result in (one for one in batch.open if one[0] is runner):
            runner.commit(result)
        batch.open = [one for one in batch.open if one[0] is not runner]
        for one in decided:
            entry, headers = one.entry, one.entry.headers
            if stage.source != self.source:
                offset = str(_take(batch, place(stage.source, one.partition))).encode()
                headers = (*(header for header in headers if header[0] != h.INPUT_OFFSET), (h.INPUT_OFFSET, offset))
            stage.restore(one.partition, [replace(entry, headers=headers)])
            written = Output(stage.log_topic, entry.key, entry.value, (*headers, (h.TAKEN_OVER, b"1")), one.partition)
            batch.logs.setdefault(stage.log_topic, []).append(written)
            _take(batch, stage.log_topic)

    def _hand_on(self, runner: Runner, result: BatchResult, batch: Batch, made: dict[str, list[Output]]) -> None:
        stage = runner.stage
        log_topic = stage.log_topic if isinstance(stage, StatefulStage) else None
        for output in result.outputs:
            if output.topic in self._read:
                made.setdefault(output.topic, []).append(output)
                continue
            _take(batch, output.topic)
            if output.topic == log_topic:
                batch.logs.setdefault(output.topic, []).append(output)
            else:
                batch.sinks.setdefault(output.topic, []).append(output)

    def _sort_dead_letters(self, batch: Batch, records: Iterable[Record]) -> None:
        """Put the dead letters of all stages into the order of the input, so that it does not depend on the batches."""
        dead = batch.sinks.get(topics.DEAD_LETTERS)
        if not dead:
            return
        order = _order(records)
        dead.sort(key=lambda output: order.get(_origin(output.headers), -1))


def place(topic: str, partition: int) -> str:
    """Return the name of a partition among a chain's offsets."""
    return f"{topic}/{partition}" if partition else topic


def _take(batch: Batch, name: str) -> int:
    """Return the next offset of a partition, which is then taken."""
    offset = batch.offsets.get(name, 0)
    batch.offsets[name] = offset + 1
    return offset


def _origin(headers: h.Headers) -> bytes:
    return h.get(headers, h.ORIGIN) or b""


def _order(records: Iterable[Record]) -> dict[bytes, int]:
    """Return the place of each origin in a batch."""
    order: dict[bytes, int] = {}
    for index, record in enumerate(records):
        named = _origin(record.headers) or f"{record.topic}/{record.partition}/{record.offset}".encode()
        order.setdefault(named, index)
    return order


def _pieces(
    inputs: Iterable[tuple[int, Record | Output]], decided: deque[Decided]
) -> Iterator[tuple[list[Decided], list[Record | Output]]]:
    """Yield what is to be folded and what comes after it, in turns. Each input has its place in the batch."""
    entries: list[Decided] = []
    piece: list[Record | Output] = []
    reached = 0
    for index, one in inputs:
        reached = max(reached, index)
        if decided and decided[0].after <= reached:
            yield entries, piece
            entries, piece = [], []
            while decided and decided[0].after <= reached:
                entries.append(decided.popleft())
        piece.append(one)
    yield entries, piece
    if decided:
        yield list(decided), []
