"""`newsmill topics`: create, list and describe the topics."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import click
from rich.console import Console
from rich.table import Table

from newsmill import clients, topics
from newsmill.cli.options import partitions_option
from newsmill.settings import Settings, from_environment


@click.group()
def command() -> None:
    """Create, list or describe the topics on a cluster (NEWSMILL_BOOTSTRAP)."""


@command.command()
@click.option("--replication-factor", type=int, default=topics.BROKER_DEFAULT, help="[default: the cluster's]")
@click.option(
    "--partitions", multiple=True, metavar="TOPIC=N", callback=partitions_option, help="Partitions of a topic."
)
def create(replication_factor: int, partitions: Mapping[str, int]) -> None:
    """Create the topics that are missing. One that exists is never changed; differences are told."""
    settings = from_environment(os.environ)
    counts = {clients.physical(settings, name): count for name, count in partitions.items()}
    with topics.admin_client(clients.connection(settings)) as admin:
        results = topics.create(
            admin,
            topics.declared(settings.namespace),
            replication_factor=replication_factor,
            partitions=counts,
        )
    for result in results:
        click.echo(f"{result.outcome:8} {result.topic}{'  ' if result.details else ''}{'; '.join(result.details)}")
    if any(result.outcome == "failed" for result in results):
        sys.exit(1)


@command.command(name="list")
def list_() -> None:
    """List the topics, a line each."""
    for row in _described(from_environment(os.environ)):
        click.echo(row.topic if row.partitions else f"{row.topic}  (missing)")


@command.command()
def describe() -> None:
    """Show partitions, retention, records and size of each topic, and what it is for."""
    settings = from_environment(os.environ)
    table = Table()
    for column in ("topic", "partitions", "replicas", "kept", "records", "MB", "what"):
        table.add_column(column, justify="left" if column in ("topic", "what") else "right")
    purposes = {topic.name: topic.purpose for topic in topics.declared(settings.namespace)}
    for row in _described(settings):
        if not row.partitions:
            table.add_row(row.topic, "missing", "", "", "", "", purposes[row.topic])
            continue
        records = sum(end - start for start, end in zip(row.start, row.end, strict=True))
        table.add_row(
            row.topic,
            str(row.partitions),
            str(row.replication_factor),
            "for ever" if row.retention is None else f"{row.retention.total_seconds() / 86400:g} d",
            f"{records:,}",
            "" if row.size_bytes is None else f"{row.size_bytes / 1e6:,.1f}",
            purposes[row.topic],
        )
    Console().print(table)
    click.echo("records: at most this many; markers of transactions take offsets, too")


def _described(settings: Settings) -> list[topics.Described]:
    with topics.admin_client(clients.connection(settings)) as admin:
        return topics.describe(admin, topics.declared(settings.namespace))
