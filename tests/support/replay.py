"""A pipeline that has done its work, and runs that do it again."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from newsmill.replay import isolated
from newsmill.replay.control import Control
from newsmill.replay.files import Form, choose
from newsmill.replay.pace import Pace
from newsmill.replay.progress import ReplayProgress
from newsmill.replay.request import Request, stages_behind
from newsmill.replay.run import Outcome, Surroundings, into_files, into_topics
from newsmill.replay.session import Session
from newsmill.worker import load_stage, stage_options
from schemas import headers as h
from schemas import topics
from tests.support.chaos.feeder import INGESTED_AT, own_origin
from tests.support.chaos.news import Raw
from tests.support.kafka import PATIENCE, Place, Running
from workers import pipeline
from workers.stage import Record, Stage, StatefulStage

ENDS = (topics.CLASSIFIED, topics.DUPLICATES, topics.DEAD_LETTERS)
LIVE = (
    topics.INGEST_LOG,
    topics.ARTICLES,
    topics.DEDUP_LOG,
    topics.UNIQUE,
    topics.DUPLICATES,
    topics.TAGGED,
    topics.CLASSIFIED,
)
"""Topics of which each partition has one order."""

Pair = tuple[bytes | None, bytes | None]


def feed(place: Place, documents: Sequence[Raw], first: int = 0) -> None:
    """Send documents to news.raw; every other one names its own origin, as files do."""
    producer = place.producer()
    for number, document in enumerate(documents, first):
        named = [(h.ORIGIN, own_origin(number))] if number % 2 else []
        headers = [*named, (h.INGESTED_AT, INGESTED_AT)]
        producer.send(place.physical(topics.RAW), key=document.key, value=document.value, headers=headers)
    producer.flush()
    producer.close()


@contextlib.contextmanager
def pipeline_of(place: Place) -> Iterator[None]:
    """Have the four stages at work."""
    engines = [Running(pipeline.load(name), place.settings) for name in pipeline.STAGES]
    try:
        yield
    finally:
        for engine in engines:
            engine.stop()


def until_through(place: Place, count: int) -> None:
    """Wait until `count` documents are at one of the ends."""
    deadline = time.monotonic() + 10 * PATIENCE
    while sum(len(place.read(topic)) for topic in ENDS) < count:
        Running.check()
        assert time.monotonic() < deadline
        time.sleep(0.2)


def by_partition(records: Sequence[Record]) -> dict[int, list[Pair]]:
    """Return keys and values of each partition, in order."""
    found: dict[int, list[Pair]] = defaultdict(list)
    for record in records:
        found[record.partition].append((record.key, record.value))
    return dict(found)


def replay(
    place: Place,
    run: str,
    request: Request | None = None,
    *,
    on_step: Callable[[str], None] = lambda step: None,
    settings: dict[str, Any] | None = None,
    into: str | None = None,
    form: Form | None = None,
    only: Sequence[str] = (),
) -> Outcome:
    """Replay into a run of its own, in this process; with `into` into files. Where the run writes files, `on_step` is
    called at their steps."""
    wanted = request or Request()
    chosen = replace(place.settings, **(settings or {}))
    options = stage_options(place.settings)
    stages = [_stateless(name) or load_stage(name, options) for name in stages_behind(wanted.topic)]
    session = Session(chosen, run, "run", on_step if into is None else lambda step: None)
    around = Surroundings(Control(), Pace(), lambda total, done: ReplayProgress("replay", total, done=done, quiet=True))
    asked = wanted.options(stages, options)
    try:
        if into is not None:
            files = choose(into, form, only, stages)
            return into_files(session, wanted, stages, asked | {"into": into}, files, around, on_step)
        return into_topics(session, wanted, stages, asked, around)
    finally:
        session.close()


@functools.cache
def _stateless(name: str) -> Stage | None:
    """Loading models takes longer than what most tests do with them."""
    stage = pipeline.load(name)
    return None if isinstance(stage, StatefulStage) else stage


def same_as_live(place: Place, run: str) -> None:
    """Each partition of each topic of the run holds the keys and values of the live one, in their order; of the dead
    letters the order is that of the workers that wrote them."""
    for topic in LIVE:
        own = by_partition(place.read(isolated.own_topic(run, topic)))
        live = by_partition(place.read(topic))
        assert {p: len(pairs) for p, pairs in own.items()} == {p: len(pairs) for p, pairs in live.items()}, topic
        for partition, pairs in live.items():
            for number, (wanted, found) in enumerate(zip(pairs, own[partition], strict=True)):
                assert wanted == found, f"{topic}/{partition}, record {number}"
    own, live = (
        sorted((r.key or b"", r.value or b"") for r in place.read(topic))
        for topic in (isolated.own_topic(run, topics.DEAD_LETTERS), topics.DEAD_LETTERS)
    )
    assert own == live
