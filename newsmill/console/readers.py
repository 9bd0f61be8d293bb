"""The threads that keep the board up to date: one reads records, one looks at the stages."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from kafka.errors import KafkaError

from newsmill import clients, tail
from newsmill.console import board, views
from newsmill.console.board import Board
from newsmill.settings import Settings
from newsmill.status import Picture, Problem, StageLine, look, problems
from newsmill.status.picture import History
from schemas import topics
from schemas.codec import InvalidMessage
from workers.pipeline import SOURCES
from workers.stage import Record

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 2.0
STUCK_SECONDS: Final = (10.0, 60.0)
"""A partition is called stuck against a picture that is at least and at most this old."""

MAX_PARTITIONS: Final = 200
MAX_SOURCES: Final = 20

KEEP: Final = {
    topics.CLASSIFIED: board.ARTICLES,
    topics.DUPLICATES: board.DUPLICATES,
    topics.DEAD_LETTERS: board.DEAD_LETTERS,
}


class Reader(threading.Thread):
    """Does one thing over and over on a thread of its own, and tells the board why it can't when it can't.

    Args:
        name: what the board calls it.
        board: where troubles go.
        work: does the thing until it is told to stop; raises when it can't.
    """

    def __init__(self, name: str, board: Board, work: Callable[[threading.Event], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._board = board
        self._work = work
        self.stopping = threading.Event()

    def run(self) -> None:
        """Work until `stopping` is set; try again after a while when that fails."""
        while not self.stopping.is_set():
            try:
                self._work(self.stopping)
            except (KafkaError, OSError) as error:
                self._board.trouble(self.name, f"{error or type(error).__name__}")
            except Exception:
                # A page that shows half of what it should is better than none; what went wrong is in the log.
                log.exception("the console can't read: a bug of its own")
                self._board.trouble(self.name, "a bug of the console's; its log says more")
            self.stopping.wait(RETRY_SECONDS)


def records(settings: Settings, to: Board, stopping: threading.Event) -> None:
    """Read the newest articles, copies and dead letters into `to`, until `stopping`. Raises KafkaError."""
    for batch in tail.newest(settings, KEEP, stopping=stopping.is_set):
        to.trouble("records", "")
        take(settings, to, batch)


def take(settings: Settings, to: Board, batch: Iterable[Record]) -> None:
    """Put records on the board. One that is not what its topic says is left out."""
    for record in sorted(batch, key=lambda record: record.timestamp_ms):
        topic = clients.logical(settings, record.topic)
        try:
            if topic == topics.CLASSIFIED:
                to.add_article(views.article_item(record))
            elif topic == topics.DUPLICATES:
                item, copy = views.duplicate_item(record)
                to.join(copy.cluster_id, copy.joins)
                to.add_duplicate(item)
            else:
                to.add_dead_letter(views.dead_letter_item(record))
        except InvalidMessage as error:
            log.warning("%s/%d/%d is no record of its topic: %s", topic, record.partition, record.offset, error)


def pictures(settings: Settings, urls: Sequence[str], to: Board, stopping: threading.Event) -> None:
    """Look at the stages every `LOOK_SECONDS` until `stopping`, and put what is seen on the board.

    Args:
        urls: addresses of workers; none: those of this machine.

    Raises KafkaError when no broker answers.
    """
    history = History()
    old: list[Picture] = []
    while not stopping.is_set():
        picture = look(settings, SOURCES, history, urls)
        old = [then for then in old if picture.at - then.at <= STUCK_SECONDS[1]] + [picture]
        then = old[0] if picture.at - old[0].at >= STUCK_SECONDS[0] else None
        to.picture(status_view(picture, problems(picture, then)), sample_view(picture))
        to.trouble("stages", "")
        stopping.wait(LOOK_SECONDS)


def status_view(picture: Picture, wrong: Sequence[Problem]) -> dict[str, Any]:
    """Return what the page shows beside its charts."""
    partitions = [
        {
            "stage": line.name,
            "number": partition.number,
            "worker": partition.member,
            "committed": partition.committed,
            "end": partition.end,
            "lag": partition.lag,
        }
        for line in picture.stages
        for partition in (line.group.partitions if line.group else ())
    ]
    broken = picture.broken_sources
    return {
        "at": picture.at,
        "problems": [{"stage": p.stage, "text": views.clip(p.text), "runbook": p.runbook} for p in wrong],
        "stages": [_stage(line) for line in picture.stages],
        "partitions": partitions[:MAX_PARTITIONS],
        "partitions_hidden": max(0, len(partitions) - MAX_PARTITIONS),
        "dead_letters": picture.dead_letters,
        "sources": [{"name": views.clip(name, 80), "problems": what} for name, what in broken[:MAX_SOURCES]],
        "sources_hidden": max(0, len(broken) - MAX_SOURCES),
    }


def _stage(line: StageLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "workers": len(line.workers),
        "ready": sum(worker.ready for worker in line.workers),
        "members": len(line.group.members) if line.group else 0,
        "version": ", ".join(sorted({worker.version for worker in line.workers}))[:80],
        "done": [views.number(rate) for rate in line.done],
        "arrived": [views.number(rate) for rate in (line.group.arrived if line.group else ())],
        "lag": _lag(line),
        # A partition that was never committed has a lag that nobody knows.
        "lag_is_least": any(p.lag is None and p.end for p in (line.group.partitions if line.group else ())),
        "behind": views.number(_worst(worker.lag_seconds for worker in line.workers)),
        "age": views.number(_worst(worker.age_p99 for worker in line.workers)),
    }


def sample_view(picture: Picture) -> Mapping[str, Any]:
    """Return one point of each chart, by stage: records a second that were finished, and records that wait."""
    return {
        "at": picture.at,
        "done": {line.name: views.number(line.done[0]) for line in picture.stages},
        "lag": {line.name: _lag(line) for line in picture.stages},
    }


def _lag(line: StageLine) -> int | None:
    return None if line.group is None else sum(partition.lag or 0 for partition in line.group.partitions)


def _worst(values: Iterable[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)
