"""Redrives and replays in place for tests, without a command line around them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from newsmill import clients
from newsmill import topics as cluster
from newsmill.replay import diff, isolated
from newsmill.replay.control import Control
from newsmill.replay.copy import Result, carry_out
from newsmill.replay.in_place import InPlace
from newsmill.replay.pace import Pace
from newsmill.replay.progress import ReplayProgress
from newsmill.replay.promote import Promotion
from newsmill.replay.reader import bounds
from newsmill.replay.redrive import Redrive, Selection
from newsmill.replay.session import Session
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from schemas.replays import Plan
from tests.support.kafka import Place
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


def promote(
    settings: Settings,
    run: str,
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> Result:
    with Control(settings, run) as control, abandoned(Session(settings, run, "promote", on_step)) as session:
        result = Promotion(
            session,
            lambda: diff.changes(settings, run),
            control=control,
            pace=Pace(),
            progress=ReplayProgress("promote", 0, quiet=True),
        ).run()
    session.close()
    return result


def article(name: str, text: str, *, revision: int = 1, model: str = "old") -> bytes:
    """Return as much of a classified article as a promotion looks at."""
    plain = {"id": name, "content_hash": f"hash of {text}", "revision": revision, "subject": model}
    return json.dumps(plain).encode()


def write(where: Place, topic: str, *records: tuple[str, str, bytes], run: str = "live", marks: h.Headers = ()) -> None:
    """Write (id, origin, value) to `topic`."""
    producer = where.producer()
    for name, origin, value in records:
        headers = [(h.ORIGIN, origin.encode()), (h.INGESTED_AT, b"1000"), (h.RUN, run.encode()), *marks]
        producer.send(where.physical(topic), key=name.encode(), value=value, headers=headers)
    producer.flush()
    producer.close()


def have_run(where: Place, records: Sequence[tuple[str, str, bytes]], topic: str = topics.CLASSIFIED) -> None:
    """Let there be a finished run `r1` that has made `records`."""
    name = where.physical(isolated.own_topic("r1", topic))
    own = [replace(declared, name=name) for declared in cluster.declared() if declared.name == topic]
    with cluster.admin_client(clients.connection(where.settings)) as admin:
        cluster.create(admin, own, partitions={name: 1})
    session = Session(where.settings, "r1", "run")
    session.begin({}, lambda _: Plan(topic=topics.RAW))
    write(where, isolated.own_topic("r1", topic), *records, run="r1")
    session.finish({})
    session.close()


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
"""A process of its own, to be killed: BOOTSTRAP NAMESPACE BATCH redrive|in_place|promote RUN, run in REPOSITORY."""

REPOSITORY = Path(__file__).resolve().parents[2]
