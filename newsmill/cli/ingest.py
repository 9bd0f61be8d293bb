"""`newsmill ingest`: look after what ingest is told and has learnt of its sources."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from newsmill.cli.rebuild import rebuilt
from newsmill.errors import NewsmillError
from schemas.keys import UNKNOWN_SOURCE


class TableError(NewsmillError):
    """A table of outlets can't be read or is wrong. The text has a line for each mistake."""


@click.group()
def command() -> None:
    """Look after what ingest is told and has learnt of its sources."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("places", nargs=-1)
def outlets(file: Path, places: tuple[str, ...]) -> None:
    """Check the table of outlets in FILE, and say what PLACES become with it.

    PLACES are URLs and names of sources; `-` reads them from standard input, one a line. For each it prints place,
    source and reason, apart by tabs.

    Exit status: 0, or 2 with the lines and columns of what is wrong in FILE.
    """
    from workers.ingest import outlets as tables
    from workers.ingest.draft import source_name
    from workers.ingest.urls import canonical_url, registrable_domain

    try:
        table = tables.parse(file.read_text("utf-8"))
    except tables.OutletError as error:
        raise TableError("\n".join(f"{file}: {problem}" for problem in error.problems)) from error
    except (OSError, ValueError) as error:
        raise TableError(f"{file}: {error}") from error
    click.echo(f"{file}: {len(table)} rows, {table.outlets} outlets", err=bool(places))
    for place in _each(places):
        url = canonical_url(place) if "://" in place else None
        name = None if url else place
        row = table.find(name, url)
        if row is not None:
            click.echo(f"{place}\t{row.outlet}\tline {row.line}: {row.place}")
        else:
            source = registrable_domain(url) if url else source_name(place)
            click.echo(f"{place}\t{source or UNKNOWN_SOURCE}\tnot in the table")


@command.command()
@click.option("--state-dir", help="Where the workers' snapshots are.  [default: .newsmill]")
def rebuild(state_dir: str | None) -> None:
    """Rebuild the state of ingest when its log is of an older version.

    The workers of ingest must be stopped. Reads news.ingest-log and the documents that news.raw still holds, learns
    from them anew, and writes a snapshot for each partition, from which a worker started here goes on.
    """
    for partition, entries, anew, gone in rebuilt("ingest", state_dir):
        click.echo(
            f"partition {partition}: {entries} lines and articles in the state, {anew} articles read anew, {gone} "
            "whose document is no longer kept (what recurs in these is learnt again as new ones come)"
        )


def _each(places: tuple[str, ...]) -> Iterator[str]:
    for place in places:
        lines = sys.stdin if place == "-" else (place,)
        yield from (text for line in lines if (text := line.strip()))
