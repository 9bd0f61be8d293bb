"""Cost and memory of dedup as the window fills, and how long a restore takes."""

from __future__ import annotations

import gc
import io
import os
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from benchmarks.dedup_articles import Prose, plain_article
from schemas import headers
from schemas.codec import encode
from schemas.topics import ARTICLES
from workers.dedup import DedupOptions, DedupStage
from workers.stage import Emit, Record

BATCH = 500
MEASURED = 6_000
"""Articles whose cost is measured at each size, one of four a copy of a recent one."""


class Feed:
    """Articles a second apart, as records; every fourth is a copy of one of the last thousand."""

    def __init__(self) -> None:
        self._prose = Prose(1)
        self._recent: deque[str] = deque(maxlen=1_000)
        self._begin = datetime(2026, 1, 1, tzinfo=UTC)
        self.offset = 0

    def batch(self) -> list[Record]:
        """Return the next `BATCH` records."""
        out = []
        for _ in range(BATCH):
            if self.offset % 4 == 3:
                text = self._prose.copy(self._recent[int(self._prose.chance() * len(self._recent))])
            else:
                text = self._prose.text()
                self._recent.append(text)
            url = f"https://news{self.offset % 997}.example/2026/01/01/{self.offset:09d}-{text[:40].replace(' ', '-')}"
            at = self._begin + timedelta(milliseconds=200 * self.offset)
            made = plain_article(url, f"news{self.offset % 997}.example", text, at)
            out.append(Record(ARTICLES, 0, self.offset, made.id.encode(), encode(made)))
            self.offset += 1
        return out


def scale(sizes: Sequence[int]) -> None:
    """Fill the window to each of `sizes`; print what it costs there. Then restore the last one."""
    feed = Feed()
    first = feed.batch()
    _run(DedupStage(), first, io.BytesIO())
    gc.collect()
    base = _resident()
    options = DedupOptions(max_entries=max(sizes) + MEASURED)
    stage = DedupStage(options)
    with tempfile.TemporaryFile() as log:
        _fill(stage, feed, first, sizes, log, base)
        _restore(stage, log, options)


def _fill(stage: DedupStage, feed: Feed, batch: list[Record], sizes: Sequence[int], log: IO[bytes], base: int) -> None:
    print(
        f"{'articles':>10}{'us each':>9}{'a second':>10}{'resident bytes each':>21}{'estimated':>11}{'near copies':>13}"
    )
    for size in sizes:
        while stage.state_size()[0] < size - MEASURED:
            _run(stage, batch, log)
            batch = feed.batch()
        spent, near = 0.0, 0
        for _ in range(MEASURED // BATCH):
            seconds, copies = _run(stage, batch, log)
            spent, near = spent + seconds, near + copies
            batch = feed.batch()
        gc.collect()
        entries, estimate = stage.state_size()
        resident = _resident() - base
        print(
            f"{entries:>10}{spent / MEASURED * 1e6:>9.0f}{MEASURED / spent:>10,.0f}{resident / entries:>21,.0f}"
            f"{estimate / entries:>11,.0f}{near:>13}",
            flush=True,
        )


def _run(stage: DedupStage, batch: Sequence[Record], log: IO[bytes]) -> tuple[float, int]:
    """Return (processor seconds, near copies) of one batch; its log goes to a file, line by line."""
    start = time.process_time()
    outcomes = stage.process(batch)
    stage.commit()
    spent = time.process_time() - start
    near = 0
    for outcome in outcomes:
        if isinstance(outcome, Emit) and outcome.log is not None:
            log.write(outcome.log.value + b"\n")
            near += outcome.kind == "near_copy"
    return spent, near


def _restore(stage: DedupStage, log: IO[bytes], options: DedupOptions) -> None:
    entries = stage.state_size()[0]
    start = time.perf_counter()
    data = stage.snapshot(0)
    print(f"snapshot of {entries:,}: {len(data):,} bytes, written in {time.perf_counter() - start:.1f} s", flush=True)
    stage.forget(0)
    start = time.perf_counter()
    stage.load_snapshot(0, data)
    print(f"restored from it in {time.perf_counter() - start:.1f} s", flush=True)
    stage.forget(0)
    del data
    folded = DedupStage(options)
    log.seek(0)
    start = time.perf_counter()
    folded.restore(
        0,
        (
            Record("news.dedup-log", 0, n, b"", value[:-1], ((headers.INPUT_OFFSET, str(n).encode("ascii")),))
            for n, value in enumerate(log)
        ),
    )
    print(f"from the log alone: {folded.state_size()[0]:,} articles in {time.perf_counter() - start:.1f} s", flush=True)


def _resident() -> int:
    """Resident memory of this process, bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
