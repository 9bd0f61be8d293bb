"""What is done with runs afterwards: `newsmill replay promote|list|show|pause|resume|drop`."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from typing import Final, Literal

import click
import orjson
from rich.console import Console
from rich.table import Column, Table

from newsmill import clients
from newsmill import topics as cluster
from newsmill.cli import replay_options as shared
from newsmill.replay import journal
from newsmill.replay.control import Control
from newsmill.replay.files import directory_of, written_by
from newsmill.replay.fused import RECORDS
from newsmill.replay.journal import JournalError
from newsmill.replay.progress import ReplayProgress
from newsmill.replay.promote import KINDS, Promotion
from newsmill.replay.session import Session
from newsmill.replay.writer import ReplayWriter
from newsmill.settings import Settings, from_environment
from schemas import codec
from schemas.replays import ReplayRecord
from schemas.topics import TOPICS

_WORDS: Final = {"run": "replay", "in_place": "in place", "promote": "promote", "redrive": "redrive"}


@click.command()
@click.argument("run")
@click.option("--rate", metavar="N/s", help="Most records a second.")
@click.option("--dry-run", is_flag=True, help="Count the changes, and write nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def promote(run: str, rate: str | None, dry_run: bool, quiet: bool) -> None:
    """Publish what RUN has changed to the live topics, as new processing of the same revisions, each record once.

    An article whose live revision is another one by now is left out (superseded). What the run has lost stays. Live
    workers pass over what is published, and dedup's state does not change. What was stopped or killed goes on with the
    same command; once it is done, the command does nothing.

    Exit status: as of `newsmill redrive`.
    """
    from newsmill.replay import diff  # only this command compares

    settings = shared.set_up()
    journal.read(settings).known(run)
    if dry_run:
        counts = Counter(f"{change.topic}: {change.kind}" for change in diff.changes(settings, run))
        for name, count in sorted(counts.items()):
            click.echo(f"{count:,} {name}")
        click.echo("nothing is written")
        return
    pace, lag = shared.make_pace(settings, rate, None)
    with (
        Control(settings, run) as control,
        shared.metering(settings, run, pace, lag, control) as meter,
        ReplayProgress("promote", 0, quiet=quiet) as progress,
    ):
        control.say = progress.say
        session = Session(settings, run, "promote", meter=meter)
        result = Promotion(
            session, lambda: diff.changes(settings, run), control=control, pace=pace, progress=progress
        ).run()
    session.close()
    lag.close()
    shared.end(run, result, KINDS, control, quiet=quiet)


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an operation.")
def list_(as_json: bool) -> None:
    """List the runs, oldest first: what was done, when, by whom, how far it is."""
    found = journal.read(from_environment(os.environ))
    # A run's name is what other commands ask for: it is shown whole in a narrow terminal, too.
    others = ("what", "started (UTC)", "by", "state", "topic", "records")
    table = Table(Column("run", no_wrap=True), *(Column(name, overflow="fold") for name in others))
    for run in found.runs.values():
        for operation, work in run.works.items():
            status = "dropped" if run.dropped else work.status
            if as_json:
                plain = {
                    "run": run.name,
                    "operation": operation,
                    "status": status,
                    "started": codec.to_plain(work.started),
                    "counts": work.counts,
                }
                click.echo(orjson.dumps(plain))
                continue
            # A run counts what each stage has made of a record, too.
            written = work.counts.get("written", work.counts.get(RECORDS, sum(work.counts.values())))
            table.add_row(
                run.name,
                _WORDS[operation],
                f"{work.started.at:%Y-%m-%d %H:%M}",
                work.started.who,
                status,
                work.plan.topic,
                f"{written:,}",
            )
    if not as_json:
        Console().print(table if table.row_count else "no runs")


@click.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="The records of news.replays as they are.")
def show(run: str, as_json: bool) -> None:
    """Show everything that happened to RUN; of checkpoints the last one of each stretch."""
    settings = from_environment(os.environ)
    records = journal.history(settings, run)
    if not records:
        journal.read(settings).known(run)
    for record, following in zip(records, [*records[1:], None], strict=True):
        if as_json:
            click.echo(codec.encode(record))
        elif record.event != "checkpoint" or following is None or following.event != "checkpoint":
            click.echo(_line(record))


def _line(record: ReplayRecord) -> str:
    parts = [f"{record.at:%Y-%m-%d %H:%M:%S} {record.who} {_WORDS[record.operation]}: {record.event}"]
    if record.plan is not None:
        offsets = sum(span.end - span.start for span in record.plan.spans)
        of = f"{offsets:,} offsets in {len(record.plan.spans)} partitions" if record.plan.spans else "of files"
        parts.append(f"{record.plan.topic}, {of}")
        parts += [f"{name} {value}" for name, value in sorted(record.plan.options.items())]
    parts += [f"{count:,} {kind}" for kind, count in sorted(record.counts.items())]
    return "; ".join(parts)


@click.command()
@click.argument("run")
def pause(run: str) -> None:
    """Have the process that works on RUN wait. It keeps its place; nothing is read or written meanwhile."""
    _tell(run, "pause")


@click.command()
@click.argument("run")
def resume(run: str) -> None:
    """Have a paused process of RUN go on. One that has ended goes on with the command that started it."""
    _tell(run, "resume")


def _tell(name: str, event: Literal["pause", "resume"]) -> None:
    settings = from_environment(os.environ)
    run = journal.read(settings).known(name)
    open_ = [operation for operation, work in run.works.items() if not work.finished]
    if run.dropped or not open_:
        raise JournalError(f"{name} has ended: there is nothing to {event}")
    journal.append(settings, journal.note(name, open_[-1], event))


@click.command()
@click.argument("run")
@click.option("--files", is_flag=True, help="Remove the files that it has written, too.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def drop(run: str, files: bool, yes: bool) -> None:
    """Remove the topics and the state of RUN, and never take it up again. What it has promoted or sent stays.

    Of a run into files, what is not complete is removed (hidden files, on this machine); complete files stay, unless
    --files is given. A process that works on the run is shut out and ends.
    """
    settings = shared.set_up()
    known = journal.read(settings).known(run)
    names = run_topics(settings, run)
    paths, complete = written_by(settings, run)
    doomed = paths if files or not complete else []
    if not yes:
        click.confirm(f"Remove {run} ({len(names)} topics, {len(doomed)} files)?", abort=True)
    if known.dropped is None:
        # Shuts out whoever writes to the topics, so that they are not written to once more.
        writer = ReplayWriter(settings, run, redrive=known.first.started.operation == "redrive")
        writer.start()
        writer.write([], journal.note(run, known.first.started.operation, "dropped"))
        writer.close()
    if names:
        with cluster.admin_client(clients.connection(settings)) as admin:
            admin.delete_topics(names)
    for path in doomed:
        path.unlink(missing_ok=True)
    shutil.rmtree(directory_of(settings, run), ignore_errors=True)
    removed = f"{len(names)} topics" + (f" and {len(doomed)} files" if doomed else "")
    click.echo(f"{run} is dropped: {removed} removed")
    if kept := [str(path) for path in paths if path not in doomed]:
        click.echo(f"files that stay: {', '.join(kept)}")


def run_topics(settings: Settings, run: str) -> list[str]:
    """Return those topics of `run` that there are, as they are called on the cluster. Raises KafkaError."""
    names = [clients.physical(settings, f"replay.{run}.{topic.name}") for topic in TOPICS]
    with cluster.admin_client(clients.connection(settings)) as admin:
        return [name for name in names if cluster.exists(admin, name)]
