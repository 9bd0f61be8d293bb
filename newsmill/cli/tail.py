"""`newsmill tail`: watch a topic."""

from __future__ import annotations

import os
import sys

import click

from newsmill import tail
from newsmill.errors import NewsmillError
from newsmill.settings import from_environment
from schemas.topics import BY_NAME


@click.command()
@click.argument("topic", type=click.Choice(list(BY_NAME)))
@click.option("--from-beginning", is_flag=True, help="Start with the oldest record that is kept.")
@click.option("--no-follow", is_flag=True, help="Stop at what is there now.")
@click.option("--limit", type=click.IntRange(1), help="Stop after this many records.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record: key, headers, value.")
def command(topic: str, from_beginning: bool, no_follow: bool, limit: int | None, as_json: bool) -> None:
    """Show the records of TOPIC as they pass (committed ones alone)."""
    settings = from_environment(os.environ)
    shown = 0
    try:
        for record in tail.records(
            settings, topic, from_beginning=from_beginning, follow=not no_follow, stopping=lambda: False
        ):
            if as_json:
                sys.stdout.buffer.write(tail.as_json(record) + b"\n")
                sys.stdout.buffer.flush()
            else:
                click.echo(tail.line(record))
            shown += 1
            if limit is not None and shown >= limit:
                return
    except ValueError as error:
        raise NewsmillError(f"{error}. `newsmill topics create` makes the topics") from error
