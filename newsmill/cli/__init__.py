"""The command `newsmill`. To add a command: write `newsmill/cli/<name>.py`, and add a line to `COMMANDS`."""

from __future__ import annotations

import errno
import importlib
import importlib.metadata
import os
import signal
import sys
from typing import Any, Final, NamedTuple

import click

from newsmill import compiled
from newsmill.errors import NewsmillError

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C: 128 and the signal's number, as shells have it."""


class Command(NamedTuple):
    """Where a command is to be found. Its module is imported when it is run, so that `newsmill --help` is quick."""

    name: str
    module: str
    attribute: str
    help: str


COMMANDS: Final = (
    Command("run", "newsmill.cli.run", "command", "Run documents through all stages in this process; no Kafka needed."),
    Command("explain", "newsmill.cli.explain", "command", "Show what ingest keeps of documents, what goes, and why."),
    Command("worker", "newsmill.cli.worker", "command", "Run one worker of one stage."),
    Command("up", "newsmill.cli.up", "command", "Start a local Apache Kafka with all topics, workers and the gateway."),
    Command("down", "newsmill.cli.up", "down", "Stop what `newsmill up` started; the data is kept."),
    Command("topics", "newsmill.cli.topics", "command", "Create, list or describe the topics on a cluster."),
    Command("gateway", "newsmill.cli.gateway", "command", "Take documents over HTTP and send them to news.raw."),
    Command("feed", "newsmill.cli.feed", "command", "Send documents to news.raw."),
    Command("tail", "newsmill.cli.tail", "command", "Show the records of a topic as they pass."),
    Command("status", "newsmill.cli.status", "command", "Tell whether all is well: throughput, lag, problems."),
    Command("trace", "newsmill.cli.trace", "command", "Show what happened to an article, and why."),
    Command("console", "newsmill.cli.console", "command", "Show it all on a page: charts, newest articles, search."),
    Command("replay", "newsmill.cli.replay", "command", "Run a range again beside live traffic; compare, promote."),
    Command("redrive", "newsmill.cli.redrive", "command", "Put dead letters back to where they came from."),
    Command("dedup", "newsmill.cli.dedup", "command", "Say why two articles are or are not copies."),
    Command("ingest", "newsmill.cli.ingest", "command", "Check a table of outlets; rebuild what is learnt of sources."),
    Command("settings", "newsmill.cli.settings", "command", "Print all settings with their values and meanings."),
)


class _Commands(click.Group):
    """Looks its commands up in `COMMANDS`, and shows known errors as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [command.name for command in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for command in COMMANDS:
            if command.name == cmd_name:
                found: click.Command = getattr(importlib.import_module(command.module), command.attribute)
                return found
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(command.name, command.help) for command in COMMANDS])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NewsmillError as error:
            click.echo(f"newsmill: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as error:
            if error.args:  # a second signal: see stop_on_signals
                number = signal.Signals(error.args[0])
                click.echo(
                    f"newsmill: ended at once by a second {number.name}; what was not durable is undone", err=True
                )
                ctx.exit(128 + number)
            ctx.exit(INTERRUPTED)
        except OSError as error:
            if error.errno is None or error.errno == errno.EPIPE:
                raise  # no error of the system's; or nobody reads any more (`| head`), which click ends on quietly
            # What has no name is a stream: files are opened by name.
            named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "the output"
            click.echo(f"newsmill: {named}: {error.strerror}{_REMEDIES.get(error.errno, '')}", err=True)
            ctx.exit(1)
        except Exception as error:
            if not _is_of_kafka(error):
                raise
            click.echo(
                f"newsmill: Kafka can't do that now: {error or type(error).__name__}. Is NEWSMILL_BOOTSTRAP right, and "
                "are the brokers up?",
                err=True,
            )
            ctx.exit(1)


_REMEDIES: Final = {
    errno.ENOSPC: ". Make room, then run the same command again",
    errno.EDQUOT: ". Make room, then run the same command again",
    errno.EFBIG: ". No file may become as large here (ulimit -f)",
    errno.EACCES: ". Run it as the owner, or name another place",
    errno.EROFS: ". Name another place",
    errno.EMFILE: ". Raise the limit of open files (ulimit -n)",
}


def _is_of_kafka(error: Exception) -> bool:
    """Whether `error` is one of a Kafka client. By name: importing the clients to ask would slow every command."""
    return any(
        kind.__name__ == "KafkaError" and kind.__module__.partition(".")[0] in ("kafka", "aiokafka")
        for kind in type(error).__mro__
    )


def _warn_of_changed_sources() -> None:
    if stale := compiled.changed():
        click.echo(
            f"newsmill: what runs was compiled of other sources than there are now ({', '.join(stale)}). "
            "`make compiled` compiles them again, `make venv` installs the sources themselves.",
            err=True,
        )


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"newsmill, version {importlib.metadata.version('newsmill')} ({compiled.describe()})")
        _warn_of_changed_sources()
        context.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it and exit."
)
def group() -> None:
    """Turn scraper output into clean, deduplicated, entity-tagged and classified news.

    Settings are environment variables, NEWSMILL_...; `newsmill settings` lists them.
    """
    _warn_of_changed_sources()


def main() -> None:
    """Run the command line of this process, and exit."""
    _occupy_standard_streams()
    group.main(prog_name="newsmill")


def _occupy_standard_streams() -> None:
    """Open the null device for each standard stream that is closed: else the next file opened took its number, and
    what is meant for the stream went into that file. `sys.stdin` stays None, by which commands tell that there is none.

    Ends the process where standard output is closed: what is written would be lost without a word.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    if sys.stdout is None:
        click.echo("newsmill: standard output is closed; where it is not wanted, write > /dev/null", err=True)
        sys.exit(2)
