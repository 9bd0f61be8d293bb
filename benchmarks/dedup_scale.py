"""Cost and memory of dedup as the window fills, and how long a restore takes."""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.dedup_articles import Prose, plain_article
from benchmarks.dedup_fill import BEGIN, NAMES, NUMBERS, PARAGRAPHS, STEP, filled, match, url
from schemas import headers
from schemas.codec import decode, encode
from schemas.keys import digest
from schemas.messages import Article, DedupLogEntry
from schemas.topics import ARTICLES, DEDUP_LOG
from workers.dedup import DedupOptions, DedupStage, sizes
from workers.dedup.fingerprint import FINGERPRINT_VERSION, Fingerprint
from workers.stage import Emit, Record

BATCH = 500
MEASURED = 6_000
"""Articles whose cost is measured at each size, one of four a copy of a recent one."""

FOLDED = 20_000
"""Log records that are folded at each size, or as many as fit."""


class Feed:
    """Articles a second apart, as records; every fourth is a copy of one of the last thousand."""

    def __init__(self) -> None:
        self._prose = Prose(1)
        self._recent: deque[str] = deque(maxlen=1_000)
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
            address = f"https://news{self.offset % 997}.example/2026/01/01/{self.offset:09d}-{text[:40]}".replace(
                " ", "-"
            )
            at = BEGIN + STEP * self.offset
            made = plain_article(address, f"news{self.offset % 997}.example", text, at)
            out.append(Record(ARTICLES, 0, self.offset, made.id.encode(), encode(made)))
            self.offset += 1
        return out


class Log:
    """Log records of made-up articles, with fingerprints drawn at random: filling a window of a million with real
    texts takes an hour. Every fourth is a near copy, with its evidence."""

    def __init__(self) -> None:
        self._draw = np.random.default_rng(3)
        self.offset = 0

    def chunk(self, count: int) -> list[Record]:
        """Return the next `count` records."""
        draw = self._draw
        pairs = np.sort(draw.integers(0, 60_000, (count, sizes.PAIRS), np.uint16), axis=1)
        places = draw.integers(0, 256, (count, sizes.PAIRS), np.uint8)
        keys = np.sort(draw.integers(0, 2**28, (count, sizes.KEYS), np.uint32), axis=1)
        names = np.sort(draw.integers(0, 60_000, (count, NAMES), np.uint16), axis=1)
        contexts = np.sort(draw.integers(0, 60_000, (count, NUMBERS), np.uint16), axis=1)
        values = draw.integers(0, 256, (count, NUMBERS), np.uint8)
        out = []
        for n in range(count):
            made = Fingerprint(
                pairs=pairs[n],
                places=places[n],
                keys=keys[n],
                names=names[n],
                contexts=contexts[n],
                values=values[n],
                paragraphs=names[n, :PARAGRAPHS],
                whole=(False, True, True),
                headline=n,
                length=500,
            )
            number, copied = self.offset, self.offset % 4 == 3
            of = digest(f"made up {number - 3}")
            entry = DedupLogEntry(
                id=digest(f"made up {number}"),
                content_hash=digest(f"text {number}"),
                event_time=BEGIN + STEP * number,
                verdict="near_copy" if copied else "unique",
                revision=1,
                cluster_id=of if copied else digest(f"made up {number}"),
                fingerprint=made.encode(),
                fingerprint_version=FINGERPRINT_VERSION,
                match=match(number - 3, DedupStage.version) if copied else None,
                url=url(number),
                origins=("AP",) if copied else (),
                source=f"news{number % 997}.example",
            )
            marks = ((headers.INPUT_OFFSET, str(number).encode("ascii")),)
            out.append(Record(DEDUP_LOG, 0, number, b"", encode(entry), marks))
            self.offset += 1
        return out


