"""Redrives and replays in place for tests, without a command line around them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from newsmill.replay.control import Control
from newsmill.replay.copy import Result, carry_out
from newsmill.replay.in_place import InPlace
from newsmill.replay.pace import Pace
from newsmill.replay.reader import bounds
from newsmill.replay.redrive import Redrive, Selection
from newsmill.replay.session import Session
from newsmill.settings import Settings
from schemas import topics
from schemas.replays import Plan
from workers.pipeline import SOURCES
from workers.stage import Record

OPTIONS = {"asked": "by a test"}


@contextlib.contextmanager
def abandoned(session: Session) -> Iterator[Session]:
    """Leave behind what a killed process leaves behind: its transaction stays open, and nothing more is sent."""
    try:
        yield session
    except BaseException:
        session.writer.producer._sender.force_close()
        session.close()
        raise


def redrive(
    settings: Settings,
    run: str,
    selection: Selection | None = None,
    *,
    again: bool = False,
    most: int | None = None,
    pace: Pace | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Result:
    counts = {topic: len(bounds(settings, topic)) for topic in SOURCES.values()}
    with Control(settings, run) as control, abandoned(Session(settings, run, "redrive", on_step)) as session:
        return carry_out(
            session,
            OPTIONS,
            lambda _: Plan(topic=topics.DEAD_LETTERS, spans=bounds(settings, topics.DEAD_LETTERS), options=OPTIONS),
            lambda journal: Redrive(settings, selection or Selection(), counts, None if again else journal.redriven),
            control=control,
            pace=pace or Pace(),
            most=most,
        )


def in_place(
    settings: Settings,
    run: str,
    topic: str = topics.RAW,
    selects: Callable[[Record], bool] = lambda _: True,
    *,
    most: int | None = None,
    pace: Pace | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Result:
    with Control(settings, run) as control, abandoned(Session(settings, run, "in_place", on_step)) as session:
        return carry_out(
            session,
            OPTIONS,
            lambda _: Plan(topic=topic, spans=bounds(settings, topic), options=OPTIONS),
            lambda _: InPlace(settings, run, selects),
            control=control,
            pace=pace or Pace(),
            most=most,
        )


PROCESS = """
import sys
from newsmill.settings import Settings
from tests.support import replays

settings = Settings(bootstrap=sys.argv[1], namespace=sys.argv[2], batch_records=int(sys.argv[3]),
                    transaction_timeout_s=10.0, commit_timeout_s=20.0)
print("starting", flush=True)
result = getattr(replays, sys.argv[4])(settings, sys.argv[5])
print("finished", result.finished, flush=True)
"""
"""A process of its own, to be killed: BOOTSTRAP NAMESPACE BATCH redrive|in_place RUN, run in REPOSITORY."""

REPOSITORY = Path(__file__).resolve().parents[2]
