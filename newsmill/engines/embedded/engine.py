"""The embedded engine: documents in, records out, exactly once into files when there is a state directory.

The life of a batch, and what a death between two steps leaves:

    processed     nothing is written: the batch is done again
    written       files are longer than the checkpoint says: they are cut, the batch is done again
    synced        as before
    checkpointed  the batch is durable; a new process restores the stages' state from their logs
    committed     the state in memory has followed
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from newsmill.engines.embedded.batches import batches
from newsmill.engines.embedded.chain import Batch, Chain
from newsmill.engines.embedded.checkpoint import Checkpoint
from newsmill.engines.embedded.errors import EngineError, StateError
from newsmill.engines.embedded.pool import PoolDied, StagePool
from newsmill.engines.embedded.sink import Sink
from newsmill.engines.embedded.state import State
from newsmill.engines.embedded.summary import RunSummary
from newsmill.engines.result import KILLED
from newsmill.feed import Document, ListSource, Position, Source, live
from newsmill.metrics import Metrics
from schemas import headers as h
from schemas import topics
from schemas.limits import MAX_RECORD_BYTES
from workers.stage import Record, Stage, StatefulStage, StateVersionError

TOO_LARGE: Final = "too_large"
"""Reason code of a document that is larger than a record may be."""

UNREADABLE: Final = "unreadable"
"""Reason code of a place in a file where a document should be and none can be read."""

BATCH_RECORDS: Final = 64
BATCH_BYTES: Final = 16 * 1024 * 1024
_LINGER_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run is. `position` is where the last durable batch ended."""

    summary: RunSummary
    position: Position


def _nothing(_: Any) -> None:
    pass


