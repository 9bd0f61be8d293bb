"""`newsmill console`: a page for those who watch."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from newsmill import logs
from newsmill.cli.options import workers_option
from newsmill.console.serve import run_console
from newsmill.settings import from_environment


@click.command()
@click.option("--host", help="Address to listen on; any but loopback needs names.  [default: NEWSMILL_CONSOLE_HOST]")
@click.option("--port", type=int, help="Port to listen on.  [default: NEWSMILL_CONSOLE_PORT]")
@workers_option
def command(host: str | None, port: int | None, urls: Sequence[str]) -> None:
    """Serve a page that shows throughput and lag, the newest articles, dead letters, and what happened to an article.

    It only reads. It has no login: it listens on loopback alone, unless NEWSMILL_CONSOLE_NAMES says under which names
    browsers may open it; then put a proxy with TLS and a login in front of it. Without --worker it looks for workers on
    this machine, where `newsmill up` has them.
    """
    settings = from_environment(os.environ, console_host=host, console_port=port)
    logs.set_up(settings, {"stage": "console"})
    run_console(settings, urls)
