"""A run that reads files instead of a topic: NDJSON, Parquet, WARC and whatever else `newsmill feed` reads.

The files of an archive stand in one order, and are read once, in it. What they are is remembered when the run begins;
where one of them is another one afterwards, or one is missing or new, the run does not go on: its result would be of
two archives.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson

from newsmill.engines.embedded.chain import place
from newsmill.feed import ChangedInputError, Document, FileSource, InputError, Position, expand
from newsmill.feed import Input as File
from newsmill.feed.source import identify
from newsmill.replay.errors import RangeError, ReplayError
from newsmill.replay.fused import Input, State
from newsmill.replay.ranges import Bound
from schemas import topics
from schemas.raw import ALIASES
from workers.ingest.dates import read_date
from workers.stage import Record

UNREADABLE: Final = "rejected/unreadable"
"""Count of files, and places in files, that could not be read."""
TOO_LARGE: Final = "rejected/too_large"
"""Count of the documents that are larger than a record may be."""
UNDATED: Final = "undated"
"""Count of the records that no time of a range could be compared with: they are left out."""

_BREATH: Final = 500
"""After so many documents that were left out, a stop is looked for."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Files to read, in order, and their names as they were given.

    `ingested_ms`: time to stamp on documents, milliseconds since the Unix epoch; None: when the run begins.
    """

    names: tuple[str, ...]
    files: tuple[File, ...]
    format: str | None = None
    ingested_ms: int | None = None


class Place(msgspec.Struct, kw_only=True):
    """How far a run has read its archive.

    `digest` is of the files as they were when it began; `since_ms`, `until_ms` and `ingested_ms` were fixed then, too
    (milliseconds since the Unix epoch). `file` is the number of the file at hand, `position` stands behind the last
    record of it that was read. `rejected` counts what can't be read, by reason.
    """

    digest: str
    ingested_ms: int
    since_ms: int | None = None
    until_ms: int | None = None
    file: int = 0
    position: list[Any] | None = None
    rejected: dict[str, int] = {}


def open_archive(names: Sequence[str], format: str | None = None, ingested_ms: int | None = None) -> Archive:
    """Return the archive that files, directories and patterns make up. Raises InputError, ReplayError for a stream."""
    files = expand(list(names), format)
    if streams := [file.name for file in files if file.stream]:
        raise ReplayError(f"{streams[0]} is a stream, which can't be read again. Save it to a file first")
    return Archive(tuple(names), tuple(files), format, ingested_ms)


def begin(archive: Archive, since: Bound, until: Bound) -> Place:
    """Return where a run begins. Raises RangeError as `check` does, InputError."""
    check(since, until)
    return Place(
        digest=digest(archive),
        ingested_ms=time.time_ns() // 1_000_000 if archive.ingested_ms is None else archive.ingested_ms,
        since_ms=since.time_ms,
        until_ms=until.time_ms,
    )


def check(since: Bound, until: Bound) -> None:
    """Raise RangeError for offsets, which files do not have."""
    for bound in (since, until):
        if bound.offsets is not None:
            raise RangeError(
                f"{bound.text}: an archive has no offsets; write a time, which is compared with fetched_at"
            )


def digest(archive: Archive) -> str:
    """Return a hash over name, size, time of change and first bytes of all files. Raises InputError."""
    hashed = hashlib.blake2b(digest_size=16)
    for file in archive.files:
        hashed.update(orjson.dumps([file.name.encode("utf-8", "surrogateescape").hex(), *_identity(file)]))
    return hashed.hexdigest()


class ArchiveInput(Input):
    """The records of an archive that are meant, from where `state` says.

    Args:
        archive: the files.
        topic: whose records they are: documents for news.raw, or values of a later topic as a run into files writes
            them.
        state: of the run; it has an archive's place.
        takes: says whether a record is meant.
        partition: tells the partition of a record, of topic and key.
        say: told what can't be read.

    Raises ReplayError where the archive is not that with which the run began; InputError.
    """

    def __init__(
        self,
        archive: Archive,
        topic: str,
        state: State,
        takes: Callable[[Record], bool],
        *,
        partition: Callable[[str, bytes | None], int] = lambda topic, key: 0,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._archive = archive
        self._topic = topic
        self._place = msgspec.convert(state.archive, Place)
        self._takes = takes
        self._partition = partition
        self._say = say
        self._next = dict(state.offsets)
        self._rejected: Counter[str] = Counter(self._place.rejected)
        self._left_out = 0
        self._due_ms = 0
        if digest(archive) != self._place.digest:
            raise ReplayError(
                f"{', '.join(archive.names)} is not what it was when the run began: files were changed, added or "
                "removed. Bring them back to go on, or begin another run"
            )
        self._known = [_identity(file) for file in archive.files]
        self._behind = sum(file.size for file in archive.files[: self._place.file])
        position = self._place.position
        self._passed = 0 if position is None else Position.load(position).passed

    def __iter__(self) -> Iterator[Record | None]:
        passed = 0
        while self._place.file < len(self._archive.files):
            file = self._archive.files[self._place.file]
            self._check(file)
            try:
                for document in self._documents(file):
                    self._place.position = document.position.dump()
                    self._passed = document.position.passed
                    record = self._record(document)
                    if record is not None:
                        yield record
                    elif (passed := passed + 1) % _BREATH == 0:
                        yield None
            except ChangedInputError as error:
                raise ReplayError(f"{error}: it was changed while the run read it") from error
            except InputError as error:
                self._reject(UNREADABLE, str(error))
            self._behind += file.size
            self._passed = 0
            self._place.file += 1
            self._place.position = None

    def positions(self) -> dict[str, int]:
        """Return nothing: where the run is in its files stands in its state."""
        return {}

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self._archive.files)

    @property
    def done(self) -> int:
        """Bytes that are behind; of compressed and Parquet files by estimate, while they are read."""
        return self._behind + self._passed

    @property
    def left_out(self) -> int:
        """Records that were not meant, since this process began."""
        return self._left_out

    def due_ms(self, record: Record) -> int:
        """Return when the document was fetched; of one that does not say it, when the one before was."""
        self._due_ms = fetched_ms(record.value, self._topic) or self._due_ms or record.timestamp_ms
        return self._due_ms

    def counts(self) -> Mapping[str, int]:
        """Return what was rejected, by reason, and what is undated."""
        return self._rejected

    def note(self, state: State) -> None:
        """Write the place into `state`."""
        self._place.rejected = dict(self._rejected)
        state.archive = msgspec.to_builtins(self._place)

    def _documents(self, file: File) -> Iterator[Document]:
        position = None if self._place.position is None else Position.load(self._place.position)
        known = {} if position is None or position.file is None else {position.file.path: position}
        return FileSource([file], ingested_ms=self._place.ingested_ms, refuse_changed=True).read(known)

    def _record(self, document: Document) -> Record | None:
        """Return the record that a document becomes, None where it is not meant or none at all."""
        if document.too_large:
            self._reject(TOO_LARGE, f"{document.origin}: {document.size:,} bytes")
            return None
        if document.problem:
            self._reject(UNREADABLE, f"{document.origin}: {document.problem}")
            return None
        key = document.key if self._topic == topics.RAW else _id_of(document.value)
        partition = self._partition(self._topic, key)
        name = place(self._topic, partition)
        record = Record(
            self._topic,
            partition,
            self._next.get(name, 0),
            key,
            document.value,
            document.headers if self._topic == topics.RAW or not document.stored else document.stored,
            self._place.ingested_ms,
        )
        if not self._in_range(document.value) or not self._takes(record):
            self._left_out += 1
            return None
        self._next[name] = record.offset + 1
        return record

    def _in_range(self, value: bytes) -> bool:
        since_ms, until_ms = self._place.since_ms, self._place.until_ms
        if since_ms is None and until_ms is None:
            return True
        at = fetched_ms(value, self._topic)
        if at is None:
            self._rejected[UNDATED] += 1
            return False
        return (since_ms is None or at >= since_ms) and (until_ms is None or at < until_ms)

    def _check(self, file: File) -> None:
        if _identity(file) != self._known[self._place.file]:
            raise ReplayError(f"{file.name} was changed while the run read the archive; bring it back to go on")

    def _reject(self, reason: str, text: str) -> None:
        self._rejected[reason] += 1
        self._say(text)


def fetched_ms(value: bytes | None, topic: str) -> int | None:
    """Return when the page was fetched, in milliseconds since the Unix epoch; None where a document does not say it.

    Of an article (any topic but news.raw) that does not say it, when it was brought in.
    """
    try:
        plain = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(plain, dict):
        return None
    names = ALIASES["fetched_at"] if topic == topics.RAW else ("ingested_at",)
    for name in ("fetched_at", *names):
        if (given := plain.get(name)) is not None:
            found = read_date(given)
            return None if found is None else int(found.at.timestamp() * 1000)
    return None


def _identity(file: File) -> list[Any]:
    try:
        with open(file.name, "rb") as raw:
            found = identify(file.name, raw)
    except OSError as error:
        raise InputError(f"{file.name}: cannot be read: {error.strerror}") from error
    return [found.size, found.mtime_ns, found.head_bytes, found.head_crc]


def _id_of(value: bytes) -> bytes:
    try:
        plain = orjson.loads(value)
    except orjson.JSONDecodeError:
        return b""
    return str(plain.get("id", "")).encode() if isinstance(plain, dict) else b""
