"""What all engines do with a batch: run the stage, find records that make it raise, and make the output records.

A `Runner` turns input records into output records and knows nothing of transport. Engines call, per batch:

    result = runner.run(records)    # nothing has happened yet
    ... write result.outputs and the input positions, durably ...
    runner.commit(result)           # state and metrics follow; or runner.rollback()
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import replace

from newsmill.engines.limit import FailureWindow
from newsmill.engines.result import PROMOTED, RAISED, BatchResult, Output
from newsmill.engines.tally import Tally
from newsmill.metrics import Metrics
from newsmill.routes import Routes
from newsmill.sources import Sources
from schemas import headers as h
from schemas import topics
from schemas.limits import MAX_DETAIL_CHARS, MAX_RECORD_BYTES
from workers.stage import Emit, Outcome, Record, Reject, Stage, StatefulStage

log = logging.getLogger(__name__)


class Runner:
    """Runs one stage, batch by batch.

    Args:
        stage: the stage, loaded.
        metrics: where outcomes are counted once they are durable.
        dead_letter_limit: exceptions allowed among the last 1,000 records of a partition.
        pool: where `prepare` (the stage's own by default) runs ahead of `process`; None: `process` does it itself.
        prepared: prepares a batch in some other way, where there is no pool; it may return records as they came.
        sources: which sources metrics show by name.
        routes: which partition of news.articles an article goes to; None: its key decides.
        clock: seconds since the Unix epoch, for ages and timestamps in metrics.
    """

    def __init__(
        self,
        stage: Stage,
        metrics: Metrics,
        *,
        dead_letter_limit: int = 100,
        pool: Executor | None = None,
        prepare: Callable[[Record], object] | None = None,
        prepared: Callable[[Sequence[Record]], Sequence[Record]] | None = None,
        sources: Sources | None = None,
        routes: Routes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.stage = stage
        self.metrics = metrics
        self._limit = dead_letter_limit
        self._pool = pool
        self._prepare = prepare or stage.prepare
        self.prepared = prepared
        self._routes = routes
        self._clock = clock
        self._windows: dict[int, FailureWindow] = {}
        self._version = stage.version.encode()
        self._tally = Tally(stage, metrics, sources or Sources(0), clock)

    def window(self, partition: int) -> FailureWindow:
        """Return the failure window of `partition`."""
        return self._windows.get(partition) or FailureWindow(self._limit)

    def restore_window(self, partition: int, text: str) -> None:
        """Take over the failure window that the partition's last worker committed."""
        self._windows[partition] = FailureWindow.load(text, self._limit)

    def run(self, records: Sequence[Record]) -> BatchResult:
        """Process `records` and return what is to be written. No state has changed until `commit`.

        A record that was promoted is passed over: it is counted and nothing is written for it.

        Raises DeadLetterLimitExceeded when the stage raises on too many records.
        """
        result = BatchResult(began=self._clock())
        if not records:
            return result
        started = time.perf_counter()
        failed: dict[int, list[bool]] = {}
        if passed := [record for record in records if _promoted(record)]:
            for record in passed:
                failed.setdefault(record.partition, []).append(False)
            result.counts[PROMOTED, "", True] = len(passed)
            records = [record for record in records if not _promoted(record)]
        if self._pool is not None:
            records = self._in_pool(records)
        elif self.prepared is not None and records:
            records = self.prepared(records)
        outcomes, raised = self._outcomes(records) if records else ((), frozenset())
        for index, (record, outcome) in enumerate(zip(records, outcomes, strict=True)):
            # What a replay brings must not stop a worker that has live records to do.
            failed.setdefault(record.partition, []).append(index in raised and not _replayed(record))
            self._add(result, record, outcome)
        try:
            result.windows = {p: self.window(p).after(flags) for p, flags in failed.items()}
        except BaseException:
            self.rollback()
            raise
        result.seconds = time.perf_counter() - started
        return result

    def commit(self, result: BatchResult) -> None:
        """The outputs are durable: change the state, and count."""
        if isinstance(self.stage, StatefulStage):
            self.stage.commit()
        self._windows.update(result.windows)
        self._tally.count(result)

    def rollback(self) -> None:
        """The outputs are not durable: leave no trace of the batch."""
        if isinstance(self.stage, StatefulStage):
            self.stage.rollback()

    def dead_letter(self, record: Record, reason: str, detail: str) -> BatchResult:
        """Return the result for a record that is refused without being shown to the stage."""
        result = BatchResult(began=self._clock())
        self._add(result, record, Reject(reason, detail))
        result.windows = {record.partition: self.window(record.partition).after([False])}
        return result

    # -- running the stage

    def _in_pool(self, records: Sequence[Record]) -> Sequence[Record]:
        assert self._pool is not None  # noqa: S101  (only called when there is one)
        try:
            done = list(self._pool.map(self._prepare, records, chunksize=max(1, len(records) // 16)))
        except BrokenExecutor:
            raise
        except Exception:
            # Whatever `prepare` raises is about one of the records: `process` meets it again, and it is looked for.
            log.exception("preparing a batch of %d for %s raised", len(records), self.stage.name)
            return records
        return [replace(record, prepared=prepared) for record, prepared in zip(records, done, strict=True)]

    def _outcomes(self, records: Sequence[Record]) -> tuple[Sequence[Outcome], frozenset[int]]:
        """Return an outcome for each record, and the indexes of those on which the stage raised."""
        try:
            return self._process(records), frozenset()
        except Exception:
            self.rollback()
            log.exception("the stage %s raised on a batch of %d; looking for the record", self.stage.name, len(records))
        bad: dict[int, Reject] = {}
        good = list(range(len(records)))
        while good:
            try:
                outcomes = dict(zip(good, self._process([records[i] for i in good]), strict=True))
            except Exception:  # noqa: BLE001  (whatever a stage raises is about one of the records)
                self.rollback()
            else:
                return [bad.get(i) or outcomes[i] for i in range(len(records))], frozenset(bad)
            position, trace = self._first_bad(records, good)
            index = good.pop(position)
            bad[index] = Reject(RAISED, trace)
            partition = records[index].partition
            # Raises past the limit, so that a broken stage is not bisected hundreds of times for nothing.
            live = sum(records[i].partition == partition and not _replayed(records[i]) for i in bad)
            self.window(partition).after([True] * live)
        return [bad[i] for i in range(len(records))], frozenset(bad)

    def _first_bad(self, records: Sequence[Record], good: Sequence[int]) -> tuple[int, str]:
        """Return the position in `good` of the first record on which the stage raises, with the traceback.

        Bisects over prefixes, so that a stage with state sees before each record what it would see anyway.
        """
        passes, raises, trace = 0, len(good), ""
        while raises - passes > 1 or not trace:
            middle = (passes + raises) // 2 if raises - passes > 1 else raises
            try:
                self._process([records[i] for i in good[:middle]])
            except Exception:  # noqa: BLE001  (as above)
                raises, trace = middle, traceback.format_exc()
            else:
                if middle == raises:
                    # It raised before and does not now: not a function of its input. Blame the last one.
                    return raises - 1, "raised once, then not again: the stage is not deterministic"
                passes = middle
            finally:
                self.rollback()
        return raises - 1, trace

    def _process(self, records: Sequence[Record]) -> Sequence[Outcome]:
        outcomes = self.stage.process(records)
        if len(outcomes) != len(records):
            raise RuntimeError(f"{self.stage.name} returned {len(outcomes)} outcomes for {len(records)} records")
        for outcome in outcomes:
            if any(len(m.value) > MAX_RECORD_BYTES for m in outcome.messages):
                # The broker would refuse it, and the batch with it, for ever.
                raise ValueError(f"{self.stage.name} made a record of more than {MAX_RECORD_BYTES} bytes")
        return outcomes

    # -- making output records

    def _add(self, result: BatchResult, record: Record, outcome: Outcome) -> None:
        passed_on = [header for header in record.headers if header[0] in h.PASSED_ON]
        names = {name for name, _ in passed_on}
        if h.ORIGIN not in names:
            passed_on.append((h.ORIGIN, f"{record.topic}/{record.partition}/{record.offset}".encode()))
        if h.RUN not in names:
            passed_on.append((h.RUN, h.LIVE_RUN))
        if h.INGESTED_AT not in names:
            passed_on.append((h.INGESTED_AT, str(record.timestamp_ms).encode()))
        replayed = h.REPLAY in names
        headers = tuple(passed_on)
        for message in outcome.messages:
            place = self._routes.partition(message.topic, message.language) if self._routes else None
            result.outputs.append(Output(message.topic, message.key, message.value, headers, place))
        if (entry := outcome.log) is not None:
            result.outputs.append(
                Output(
                    entry.topic,
                    entry.key,
                    entry.value,
                    (*headers, (h.INPUT_OFFSET, str(record.offset).encode())),
                    record.partition,
                )
            )
        if isinstance(outcome, Emit):
            name, reason = outcome.kind, ""
            if outcome.notes:
                result.notes.update(outcome.notes)
        else:
            result.outputs.append(self._dead(record, outcome, passed_on))
            name, reason = "dead_letter", outcome.reason
        result.counts[name, reason, replayed] += 1
        if replayed:
            return
        if (ingested := ingested_at_ms(passed_on)) is not None:
            result.ingested_ms.append(ingested)
        if record.timestamp_ms > 0:
            result.appended_ms.append(record.timestamp_ms)
        if self._tally.by_source:
            result.sources[record.key, name] += 1

    def _dead(self, record: Record, outcome: Reject, passed_on: list[tuple[str, bytes]]) -> Output:
        kept = [header for header in record.headers if header[0] not in h.PASSED_ON]
        # The end of a traceback says more than its beginning.
        detail = outcome.detail[-MAX_DETAIL_CHARS:].encode("utf-8", "backslashreplace")
        return Output(
            topics.DEAD_LETTERS,
            record.key,
            # A record needs one of the two.
            b"" if record.key is None and record.value is None else record.value,
            (
                *kept,
                *passed_on,
                (h.DEAD_STAGE, self.stage.name.encode()),
                (h.DEAD_TOPIC, record.topic.encode()),
                (h.DEAD_PARTITION, str(record.partition).encode()),
                (h.DEAD_OFFSET, str(record.offset).encode()),
                (h.DEAD_REASON, outcome.reason.encode()),
                (h.DEAD_DETAIL, detail),
                (h.DEAD_VERSION, self._version),
            ),
        )


def _promoted(record: Record) -> bool:
    """Whether `record` was published out of a run: what follows from it was published with it, so no stage sees it."""
    return h.get(record.headers, h.PROMOTED) is not None and _replayed(record)


def _replayed(record: Record) -> bool:
    return h.get(record.headers, h.REPLAY) is not None


def ingested_at_ms(headers: Sequence[tuple[str, bytes]]) -> int | None:
    """Return the `ingested-at` of `headers`, milliseconds since the Unix epoch; None where it is missing or no such
    number. Anyone can write a header, so it may hold anything."""
    text = h.get(headers, h.INGESTED_AT)
    try:
        # 20 digits are beyond any calendar, and far below what a float holds.
        return int(text) if text and len(text) <= 20 else None
    except ValueError:
        return None
