"""Stages without state, and the preparing of others, in several processes. The outcomes are the same as in one: each
depends on its record alone."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any, Final, TypeVar

from workers.stage import Outcome, Record, Stage

log = logging.getLogger(__name__)

R = TypeVar("R")

Loader = Callable[[], Stage]
"""Makes a stage. It has to be picklable: a class, a module's function, or a `functools.partial` of one."""

_MOST_IN_A_CHUNK: Final = 16


class PoolDied(BaseException):
    """A process of the pool died. Not an Exception: a runner takes those for a bug of the stage and bisects."""


class StagePool:
    """Processes that each hold all of the given stages; a stage is loaded in a process when it is first needed there.

    Args:
        jobs: number of processes.
        loaders: stage name -> what makes the stage. A stage that is not named runs in the main process.
    """

    def __init__(self, jobs: int, loaders: Mapping[str, Loader]) -> None:
        self.jobs = jobs
        self.names = frozenset(loaders)
        # Not fork: libraries of the stages start threads, which a fork does not survive.
        self._executor = ProcessPoolExecutor(
            jobs, multiprocessing.get_context("spawn"), initializer=_start, initargs=(dict(loaders),)
        )

    def process(self, name: str, batch: Sequence[Record]) -> list[Outcome]:
        """Return the outcomes of `batch`, in order. Raises what the stage raises, and PoolDied."""
        return self._spread(_process, name, batch)

    def prepare(self, name: str, batch: Sequence[Record]) -> list[Any]:
        """Return what the stage's `prepare` makes of each record, in order. Raises what it raises, and PoolDied."""
        return self._spread(_prepare, name, batch)

    def _spread(
        self, work: Callable[[str, Sequence[Record]], Sequence[R]], name: str, batch: Sequence[Record]
    ) -> list[R]:
        size = min(_MOST_IN_A_CHUNK, -(-len(batch) // self.jobs))
        try:
            futures = [
                self._executor.submit(work, name, batch[start : start + size]) for start in range(0, len(batch), size)
            ]
            return [item for future in futures for item in future.result()]
        except BrokenProcessPool as error:
            raise PoolDied from error

    def close(self) -> None:
        """End the processes."""
        self._executor.shutdown(wait=True, cancel_futures=True)


class Spread(Stage):
    """A stage without state whose batches are spread over a pool, where there is one.

    It stands in front of the stage with and without a pool, so that tracebacks in dead letters are the same.
    """

    def __init__(self, stage: Stage, pool: StagePool | None) -> None:
        self.name, self.source, self.sinks = stage.name, stage.source, stage.sinks
        self.kinds, self.reasons, self.notes, self.version = stage.kinds, stage.reasons, stage.notes, stage.version
        self._stage = stage
        self.pool = pool if pool is not None and stage.name in pool.names else None

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        """Return the stage's outcomes. Raises what the stage raises, and PoolDied."""
        if self.pool is not None and len(batch) > 1:
            try:
                return self.pool.process(self.name, batch)
            except Exception as error:  # noqa: BLE001  (it is raised again below, if it is the stage's)
                log.debug("%s raised in the pool (%r); running the batch here", self.name, error)
        return self._stage.process(batch)


def preparing(pool: StagePool, name: str) -> Callable[[Sequence[Record]], Sequence[Record]]:
    """Return what prepares a batch of the stage `name` in `pool`. It raises PoolDied and nothing else: a batch on which
    `prepare` raises comes back as it is, for the stage to meet the exception itself."""

    def prepared(batch: Sequence[Record]) -> Sequence[Record]:
        if len(batch) < 2:
            return batch
        try:
            done = pool.prepare(name, batch)
        except Exception as error:  # noqa: BLE001  (it is raised again by the stage)
            log.debug("%s raised in the pool (%r); preparing the batch here", name, error)
            return batch
        return [replace(record, prepared=made) for record, made in zip(batch, done, strict=True)]

    return prepared


_loaders: dict[str, Loader] = {}
_stages: dict[str, Stage] = {}


def _start(loaders: dict[str, Loader]) -> None:
    _loaders.update(loaders)
    # Ctrl-C goes to all processes of the terminal; the main one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # a killed parent can't end its pool


def _loaded(name: str) -> Stage:
    stage = _stages.get(name)
    if stage is None:
        stage = _stages[name] = _loaders[name]()
    return stage


def _prepare(name: str, batch: Sequence[Record]) -> list[Any]:
    return [_loaded(name).prepare(record) for record in batch]


def _process(name: str, batch: Sequence[Record]) -> Sequence[Outcome]:
    stage = _loaded(name)
    outcomes = stage.process(batch)
    if len(outcomes) != len(batch):
        raise RuntimeError(f"{name} returned {len(outcomes)} outcomes for {len(batch)} records")
    return outcomes