class EmbeddedEngine:
    """Runs documents through all stages in this process.

    Args:
        stages: in the order of the pipeline, loaded.
        source: the documents; a plain iterable counts as one file that is read from its beginning.
        sinks: topic -> where its records go. Records of a topic without a sink are counted and dropped.
        state_dir: directory of checkpoint and logs; None: no state is kept, and a crash means starting again.
        fresh: forget the state, and overwrite output files.
        ingested_ms: time of the run (milliseconds since the Unix epoch), stamped on records as a broker does.
        options: what else the outcome depends on, as plain JSON; an interrupted run goes on with the same alone.
        batch_records, batch_bytes: most of each in a batch.
        dead_letter_limit: exceptions allowed among the last 1,000 records of a stage.
        pool: processes for the stages without state.
        metrics: where outcomes are counted.
        on_step: called between the steps of a batch, with their names; for tests.
        on_progress: called when a batch is durable.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        source: Source | Iterable[Document],
        sinks: Mapping[str, Sequence[Sink]],
        state_dir: Path | None = None,
        *,
        fresh: bool = False,
        ingested_ms: int = 0,
        options: Mapping[str, Any] | None = None,
        batch_records: int = BATCH_RECORDS,
        batch_bytes: int = BATCH_BYTES,
        dead_letter_limit: int = 100,
        pool: StagePool | None = None,
        metrics: Metrics | None = None,
        on_step: Callable[[str], None] = _nothing,
        on_progress: Callable[[Progress], None] = _nothing,
    ) -> None:
        self.metrics = metrics or Metrics()
        self._stages = stages
        self._source = source if isinstance(source, Source) else ListSource(source)
        self._sinks = sinks
        self._state_dir = state_dir
        self._fresh = fresh
        self._ingested_ms = ingested_ms
        self._options = dict(options or {})
        self._batch_records = batch_records
        self._batch_bytes = batch_bytes
        self._chain = Chain(stages, self.metrics, dead_letter_limit=dead_letter_limit, pool=pool)
        self._on_step = on_step
        self._on_progress = on_progress
        self._state: State | None = None
        self._offsets: dict[str, int] = {}
        self._killer: int | None = None
        self._stopping = False
        self._summary = RunSummary()
        for stage in stages:
            self.metrics.announce(stage.name, stage.version, "embedded")

    def stop(self) -> None:
        """Stop after the batch at hand. May be called from a signal handler."""
        self._stopping = True

    def run(self) -> RunSummary:
        """Run to the end of the input, or until `stop`. Call it once.

        Raises StateError, InputError, EngineError, DeadLetterLimitExceeded. What was durable stays, and with a state
        directory the run can go on from there.
        """
        started = time.perf_counter()
        with contextlib.ExitStack() as stack:
            self._open(stack)
            try:
                self._run()
                # A stream that was stopped can't be gone back to: what comes next is a new run.
                self._checkpoint(None, finished=self._source.live or not self._summary.stopped)
            except PoolDied as error:
                # Not an orderly end: a record may have killed it, so this start counts as one that died.
                raise EngineError(
                    "a process of --jobs died (a crash in native code, or too little memory). "
                    "Run the same command again; with --state, a record that does it each time is found and set aside"
                ) from error
            except Exception:
                self._end()
                raise
            self._end()
        self._summary.seconds = time.perf_counter() - started
        return self._summary

    # -- opening

    def _open(self, stack: contextlib.ExitStack) -> None:
        before: Checkpoint | None = None
        if self._state_dir is not None:
            logs = [stage.log_topic for stage in self._stages if isinstance(stage, StatefulStage)]
            self._state = State(self._state_dir, logs, fresh=self._fresh)
            stack.callback(self._state.close)
            before = self._state.checkpoint
        if before is not None:
            self._take_over(before)
        self._open_sinks(stack, before)
        if self._state is not None:
            # From here on a crash finds the lengths that the files have now.
            self._checkpoint(None)
            self._killer = self._state.attempts.start(self._offsets.get(self._chain.source, 0), self._batch_records)
            if self._state.attempts.alone:
                self._chain.leave_pool()

    def _take_over(self, before: Checkpoint) -> None:
        stages = {stage.name: stage.version for stage in self._stages}
        remedy = f"Use another --state directory than {self._state_dir}, or --fresh, which forgets what was seen"
        if list(before.stages) != list(stages):
            raise StateError(
                f"the state was made by the stages {', '.join(before.stages)}, not {', '.join(stages)}. {remedy}"
            )
        if not before.finished:
            self._refuse_changes(before, stages, remedy)
            self._summary.load(before.totals)
            self._summary.resumed = True
        self._offsets = dict(before.offsets)
        for runner in self._chain.runners:
            name = runner.stage.name
            runner.restore_window(0, before.windows.get(name, ""))
            if isinstance(runner.stage, StatefulStage) and self._state is not None:
                started = time.perf_counter()
                try:
                    runner.stage.restore(0, self._state.log(runner.stage.log_topic))
                except StateVersionError as error:
                    raise StateError(f"the state of {name} can't be read by this version: {error}. {remedy}") from error
                self.metrics.restore_seconds.labels(name).set(time.perf_counter() - started)

    def _refuse_changes(self, before: Checkpoint, stages: Mapping[str, str], remedy: str) -> None:
        """An interrupted run goes on with the same stages and options alone: its output is that of one run."""
        for name, version in stages.items():
            if before.stages[name] != version:
                raise StateError(
                    f"the interrupted run used {name} {before.stages[name]}, this is {version}. "
                    f"Finish it with the version that began it. {remedy}"
                )
        if before.options != self._options:
            changed = sorted(
                name
                for name in {*before.options, *self._options}
                if before.options.get(name) != self._options.get(name)
            )
            raise StateError(f"the interrupted run had other options: {', '.join(changed)}. {remedy}")
        paths = {str(sink.path) for sinks in self._sinks.values() for sink in sinks if sink.path is not None}
        if paths != {*before.outputs}:
            raise StateError(
                "the interrupted run wrote to other files: "
                f"{', '.join(sorted(before.outputs)) or 'none'}. Continue with the same. {remedy}"
            )

    def _open_sinks(self, stack: contextlib.ExitStack, before: Checkpoint | None) -> None:
        for sinks in self._sinks.values():
            for sink in sinks:
                if self._state is None or self._fresh:
                    sink.open(0)
                elif before is None:
                    sink.open(None, must_be_new=True)
                elif before.finished:
                    # The output of a finished run belongs to the user, who may have moved it or added to it.
                    sink.open(None, must_be_new=str(sink.path) not in before.outputs)
                else:
                    sink.open(before.outputs.get(str(sink.path)))
                stack.callback(sink.close)

    # -- running

    def _run(self) -> None:
        known = self._state.known if self._state is not None else {}
        read = self._source.read(dict(known))
        documents: Iterable[Document | None] = live(read, _LINGER_S) if self._source.live else read
        for batch in batches(documents, self._most, self._batch_bytes):
            if batch:
                self._batch(batch)
            if self._stopping:
                self._summary.stopped = True
                return

    def _most(self) -> int:
        return 1 if self._state is not None and self._state.attempts.alone else self._batch_records

    def _batch(self, documents: Sequence[Document]) -> None:
        first = self._offsets.get(self._chain.source, 0)
        records = [self._record(document, first + index) for index, document in enumerate(documents)]
        if self._state is not None and self._state.attempts.alone:
            self._state.attempts.trying(first)
        batch = self._process(documents, records)
        try:
            self._on_step("processed")
            self._write(documents, batch)
            self._on_step("written")
            for sinks in self._sinks.values():
                for sink in sinks:
                    sink.sync()
            if self._state is not None:
                self._state.sync()
            self._on_step("synced")
            self._offsets = batch.offsets
            self._checkpoint(batch)
        except BaseException:
            self._chain.rollback(batch)
            raise
        self._on_step("checkpointed")
        self._chain.commit(batch)
        self._on_step("committed")
        if self._state is not None:
            self._state.attempts.progressed(self._offsets[self._chain.source])
        self._on_progress(Progress(self._summary, documents[-1].position))

    def _process(self, documents: Sequence[Document], records: Sequence[Record]) -> Batch:
        document, record = documents[0], records[0]
        if record.offset == self._killer:
            return self._chain.refuse(
                record, KILLED, "the process died whenever it was working on this record", self._offsets
            )
        if document.too_large:
            detail = (
                f"{document.size} bytes; at most {MAX_RECORD_BYTES} are taken, the first {len(document.value)} are here"
            )
            return self._chain.refuse(record, TOO_LARGE, detail, self._offsets)
        if document.problem:
            return self._chain.refuse(record, UNREADABLE, document.problem, self._offsets)
        return self._chain.run(records, self._offsets)

    def _write(self, documents: Sequence[Document], batch: Batch) -> None:
        for topic, outputs in batch.sinks.items():
            for sink in self._sinks.get(topic, ()):
                sink.write(outputs)
        if self._state is not None:
            self._state.append(batch.logs, self._offsets, [document.position for document in documents])
        self._summary.documents += len(documents)
        for runner, result in batch.results:
            self._summary.add(runner.stage.name, result)
        self._summary.show(batch.sinks.get(topics.DEAD_LETTERS, ()))

    def _record(self, document: Document, offset: int) -> Record:
        headers = document.headers
        if h.get(headers, h.ORIGIN) is None:
            headers = (*headers, (h.ORIGIN, document.origin.encode("utf-8", "surrogateescape")))
        return Record(self._chain.source, 0, offset, document.key, document.value, headers, self._ingested_ms)

    def _checkpoint(self, batch: Batch | None, *, finished: bool = False) -> None:
        if self._state is None:
            return
        pending = {runner.stage.name: result.windows for runner, result in batch.results} if batch is not None else {}
        windows = {
            runner.stage.name: pending.get(runner.stage.name, {}).get(0, runner.window(0)).dump()
            for runner in self._chain.runners
        }
        current = self._state.current
        Checkpoint(
            finished=finished,
            ingested_ms=self._ingested_ms,
            stages={stage.name: stage.version for stage in self._stages},
            options=self._options,
            offsets=self._offsets,
            logs=self._state.lengths,
            outputs={
                str(sink.path): sink.length for sinks in self._sinks.values() for sink in sinks if sink.path is not None
            },
            windows=windows,
            current=current.dump() if current is not None else None,
            totals=self._summary.dump(),
        ).save(self._state.directory)

    def _end(self) -> None:
        if self._state is not None:
            # A full disk must not hide why the run ends.
            with contextlib.suppress(EngineError):
                self._state.attempts.ended()
