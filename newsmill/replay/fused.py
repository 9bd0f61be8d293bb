"""A run of its own: the records of a range through all stages that follow, in one process, into topics.

The life of a batch, and what a death between two steps leaves:

    gathered   nothing: the batch is read again
    processed  nothing: the state was in memory, and is rebuilt from where the range began and the run's own log
    written    the batch is durable, and with it how far the run is: outputs, log and positions are one transaction

So the state in memory may be ahead of what is durable: whenever something fails, the process ends.

A record may take the process down without an exception (a crash in native code, too little memory). Each process notes
that it begins. Once several have got no further, records are tried one at a time, and each is noted before: one that is
found noted for the second time is set aside as a dead letter.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from newsmill.engines.embedded.chain import Batch, Chain, Decided
from newsmill.engines.embedded.pool import PoolDied
from newsmill.engines.result import KILLED, Output
from newsmill.replay.control import Control
from newsmill.replay.errors import ReplayError
from newsmill.replay.order import Item
from newsmill.replay.pace import Pace
from newsmill.replay.progress import ReplayProgress
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from workers.stage import Record

log = logging.getLogger(__name__)

DEADLY_STARTS: Final = 3
"""Processes that end without having got any further, after which records are tried one at a time."""

DEADLY_TRIES: Final = 2
"""Tries of a record alone that end a process, after which it is set aside: one may have been killed from outside."""

KILLED_DETAIL: Final = "the process died three times on the batch of this record, then twice on it alone"
"""Detail of the dead letter that a deadly record becomes."""

CHECKPOINT_SECONDS: Final = 2.0
"""Where filters let little through, or records are waited for, a batch is closed after this time all the same."""

RECORDS: Final = "records"
"""Count of the records that were replayed."""
LEFT_OUT: Final = "left_out"
"""Count of the records of the range that were not meant."""
DECIDED: Final = "taken_over"
"""Count of the decisions of live workers that became part of the state."""


_END: Final = Decided("", 0, Record("", 0, 0, None, None, ()))
"""Stands behind the last item of an input."""


class State(msgspec.Struct, kw_only=True):
    """What a run needs to go on, beside positions.

    `offsets`: next offset of each topic between stages, by partition (`Chain`). `windows`: failure window of each
    stage by partition. `logs`: topic -> (partition, first offset, end) of what is followed of it; `settled_ms`: see
    `Followed`. `starts`: processes that have begun on the next batch; `alone`: records that are to be tried one at a
    time; `trying`: the one that is being tried, as topic/partition/offset, for the `tries`th time. `archive`: what
    `newsmill.replay.archive.Place` says, where files are replayed.
    """

    offsets: dict[str, int] = {}
    windows: dict[str, dict[int, str]] = {}
    logs: dict[str, list[tuple[int, int, int]]] = {}
    settled_ms: int = 0
    archive: dict[str, Any] | None = None
    starts: int = 0
    alone: int = 0
    trying: str = ""
    tries: int = 0

    def dump(self) -> str:
        """Return it as JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def load(cls, text: str) -> State:
        """Return what `dump` wrote. Raises ReplayError."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise ReplayError(f"the checkpoint of the run can't be read by this version: {error}") from error


class Input(ABC):
    """Where the records of a run come from, in the order in which they are to be processed."""

    @abstractmethod
    def __iter__(self) -> Iterator[Item | None]:
        """Yield records, and decisions between them; None where there is nothing for now."""

    @abstractmethod
    def positions(self) -> dict[str, int]:
        """Return the next offsets, by `topic/partition`, behind what was yielded."""

    @property
    @abstractmethod
    def total(self) -> int:
        """How much the input is, in the unit of the progress; 0: not known."""

    @property
    @abstractmethod
    def done(self) -> int:
        """How much of the input is behind, in the unit of the progress."""

    @property
    @abstractmethod
    def left_out(self) -> int:
        """Records that were not meant, since this process began."""

    def due_ms(self, record: Record) -> int:
        """Return when `record` once came, milliseconds since the Unix epoch."""
        return record.timestamp_ms

    def counts(self) -> Mapping[str, int]:
        """Return what else is counted, since the run began."""
        return {}

    def note(self, state: State) -> None:  # noqa: B027  (topics have all in their positions)
        """Write into `state` what else is needed to go on."""

    def close(self) -> None:  # noqa: B027  (a list has nothing to close)
        """Close what is open."""


class Target(ABC):
    """Where a run writes to."""

    @abstractmethod
    def write(
        self, outputs: Sequence[Output], positions: Mapping[str, int], counts: Mapping[str, int], state: State
    ) -> None:
        """Make outputs durable together with how far the run is, all or nothing."""

    @abstractmethod
    def finish(self, counts: Mapping[str, int]) -> None:
        """The run is complete."""


class Fused:
    """Works a run off.

    Args:
        settings: batch sizes.
        run: name of the run, for the records' header.
        chain: the stages, with the state of where the run stands.
        records: at the same place.
        target: where to.
        state: of the last checkpoint.
        counts: of the run so far.
        control, pace, progress: of this process.
        most: records to replay in the whole run; None: all.
    """

    def __init__(
        self,
        settings: Settings,
        run: str,
        chain: Chain,
        records: Input,
        target: Target,
        *,
        state: State,
        counts: Mapping[str, int],
        control: Control,
        pace: Pace,
        progress: ReplayProgress,
        most: int | None = None,
    ) -> None:
        self._settings = settings
        self._header = (h.RUN, run.encode())
        self._chain = chain
        self._input = records
        self._target = target
        self._state = state
        self.counts: Counter[str] = Counter(counts)
        self._left_out_before = self.counts[LEFT_OUT]
        self._control = control
        self._pace = pace
        self._progress = progress
        self._most = most
        self._reached: Mapping[str, int] = {}

        for runner in chain.runners:
            for partition, window in state.windows.get(runner.stage.name, {}).items():
                runner.restore_window(partition, window)

    def run(self) -> bool:
        """Work until all is done (True) or the control says stop (False).

        Raises FencedError, TransactionError, ReplayError, DeadLetterLimitExceeded, kafka.errors.KafkaError: the process
        must then end, and the next one goes on from the last checkpoint.
        """
        self._announce()
        items = iter(self._input)
        while self._most is None or self.counts[RECORDS] < self._most:
            self._pace.stood_still(self._control.hold())
            if self._control.stopping:
                return False
            if (seconds := self._pace.wait()) > 0:
                self._control.sleep(seconds)
                continue
            records, decided, ended = self._gather(items)
            if records or decided or ended or not (self._control.stopping or self._control.paused):
                self._batch(records, decided)
            if ended:
                break
        self._target.finish(self.counts)
        return True

    def _announce(self) -> None:
        """Note that a process begins, and whether it is to be careful."""
        state = self._state
        if state.starts >= DEADLY_STARTS and not state.alone:
            log.warning("%d processes of the run got no further; its next records are tried alone", state.starts)
            state.alone = self._settings.batch_records
        if state.alone:
            self._chain.leave_pool()
        state.starts += 1
        self._reached = self._input.positions()
        self._target.write([], self._reached, self.counts, state)

    def _gather(self, items: Iterator[Item | None]) -> tuple[list[Record], list[Decided], bool]:
        """Return records of a batch, the decisions between them, and whether there is no more."""
        most = 1 if self._state.alone else self._pace.most(self._settings.batch_records)
        if self._most is not None:
            most = min(most, self._most - self.counts[RECORDS])
        records: list[Record] = []
        decided: list[Decided] = []
        size, began = 0, time.monotonic()
        while len(records) < most and size < self._settings.batch_bytes and len(decided) < 20 * most:
            if self._control.stopping or self._control.paused or time.monotonic() - began > CHECKPOINT_SECONDS:
                return records, decided, False
            item = next(items, _END)
            if item is None:
                continue
            if item is _END:
                return records, decided, True
            if isinstance(item, Decided):
                decided.append(Decided(item.stage, item.partition, item.entry, len(records)))
                continue
            self._wait_until_due(item)
            kept = (header for header in item.headers if header[0] not in (h.RUN, h.PROMOTED))
            records.append(replace(item, headers=(*kept, self._header)))
            size += len(item.value or b"") + 64
        return records, decided, False

    def _wait_until_due(self, record: Record) -> None:
        due_ms = self._input.due_ms(record)
        while (seconds := self._pace.until_due(due_ms)) > 0 and not self._control.stopping:
            self._pace.stood_still(self._control.hold())
            self._control.sleep(min(seconds, CHECKPOINT_SECONDS))

    def _batch(self, records: Sequence[Record], decided: Sequence[Decided]) -> None:
        try:
            batch = self._process(records, decided)
        except PoolDied as error:
            raise ReplayError(
                "a process of --jobs died (a crash in native code, or too little memory). Run the same command again: "
                "it goes on from the last checkpoint"
            ) from error
        self._chain.commit(batch)
        self._count(batch, len(records), len(decided))
        self._state.offsets = batch.offsets
        for runner, result in batch.results:
            windows = {partition: window.dump() for partition, window in result.windows.items()}
            self._state.windows.setdefault(runner.stage.name, {}).update(windows)
        self._input.note(self._state)
        if records or decided:
            self._got_on(len(records))
        self._reached = self._input.positions()
        self._target.write(_outputs(batch), self._reached, self.counts, self._state)
        self._pace.wrote(len(records))
        self._progress.reached(self._input.done, f"{self.counts[RECORDS]:,} records")

    def _process(self, records: Sequence[Record], decided: Sequence[Decided]) -> Batch:
        state = self._state
        if not state.alone or not records:
            return self._chain.run(records, state.offsets, decided)
        record = records[0]
        name = f"{record.topic}/{record.partition}/{record.offset}"
        tries = state.tries if state.trying == name else 0
        if tries >= DEADLY_TRIES:
            log.error("%s took the process down whenever it was tried alone; it is a dead letter now", name)
            return self._chain.refuse(record, KILLED, KILLED_DETAIL, state.offsets, decided)
        state.trying, state.tries = name, tries + 1
        # As of the last batch: if the process dies now, the next one reads all behind that again, and finds the name.
        self._target.write([], self._reached, self.counts, state)
        return self._chain.run(records, state.offsets, decided)

    def _got_on(self, records: int) -> None:
        state = self._state
        state.starts, state.trying, state.tries = 1, "", 0  # this process has begun on the next batch
        state.alone = max(0, state.alone - records)

    def _count(self, batch: Batch, records: int, decided: int) -> None:
        self.counts[RECORDS] += records
        self.counts[DECIDED] += decided
        self.counts[LEFT_OUT] = self._left_out_before + self._input.left_out
        for kind, count in self._input.counts().items():
            self.counts[kind] = count
        for runner, result in batch.results:
            for (outcome, reason, _), count in result.counts.items():
                self.counts[f"{runner.stage.name}/{reason or outcome}"] += count


def _outputs(batch: Batch) -> list[Output]:
    """Return all that a batch writes: what stages hand on, too. Logs and dead letters are in the order of the input,
    however it was cut into batches."""
    apart = {*batch.logs, topics.DEAD_LETTERS}
    handed = [o for _, result in batch.results for o in result.outputs if o.topic not in apart]
    logs = [output for log in batch.logs.values() for output in log]
    return [*handed, *logs, *batch.sinks.get(topics.DEAD_LETTERS, ())]