def scale(targets: Sequence[int]) -> None:
    """Print what live articles cost in a window of each of `targets`, and what it costs to fold a log record there.
    Then restore the last state from its snapshot."""
    feed, warm = Feed(), DedupStage()
    for _ in range(3):
        _run(warm, feed.batch())
    del warm
    options = DedupOptions(max_entries=max(targets) + FOLDED + MEASURED, window=timedelta(days=60))
    columns = ("articles", "us each", "a second", "resident bytes each", "estimated", "near copies", "us to fold one")
    print("".join(f"{column:>{len(column) + 2}}" for column in columns))
    stage = DedupStage(options)
    for target in targets:
        stage.forget(0)
        gc.collect()
        base, log = _resident(), Log()
        log.offset = target - min(target, FOLDED + MEASURED)
        if log.offset:
            stage._states[0] = filled(log.offset, options, stage.version)
        folding, folded, spent = min(FOLDED, target - MEASURED), 0, 0.0
        while folded < folding:
            records = log.chunk(min(2_000, folding - folded))
            start = time.process_time()
            stage.restore(0, records)
            spent, folded = spent + time.process_time() - start, folded + len(records)
        fold = spent / max(1, folded)
        spent, near = 0.0, 0
        for _ in range(MEASURED // BATCH):
            seconds, copies = _run(stage, [_moved(record, log) for record in feed.batch()])
            spent, near = spent + seconds, near + copies
        gc.collect()
        entries, estimate = stage.state_size()
        figures = (
            f"{entries:,}",
            f"{spent / MEASURED * 1e6:.0f}",
            f"{MEASURED / spent:,.0f}",
            f"{(_resident() - base) / entries:,.0f}",
            f"{estimate / entries:,.0f}",
            f"{near}",
            f"{fold * 1e6:.0f}",
        )
        pairs = zip(figures, columns, strict=True)
        print("".join(f"{figure:>{len(column) + 2}}" for figure, column in pairs), flush=True)
    _restore(stage)


def from_log(count: int) -> None:
    """Print what it takes to restore a window of `count` articles from the log alone."""
    stage, log = DedupStage(DedupOptions(max_entries=count, window=timedelta(days=60))), Log()
    spent = waited = 0.0
    while log.offset < count:
        records = log.chunk(min(2_000, count - log.offset))
        before, start = time.perf_counter(), time.process_time()
        stage.restore(0, records)
        spent, waited = spent + time.process_time() - start, waited + time.perf_counter() - before
    entries = stage.state_size()[0]
    print(
        f"{entries:,} articles restored from the log in {spent:.0f} s of processor, {waited:.0f} s in all", flush=True
    )


def _moved(record: Record, log: Log) -> Record:
    """The live record, at the next offset, under an id of its own."""
    made = decode(record.value, Article)
    number, log.offset = log.offset, log.offset + 1
    return Record(ARTICLES, 0, number, record.key, encode(msgspec.structs.replace(made, id=digest(f"live {number}"))))


def _run(stage: DedupStage, batch: Sequence[Record]) -> tuple[float, int]:
    """Return (processor seconds, near copies) of one batch."""
    start = time.process_time()
    outcomes = stage.process(batch)
    stage.commit()
    spent = time.process_time() - start
    return spent, sum(isinstance(outcome, Emit) and outcome.kind == "near_copy" for outcome in outcomes)


def _restore(stage: DedupStage) -> None:
    entries = stage.state_size()[0]
    before, start = time.perf_counter(), time.process_time()
    data = stage.snapshot(0)
    spent, waited = time.process_time() - start, time.perf_counter() - before
    print(f"snapshot of {entries:,}: {len(data):,} bytes, written in {spent:.1f} s of processor, {waited:.1f} s in all")
    stage.forget(0)
    before, start = time.perf_counter(), time.process_time()
    stage.load_snapshot(0, data)
    spent, waited = time.process_time() - start, time.perf_counter() - before
    print(f"restored from it in {spent:.1f} s of processor, {waited:.1f} s in all", flush=True)


def _resident() -> int:
    """Resident memory of this process, bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
