"""What `newsmill replay --dry-run` says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import Any, Final

import click
import msgspec

from newsmill import tail
from newsmill.cli import replay_options as shared
from newsmill.engines.embedded.chain import Chain, Decided
from newsmill.replay import archive, ranges
from newsmill.replay.fused import State
from newsmill.replay.order import ByTime
from newsmill.replay.pace import parse_rate
from newsmill.replay.progress import duration
from newsmill.replay.request import Request
from newsmill.settings import Settings
from workers.stage import Record

_TRIED: Final = 50
"""Records that are put through the stages, to tell how long all of them would take."""


def show(settings: Settings, request: Request, chain: Chain, rate: str | None, jobs: int) -> int:
    """Say what would be replayed: how many records, how large, how long it would take, and the first of them.

    Returns how many parts of an archive can't be read.
    """
    count = size = 0
    tried: list[Record] = []
    records = _records(settings, request)
    with contextlib.closing(records):
        items: Iterable[Any] = records
        for record in items:
            if record is None or isinstance(record, Decided):
                continue
            count += 1
            size += len(record.value or b"")
            if count <= shared.FIRST_SHOWN:
                click.echo(tail.line(record))
            if len(tried) < _TRIED:
                tried.append(record)
            if count == request.most:
                break
        left_out = records.left_out
        counts = records.counts() if isinstance(records, archive.ArchiveInput) else {}
    began = time.perf_counter()
    if tried:
        chain.run(tried, {})
    seconds = (time.perf_counter() - began) / max(1, len(tried)) * count / jobs
    if rate:
        seconds = max(seconds, count / parse_rate(rate))
    of = "the archive" if request.archive is not None else "the range"
    click.echo(
        f"{count:,} records, {size / 1e6:,.1f} MB would be replayed, about {duration(seconds)}; {left_out:,} of {of} "
        "would be left out; nothing is written"
    )
    return counts.get(archive.UNREADABLE, 0) + counts.get(archive.TOO_LARGE, 0)


def _records(settings: Settings, request: Request) -> archive.ArchiveInput | ByTime:
    if request.archive is None:
        range_ = ranges.freeze(settings, request.topic, request.since, request.until)
        return ByTime(settings, request.topic, range_.spans, request.filters.takes)
    begun = archive.begin(request.archive, request.since, request.until)
    return archive.ArchiveInput(
        request.archive,
        request.topic,
        State(archive=msgspec.to_builtins(begun)),
        request.filters.takes,
        say=lambda text: click.echo(f"newsmill: would be rejected: {text}", err=True),
    )
