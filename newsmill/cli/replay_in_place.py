"""`newsmill replay --in-place`: a range again into its own topic."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from newsmill import tail
from newsmill.cli import replay_options as shared
from newsmill.replay import ranges
from newsmill.replay.filters import Filters
from newsmill.replay.in_place import KINDS, InPlace
from newsmill.replay.pace import parse_rate
from newsmill.replay.progress import duration
from newsmill.replay.reader import SpanReader
from newsmill.settings import Settings
from schemas import topics
from schemas.replays import Plan
from workers.pipeline import SOURCES


@click.command()
@click.option("--topic", type=click.Choice(list(SOURCES.values())), default=topics.RAW, show_default=True)
@click.option("--from", "since", required=True, metavar="WHEN", help="RFC 3339 time, 'last 24h' or offset:N.")
@click.option("--until", default="", metavar="WHEN", help="The same; without it what is there now.")
@shared.filter_options
@shared.pace_options
def command(topic: str, since: str, until: str, run: str | None, dry_run: bool, **options: Any) -> None:
    """Send a range of a topic into the topic again, for the live workers, marked as a replay.

    No state changes: dedup repeats its decision on what it knows and says `not_checked` of what is older than its
    window. Downstream each article arrives as new processing of the revision that it had. What was stopped or killed
    goes on with the same command.

    Exit status: 0 done, 1 the broker did not take it or another process has taken over, 2 options or settings are
    wrong, 130 and 143 stopped by Ctrl-C and SIGTERM, after the batch at hand.
    """
    settings = shared.set_up()
    quiet: bool = options["quiet"]
    filters = shared.filters(options)
    filters.check(topic)
    asked = shared.asked(
        topic=topic,
        until=until,
        source=options["sources"],
        url=options["urls"],
        language=options["languages"],
        key=options["keys"],
        header=options["headers"],
        made_by=options["made_by"],
        max=options["most"],
        **{"from": since},
    )
    since_, until_ = ranges.parse(since), ranges.parse(until) if until else ranges.OPEN
    if dry_run:
        _show(settings, ranges.freeze(settings, topic, since_, until_), filters, options["rate"], options["most"])
        return
    name = shared.choose_run(settings, run, "in_place", asked, quiet=quiet)
    shared.copy_records(
        settings,
        name,
        "in_place",
        asked,
        lambda _: Plan(topic=topic, spans=ranges.freeze(settings, topic, since_, until_).spans, options=asked),
        lambda _: InPlace(settings, name, filters.takes),
        KINDS,
        options,
        quiet=quiet,
    )


def _show(settings: Settings, range_: ranges.Range, filters: Filters, rate: str | None, most: int | None) -> None:
    reader = SpanReader(settings, range_.topic, range_.spans)
    decide = InPlace(settings, "dry-run", filters.takes)
    counts: Counter[str] = Counter()
    size = 0
    while not reader.finished and (most is None or counts["replayed"] < most):
        if (record := reader.peek()) is None:
            continue
        reader.take(record)
        step = decide(record)
        counts[step.kind] += 1
        if step.output is not None:
            size += len(record.value or b"")
            if counts["replayed"] <= shared.FIRST_SHOWN:
                click.echo(tail.line(record))
    reader.close()
    took = f", about {duration(counts['replayed'] / parse_rate(rate))}" if rate else ""
    click.echo(f"{counts['replayed']:,} records, {size / 1e6:,.1f} MB would be sent again{took}; nothing is written")
    if left := shared.summary({k: v for k, v in counts.items() if k != "replayed"}, KINDS):
        click.echo(left)
