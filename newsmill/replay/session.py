"""One process that works on a run: takes the name, finds out how far the run is, and writes from there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from newsmill.engines.result import Output
from newsmill.metrics import ReplayMetrics
from newsmill.replay import journal
from newsmill.replay.journal import Journal, JournalError, Work
from newsmill.replay.writer import ReplayWriter
from newsmill.settings import Settings
from schemas.replays import Operation, Plan, Span


class Session:
    """Works on one operation of one run.

    `begin` shuts out any other process of the run first and reads news.replays afterwards, when what that process left
    open is settled. So what it reads stays true until it writes itself.

    Args:
        settings: where the broker is, and timeouts.
        run: name of the run.
        operation: what is done.
        on_step: as for ReplayWriter.
        meter: told of all that is durable.
    """

    def __init__(
        self,
        settings: Settings,
        run: str,
        operation: Operation,
        on_step: Callable[[str], None] = lambda _: None,
        *,
        meter: ReplayMetrics | None = None,
    ) -> None:
        self.settings = settings
        self.run = journal.check_name(run)
        self.operation = operation
        self.writer = ReplayWriter(settings, run, on_step, redrive=operation == "redrive")
        self.journal = Journal()
        self._meter = meter
        self._plan = Plan(topic="")
        self._reached: dict[str, int] = {}

    def begin(self, options: Mapping[str, str], plan: Callable[[Journal], Plan]) -> Work:
        """Start the operation, or take it up where it is; return it.

        Args:
            options: what was asked for, as text: a run is not taken up for anything else.
            plan: makes the plan of a new one. It sees the journal, and its `options` must be these.

        A work that is finished is returned as it is, and nothing is written.
        Raises JournalError when the name is taken by something else; FencedError, TransactionError, and what `plan`
        raises.
        """
        self.writer.start()
        self.journal = journal.read(self.settings, settled=True)
        known = self.journal.runs.get(self.run)
        work = self.journal.work(self.run, self.operation)
        if work is None:
            if known is not None and not known.dropped and self.operation != "promote":
                raise JournalError(
                    f"the name {self.run} is taken by a run of another kind ({known.first.started.operation}); choose "
                    "another one with --run"
                )
            started = journal.note(self.run, self.operation, "started", plan=plan(self.journal))
            self.writer.write([], started)
            self._begun(Work(started))
            return Work(started)
        if work.plan.options != dict(options):
            raise JournalError(
                f"the run {self.run} was started with other options ({_shown(work.plan.options)}). Give the same ones "
                "to go on with it, or another name with --run"
            )
        if work.finished is None:
            self.writer.write([], journal.note(self.run, self.operation, "continued"))
        self._begun(work)
        return work

    def checkpoint(
        self,
        outputs: Sequence[Output],
        positions: Mapping[str, int],
        counts: Mapping[str, int],
        *,
        offsets: tuple[Span, ...] = (),
        state: str | None = None,
    ) -> None:
        """Write `outputs`, and how far they bring the run, in one transaction. Raises as ReplayWriter.write does."""
        self.writer.write(
            outputs,
            journal.note(
                self.run,
                self.operation,
                "checkpoint",
                positions=dict(positions),
                counts=dict(counts),
                offsets=offsets,
                state=state,
            ),
        )
        self.measure(outputs, positions, counts)

    def finish(self, counts: Mapping[str, int]) -> None:
        """Write that all is done. Raises as ReplayWriter.write does."""
        self.writer.write([], journal.note(self.run, self.operation, "finished", counts=dict(counts)))
        self.measure([], self._reached, counts)

    def _begun(self, work: Work) -> None:
        self._plan, self._reached = work.plan, work.positions
        self.measure([], self._reached, work.counts)

    def measure(self, outputs: Sequence[Output], positions: Mapping[str, int], counts: Mapping[str, int]) -> None:
        """Have metrics show what has become durable, also elsewhere than in Kafka."""
        if self._meter is None:
            return
        starts = {f"{self._plan.topic}/{span.partition}": span.start for span in self._plan.spans}
        ends = {f"{self._plan.topic}/{span.partition}": span.end for span in self._plan.spans}
        before = starts | self._reached
        reached = before | dict(positions)
        self._meter.wrote(
            {self._plan.topic: sum(reached[place] - before[place] for place in starts)},
            Counter(output.topic for output in outputs),
            counts,
            sum(end - reached[place] for place, end in ends.items()),
            time.time(),
        )
        self._reached = reached

    def close(self) -> None:
        """Close the clients. Call it after a clean stop; after a failure the process just ends."""
        self.writer.close()


def _shown(options: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(options.items())) or "none"
