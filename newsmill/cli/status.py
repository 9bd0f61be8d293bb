"""`newsmill status`: one screen that tells whether it is well."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import click
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from newsmill.cli.options import workers_option
from newsmill.settings import from_environment
from newsmill.status import Picture, Problem, StageLine, look, problems
from newsmill.status.picture import History
from newsmill.status.problems import LATE_SECONDS, stuck_partitions
from schemas import topics
from workers.pipeline import SOURCES

SAMPLE_SECONDS = 1.0
MOST_SOURCES = 10


@click.command()
@click.option("--watch", is_flag=True, help="Stay, and look again every few seconds.")
@click.option(
    "--every", type=click.FloatRange(0.5, 3600), default=2.0, show_default=True, help="Seconds between looks."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@workers_option
@click.option("--late", type=float, default=LATE_SECONDS, show_default=True, help="Seconds behind that are a problem.")
def command(watch: bool, every: float, as_json: bool, urls: Sequence[str], late: float) -> None:
    """Show stages, throughput, lag, age, dead letters, and who has which partition; what is wrong, in red.

    Works from Kafka (NEWSMILL_BOOTSTRAP) and the metrics of workers and gateways. Without --worker it looks for them
    on this machine, where `newsmill up` has them. Sources that are broken are named, too. Exit status: 0 all is well
    (whatever the sources are), 1 something is wrong.
    """
    settings = from_environment(os.environ)
    history = History()
    before = look(settings, SOURCES, history, urls)
    # Rates need two readings.
    time.sleep(SAMPLE_SECONDS)
    picture = look(settings, SOURCES, history, urls)
    if not watch:
        # A second is too short to call a partition stuck.
        wrong = problems(picture, late_seconds=late)
        if as_json:
            sys.stdout.buffer.write(to_json(picture, wrong) + b"\n")
        else:
            Console().print(screen(picture, wrong))
        sys.exit(1 if wrong else 0)
    with Live(console=Console(), auto_refresh=False, screen=sys.stdout.isatty()) as live:
        old = [before]
        while True:
            old = [then for then in old if picture.at - then.at <= 60] + [picture]
            then = old[0] if picture.at - old[0].at >= 10 else None
            wrong = problems(picture, then, late_seconds=late)
            live.update(screen(picture, wrong, then), refresh=True)
            time.sleep(every)
            picture = look(settings, SOURCES, history, urls)


def screen(picture: Picture, wrong: Sequence[Problem], before: Picture | None = None) -> Group:
    """Return the screen: the stages, their partitions, and what is wrong."""
    stuck = stuck_partitions(before, picture) if before else set()
    parts: list[Any] = [_stages(picture), _partitions(picture, stuck)]
    if picture.gateways:
        parts.append(_gateways(picture))
    if picture.dead_letters:
        minute, quarter = picture.dead_letters
        parts.append(Text(f"{topics.DEAD_LETTERS}: {minute:,} in the last minute, {quarter:,} in the last 15"))
    parts += _broken_sources(picture)
    parts += [_problem(problem) for problem in wrong] or [Text("all is well", style="green")]
    return Group(*parts)


def _broken_sources(picture: Picture) -> list[Text]:
    """Say which sources are broken: that is no fault of the pipeline, so it is none of the problems."""
    found = picture.broken_sources
    lines = [
        Text(f"{name} is broken: {', '.join(what).replace('_', ' ')}", style="yellow").append(
            "  docs/operations.md#a-source-breaks", style="dim"
        )
        for name, what in found[:MOST_SOURCES]
    ]
    if len(found) > MOST_SOURCES:
        lines.append(Text(f"and {len(found) - MOST_SOURCES} more", style="yellow"))
    return lines


def _problem(problem: Problem) -> Text:
    text = Text(f"{problem.stage + ': ' if problem.stage else ''}{problem.text}", style="bold red")
    return text.append(f"  docs/operations.md#{problem.runbook}", style="not bold dim")


def _stages(picture: Picture) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        title=f"newsmill, {time.strftime('%H:%M:%S', time.localtime(picture.at))}",
        title_justify="left",
    )
    # Narrow enough for 80 columns. done: records that workers finished a second; in: that arrived in the stage's topic.
    for column in ("stage", "up", "done/s", "1m", "15m", "in/s 1m", "15m", "lag", "behind", "age p99"):
        table.add_column(column, justify="left" if column == "stage" else "right", no_wrap=True)
    for line in picture.stages:
        arrived = line.group.arrived if line.group else (None, None)
        ready = sum(worker.ready for worker in line.workers)
        table.add_row(
            line.name,
            Text(f"{ready}/{len(line.workers)}", style="" if ready == len(line.workers) and ready else "red"),
            *(_rate(rate) for rate in (*line.done, *arrived)),
            _lag(line),
            _seconds(max((w.lag_seconds for w in line.workers if not math.isnan(w.lag_seconds)), default=math.nan)),
            _seconds(max((w.age_p99 for w in line.workers if not math.isnan(w.age_p99)), default=math.nan)),
        )
    return table


def _partitions(picture: Picture, stuck: set[tuple[str, int]]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    # standby: log records that the nearest of the workers that follow the partition has yet to read.
    for column in ("stage", "partition", "worker", "committed", "end", "lag", "standby"):
        table.add_column(column, justify="left" if column in ("stage", "worker") else "right")
    for line in picture.stages:
        for partition in line.group.partitions if line.group else ():
            table.add_row(
                line.name,
                str(partition.number),
                partition.member or "nobody",
                "-" if partition.committed is None else f"{partition.committed:,}",
                f"{partition.end:,}",
                "?" if partition.lag is None and partition.end else f"{partition.lag or 0:,}",
                _standby(line, partition.number),
                style="bold red" if (line.name, partition.number) in stuck else "",
            )
    return table


def _standby(line: StageLine, partition: int) -> str:
    lags = [worker.standby[str(partition)] for worker in line.workers if str(partition) in worker.standby]
    known = [lag for lag in lags if not math.isnan(lag)]
    return f"{min(known):,.0f} behind" if known else "?" if lags else "-"


def _gateways(picture: Picture) -> Table:
    table = Table(box=SIMPLE_HEAD)
    # in: documents accepted a second. refused: requests a second answered with 5xx. waiting: for Kafka.
    for column in ("gateway", "ready", "in/s", "1m", "15m", "refused/s", "waiting", "answer p99"):
        table.add_column(column, justify="left" if column == "gateway" else "right", no_wrap=True)
    for line in picture.gateways:
        scrape, refused = line.scrape, line.refused[0]
        table.add_row(
            scrape.url.removeprefix("http://"),
            Text("yes" if scrape.ready else "no", style="" if scrape.ready else "red"),
            *(_rate(rate) for rate in line.accepted),
            Text(_rate(refused), style="red" if refused else ""),
            f"{scrape.in_flight:,.0f}",
            _seconds(scrape.seconds_p99),
        )
    return table


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.1f}"


def _lag(line: StageLine) -> str:
    if line.group is None:
        return "-"
    known = sum(partition.lag or 0 for partition in line.group.partitions)
    return f"{known:,}{'?' if any(p.lag is None and p.end for p in line.group.partitions) else ''}"


def _seconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else "> 1 d" if math.isinf(seconds) else f"{seconds:,.2f} s"


def to_json(picture: Picture, wrong: Sequence[Problem]) -> bytes:
    """Return everything as one JSON object; NaN is null."""
    found = {"healthy": not wrong, "problems": [dataclasses.asdict(problem) for problem in wrong]}
    return orjson.dumps(found | dataclasses.asdict(picture))
