"""Puts a run together: range, order, state, stages and target, or what of them an earlier process has left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from newsmill import routes
from newsmill.engines.embedded import StagePool
from newsmill.engines.embedded.chain import Chain, place
from newsmill.metrics import Metrics
from newsmill.replay import archive, base, isolated, lookup, ranges
from newsmill.replay.control import Control
from newsmill.replay.files import Files, FileTarget
from newsmill.replay.fused import Fused, Input, State, Target
from newsmill.replay.journal import Journal, Work
from newsmill.replay.order import SETTLED_MS, ByTime, Followed, Log, Order
from newsmill.replay.pace import Pace
from newsmill.replay.progress import ReplayProgress
from newsmill.replay.ranges import Range
from newsmill.replay.reader import bounds
from newsmill.replay.request import Request
from newsmill.replay.session import Session
from newsmill.settings import Settings
from schemas.replays import Plan, Span
from workers.stage import Stage, StatefulStage


@dataclass(slots=True)
class Surroundings:
    """What a run gets from the command that runs it."""

    control: Control
    pace: Pace
    progress: Callable[[int, int], ReplayProgress]
    """Makes the progress of (total, done of it)."""
    pool: StagePool | None = None
    metrics: Metrics = field(default_factory=Metrics)
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a run. `newer`: offsets that have come behind the frozen end, which the run leaves out."""

    finished: bool
    counts: Mapping[str, int]
    spans: tuple[Span, ...] = ()
    newer: int = 0


def plan_of(settings: Settings, request: Request, options: Mapping[str, str]) -> Callable[[Journal], Plan]:
    """Return what makes the plan of a new run: the range is frozen then. Raises RangeError when it is called."""

    def plan(journal: Journal) -> Plan:
        if request.archive is not None:
            archive.check(request.since, request.until)
            return Plan(topic=request.topic, options=dict(options))
        found = ranges.freeze(settings, request.topic, request.since, request.until)
        return Plan(topic=request.topic, spans=found.spans, options=dict(options))

    return plan


def into_topics(
    session: Session, request: Request, stages: Sequence[Stage], options: Mapping[str, str], around: Surroundings
) -> Outcome:
    """Replay a range into topics of the run's own, or go on with that.

    Args:
        session: not begun.
        stages: loaded, from the reader of the topic on.
        options: see `Request.options`.

    Raises what Session.begin, logs_of and Fused.run raise.
    """
    settings = session.settings
    with lookup.sharing(settings):
        work = session.begin(options, plan_of(settings, request, options))
        if work.finished:
            return Outcome(True, work.counts, work.plan.spans)
        counts = isolated.partitions(settings, isolated.written_topics(stages))
        isolated.create(settings, session.run, counts)
        session.writer.know([isolated.own_topic(session.run, topic) for topic in counts])
        state = _begun(session, request, stages, work)

    def own_log(stage: StatefulStage) -> None:
        topic = isolated.own_topic(session.run, stage.log_topic)
        base.fold_all(settings, stage, topic, bounds(settings, topic))

    return work_off(
        session,
        request,
        stages,
        state=state,
        spans=work.plan.spans,
        positions=work.positions,
        counts=work.counts,
        target=isolated.TopicTarget(session),
        own_log=own_log,
        around=around,
    )


def into_files(
    session: Session,
    request: Request,
    stages: Sequence[Stage],
    options: Mapping[str, str],
    files: Files,
    around: Surroundings,
    on_step: Callable[[str], None] = lambda step: None,
) -> Outcome:
    """Replay a range into files, or go on with that. Arguments as for `into_topics` and FileTarget; it also raises what
    that raises."""
    target = FileTarget(session.settings, session.run, files, stages, on_step)
    with contextlib.closing(target):
        with lookup.sharing(session.settings):
            work = session.begin(options, plan_of(session.settings, request, options))
            if work.finished:
                return Outcome(True, work.counts, work.plan.spans)
            begun = _begun(session, request, stages, work)
        target.begin(session, work, begun)
        if target.finished:
            target.finish(target.counts)
            return Outcome(True, target.counts, work.plan.spans)
        return work_off(
            session,
            request,
            stages,
            state=target.state or begun,
            spans=work.plan.spans,
            positions=target.positions,
            counts=target.counts,
            target=target,
            own_log=target.own_log,
            around=around,
        )


