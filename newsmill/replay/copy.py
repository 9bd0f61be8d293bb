"""The loop of redrive and of a replay in place: read planned records, decide, write, one transaction a batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from newsmill.engines.result import Output
from newsmill.replay.control import Control
from newsmill.replay.journal import Journal, Work
from newsmill.replay.pace import Pace
from newsmill.replay.progress import ReplayProgress
from newsmill.replay.reader import SpanReader
from newsmill.replay.session import Session
from newsmill.replay.spans import spans
from schemas.replays import Plan, Span
from workers.stage import Record

CHECKPOINT_SECONDS: Final = 2.0
"""Where filters let little through, a checkpoint is written this often all the same."""


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one record: how it is counted, and what is written for it (nothing: it is left out)."""

    kind: str
    output: Output | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of working on a run. `finished`: nothing is left. `before`: an earlier process did it all."""

    counts: Counter[str]
    finished: bool
    before: bool = False


def carry_out(
    session: Session,
    options: Mapping[str, str],
    plan: Callable[[Journal], Plan],
    decide: Callable[[Journal], Callable[[Record], Step]],
    *,
    control: Control,
    pace: Pace,
    label: str = "",
    quiet: bool = True,
    most: int | None = None,
) -> Result:
    """Start the run of `session` or take it up, and copy until it is done or the control says stop.

    Args:
        session: not begun; it is closed when this returns, and left to itself when this raises.
        options, plan: as for Session.begin.
        decide: returns, once the journal is read, what says of each record what becomes of it.
        control, pace: of this process; the control is entered.
        label: what is being done, for the progress.
        quiet: show no progress.
        most: records to write in the whole run; None: all.

    Raises what Session.begin and Copier.run raise.
    """
    work = session.begin(options, plan)
    if work.finished is not None:
        session.close()
        return Result(Counter(work.counts), finished=True, before=True)
    reader = SpanReader(session.settings, work.plan.topic, work.plan.spans, work.positions)
    try:
        with ReplayProgress(label, reader.total, done=reader.done, quiet=quiet) as progress:
            control.say = progress.say
            copier = Copier(
                session,
                work,
                reader,
                decide(session.journal),
                control=control,
                pace=pace,
                progress=progress,
                most=most,
                note_offsets=session.operation == "redrive",
            )
            finished = copier.run()
    finally:
        reader.close()
    session.close()
    return Result(copier.counts, finished)


class Copier:
    """Copies the records of a reader, as far as `decide` lets them through.

    Args:
        session: begun; its checkpoints hold positions and counts.
        work: what the session has begun or taken up.
        reader: at the work's positions.
        decide: says of each record what becomes of it. It must not depend on when it is asked.
        control, pace, progress: of this process.
        most: records to write in the whole run, over all processes; None: all.
        note_offsets: name in each checkpoint the offsets of the records that it writes.
    """

    def __init__(
        self,
        session: Session,
        work: Work,
        reader: SpanReader,
        decide: Callable[[Record], Step],
        *,
        control: Control,
        pace: Pace,
        progress: ReplayProgress,
        most: int | None = None,
        note_offsets: bool = False,
    ) -> None:
        self._session = session
        self._reader = reader
        self._decide = decide
        self._control = control
        self._pace = pace
        self._progress = progress
        self._most = most
        self._note_offsets = note_offsets
        self.counts: Counter[str] = Counter(work.counts)
        """Records of the whole run, by kind; `written` counts those that were let through."""

    def run(self) -> bool:
        """Copy until all is done (True) or the control says stop (False).

        Raises FencedError, TransactionError, ExpiredError, kafka.errors.KafkaError: the process must then end, and the
        next one goes on from the last checkpoint.
        """
        while not self._all():
            self._pace.stood_still(self._control.hold())
            if self._control.stopping:
                return False
            if (seconds := self._pace.wait()) > 0:
                self._control.sleep(seconds)
                continue
            self._batch()
        self._session.finish(self.counts)
        return True

    def _all(self) -> bool:
        return self._reader.finished or (self._most is not None and self.counts["written"] >= self._most)

    def _batch(self) -> None:
        settings = self._session.settings
        most = self._pace.most(settings.batch_records)
        if self._most is not None:
            most = min(most, self._most - self.counts["written"])
        outputs: list[Output] = []
        offsets: dict[int, list[int]] = {}
        counts: Counter[str] = Counter()
        size, began = 0, time.monotonic()
        while len(outputs) < most and size < settings.batch_bytes and not self._control.stopping:
            if time.monotonic() - began > CHECKPOINT_SECONDS or self._control.paused:
                break
            if (record := self._reader.peek()) is None:
                if outputs or self._reader.finished:
                    break
                continue
            if (seconds := self._pace.until_due(record.timestamp_ms)) > 0:
                if outputs:
                    break
                self._control.sleep(min(seconds, CHECKPOINT_SECONDS))
                continue
            step = self._decide(record)
            self._reader.take(record)
            counts[step.kind] += 1
            if step.output is not None:
                outputs.append(step.output)
                size += len(step.output.value or b"") + 64
                offsets.setdefault(record.partition, []).append(record.offset)
        if not counts and not self._reader.finished:
            return
        self.counts += counts
        self.counts["written"] += len(outputs)
        named: tuple[Span, ...] = ()
        if self._note_offsets:
            named = tuple(span for partition, found in sorted(offsets.items()) for span in spans(partition, found))
        self._session.checkpoint(outputs, self._reader.positions(), self.counts, offsets=named)
        self._pace.wrote(len(outputs))
        self._progress.reached(self._reader.done, f"{self.counts['written']:,} written")
