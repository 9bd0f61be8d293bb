"""`newsmill replay`: a range or an archive through the stages again, into topics of the run's own or into files."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from newsmill import parquet
from newsmill.cli import replay_options as shared
from newsmill.cli.options import Instant
from newsmill.cli.replay_dry_run import show
from newsmill.engines.embedded.chain import Chain
from newsmill.feed import FORMATS
from newsmill.metrics import Metrics
from newsmill.replay import ranges
from newsmill.replay.archive import TOO_LARGE, UNDATED, UNREADABLE, open_archive
from newsmill.replay.control import Control
from newsmill.replay.files import Files, Form, choose
from newsmill.replay.fused import DECIDED, LEFT_OUT, RECORDS
from newsmill.replay.progress import ReplayProgress
from newsmill.replay.request import Request, load_stages, stage_pool
from newsmill.replay.run import Surroundings, into_files, into_topics
from newsmill.replay.session import Session
from newsmill.worker import stage_options
from schemas import topics
from workers import pipeline
from workers.stage import Stage

_TOPICS: Final = "run"

_MOST_NAMED: Final = 10
"""Rejected parts of an archive that are named."""


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
    "--archive",
    "names",
    multiple=True,
    metavar="PATH",
    help="Read these files, directories or patterns instead of the topic.",
)
@click.option("--format", type=click.Choice(FORMATS), help="Format of the archive, where suffix or content mislead.")
@click.option("--ingested-at", type=Instant(), help="Time to stamp on documents of an archive; default: now.")
@click.option(
    "--into",
    default=_TOPICS,
    show_default="run: topics of its own",
    metavar="FILE|DIR",
    help="Write a file (.ndjson, .parquet) or a directory of files instead of topics.",
)
@click.option("--as", "form", type=click.Choice(["ndjson", "parquet"]), help="Form of the files in a directory.")
@click.option("--only", multiple=True, metavar="TOPIC", help="Of files: write this topic's records.")
@click.option(
    "--base",
    type=click.Choice(["log", "empty"]),
    show_default="log; of an archive empty",
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
    names: tuple[str, ...],
    format: str | None,
    ingested_at: int | None,
    into: str,
    form: Any,
    only: tuple[str, ...],
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
    """Put a range of a topic, or an archive, through the stages again, in this process.

    The result goes into topics of the run's own, replay.RUN.TOPIC, or with --into into files, which get their names
    when they are complete. Live topics, consumer groups and state are not touched. What was stopped or killed goes on
    with the same command, and comes to what an undisturbed run comes to.

    --archive takes NDJSON, JSON, text, HTML, WARC, RSS, Atom (also .gz) and Parquet; --from and --until then go by the
    time when a document was fetched.

    Exit status: 0 done, 1 the broker did not take it, another process has taken over or part of an archive could not
    be read, 2 options or settings are wrong, 130 and 143 stopped by Ctrl-C and SIGTERM, after the batch at hand.
    """
    settings = shared.set_up()
    archive = open_archive(names, format, ingested_at) if names else None
    if archive is None and (format is not None or ingested_at is not None):
        raise click.UsageError("--format and --ingested-at say something about an archive: name it with --archive")
    if archive is not None and any(file.format == "parquet" for file in archive.files):
        parquet.require()
    request = Request(
        topic=topic,
        since=ranges.parse(since) if since else ranges.OPEN,
        until=ranges.parse(until) if until else ranges.OPEN,
        filters=shared.filters(options),
        base=base or ("log" if archive is None else "empty"),
        order=order,
        most=most,
        archive=archive,
    )
    request.filters.check(topic)
    chosen = stage_options(settings)
    stages = load_stages(topic, chosen)
    files = _files(into, form, only, stages)
    if dry_run:
        if show(settings, request, Chain(stages, Metrics(), dead_letter_limit=1_000), rate, jobs):
            sys.exit(1)
        return
    asked = request.options(stages, chosen)
    if files is not None:
        asked |= {"into": os.path.abspath(into), "as": files.form, "only": ", ".join(files.paths)}
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
            say=_Few(),
        )
        meter = stack.enter_context(shared.metering(settings, name, pace, lag, control))
        session = Session(settings, name, "run", meter=meter)
        if files is None:
            outcome = into_topics(session, request, stages, asked, around)
        else:
            outcome = into_files(session, request, stages, asked, files, around)
        session.close()
    counts = outcome.counts
    rejected = counts.get(UNREADABLE, 0) + counts.get(TOO_LARGE, 0)
    if not quiet:
        done = "is finished" if outcome.finished else f"has stopped; the same with --run {name} goes on"
        click.echo(
            f"newsmill: {name} {done}: {counts.get(RECORDS, 0):,} records replayed, {counts.get(LEFT_OUT, 0):,} left "
            f"out, {counts.get(DECIDED, 0):,} decisions of live workers taken over",
            err=True,
        )
        if files is not None and outcome.finished:
            click.echo(f"newsmill: written: {', '.join(map(str, files.paths.values()))}", err=True)
        if undated := counts.get(UNDATED, 0):
            click.echo(f"newsmill: {undated:,} of those left out do not say when they were fetched", err=True)
        if outcome.newer:
            click.echo(
                f"newsmill: {outcome.newer:,} offsets have come behind the end of the range since it was frozen; they "
                "are not part of this run",
                err=True,
            )
    if not outcome.finished:
        sys.exit(128 + (control.caught or 2))
    if rejected:
        click.echo(
            f"newsmill: {rejected:,} parts of the archive could not be taken: {counts.get(UNREADABLE, 0):,} "
            f"unreadable, {counts.get(TOO_LARGE, 0):,} too large. The run holds all the others",
            err=True,
        )
        sys.exit(1)


class _Few:
    """Shows the first of what can't be read; all of it is counted."""

    def __init__(self) -> None:
        self._shown = 0

    def __call__(self, text: str) -> None:
        self._shown += 1
        if self._shown <= _MOST_NAMED:
            click.echo(f"newsmill: rejected: {text}", err=True)
        elif self._shown == _MOST_NAMED + 1:
            click.echo("newsmill: more is rejected; it is counted and no longer named", err=True)


def _files(into: str, form: Form | None, only: tuple[str, ...], stages: Sequence[Stage]) -> Files | None:
    """Return the files that are written, None for topics. Raises ReplayError, ParquetMissingError."""
    if into == _TOPICS:
        if form is not None or only:
            raise click.UsageError("--as and --only say something about files: name them with --into")
        return None
    files = choose(into, form, only, stages)
    if files.form == "parquet":
        parquet.require()
    return files
