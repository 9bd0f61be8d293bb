"""What the commands that replay have in common: pace, range and filters as options, and how they end."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

import click

from newsmill import logs
from newsmill.health import Health
from newsmill.metrics import ReplayMetrics
from newsmill.replay import journal, pace
from newsmill.replay.control import Control
from newsmill.replay.copy import Result, Step, carry_out
from newsmill.replay.filters import Filters, parse_headers, parse_made_by
from newsmill.replay.session import Session
from newsmill.settings import Settings, from_environment
from newsmill.worker import serving
from schemas.replays import Operation, Plan
from workers.pipeline import SOURCES
from workers.stage import Record

F = TypeVar("F", bound=Callable[..., Any])

FIRST_SHOWN: Final = 5
"""Records that a dry run shows."""


def _all(options: list[Callable[[Any], Any]]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


pace_options = _all(
    [
        click.option("--rate", metavar="N/s", help="Most records a second."),
        click.option("--pace", "pace_", metavar="original|xN", help="As fast as the records once came, or N times so."),
        click.option("--max", "most", type=click.IntRange(1), metavar="N", help="Most records to write."),
        click.option("--run", "run", metavar="NAME", help="Name of the run. [default: what it is and the time]"),
        click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing."),
        click.option("-q", "--quiet", is_flag=True, help="No progress and no summary."),
    ]
)
"""Options of everything that writes."""

filter_options = _all(
    [
        click.option("--source", "sources", multiple=True, metavar="NAME", help="Only of this source."),
        click.option("--url", "urls", multiple=True, metavar="GLOB", help="Only URLs of this pattern (* ? [])."),
        click.option("--language", "languages", multiple=True, metavar="CODE", help="Only in this language."),
        click.option("--key", "keys", multiple=True, metavar="KEY", help="Only with this key."),
        click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="Only with this header."),
        click.option("--made-by", multiple=True, metavar="STAGE<VERSION", help="Only made by such a version."),
    ]
)
"""Options that say which records of a range are meant."""


def filters(options: Mapping[str, Any]) -> Filters:
    """Return what the `filter_options` in `options` say, and take them out of it. Raises FilterError."""
    return Filters(
        sources=options["sources"],
        urls=options["urls"],
        languages=options["languages"],
        keys=options["keys"],
        headers=parse_headers(options["headers"]),
        made_by=tuple(map(parse_made_by, options["made_by"])),
    )


def asked(**options: Any) -> dict[str, str]:
    """Return options as text, as a plan keeps them; those that were not given are left out.

    >>> asked(source=("a", "b"), most=None, again=False, topic="news.raw")
    {'source': 'a, b', 'topic': 'news.raw'}
    """
    return {
        name: ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in options.items()
        if value not in (None, False, (), "")
    }


def set_up() -> Settings:
    """Return the settings of this process, whose logs are set up and whose priority is lowered."""
    settings = from_environment(os.environ)
    if settings.log_format == "auto":
        settings = replace(settings, log_format="text")  # a person reads it, also off a terminal
    logs.set_up(settings)
    if settings.log_level != "debug":
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
    pace.lower_priority()
    return settings


def choose_run(
    settings: Settings, name: str | None, operation: Operation, options: Mapping[str, str], *, quiet: bool
) -> str:
    """Return the name of the run: the one that was given, else that of an unfinished run with the same options, else a
    new one."""
    if name is not None:
        return journal.check_name(name)
    unfinished = journal.read(settings).unfinished(operation, options)
    if unfinished is None:
        return journal.new_name(operation)
    if not quiet:
        click.echo(
            f"newsmill: goes on with {unfinished.name}, begun {unfinished.works[operation].started.at:%Y-%m-%d %H:%M} "
            "UTC with the same options; to begin anew, drop it first (newsmill replay drop) or choose --run",
            err=True,
        )
    return unfinished.name


def make_pace(settings: Settings, rate: str | None, pace_: str | None) -> tuple[pace.Pace, pace.LiveLag]:
    """Return the pace that the options say, which backs off where live workers fall behind, and what asks about them;
    close that in the end. Raises PaceError."""
    parsed = pace.parse_rate(rate) if rate else None
    factor = pace.parse_pace(pace_) if pace_ else None
    lag = pace.LiveLag(settings, dict(SOURCES))
    return pace.Pace(rate=parsed, factor=factor, lag=lag, most_lag=settings.replay_max_live_lag), lag


@contextlib.contextmanager
def metering(
    settings: Settings, run: str, pace_: pace.Pace, lag: pace.LiveLag, control: Control
) -> Iterator[ReplayMetrics]:
    """Yield the metrics of a run, served meanwhile where NEWSMILL_REPLAY_METRICS_PORT says so; `healthz` and `readyz`
    answer 200. Raises PortTakenError."""
    meter = ReplayMetrics(run)
    meter.watch(lambda: pace_.limit, lambda: pace_.backing_off, lag, lambda: control.paused)
    health = Health(settings.stall_s)
    health.ready()
    with serving(settings.metrics_host, settings.replay_metrics_port, meter.registry, health):
        yield meter


def copy_records(
    settings: Settings,
    run: str,
    operation: Operation,
    asked: Mapping[str, str],
    plan: Callable[[journal.Journal], Plan],
    decide: Callable[[journal.Journal], Callable[[Record], Step]],
    kinds: Mapping[str, str],
    options: Mapping[str, Any],
    *,
    quiet: bool,
) -> None:
    """Carry out a run that copies records, at the pace and up to the number that `options` say, and end as `end` does.

    Raises what newsmill.replay.copy.carry_out and make_pace raise.
    """
    pace_, lag = make_pace(settings, options["rate"], options["pace_"])
    with Control(settings, run) as control, metering(settings, run, pace_, lag, control) as meter:
        result = carry_out(
            Session(settings, run, operation, meter=meter),
            asked,
            plan,
            decide,
            control=control,
            pace=pace_,
            label=operation.replace("_", " "),
            quiet=quiet,
            most=options["most"],
        )
    lag.close()
    end(run, result, kinds, control, quiet=quiet)


def summary(counts: Mapping[str, int], kinds: Mapping[str, str]) -> str:
    """Return counts in words, in the order of `kinds`; what did not occur is left out."""
    return "; ".join(f"{counts[kind]:,} {text}" for kind, text in kinds.items() if counts.get(kind))


def end(run: str, result: Result, kinds: Mapping[str, str], control: Control, *, quiet: bool) -> None:
    """Tell what came of a run, and end the process with 128 and the signal's number where it was stopped."""
    counts = summary(Counter(result.counts), kinds) or "nothing to do"
    if not quiet and result.before:
        click.echo(f"newsmill: {run} has been finished before: {counts}", err=True)
    elif not quiet and result.finished:
        click.echo(f"newsmill: {run} is finished: {counts}", err=True)
    elif not result.finished:
        if not quiet:
            click.echo(f"newsmill: {run} has stopped: {counts}. The same command goes on", err=True)
        sys.exit(128 + (control.caught or 2))
