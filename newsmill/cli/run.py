"""`newsmill run`: the embedded engine on files or standard input."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import click

from newsmill import logs
from newsmill.cli.options import Instant, refuse_closed_input, standard_input
from newsmill.cli.report import ArticleTable, BrokenSources, ProgressReport, show_summary
from newsmill.cli.signals import stop_on_signals
from newsmill.engines.embedded import (
    EmbeddedEngine,
    FileSink,
    RunSummary,
    Sink,
    StagePool,
    StreamSink,
    dead_letter_line,
    interrupted,
    value_line,
)
from newsmill.engines.embedded.engine import BATCH_RECORDS
from newsmill.feed import FORMATS, FileSource, Input, expand
from newsmill.settings import from_environment
from newsmill.worker import load_stage, stage_options
from schemas import topics
from workers import pipeline
from workers.stage import Stage, StatefulStage

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("files", nargs=-1)
@click.option("-o", "--out", type=_FILE, help="Write the articles to this file (NDJSON) instead of standard output.")
@click.option("--duplicates", type=_FILE, help="Write what was recognised as a copy to this file (NDJSON).")
@click.option("--source-health", type=_FILE, help="Write which sources break and recover to this file (NDJSON).")
@click.option("--dead-letters", type=_FILE, help="Write refused documents with the reason to this file (NDJSON).")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep state in this directory: a run that was killed goes on, and the next run knows what was seen.",
)
@click.option("--fresh", is_flag=True, help="Forget what is in the state directory and overwrite the output files.")
@click.option("--until", type=click.Choice(pipeline.STAGES), help="Stop after this stage and write its records.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes for the stages.")
@click.option("--batch", type=click.IntRange(1, 10_000), help=f"Documents in a batch; default {BATCH_RECORDS} a job.")
@click.option("--format", type=click.Choice(FORMATS), help="Format of the input, where suffix or content mislead.")
@click.option("--ingested-at", type=Instant(), help="Time to stamp on the articles; default: now.")
@click.option("--table", is_flag=True, help="Print a table of the articles. The default on a terminal without --out.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def command(
    files: tuple[str, ...],
    out: Path | None,
    duplicates: Path | None,
    source_health: Path | None,
    dead_letters: Path | None,
    state: Path | None,
    fresh: bool,
    until: str | None,
    jobs: int,
    batch: int | None,
    format: str | None,
    ingested_at: int | None,
    table: bool,
    quiet: bool,
) -> None:
    """Run documents through all stages in this process; no Kafka needed.

    FILES are files, directories or patterns: NDJSON, JSON, plain text, HTML, WARC, RSS or Atom, also compressed (.gz),
    and Parquet. `-` is standard
    input, which is also what is read when nothing is named and something is piped in.

    With --state, output files get every document exactly once, also when the run is killed and run again: the same
    command goes on where it stopped. Files that were read are not read again unless they have changed; of NDJSON that
    has grown, only what was added is read. Standard input and output can't be gone back to: after a crash, what
    is piped in is new, and lines of the last batch may be printed twice.

    Exit status: 0 done, 1 something failed on the way, 2 options, settings or input are wrong, 130 and 143 stopped by
    Ctrl-C and SIGTERM.
    """
    settings = from_environment(os.environ)
    if settings.log_format == "auto":
        settings = replace(settings, log_format="text")  # a person reads it, also off a terminal
    logs.set_up(settings)
    if fresh and state is None:
        raise click.UsageError("--fresh is about --state: name the directory")
    _refuse_same_files(out, duplicates, source_health, dead_letters)
    inputs = _inputs(files, format)
    live = any(i.stream for i in inputs)
    before = interrupted(state) if state is not None and not fresh and not live else None
    if ingested_at is None:
        ingested_at = before.ingested_ms if before is not None else time.time_ns() // 1_000_000

    options = stage_options(settings)
    names = pipeline.STAGES[: pipeline.STAGES.index(until) + 1] if until else pipeline.STAGES
    stages = [load_stage(name, options) for name in names]
    sources = BrokenSources()
    shown = ArticleTable() if table or (out is None and sys.stdout.isatty()) else None
    sinks = _sinks(stages[-1], out, duplicates, dead_letters, shown)
    sinks[topics.SOURCE_HEALTH] = [sources]
    if source_health is not None:
        sinks[topics.SOURCE_HEALTH].append(FileSink(source_health, value_line))
    with contextlib.ExitStack() as stack:
        pool = _pool(jobs, stages, options)
        if pool is not None:
            stack.callback(pool.close)
        report = stack.enter_context(ProgressReport(inputs, quiet=quiet))
        logs.set_up(settings)  # again: the bar has put itself in front of standard error
        engine = EmbeddedEngine(
            stages,
            FileSource(inputs, ingested_ms=ingested_at, stdin=standard_input()),
            sinks,
            state,
            fresh=fresh,
            ingested_ms=ingested_at,
            options={**options.plain(), "format": format},
            batch_records=batch or BATCH_RECORDS * jobs,
            dead_letter_limit=settings.dead_letter_limit,
            pool=pool,
            on_progress=report,
        )
        caught = stack.enter_context(stop_on_signals(engine.stop))
        summary = engine.run()
    if shown is not None:
        shown.show()
    if not quiet:
        show_summary(summary)
        sources.show()
    if summary.stopped:
        _explain_stop(summary, state, live=live)
        sys.exit(128 + caught[0])


def _inputs(files: tuple[str, ...], format: str | None) -> list[Input]:
    if not files:
        if sys.stdin is not None and sys.stdin.isatty():
            raise click.UsageError("name files or directories, or pipe documents in (newsmill run --help)")
        files = ("-",)
    inputs = expand(files, format)
    refuse_closed_input(inputs)
    return inputs


def _refuse_same_files(*paths: Path | None) -> None:
    named = [os.path.realpath(path) for path in paths if path is not None]
    if len(set(named)) != len(named):
        raise click.UsageError("--out, --duplicates, --source-health and --dead-letters must be different files")


def _pool(jobs: int, stages: list[Stage], options: pipeline.StageOptions) -> StagePool | None:
    if jobs == 1:
        return None
    names = [stage.name for stage in stages if stage.heavy_prepare or not isinstance(stage, StatefulStage)]
    return StagePool(jobs, {name: partial(pipeline.load, name, options) for name in names})


def _sinks(
    last: Stage, out: Path | None, duplicates: Path | None, dead_letters: Path | None, shown: ArticleTable | None
) -> dict[str, list[Sink]]:
    articles = next(topic for topic in last.sinks if topic != topics.DUPLICATES)
    sinks: dict[str, list[Sink]] = {articles: [], topics.DUPLICATES: [], topics.DEAD_LETTERS: []}
    if out is not None:
        sinks[articles].append(FileSink(out, value_line))
    elif shown is None:
        sinks[articles].append(StreamSink(click.get_binary_stream("stdout"), value_line))
    if shown is not None:
        sinks[articles].append(shown)
        sinks[topics.DUPLICATES].append(shown.copies)
    if duplicates is not None:
        sinks[topics.DUPLICATES].append(FileSink(duplicates, value_line))
    if dead_letters is not None:
        sinks[topics.DEAD_LETTERS].append(FileSink(dead_letters, dead_letter_line))
    return sinks


def _explain_stop(summary: RunSummary, state: Path | None, *, live: bool) -> None:
    if state is None:
        text = "without --state the next run begins again"
    elif live:
        text = f"what was seen is in {state}; pipe the rest in"
    else:
        text = "run the same command again to go on"
    click.echo(f"newsmill: stopped after {summary.documents} documents; {text}", err=True)
