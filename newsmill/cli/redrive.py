"""`newsmill redrive`: dead letters back to where they came from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from newsmill import tail
from newsmill.cli import replay_options as shared
from newsmill.errors import NewsmillError
from newsmill.replay import journal, ranges
from newsmill.replay.copy import Step
from newsmill.replay.pace import parse_rate
from newsmill.replay.progress import duration
from newsmill.replay.reader import SpanReader, bounds
from newsmill.replay.redrive import KINDS, Redrive, Selection, histogram
from newsmill.settings import Settings
from schemas import topics
from schemas.keys import source_key
from schemas.replays import Plan, Span
from workers.pipeline import SOURCES, STAGES
from workers.stage import Record


@click.command()
@click.option("--reason", "reasons", multiple=True, metavar="CODE", help="Only with this reason.")
@click.option("--stage", "stages", multiple=True, type=click.Choice(STAGES), help="Only refused by this stage.")
@click.option("--source", "sources", multiple=True, metavar="NAME", help="Only of this source.")
@click.option("--from", "since", default="", metavar="WHEN", help="RFC 3339 time, 'last 24h' or offset:N.")
@click.option("--until", default="", metavar="WHEN", help="The same; without it what is there now.")
@click.option("--offset", "offsets", multiple=True, metavar="[P/]N", help="Only the letter at this offset.")
@click.option("--again", is_flag=True, help="Also what an earlier redrive has put back already.")
@shared.pace_options
def command(since: str, until: str, again: bool, run: str | None, dry_run: bool, **options: Any) -> None:
    """Put dead letters back to the topic and partition that they came from: key, value and headers as they were.

    Each letter is put back once, also by several commands, unless --again is given. The header `redriven` counts how
    often: what fails again is a dead letter with that count, and stays where it is once NEWSMILL_REDRIVE_LIMIT is
    reached. What was stopped or killed goes on with the same command.

    Exit status: 0 done, 1 the broker did not take it or another process has taken over, 2 options or settings are
    wrong, 130 and 143 stopped by Ctrl-C and SIGTERM, after the batch at hand.
    """
    settings = shared.set_up()
    quiet: bool = options["quiet"]
    selection = Selection(
        reasons=frozenset(options["reasons"]),
        stages=frozenset(options["stages"]),
        sources=frozenset(source_key(None, source).decode() for source in options["sources"]),
        places=frozenset(map(_place, options["offsets"])),
    )
    asked = shared.asked(
        reason=options["reasons"],
        stage=options["stages"],
        source=options["sources"],
        offset=options["offsets"],
        max=options["most"],
        again=again,
        until=until,
        **{"from": since},
    )
    since_, until_ = (ranges.parse(text) if text else ranges.OPEN for text in (since, until))
    partitions = {topic: len(bounds(settings, topic)) for topic in SOURCES.values()}

    def plan(_: object = None) -> Plan:
        return Plan(
            topic=topics.DEAD_LETTERS,
            spans=ranges.freeze(settings, topics.DEAD_LETTERS, since_, until_).spans,
            options=asked,
        )

    def decide(found: journal.Journal) -> Redrive:
        return Redrive(settings, selection, partitions, None if again else found.redriven)

    if dry_run:
        _show(settings, plan().spans, decide(journal.read(settings)), options["rate"])
        return
    name = shared.choose_run(settings, run, "redrive", asked, quiet=quiet)
    shared.copy_records(settings, name, "redrive", asked, plan, decide, KINDS, options, quiet=quiet)


def _place(text: str) -> tuple[int, int]:
    partition, slash, offset = text.rpartition("/")
    if not offset.isdecimal() or (slash and not partition.isdecimal()):
        raise NewsmillError(f"--offset is {text!r}: write an offset of {topics.DEAD_LETTERS}, or PARTITION/OFFSET")
    return int(partition or 0), int(offset)


def _show(settings: Settings, spans: tuple[Span, ...], decide: Redrive, rate: str | None) -> None:
    reader = SpanReader(settings, topics.DEAD_LETTERS, spans)
    first: list[Record] = []
    size = 0

    def decided() -> Iterator[tuple[Record, Step]]:
        nonlocal size
        while not reader.finished:
            if (record := reader.peek()) is None:
                continue
            reader.take(record)
            step = decide(record)
            if step.output is not None:
                size += len(record.value or b"")
                if len(first) < shared.FIRST_SHOWN:
                    first.append(record)
            yield record, step

    counts = histogram(decided())
    reader.close()
    table = Table("records", "stage", "reason", "would be")
    table.columns[0].justify = "right"
    for (kind, stage, reason), count in counts.items():
        table.add_row(f"{count:,}", stage, reason, KINDS[kind])
    Console().print(table)
    written = sum(count for (kind, _, _), count in counts.items() if kind == "redriven")
    took = f", about {duration(written / parse_rate(rate))}" if rate else ""
    click.echo(f"{written:,} records, {size / 1e6:,.1f} MB would be put back{took}; nothing is written")
    for record in itertools.islice(first, shared.FIRST_SHOWN):
        click.echo(tail.line(record))
