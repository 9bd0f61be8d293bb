"""What a run has changed, onto the live topics: as new processing of the same revision, each record once.

Live workers pass over promoted records: what follows from a record was made by the run, too, and is promoted itself.
Dedup's live state does not change. What the run has lost stays on the live topics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from newsmill.engines.result import Output
from newsmill.engines.runner import ingested_at_ms
from newsmill.replay.control import Control
from newsmill.replay.copy import Result
from newsmill.replay.diff import Change
from newsmill.replay.journal import Journal, JournalError
from newsmill.replay.live import TOPICS, LiveRevisions
from newsmill.replay.pace import Pace
from newsmill.replay.progress import ReplayProgress
from newsmill.replay.session import Session
from schemas import headers as h
from schemas.replays import Plan

KINDS: Final = {
    "promoted": "published",
    "superseded": "left out: the live revision is another one by now",
    "lost": "live, and not in the run: they stay as they are",
    "not_published": "of topics that are not promoted (dead letters)",
}
"""What may become of a change, in words."""

OPTIONS: Final[dict[str, str]] = {}


class Promotion:
    """Publishes changes.

    A promotion that was killed begins again with the changes that are left; those that its earlier transactions have
    published are found on the live topics themselves, whatever a comparison says of them.

    Args:
        session: for the operation `promote` of a run; not begun.
        changes: returns the changes, as they are when it is called.
        control, pace, progress: of this process.
    """

    def __init__(
        self,
        session: Session,
        changes: Callable[[], Iterable[Change]],
        *,
        control: Control,
        pace: Pace,
        progress: ReplayProgress,
    ) -> None:
        self._session = session
        self._changes = changes
        self._control = control
        self._pace = pace
        self._progress = progress
        self._counts: Counter[str] = Counter()

    def run(self) -> Result:
        """Publish until all is done or the control says stop.

        Raises JournalError when the run is not finished; FencedError, TransactionError, LiveError, KafkaError: the
        process must then end, and the next one goes on.
        """
        work = self._session.begin(OPTIONS, self._plan)
        if work.finished is not None:
            return Result(Counter(work.counts), finished=True, before=True)
        # All else is counted anew with each process, since each sees all that is left.
        self._counts["promoted"] = work.counts.get("promoted", 0)
        live = LiveRevisions(self._session.settings, self._session.run)
        try:
            live.catch_up()
            for batch in self._batches(live):
                self._write(live, batch)
            finished = not self._control.stopping
        finally:
            live.close()
        if finished:
            self._session.finish(self._counts)
        return Result(self._counts, finished)

    def _plan(self, journal: Journal) -> Plan:
        work = journal.work(self._session.run, "run")
        if work is None:
            raise JournalError(f"{self._session.run} is no run with topics of its own, so there is nothing to promote")
        if work.finished is None:
            raise JournalError(f"{self._session.run} is not finished; go on with it first")
        return Plan(topic=work.plan.topic, spans=work.plan.spans, options=OPTIONS)

    def _batches(self, live: LiveRevisions) -> Iterator[list[Change]]:
        """Yield what may be published, until the control says stop."""
        settings = self._session.settings
        batch: list[Change] = []
        size = 0
        for change in self._changes():
            if change.topic not in TOPICS:
                self._counts["not_published"] += 1
                continue
            if change.run_value is None:
                self._counts["lost"] += 1
                continue
            if live.is_promoted(change.topic, change.origin.encode()):
                continue
            batch.append(change)
            size += len(change.run_value) + 64
            if len(batch) >= self._pace.most(settings.batch_records) or size >= settings.batch_bytes:
                if not self._may_go_on():
                    return
                yield batch
                batch, size = [], 0
        if batch and self._may_go_on():
            yield batch

    def _may_go_on(self) -> bool:
        while not self._control.stopping:
            self._control.hold()
            if (seconds := self._pace.wait()) <= 0:
                break
            self._control.sleep(seconds)
        return not self._control.stopping

    def _write(self, live: LiveRevisions, batch: list[Change]) -> None:
        live.catch_up()
        outputs = []
        for change in batch:
            if live.moved_on(change.topic, change.key, change.origin.encode(), ingested_at_ms(change.headers) or 0):
                self._counts["superseded"] += 1
            else:
                outputs.append(self._output(change))
        self._counts["promoted"] += len(outputs)
        if outputs:
            self._session.checkpoint(outputs, {}, self._counts)
            self._pace.wrote(len(outputs))
        self._progress.reached(0, f"{self._counts['promoted']:,} published")

    def _output(self, change: Change) -> Output:
        own = (h.RUN, h.REPLAY, h.PROMOTED)
        kept = [pair for pair in change.headers if pair[0] not in own]
        marks = [(name, self._session.run.encode()) for name in own]
        return Output(change.topic, change.key, change.run_value, (*kept, *marks))
