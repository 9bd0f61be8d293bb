"""`newsmill replay`: a range through the stages again, into topics of the run's own."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any, Final

import click

from newsmill import tail
from newsmill.cli import replay_options as shared
from newsmill.engines.embedded.chain import Chain, Decided
from newsmill.metrics import Metrics
from newsmill.replay import ranges
from newsmill.replay.control import Control
from newsmill.replay.fused import DECIDED, LEFT_OUT, RECORDS
from newsmill.replay.order import ByTime
from newsmill.replay.pace import parse_rate
from newsmill.replay.progress import ReplayProgress, duration
from newsmill.replay.request import Request, load_stages, stage_pool
from newsmill.replay.run import Surroundings, into_topics
from newsmill.replay.session import Session
from newsmill.settings import Settings
from newsmill.worker import stage_options
from schemas import topics
from workers import pipeline
from workers.stage import Record

_TRIED: Final = 50
"""Records that a dry run puts through the stages, to tell how long all of them would take."""


@click.command()
@click.option(
    "--topic",
    type=click.Choice(list(pipeline.SOURCES.values())),
    default=topics.RAW,
    show_default=True,
    help="What is replayed; the stages from its reader on are run.",
)
@click.option("--from", "since", default="", metavar="WHEN", help="RFC 3339 time, 'last 24h' or offset:N.")
@click.option("--until", default="", metavar="WHEN", help="The same; without it what is there now.")
@click.option(
    "--base",
    type=click.Choice(["log", "empty"]),
    default="log",
    show_default=True,
    help="State at the start: that of the live run then, or none.",
)
@click.option(
    "--order",
    type=click.Choice(["live", "time"]),
    default="live",
    show_default=True,
    help="As the live run met the records, or by their time of arrival.",
)
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes for the stages.")
@shared.filter_options
@shared.pace_options
def command(
    topic: str,
    since: str,
    until: str,
    base: Any,
    order: Any,
    jobs: int,
    run: str | None,
    dry_run: bool,
    quiet: bool,
    rate: str | None,
    pace_: str | None,
    most: int | None,
    **options: Any,
) -> None:
    """Put a range of a topic through the stages again, in this process, into topics of the run's own.

    The run's topics are called replay.RUN.TOPIC. Live topics, consumer groups and state are not touched. What was
    stopped or killed goes on with the same command, and comes to what an undisturbed run comes to.

    Exit status: 0 done, 1 the broker did not take it or another process has taken over, 2 options or settings are
    wrong, 130 and 143 stopped by Ctrl-C and SIGTERM, after the batch at hand.
    """
    settings = shared.set_up()
    request = Request(
        topic=topic,
        since=ranges.parse(since) if since else ranges.OPEN,
        until=ranges.parse(until) if until else ranges.OPEN,
        filters=shared.filters(options),
        base=base,
        order=order,
        most=most,
    )
    request.filters.check(topic)
    chosen = stage_options(settings)
    stages = load_stages(topic, chosen)
    if dry_run:
        _show(settings, request, Chain(stages, Metrics(), dead_letter_limit=1_000), rate, jobs)
        return
    asked = request.options(stages, chosen)
    name = shared.choose_run(settings, run, "run", asked, quiet=quiet)
    pace, lag = shared.make_pace(settings, rate, pace_)
    with contextlib.ExitStack() as stack:
        stack.callback(lag.close)
        pool = stage_pool(jobs, stages, chosen)
        if pool is not None:
            stack.callback(pool.close)
        control = stack.enter_context(Control(settings, name))
        around = Surroundings(
            control,
            pace,
            lambda total, done: ReplayProgress(f"replay {name}", total, done=done, quiet=quiet),
            pool,
        )
        meter = stack.enter_context(shared.metering(settings, name, pace, lag, control))
        session = Session(settings, name, "run", meter=meter)
        outcome = into_topics(session, request, stages, asked, around)
        session.close()
    if not quiet:
        counts = outcome.counts
        done = "is finished" if outcome.finished else f"has stopped; the same with --run {name} goes on"
        click.echo(
            f"newsmill: {name} {done}: {counts.get(RECORDS, 0):,} records replayed, {counts.get(LEFT_OUT, 0):,} left "
            f"out, {counts.get(DECIDED, 0):,} decisions of live workers taken over",
            err=True,
        )
        if outcome.newer:
            click.echo(
                f"newsmill: {outcome.newer:,} offsets have come behind the end of the range since it was frozen; they "
                "are not part of this run",
                err=True,
            )
    if not outcome.finished:
        sys.exit(128 + (control.caught or 2))


def _show(settings: Settings, request: Request, chain: Chain, rate: str | None, jobs: int) -> None:
    """Say what would be replayed: how many records, how large, how long it would take, and the first of them."""
    range_ = ranges.freeze(settings, request.topic, request.since, request.until)
    order = ByTime(settings, request.topic, range_.spans, request.filters.takes)
    count = size = 0
    tried: list[Record] = []
    try:
        for record in order:
            if isinstance(record, Decided):
                continue
            count += 1
            size += len(record.value or b"")
            if count <= shared.FIRST_SHOWN:
                click.echo(tail.line(record))
            if len(tried) < _TRIED:
                tried.append(record)
            if count == request.most:
                break
    finally:
        order.close()
    began = time.perf_counter()
    if tried:
        chain.run(tried, {})
    seconds = (time.perf_counter() - began) / max(1, len(tried)) * count / jobs
    if rate:
        seconds = max(seconds, count / parse_rate(rate))
    click.echo(
        f"{count:,} records, {size / 1e6:,.1f} MB would be replayed, about {duration(seconds)}; {order.left_out:,} of "
        "the range would be left out; nothing is written"
    )
