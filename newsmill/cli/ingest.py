"""`newsmill ingest`: look after what ingest has learnt of its sources."""

from __future__ import annotations

import click

from newsmill.cli.rebuild import rebuilt


@click.group()
def command() -> None:
    """Look after what ingest has learnt of its sources."""


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