def _begun(session: Session, request: Request, stages: Sequence[Stage], work: Work) -> State:
    """Return the state of the last checkpoint on news.replays. That of a new run is written there: from then on the
    logs that are followed end where they end now, and the archive is that which it is now."""
    checkpoint = work.checkpoint
    if checkpoint is not None and checkpoint.state is not None:
        return State.load(checkpoint.state)
    state = begin(session.settings, request, stages, _range_of(session.settings, request, work))
    session.checkpoint([], {}, {}, state=state.dump())
    return state


def _range_of(settings: Settings, request: Request, work: Work) -> Range:
    """Return the range that is replayed; an archive begins behind all that is on the topics."""
    if request.archive is not None:
        return Range(request.topic, (), None, int(time.time() * 1000))
    return ranges.of(settings, request.topic, work.plan.spans)


def begin(settings: Settings, request: Request, stages: Sequence[Stage], range_: Range) -> State:
    """Return the state with which a run of a range begins. Raises as `logs_of` does."""
    if request.archive is not None and request.base == "empty":
        logs = []
    else:
        logs = base.logs_of(settings, stages, range_, complete=request.base == "log")
    state = State(
        logs={log.stage.log_topic: [(s.partition, s.start, s.end) for s in log.spans] for log in logs},
        settled_ms=range_.ended_ms + SETTLED_MS,
    )
    if request.archive is not None:
        state.archive = msgspec.to_builtins(archive.begin(request.archive, request.since, request.until))
    return state


def work_off(
    session: Session,
    request: Request,
    stages: Sequence[Stage],
    *,
    state: State,
    spans: tuple[Span, ...],
    positions: Mapping[str, int],
    counts: Mapping[str, int],
    target: Target,
    own_log: Callable[[StatefulStage], None],
    around: Surroundings,
) -> Outcome:
    """Restore the stages and replay what is left of `spans`, or of the archive.

    Args:
        own_log: folds what the run itself has logged so far into a stage.
    """
    settings = session.settings
    logs = logs_in(stages, state)
    with lookup.sharing(settings):
        for log in logs if request.base == "log" else ():
            reached = base.fold(settings, log)
            # Records of an archive come behind all that live workers have read.
            if not log.direct or request.archive is not None:
                for number, offset in reached.items():
                    state.offsets.setdefault(place(log.stage.source, number), offset)
        for stage in stages:
            if isinstance(stage, StatefulStage):
                own_log(stage)
        named = [request.topic, *isolated.written_topics(stages)]
        partition = isolated.partitioner(isolated.partitions(settings, named))
    chain = Chain(
        stages,
        around.metrics,
        dead_letter_limit=settings.dead_letter_limit,
        pool=around.pool,
        partition=partition,
        routes=routes.parse(settings.dedup_routes),
    )
    with contextlib.ExitStack() as stack:
        records: Input
        if request.archive is not None:
            records = archive.ArchiveInput(
                request.archive, request.topic, state, request.filters.takes, partition=partition, say=around.say
            )
        else:
            order = order_of(settings, request, spans, logs, state, positions)
            total = sum(span.end - span.start for span in spans)
            records = isolated.TopicInput(order, total, fold=request.base == "log")
        stack.callback(records.close)
        progress = stack.enter_context(around.progress(records.total, records.done))
        around.control.say = progress.say
        fused = Fused(
            settings,
            session.run,
            chain,
            records,
            target,
            state=state,
            counts=counts,
            control=around.control,
            pace=around.pace,
            progress=progress,
            most=request.most,
        )
        finished = fused.run()
    open_ended = finished and request.archive is None and request.until.text == ""
    return Outcome(finished, fused.counts, spans, ranges.newer(settings, request.topic, spans) if open_ended else 0)


def logs_in(stages: Sequence[Stage], state: State) -> list[Log]:
    """Return the logs that `state` says are followed."""
    topic = stages[0].source
    return [
        Log(stage, tuple(Span(partition=p, start=a, end=b) for p, a, b in spans), stage.source == topic)
        for stage in stages
        if isinstance(stage, StatefulStage) and (spans := state.logs.get(stage.log_topic)) is not None
    ]


def order_of(
    settings: Settings,
    request: Request,
    spans: Sequence[Span],
    logs: Sequence[Log],
    state: State,
    positions: Mapping[str, int],
) -> Order:
    """Return the order in which a run reads its records."""
    takes = request.filters.takes
    leader = next((log for log in logs if not log.direct), None)
    if leader is None or request.order == "time":
        return ByTime(settings, request.topic, spans, takes, logs, positions)
    return Followed(settings, request.topic, spans, takes, leader, state.settled_ms, logs, positions)
