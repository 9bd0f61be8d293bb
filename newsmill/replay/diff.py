"""What a run says against what is live: joined by topic and origin, the latest record of each.

Both sides are put into an SQLite file, so memory does not grow with the run. Of the live side that is: what workers
made, and what was promoted; what was replayed in place is processing of the same, and is left out.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from newsmill.replay import isolated
from newsmill.replay.filters import plain_object
from newsmill.replay.journal import JournalError, Work
from newsmill.replay.journal import read as read_journal
from newsmill.replay.partitions import records_in
from newsmill.replay.reader import bounds
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from schemas.replays import Span
from workers.stage import Record

COMPARED: Final = (
    topics.ARTICLES,
    topics.UNIQUE,
    topics.DUPLICATES,
    topics.TAGGED,
    topics.CLASSIFIED,
    topics.DEAD_LETTERS,
)
"""Topics that are compared, in the order of the pipeline. Logs are not: they are state, not output."""

_SAMPLES: Final = 5
_PROCESSING: Final = "processing"
_FILTERS: Final = {"source", "url", "language", "key", "header", "made_by"}


@dataclass(frozen=True, slots=True)
class Change:
    """A record in which a run differs from what is live.

    `topic` is the live one, without a namespace. `kind`: `gained` (live has nothing of this origin on the topic),
    `lost` (the run has nothing; `run_value` is None), `changed`. `fields` are the fields of the values that differ,
    versions of stages aside. `headers` are those of the run's record, of a lost one the live's. `partition` and
    `offset` are where the live record stands, -1 where there is none.
    """

    topic: str
    kind: str
    origin: str
    key: bytes | None
    run_value: bytes | None
    live_value: bytes | None
    headers: h.Headers
    fields: tuple[str, ...] = ()
    partition: int = -1
    offset: int = -1


@dataclass(slots=True)
class Report:
    """All that differs, counted. `kinds` is by (topic, kind), `fields` by (topic, field), `verdicts` by (live, run)
    verdict of dedup, `reasons` by (kind, reason) of dead letters; `same` by topic. `samples` are the first of each."""

    run: str
    same: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    fields: Counter[tuple[str, str]] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: dict[tuple[str, str], list[Change]] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        """Count a change."""
        self.kinds[change.topic, change.kind] += 1
        for name in change.fields:
            self.fields[change.topic, name] += 1
        if "verdict" in change.fields:
            self.verdicts[_verdict(change.live_value), _verdict(change.run_value)] += 1
        if change.topic == topics.DEAD_LETTERS:
            reason = h.get(change.headers, h.DEAD_REASON) or b""
            self.reasons[change.kind, reason.decode("utf-8", "replace")] += 1
        kept = self.samples.setdefault((change.topic, change.kind), [])
        if len(kept) < _SAMPLES:
            kept.append(change)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "run": self.run,
            "same": dict(self.same),
            "kinds": [{"topic": t, "kind": k, "count": n} for (t, k), n in self.kinds.items()],
            "fields": [{"topic": t, "field": f, "count": n} for (t, f), n in self.fields.items()],
            "verdicts": [{"live": a, "run": b, "count": n} for (a, b), n in self.verdicts.items()],
            "reasons": [{"kind": k, "reason": r, "count": n} for (k, r), n in self.reasons.items()],
            "samples": [
                {
                    "topic": one.topic,
                    "kind": one.kind,
                    "origin": one.origin,
                    "fields": list(one.fields),
                    "key": _text(one.key),
                }
                for samples in self.samples.values()
                for one in samples
            ],
        }


def report(settings: Settings, run: str) -> Report:
    """Return what differs between a run and what is live. Raises as `changes` does."""
    found = Report(run)
    for change in changes(settings, run, same=found.same):
        found.add(change)
    return found


def changes(settings: Settings, run: str, *, same: Counter[str] | None = None) -> Iterator[Change]:
    """Yield each record in which a run differs from what is live, topic by topic in the order of the pipeline, within a
    topic by the place of the run's record (lost ones last, by the live one's).

    Args:
        settings: where the broker is.
        run: name of a run with topics of its own; it need not be finished.
        same: counts by topic the records that don't differ.

    A record is lost where the run has processed its document and has nothing for it on the topic. That it has processed
    it is known from what it has written of that origin; where no filter was given, also from how far it has come: so a
    document of which nothing is left is lost, too. Values are compared without the versions of stages: a new version
    that says the same is no change.
    Raises JournalError when there is no such run; ExpiredError, kafka.errors.KafkaError.
    """
    work = read_journal(settings).work(run, "run")
    if work is None:
        raise JournalError(f"no run with topics of its own is called {run!r}; `newsmill replay list` shows all runs")
    if into := work.plan.options.get("into"):
        raise JournalError(f"{run} has written files ({into}): only a run with topics of its own can be compared")
    with (
        tempfile.TemporaryDirectory(prefix="newsmill-diff-") as scratch,
        contextlib.closing(sqlite3.connect(Path(scratch, "index.sqlite"))) as index,
    ):
        _gather(settings, run, work, index)
        for topic in COMPARED:
            yield from _compare(index, topic, Counter() if same is None else same)


def _gather(settings: Settings, run: str, work: Work, index: sqlite3.Connection) -> None:
    index.execute("PRAGMA journal_mode = OFF")
    index.execute("PRAGMA synchronous = OFF")
    for side in ("own", "live"):
        index.execute(
            f"CREATE TABLE {side} (topic TEXT, origin BLOB, partition INT, offset INT, key BLOB, value BLOB, "
            "headers BLOB, PRIMARY KEY (topic, origin)) WITHOUT ROWID"
        )
    for topic in COMPARED:
        _fill(index, "own", topic, _records(settings, isolated.own_topic(run, topic)))
    index.execute("CREATE TABLE origins AS SELECT DISTINCT origin FROM own")
    index.execute("CREATE UNIQUE INDEX by_origin ON origins (origin)")
    index.executemany("INSERT OR IGNORE INTO origins VALUES (?)", ((o,) for o in _processed(settings, work)))
    written = {topic for (topic,) in index.execute("SELECT DISTINCT topic FROM own")}
    known = _Known(index)
    for topic in COMPARED:
        # What the run's stages do not write is no loss: they began further down.
        if topic in written or bounds(settings, isolated.own_topic(run, topic)):
            _fill(index, "live", topic, (r for r in _records(settings, topic) if _is_live(r) and known(_origin(r))))


def _processed(settings: Settings, work: Work) -> Iterator[bytes]:
    """Yield the origins of the records that are behind the run, where it has left none out."""
    plan, reached = work.plan, work.positions
    if not _FILTERS.isdisjoint(plan.options):
        return
    kept = {span.partition: span.start for span in bounds(settings, plan.topic)}
    spans = []
    for span in plan.spans:
        start = max(span.start, kept.get(span.partition, span.end))
        end = min(span.end, reached.get(f"{plan.topic}/{span.partition}", start))
        spans.append(Span(partition=span.partition, start=start, end=max(start, end)))
    for record in records_in(settings, plan.topic, spans):
        if h.get(record.headers, h.REPLAY) is None:
            yield _origin(record)


class _Known:
    def __init__(self, index: sqlite3.Connection) -> None:
        self._index = index

    def __call__(self, origin: bytes) -> bool:
        return self._index.execute("SELECT 1 FROM origins WHERE origin = ?", (origin,)).fetchone() is not None


def _fill(index: sqlite3.Connection, side: str, topic: str, records: Iterator[Record]) -> None:
    """Put records into a table; of several with one origin the last one stays."""
    index.executemany(
        f"INSERT OR REPLACE INTO {side} VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  (one of two names of our own)
        ((topic, _origin(r), r.partition, r.offset, r.key, r.value, _dump(r.headers)) for r in records),
    )


def _records(settings: Settings, topic: str) -> Iterator[Record]:
    return records_in(settings, topic, bounds(settings, topic))


def _compare(index: sqlite3.Connection, topic: str, same: Counter[str]) -> Iterator[Change]:
    rows = index.execute(
        "SELECT own.origin, own.key, own.value, own.headers, live.value, live.partition, live.offset FROM own "
        "LEFT JOIN live ON live.topic = own.topic AND live.origin = own.origin WHERE own.topic = ? "
        "ORDER BY own.partition, own.offset",
        (topic,),
    )
    for origin, key, value, headers, live_value, partition, offset in rows:
        if partition is None:
            yield Change(topic, "gained", _text(origin), key, value, None, _load(headers))
        elif differing := _differing(value, live_value):
            yield Change(
                topic, "changed", _text(origin), key, value, live_value, _load(headers), differing, partition, offset
            )
        else:
            same[topic] += 1
    rows = index.execute(
        "SELECT live.origin, live.key, live.value, live.headers, live.partition, live.offset FROM live LEFT JOIN own "
        "ON own.topic = live.topic AND own.origin = live.origin WHERE live.topic = ? AND own.origin IS NULL "
        "ORDER BY live.partition, live.offset",
        (topic,),
    )
    for origin, key, value, headers, partition, offset in rows:
        yield Change(topic, "lost", _text(origin), key, None, value, _load(headers), (), partition, offset)


def _differing(own: bytes | None, live: bytes | None) -> tuple[str, ...]:
    """Return the fields in which two values differ, ascending; `value` where they are no JSON objects."""
    if own == live:
        return ()
    left, right = plain_object(own), plain_object(live)
    if left is None or right is None:
        return ("value",)
    names = sorted({*left, *right} - {_PROCESSING})
    return tuple(name for name in names if _without_versions(left.get(name)) != _without_versions(right.get(name)))


def _without_versions(value: Any) -> Any:
    """A match names the version whose rule it was: that says nothing about the match."""
    return {name: part for name, part in value.items() if name != "version"} if isinstance(value, dict) else value


def _verdict(value: bytes | None) -> str:
    return str((plain_object(value) or {}).get("verdict", ""))


def _is_live(record: Record) -> bool:
    return h.get(record.headers, h.REPLAY) is None or h.get(record.headers, h.PROMOTED) is not None


def _origin(record: Record) -> bytes:
    return h.get(record.headers, h.ORIGIN) or f"{record.topic}/{record.partition}/{record.offset}".encode()


def _dump(headers: h.Headers) -> bytes:
    return orjson.dumps([[name, value.decode("latin-1")] for name, value in headers])


def _load(text: bytes) -> h.Headers:
    return tuple((name, value.encode("latin-1")) for name, value in orjson.loads(text))


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
