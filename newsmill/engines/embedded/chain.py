"""The stages in a row: what one writes for the topic of the next is handed on, as a broker would, with its offset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from newsmill.engines.embedded.pool import Spread, StagePool, preparing
from newsmill.engines.result import BatchResult, Output
from newsmill.engines.runner import Runner, ingested_at_ms
from newsmill.metrics import Metrics
from schemas import headers as h
from schemas import topics
from workers.stage import Record, Stage, StatefulStage


@dataclass(slots=True)
class Batch:
    """What all stages made of a batch, before any of it is durable.

    `sinks` and `logs` hold the records to write, by topic. `offsets` are the next offsets of all topics once the batch
    is durable.
    """

    results: list[tuple[Runner, BatchResult]] = field(default_factory=list)
    sinks: dict[str, list[Output]] = field(default_factory=dict)
    logs: dict[str, list[Output]] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)


class Chain:
    """Runs batches through the stages. Each topic has one partition, 0.

    Args:
        stages: in the order of the pipeline: none reads what a later one writes.
        metrics: shared by all stages.
        dead_letter_limit: exceptions allowed among the last 1,000 records of a stage.
        pool: where stages without state run, beside the main process, and where those of the others that say so
            (`heavy_prepare`) prepare their records.
    """

    def __init__(
        self, stages: Sequence[Stage], metrics: Metrics, *, dead_letter_limit: int, pool: StagePool | None = None
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
            self.runners.append(Runner(stage, metrics, dead_letter_limit=dead_letter_limit, prepared=prepared))
        self._read = frozenset(read)

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

    def run(self, records: Sequence[Record], offsets: Mapping[str, int]) -> Batch:
        """Run `records` of the first stage's topic through all stages.

        Raises DeadLetterLimitExceeded and PoolDied; then no stage's state has changed.
        """
        batch = Batch(offsets={**offsets, self.source: records[-1].offset + 1})
        waiting: dict[str, list[Record]] = {self.source: list(records)}
        try:
            for runner in self.runners:
                inputs = waiting.pop(runner.stage.source, [])
                if inputs:
                    # Entered before it runs: what it has staged is to be rolled back, too.
                    batch.results.append((runner, BatchResult()))
                    result = runner.run(inputs)
                    batch.results[-1] = (runner, result)
                    self._hand_on(runner, result, batch, waiting)
        except BaseException:
            self.rollback(batch)
            raise
        self._sort_dead_letters(batch, records)
        return batch

    def refuse(self, record: Record, reason: str, detail: str, offsets: Mapping[str, int]) -> Batch:
        """Return the batch for a record that no stage is shown."""
        batch = Batch(offsets={**offsets, self.source: record.offset + 1})
        runner = self.runners[0]
        result = runner.dead_letter(record, reason, detail)
        batch.results.append((runner, result))
        self._hand_on(runner, result, batch, {})
        return batch

    def commit(self, batch: Batch) -> None:
        """The batch is durable: state and metrics follow."""
        for runner, result in batch.results:
            runner.commit(result)

    def rollback(self, batch: Batch) -> None:
        """The batch is not durable: leave no trace of it."""
        for runner, _ in batch.results:
            runner.rollback()

    def _hand_on(self, runner: Runner, result: BatchResult, batch: Batch, waiting: dict[str, list[Record]]) -> None:
        stage = runner.stage
        log_topic = stage.log_topic if isinstance(stage, StatefulStage) else None
        for output in result.outputs:
            offset = batch.offsets.get(output.topic, 0)
            batch.offsets[output.topic] = offset + 1
            if output.topic == log_topic:
                batch.logs.setdefault(output.topic, []).append(output)
            elif output.topic in self._read:
                arrived = ingested_at_ms(output.headers) or 0
                waiting.setdefault(output.topic, []).append(
                    Record(output.topic, 0, offset, output.key, output.value, output.headers, arrived)
                )
            else:
                batch.sinks.setdefault(output.topic, []).append(output)

    def _sort_dead_letters(self, batch: Batch, records: Iterable[Record]) -> None:
        """Put the dead letters of all stages into the order of the input, so that it does not depend on the batches."""
        dead = batch.sinks.get(topics.DEAD_LETTERS)
        if not dead:
            return
        place: dict[bytes, int] = {}
        for index, record in enumerate(records):
            place.setdefault(h.get(record.headers, h.ORIGIN) or b"", index)
        dead.sort(key=lambda output: place.get(h.get(output.headers, h.ORIGIN) or b"", -1))
