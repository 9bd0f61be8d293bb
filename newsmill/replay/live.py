"""Which revision of each article is the live one, and what a run has published already: followed up to the moment."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any, Final

import orjson
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.engines.broker.records import to_record
from newsmill.engines.runner import ingested_at_ms
from newsmill.errors import NewsmillError
from newsmill.settings import Settings
from schemas import headers as h
from schemas import topics
from workers.stage import Record

TOPICS: Final = (topics.ARTICLES, topics.UNIQUE, topics.DUPLICATES, topics.TAGGED, topics.CLASSIFIED)
"""Topics whose records are of articles."""

Revision = tuple[str, int]
"""Content hash and revision; 0 where a topic has no revisions."""

PATIENCE_SECONDS: Final = 60.0


class LiveError(NewsmillError):
    """What is live can't be read to its end."""


class LiveRevisions:
    """Follows the live topics. Memory does not grow with them: what is known is in a temporary file of SQLite.

    Records of replays are no revisions of their own, and those of promotions are remembered by run.

    Args:
        settings: where the broker is.
        run: whose promoted records are looked for.
        names: topics without namespace.
    """

    def __init__(self, settings: Settings, run: str, names: Sequence[str] = TOPICS) -> None:
        self._settings = settings
        self._run = run.encode()
        # An empty name: a file that is deleted when it is closed.
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA journal_mode=OFF")
        self._file.execute("PRAGMA synchronous=OFF")
        columns = "hash TEXT, revision INTEGER, ingested INTEGER"
        self._file.execute(f"CREATE TABLE at (topic TEXT, origin BLOB, {columns}, PRIMARY KEY (topic, origin))")
        self._file.execute(f"CREATE TABLE latest (topic TEXT, key BLOB, {columns}, PRIMARY KEY (topic, key))")
        self._file.execute("CREATE TABLE promoted (topic TEXT, origin BLOB, PRIMARY KEY (topic, origin))")
        self._consumer: Any = KafkaConsumer(**clients.consumer(settings))
        physical = [clients.physical(settings, name) for name in names]
        self._places = [
            TopicPartition(name, number)
            for name in physical
            for number in sorted(self._consumer.partitions_for_topic(name) or ())
        ]
        self._consumer.assign(self._places)
        self._consumer.seek_to_beginning(*self._places)

    def catch_up(self) -> None:
        """Read what has been committed up to now. Raises LiveError, kafka.errors.KafkaError."""
        ends = self._consumer.end_offsets(self._places)
        until = time.monotonic() + PATIENCE_SECONDS
        while any(self._consumer.position(place) < ends[place] for place in self._places):
            polled = self._consumer.poll(timeout_ms=200, max_records=2_000)
            self._file.execute("BEGIN")
            for records in polled.values():
                for raw in records:
                    self.add(to_record(raw))
            self._file.execute("COMMIT")
            if polled:
                until = time.monotonic() + PATIENCE_SECONDS
            elif time.monotonic() > until:
                raise LiveError("the live topics can't be read to their ends; is a broker away?")

    def add(self, record: Record) -> None:
        """Take in the next record of a partition."""
        topic = clients.logical(self._settings, record.topic)
        origin = h.get(record.headers, h.ORIGIN) or b""
        if h.get(record.headers, h.REPLAY) is not None:
            if h.get(record.headers, h.PROMOTED) == self._run:
                self._file.execute("INSERT OR REPLACE INTO promoted VALUES (?, ?)", (topic, origin))
            return
        found = revision_of(record.value)
        if found is None:
            return
        row = (*found, ingested_at_ms(record.headers) or 0)
        self._file.execute("INSERT OR REPLACE INTO at VALUES (?, ?, ?, ?, ?)", (topic, origin, *row))
        self._file.execute("INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?)", (topic, record.key, *row))

    def is_promoted(self, topic: str, origin: bytes) -> bool:
        """Whether the run has published its record of this origin on `topic`."""
        found = self._file.execute("SELECT 1 FROM promoted WHERE topic = ? AND origin = ?", (topic, origin))
        return found.fetchone() is not None

    def moved_on(self, topic: str, key: bytes | None, origin: bytes, ingested_ms: int) -> bool:
        """Whether the live revision of the article `key` on `topic` is another one than that of `origin`.

        Where nothing of that origin is live, whether there is one that was brought in at `ingested_ms` (milliseconds
        since the Unix epoch) or later.
        """
        latest = self._row("SELECT hash, revision, ingested FROM latest WHERE topic = ? AND key = ?", topic, key)
        if latest is None:
            return False
        at = self._row("SELECT hash, revision, ingested FROM at WHERE topic = ? AND origin = ?", topic, origin)
        if at is None:
            return bool(latest[2] >= ingested_ms)
        return bool(latest[:2] != at[:2])

    def _row(self, query: str, topic: str, of: bytes | None) -> Any:
        return self._file.execute(query, (topic, of)).fetchone()

    def close(self) -> None:
        """Close the client and the file."""
        self._consumer.close()
        self._file.close()


def revision_of(value: bytes | None) -> Revision | None:
    """Return content hash and revision of an article's record; None when it is none."""
    try:
        plain = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(plain, dict) or not isinstance(plain.get("content_hash"), str):
        return None
    revision = plain.get("revision", 0)
    return plain["content_hash"], revision if isinstance(revision, int) else 0
