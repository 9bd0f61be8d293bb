"""`newsmill up` and `newsmill down`: everything on one machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from newsmill import logs
from newsmill.cli.options import scale_option
from newsmill.local import cluster as local
from newsmill.settings import from_environment


@click.command()
@click.option("--bootstrap", help="Use these brokers and start none (host:port, separated by commas).")
@click.option("--state-dir", help="Where data, snapshots and pid files live.  [default: .newsmill]")
@click.option("--port", type=int, help="Port of the broker that is started.  [default: a free one, kept over restarts]")
@click.option("--engine", type=click.Choice(["kafka", "faust"]), default="kafka", show_default=True)
@click.option(
    "--scale", multiple=True, metavar="STAGE=N", callback=scale_option, help="Workers of a stage, e.g. entities=2."
)
def command(bootstrap: str | None, state_dir: str | None, port: int | None, engine: str, scale: dict[str, int]) -> None:
    """Start a local Apache Kafka, the topics, the four workers and the gateway.

    Ctrl-C or `newsmill down` stops them all.

    Data lives in the state directory and survives a restart. Needs Java 17 or newer, and Maven once, to fetch Kafka.
    """
    settings = from_environment(os.environ, bootstrap=bootstrap, state_dir=state_dir)
    logs.set_up(settings)
    cluster = local.Cluster(settings, external=bootstrap is not None, engine=engine, scale=scale, port=port)

    def stop(number: int, frame: FrameType | None) -> None:
        cluster.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with cluster.running():
        _tell(cluster)
        cluster.supervise()
        click.echo("stopping: workers first, then the broker ...", err=True)
    click.echo("stopped; the data is kept", err=True)


def _tell(cluster: local.Cluster) -> None:
    table = Table(title="newsmill is up", show_header=False, title_justify="left")
    table.add_row("Kafka", cluster.settings.bootstrap)
    table.add_row("state", str(Path(cluster.settings.state_dir).absolute()))
    for worker in cluster.workers:
        base = f"http://{cluster.settings.metrics_host}:{worker.port}"
        table.add_row(worker.name, f"{base}/metrics  /healthz  /readyz")
    settings = cluster.settings
    table.add_row("documents to", f"POST http://{settings.gateway_host}:{settings.gateway_port}/v1/articles")
    Console(stderr=True).print(table)
    address = f"NEWSMILL_BOOTSTRAP={cluster.settings.bootstrap}"
    click.echo(
        "In another terminal:\n"
        f"  {address} newsmill feed samples\n"
        f"  {address} newsmill tail news.classified --from-beginning\n"
        f"  {address} newsmill console\n"
        "Ctrl-C stops it all.",
        err=True,
    )


@click.command()
@click.option("--state-dir", help="The state directory of the cluster.  [default: .newsmill]")
def down(state_dir: str | None) -> None:
    """Stop what `newsmill up` started, from anywhere; the data is kept."""
    settings = from_environment(os.environ, state_dir=state_dir)
    stopped = local.down(Path(settings.state_dir))
    click.echo(f"stopped: {', '.join(stopped)}" if stopped else f"nothing runs on {settings.state_dir}")
