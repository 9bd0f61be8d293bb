"""`newsmill replay`: run a range again, and everything that is done with such a run afterwards."""

from __future__ import annotations

import importlib
from typing import Final, NamedTuple

import click


class _Sub(NamedTuple):
    name: str
    module: str
    attribute: str
    help: str


_RUN: Final = "run"
_IN_PLACE: Final = "in-place"

_SUBCOMMANDS: Final = (
    _Sub(_RUN, "newsmill.cli.replay_run", "command", "Run a range again; what is meant without a word."),
    _Sub(_IN_PLACE, "newsmill.cli.replay_in_place", "command", "The same as --in-place."),
    _Sub("diff", "newsmill.cli.replay_diff", "command", "Say what a run found against what is live."),
    _Sub("promote", "newsmill.cli.replay_manage", "promote", "Publish what a run has changed to the live topics."),
    _Sub("drop", "newsmill.cli.replay_manage", "drop", "Remove a run's topics and state."),
    _Sub("list", "newsmill.cli.replay_manage", "list_", "List the runs: what, when, by whom, how far."),
    _Sub("show", "newsmill.cli.replay_manage", "show", "Show everything that happened to a run."),
    _Sub("pause", "newsmill.cli.replay_manage", "pause", "Have a running replay wait."),
    _Sub("resume", "newsmill.cli.replay_manage", "resume", "Have a paused replay go on."),
)


class _Group(click.Group):
    """Without a known first word the options are those of a run; `--in-place` among them names another command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = args[0] if args else ""
        if first not in ("-h", "--help", *(sub.name for sub in _SUBCOMMANDS)):
            in_place = "--in-place" in args
            if in_place and any(arg.partition("=")[0] in ("--archive", "--into") for arg in args):
                raise click.UsageError(
                    "--in-place puts records of a topic back into it. What an archive holds goes to the live workers "
                    "with `newsmill feed`, as new documents",
                    ctx,
                )
            args = [_IN_PLACE if in_place else _RUN, *(arg for arg in args if arg != "--in-place")]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [sub.name for sub in _SUBCOMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for sub in _SUBCOMMANDS:
            if sub.name == cmd_name:
                found: click.Command = getattr(importlib.import_module(sub.module), sub.attribute)
                return found
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(sub.name, sub.help) for sub in _SUBCOMMANDS])


@click.group(cls=_Group)
def command() -> None:
    """Run a bounded range of a topic through the stages again, beside live traffic.

    `newsmill replay --from "last 24h"` makes a run of its own; with --into FILE|DIR it writes files, and with --archive
    PATH it reads files. With --in-place the range goes back into its topic.
    `newsmill replay run --help` and `newsmill replay in-place --help` show the options.
    """
