"""`newsmill feed`: documents into news.raw."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from newsmill import clients, logs
from newsmill import topics as cluster
from newsmill.cli.options import standard_input
from newsmill.cli.progress import Meter
from newsmill.cli.signals import stop_on_signals
from newsmill.confirming import ConfirmingProducer
from newsmill.errors import NewsmillError
from newsmill.feed import FORMATS, ChangedInputError, Document, FileSource, Input, Position, expand, live
from newsmill.feed.errors import FeedError, ResumeError
from newsmill.feed.inputs import scan
from newsmill.feed.resume import ResumeFile
from newsmill.feed.sender import WINDOW_BYTES, WINDOW_DOCUMENTS, FeedSummary, Rejection, Sender
from newsmill.feed.watch import Watch
from newsmill.settings import Settings, from_environment
from schemas import topics

_MOST_NAMED: Final = 10
"""Rejected documents that are named; the others are counted."""

_WATCH_FILE: Final = ".newsmill-feed"
"""Resume file of --watch in the directory; hidden, so that it isn't taken for a document."""

_LINGER_S: Final = 0.2
"""A stream that pauses this long gets what it has brought confirmed, seconds."""


@click.command(
    help=f"""Send the documents in INPUTS to news.raw, and end when the broker has confirmed every one.

    INPUTS are files, directories or patterns: NDJSON, JSON, plain text, HTML, WARC, RSS or Atom, also compressed
    (.gz), and Parquet. `-` is standard input.

    With --resume a feed that was stopped or killed goes on: run the same command again. The file is written whenever
    the broker has confirmed a window of at most {WINDOW_DOCUMENTS} documents or {WINDOW_BYTES // 1024**2} MiB. So every
    document is sent at least once, and after a kill the documents of one window at most are sent twice. Files that
    were fed are left out; of NDJSON that has grown, only what was added is sent; a file that has changed otherwise is
    refused.

    With --watch the INPUTS are directories into which scrapers drop files. Each file is sent when it is finished, and
    the command runs until it is stopped. What was sent is remembered in --resume, or in a file of the first directory,
    so that a restart goes on. A file that has changed is sent again, NDJSON and WARC that have grown from there on.

    What can't be sent is named and counted by its reason: too_large (a record holds 8 MiB), too_large_for_broker,
    unreadable (a file, or what is damaged of it). Whether a document is a good one is for the pipeline to say.

    Waits for the broker as long as NEWSMILL_COMMIT_TIMEOUT_S says.

    Exit status: 0 all were sent, 1 some were rejected or the broker did not confirm, 2 options, settings or input are
    wrong, 130 and 143 stopped by Ctrl-C and SIGTERM, after what was in flight has been confirmed.
    """
)
@click.argument("inputs", nargs=-1, required=True)
@click.option(
    "--resume",
    "resume_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep in this file how far the broker has confirmed, and go on from there.",
)
@click.option("--watch", is_flag=True, help="Wait for files in these directories, and send each when it is finished.")
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: a file that has not changed for so long is finished.",
)
@click.option("--format", type=click.Choice(FORMATS), help="Format of the input, where suffix or content mislead.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def command(
    inputs: tuple[str, ...], resume_path: Path | None, watch: bool, settle: float, format: str | None, quiet: bool
) -> None:
    """Run the command."""
    settings = from_environment(os.environ)
    _set_up_logs(settings)
    if watch:
        for directory in inputs:
            scan(directory)  # says so when it is none
        resume_path = resume_path or Path(inputs[0], _WATCH_FILE)
    found = [] if watch else expand(list(inputs), format)
    if resume_path is not None and (streams := [i.name for i in found if i.stream]):
        raise ResumeError(
            f"--resume: {streams[0]} is a stream, which can't be read again. Save it to a file and feed that, or leave "
            "--resume out"
        )
    topic = clients.physical(settings, topics.RAW)
    with contextlib.ExitStack() as stack:
        cluster_id = _look_at(settings, topic)
        resume: ResumeFile | None = None
        if resume_path is not None:
            resume = ResumeFile(resume_path, topic=topic, cluster=cluster_id)
            stack.callback(resume.close)
        meter = stack.enter_context(Meter(found, "feeding", quiet=quiet))
        _set_up_logs(settings)  # again: the bar has put itself in front of standard error
        report = _Report(meter, resume)
        sender = Sender(
            partial(_producer, settings),
            topic,
            timeout_s=settings.commit_timeout_s,
            on_confirmed=report.confirmed,
            on_rejected=report.rejected,
        )
        caught = stack.enter_context(stop_on_signals(sender.stop))
        known = resume.known if resume is not None else {}
        files: Iterable[Input | None] = found
        if watch:
            files = Watch(inputs, settle_s=settle, known=known, stopping=lambda: bool(caught), format=format)
        try:
            sender.run(files, _Reader(found, known, watch=watch, resumes=resume is not None))
        except ChangedInputError as error:
            raise ChangedInputError(f"{error}. To feed it from its beginning, name another --resume file") from error
        except FeedError as error:
            raise FeedError(f"{error}. {_advice(sender.summary, resume)}") from error
    summary = sender.summary
    if not quiet:
        _show(summary, topic, meter.seconds)
    if summary.stopped:
        name = signal.Signals(caught[0]).name
        click.echo(f"newsmill: stopped by {name}; {_where_to_go_on(summary, resume)}", err=True)
        sys.exit(128 + caught[0])
    if summary.rejected:
        sys.exit(1)


