"""Counts what became of a batch, once it is durable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from newsmill.engines.result import RAISED, BatchResult
from newsmill.metrics import Metrics, observe_all
from newsmill.sources import Sources
from schemas import headers as h
from schemas import topics
from workers.stage import Stage, StatefulStage


class Tally:
    """Counts the batches of one stage. Each input is counted once, after its batch is durable.

    Args:
        stage: whose batches.
        metrics: where to count.
        sources: which sources are shown by name; used for the stage that reads news.raw, whose keys are sources.
        clock: seconds since the Unix epoch.
    """

    def __init__(self, stage: Stage, metrics: Metrics, sources: Sources, clock: Callable[[], float]) -> None:
        self._stage = stage
        self._metrics = metrics
        self._clock = clock
        self._sources = sources
        self.by_source = stage.source == topics.RAW
        # Looking up a labelled metric costs more than counting it.
        self._processing = metrics.processing.labels(stage.name)
        self._batch = metrics.batch.labels(stage.name)
        self._age = metrics.age.labels(stage.name)
        self._queueing = metrics.queueing.labels(stage.name)
        self._last_success = metrics.last_success.labels(stage.name)
        # Everything that can happen is there from the start, with 0: a rate needs a value before the first event.
        for kind in (*stage.kinds, "dead_letter"):
            metrics.records.labels(stage.name, kind)
        for reason in (*stage.reasons, RAISED):
            metrics.dead_letters.labels(stage.name, reason)
        for note in stage.notes:
            metrics.notes.labels(stage.name, note)
        if isinstance(stage, StatefulStage):
            metrics.source_states.show(stage.name, stage.source_states, sources.limit)
        metrics.exceptions.labels(stage.name)
        metrics.aborts.labels(stage.name)

    def count(self, result: BatchResult) -> None:
        """Count a batch that is durable."""
        name, metrics = self._stage.name, self._metrics
        now = self._clock()
        for (outcome, reason, replayed), count in result.counts.items():
            (metrics.replayed if replayed else metrics.records).labels(name, outcome).inc(count)
            if reason and not replayed:
                metrics.dead_letters.labels(name, reason).inc(count)
            if reason == RAISED:
                metrics.exceptions.labels(name).inc(count)
        outputs = result.outputs
        if any(replayed for _, _, replayed in result.counts):
            outputs = [output for output in outputs if h.get(output.headers, h.REPLAY) is None]
        for topic, count in Counter(output.topic for output in outputs).items():
            metrics.emitted.labels(name, topic).inc(count)
        for note, count in result.notes.items():
            metrics.notes.labels(name, note).inc(count)
        for (key, outcome), count in result.sources.items():
            metrics.sources.labels(name, self._sources.name(key, count), outcome).inc(count)
        observe_all(self._age, [max(0.0, now - ingested / 1000) for ingested in result.ingested_ms])
        observe_all(self._queueing, [max(0.0, result.began - appended / 1000) for appended in result.appended_ms])
        self._processing.observe(result.seconds)
        self._batch.observe(result.records)
        self._last_success.set(now)
        if isinstance(self._stage, StatefulStage):
            show_state(self._stage, metrics)


def show_state(stage: StatefulStage, metrics: Metrics) -> None:
    """Show how large the state of `stage` is, all its partitions together."""
    entries, size = stage.state_size()
    metrics.state_entries.labels(stage.name).set(entries)
    metrics.state_bytes.labels(stage.name).set(size)
    if (limit := stage.state_limit()) is not None:
        metrics.state_limit.labels(stage.name).set(limit)
