"""`newsmill worker`: one worker of one stage."""

from __future__ import annotations

import os

import click

from newsmill import logs
from newsmill.settings import from_environment
from newsmill.worker import run_worker
from workers.pipeline import STAGES


@click.command()
@click.argument("stage", type=click.Choice(STAGES))
@click.option("--engine", type=click.Choice(["kafka", "faust"]), default="kafka", show_default=True)
def command(stage: str, engine: str) -> None:
    """Run one worker of STAGE until SIGTERM or Ctrl-C.

    It is told everything else by NEWSMILL_* variables (see `newsmill settings`). When it can't be sure that a batch was
    written it exits non-zero: let a supervisor start it again, it goes on from where the broker says.
    """
    settings = from_environment(os.environ)
    logs.set_up(settings, {"stage": stage, "instance": settings.instance})
    run_worker(stage, settings, engine)