class _Report:
    """What becomes of a feed while it runs: positions are saved, progress is shown, rejections are named."""

    def __init__(self, meter: Meter, resume: ResumeFile | None) -> None:
        self._meter = meter
        self._resume = resume
        self._named = 0
        for position in resume.known.values() if resume is not None else ():
            meter.reached(position)

    def confirmed(self, positions: Mapping[str, Position], summary: FeedSummary) -> None:
        """A window is with the broker."""
        if self._resume is not None and positions:
            self._resume.save(positions)
        for position in positions.values():
            self._meter.reached(position)
        rate = summary.sent / max(self._meter.seconds, 0.001)
        rejected = sum(summary.rejected.values())
        self._meter.show(f"{summary.sent:,} documents, {rate:,.0f} a second, {rejected:,} rejected")

    def rejected(self, rejection: Rejection) -> None:
        """A document can't be sent."""
        self._named += 1
        if self._named <= _MOST_NAMED:
            click.echo(f"newsmill: {rejection.origin}: {rejection.reason}: {rejection.detail}", err=True)
        elif self._named == _MOST_NAMED + 1:
            click.echo("newsmill: more are rejected; they are counted and no longer named", err=True)


class _Reader:
    """Reads one input; a stream as its documents arrive."""

    def __init__(self, inputs: Sequence[Input], known: Mapping[str, Position], *, watch: bool, resumes: bool) -> None:
        self._ingested_ms = _now_ms()
        self._stdin = standard_input() if any(i.stream for i in inputs) else None
        self._known = known
        self._watch = watch
        self._refuse_changed = resumes and not watch  # names are used again where scrapers drop files

    def __call__(self, source: Input) -> Iterable[Document | None]:
        documents = FileSource(
            [source],
            ingested_ms=_now_ms() if self._watch else self._ingested_ms,
            stdin=self._stdin,
            refuse_changed=self._refuse_changed,
        ).read(self._known)
        return live(documents, _LINGER_S) if source.stream else documents


def _set_up_logs(settings: Settings) -> None:
    if settings.log_format == "auto":
        settings = replace(settings, log_format="text")  # a person reads it, also off a terminal
    logs.set_up(settings)
    if settings.log_level != "debug":
        # What the client logs while a broker is away comes as one error at the end.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)


def _look_at(settings: Settings, topic: str) -> str:
    """Return the id of the cluster. Raises NewsmillError for a missing topic, KafkaError when no broker answers."""
    options = clients.connection(settings) | {"bootstrap_timeout_ms": _milliseconds(settings.commit_timeout_s)}
    with cluster.admin_client(options) as admin:
        if not cluster.exists(admin, topic):
            raise NewsmillError(f"there is no topic {topic} on {settings.bootstrap}; `newsmill topics create` makes it")
        return cluster.cluster_id(admin)


def _producer(settings: Settings) -> Any:
    return ConfirmingProducer(**clients.confirming_producer(settings, settings.commit_timeout_s), linger_ms=20)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _advice(summary: FeedSummary, resume: ResumeFile | None) -> str:
    return f"Is NEWSMILL_BOOTSTRAP right, and are the brokers up? So far: {_where_to_go_on(summary, resume)}"


def _where_to_go_on(summary: FeedSummary, resume: ResumeFile | None) -> str:
    if not summary.last:
        return "nothing was confirmed in this run; run the same command again"
    if resume is not None:
        return f"up to {summary.last} it is confirmed and saved in {resume.path}; run the same command again to go on"
    return f"up to {summary.last} it is confirmed; without --resume the next feed begins again"


def _show(summary: FeedSummary, topic: str, seconds: float) -> None:
    rate = f", {summary.sent / seconds:,.0f} a second" if seconds > 0 else ""
    rejected = sum(summary.rejected.values())
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(summary.rejected.items()))
    click.echo(
        f"newsmill: sent {summary.sent:,} documents to {topic} in {seconds:.1f} s{rate}; {rejected:,} rejected"
        f"{': ' + reasons if reasons else ''}",
        err=True,
    )
