"""Puts a run together: range, order, state, stages and target, or what of them an earlier process has left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from newsmill import routes
from newsmill.engines.embedded import StagePool
from newsmill.engines.embedded.chain import Chain, place
from newsmill.metrics import Metrics
from newsmill.replay import base, isolated, ranges
from newsmill.replay.control import Control
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
    work = session.begin(options, plan_of(settings, request, options))
    if work.finished:
        return Outcome(True, work.counts, work.plan.spans)
    counts = isolated.partitions(settings, isolated.written_topics(stages))
    isolated.create(settings, session.run, counts)
    state = state_of(settings, request, stages, work)
    first = work.checkpoint is None
    if first:
        # From here on the logs that are followed end where they end now.
        session.checkpoint([], {}, {}, state=state.dump())

    def own_log(stage: StatefulStage) -> None:
        topic = isolated.own_topic(session.run, stage.log_topic)
        base.fold_all(settings, stage, topic, bounds(settings, topic))

    return work_off(
        settings,
        session.run,
        request,
        stages,
        state=state,
        spans=work.plan.spans,
        positions=work.positions,
        counts=work.counts,
        target=isolated.TopicTarget(session),
        partition=isolated.partitioner(counts),
        own_log=own_log,
        around=around,
    )


def state_of(settings: Settings, request: Request, stages: Sequence[Stage], work: Work) -> State:
    """Return the state of the last checkpoint; of a new run that with which it begins. Raises as `logs_of` does."""
    if work.checkpoint is not None and work.checkpoint.state is not None:
        return State.load(work.checkpoint.state)
    range_ = ranges.of(settings, request.topic, work.plan.spans)
    return begin(settings, request, stages, range_)


def begin(settings: Settings, request: Request, stages: Sequence[Stage], range_: Range) -> State:
    """Return the state with which a run of a range begins. Raises as `logs_of` does."""
    logs = base.logs_of(settings, stages, range_, complete=request.base == "log")
    return State(
        logs={log.stage.log_topic: [(s.partition, s.start, s.end) for s in log.spans] for log in logs},
        settled_ms=range_.ended_ms + SETTLED_MS,
    )


def work_off(
    settings: Settings,
    run: str,
    request: Request,
    stages: Sequence[Stage],
    *,
    state: State,
    spans: Sequence[Span],
    positions: Mapping[str, int],
    counts: Mapping[str, int],
    target: Target,
    partition: Callable[[str, bytes | None], int],
    own_log: Callable[[StatefulStage], None],
    around: Surroundings,
) -> Outcome:
    """Restore the stages and replay what is left of `spans`.

    Args:
        own_log: folds what the run itself has logged so far into a stage.
    """
    logs = logs_in(stages, state)
    for log in logs if request.base == "log" else ():
        reached = base.fold(settings, log)
        if not log.direct:
            for number, offset in reached.items():
                state.offsets.setdefault(place(log.stage.source, number), offset)
    for stage in stages:
        if isinstance(stage, StatefulStage):
            own_log(stage)
    chain = Chain(
        stages,
        around.metrics,
        dead_letter_limit=settings.dead_letter_limit,
        pool=around.pool,
        partition=partition,
        routes=routes.parse(settings.dedup_routes),
    )
    with contextlib.ExitStack() as stack:
        order = order_of(settings, request, spans, logs, state, positions)
        stack.callback(order.close)
        records: Input = isolated.TopicInput(order, fold=request.base == "log")
        total = sum(span.end - span.start for span in spans)
        progress = stack.enter_context(around.progress(total, records.done))
        fused = Fused(
            settings,
            run,
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
    newer = ranges.newer(settings, request.topic, spans) if finished and request.until.text == "" else 0
    return Outcome(finished, fused.counts, tuple(spans), newer)


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
