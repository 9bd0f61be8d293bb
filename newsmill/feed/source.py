"""Documents from a list of inputs, and reading on where an earlier run stopped."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any, Final

from newsmill import parquet
from newsmill.feed import formats, readers
from newsmill.feed.document import Document, FileId, Position
from newsmill.feed.errors import ChangedInputError, InputError
from newsmill.feed.inputs import STDIN, Input
from newsmill.feed.keying import document_key
from newsmill.feed.pieces import Piece
from schemas import headers as h
from schemas.keys import source_key

_HEAD_BYTES: Final = 1024


class Source(ABC):
    """Where documents come from. Iterating reads all; `read` leaves out what is known."""

    live: bool = False
    """Whether documents arrive one by one, so that a batch must not wait until it is full."""
    total_bytes: int = 0
    """Size of all inputs, 0 where it is not known."""

    @abstractmethod
    def read(self, known: Mapping[str, Position]) -> Iterator[Document]:
        """Yield the documents that are not yet `known`: path of a file -> how far it was read.

        Raises InputError when an input can't be read.
        """

    def __iter__(self) -> Iterator[Document]:
        return self.read({})


class ListSource(Source):
    """Documents that are in memory already, as tests and programs have them.

    It counts as one file called `name`, so that an engine with a state directory can go on in the middle of it.
    """

    def __init__(self, documents: Iterable[Document], name: str = "memory") -> None:
        self._documents = documents
        self._file = FileId(name, 0, 0, 0, 0)

    def read(self, known: Mapping[str, Position]) -> Iterator[Document]:
        """Yield the documents behind the known position."""
        done = known[self._file.path].line if self._file.path in known else 0
        for number, document in enumerate(self._documents, 1):
            if number > done:
                yield replace(document, position=Position(self._file, number))


class FileSource(Source):
    """The documents of `inputs`, in order.

    How a known file is told from a new one: NDJSON that begins with the same bytes and is not shorter than what was
    read is the same file, which may have grown, and only what was added is read; so is WARC. A file of any other
    format, or compressed, is the same if its size and time of change are. Anything else is a new file under an old name
    and is read from its beginning, or refused. Streams can't be read again: what comes is new.

    Args:
        inputs: what to read.
        ingested_ms: when the documents were brought in, milliseconds since the Unix epoch; for the header.
        stdin: what `-` reads.
        refuse_changed: raise ChangedInputError for another file under a known name.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        *,
        ingested_ms: int,
        stdin: io.BufferedReader[Any] | None = None,
        refuse_changed: bool = False,
    ) -> None:
        self._refuse_changed = refuse_changed
        self._inputs = inputs
        self._ingested = str(ingested_ms).encode()
        self._stdin = stdin
        self.live = any(i.stream for i in inputs)
        self.total_bytes = 0 if self.live else sum(i.size for i in inputs)

    def read(self, known: Mapping[str, Position]) -> Iterator[Document]:
        """Yield the documents that are not yet known; the last one of a file is marked `done`."""
        for source in self._inputs:
            try:
                if source.stream:
                    yield from self._stream(source)
                else:
                    yield from _mark_last(self._file(source, known))
            except (OSError, EOFError, zlib.error) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise InputError(f"{source.name}: cannot be read: {reason}") from error

    def _stream(self, source: Input) -> Iterator[Document]:
        if source.name == STDIN:
            # A reader of our own on the descriptor: Python's own may not be closed while a thread waits in it.
            raw = self._stdin or io.BufferedReader(io.FileIO(0, closefd=False))
        else:
            raw = open(source.name, "rb")  # noqa: SIM115  (closed with the process: a thread may wait in it)
        stream = _decompressed(raw) if source.gzip and source.format != "warc" else raw
        format, skipped = (source.format, 0) if source.format else formats.sniff(stream)
        for piece in _pieces(stream, format, source.name, skipped, 0):
            yield self._document(source, format, piece, None)

    def _file(self, source: Input, known: Mapping[str, Position]) -> Iterator[Document]:
        with open(source.name, "rb") as raw:
            path = os.path.abspath(source.name)
            file = identify(path, raw)
            before = known.get(path)
            format = source.format
            if format is None:
                format = formats.sniff(_decompressed(raw) if source.gzip else raw)[0]
                raw.seek(0)
            seekable = format == "warc" or (format == "ndjson" and not source.gzip)
            try:
                start = _resume(before, file, raw, seekable=seekable)
            except _Changed:
                if self._refuse_changed and before is not None:
                    raise ChangedInputError(
                        f"{source.name}: is not the file any more of which {before.line:,} lines or items were read"
                    ) from None
                start = 0, 0
            if start is None:
                return
            number, offset = start
            if seekable:
                raw.seek(offset)
                # A place in the middle of a gzip member can't be sought: then it is read to from the beginning.
                pieces = _pieces(raw, format, source.name, number if offset else 0, offset)
            elif format == "parquet" and not source.gzip:
                pieces = parquet.rows(raw, source.name, after=number)
            else:
                pieces = _pieces(_decompressed(raw) if source.gzip else raw, format, source.name, 0, 0)
            # What decompresses reads ahead by a buffer at most; arrays and whole documents are read at once, though.
            streamed = format == "ndjson"
            for piece in pieces:
                if piece.number > number:
                    read = piece.read or (raw.tell() if streamed else 0)
                    place = Position(file, piece.number, piece.offset if seekable else -1, read=read)
                    yield self._document(source, format, piece, place)

    def _document(self, source: Input, format: str, piece: Piece, position: Position | None) -> Document:
        origin = f"{'<stdin>' if source.name == STDIN else source.name}:{piece.number}"
        headers: list[tuple[str, bytes]] = [
            (h.ORIGIN, origin.encode("utf-8", "surrogateescape")),
            (h.INGESTED_AT, self._ingested),
        ]
        if (media_type := formats.CONTENT_TYPES.get(format)) is not None:
            headers.append((h.CONTENT_TYPE, media_type))
            if source.name != STDIN:
                headers.append((h.LOCATOR, PurePath(source.name).name.encode("utf-8", "surrogateescape")))
            key = source_key(None, None)
        else:
            key = document_key(piece.value)
        return Document(
            value=piece.value,
            key=key,
            headers=tuple(headers),
            origin=origin,
            position=position or Position(None, piece.number),
            size=piece.size,
            too_large=piece.too_large,
            problem=piece.problem,
            stored=piece.headers,
        )


class _Changed(Exception):
    """Another file lies under the name of a known one."""


def _resume(before: Position | None, file: FileId, raw: io.BufferedReader, *, seekable: bool) -> tuple[int, int] | None:
    """Return the line and offset to go on behind, (0, 0) for a file not seen before, None for one that is done.

    Raises _Changed.
    """
    if before is None or before.file is None:
        return 0, 0
    old = before.file
    unchanged = (old.size, old.mtime_ns) == (file.size, file.mtime_ns)
    if unchanged and before.done:
        return None
    if seekable and before.offset >= 0:
        raw.seek(0)
        if zlib.crc32(raw.read(old.head_bytes)) != old.head_crc or before.offset > file.size:
            raise _Changed
        return before.line, before.offset
    if not unchanged:
        raise _Changed
    return before.line, 0


def identify(path: str, raw: io.BufferedReader) -> FileId:
    """Return which file `raw` is, that lies at `path` and stands at its beginning; it is left there."""
    status = os.fstat(raw.fileno())
    head = raw.read(_HEAD_BYTES)
    raw.seek(0)
    return FileId(path, status.st_size, status.st_mtime_ns, len(head), zlib.crc32(head))


class _Decompressed(io.RawIOBase):
    """Gives what is decompressed at once: a GzipFile that is asked for more loses it where the file is damaged."""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._file = gzip.GzipFile(fileobj=raw, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # typeshed has no type for buffers in 3.11
        data = self._file.read1(len(view))
        view[: len(data)] = data
        return len(data)


def _decompressed(raw: io.BufferedReader) -> io.BufferedReader:
    return io.BufferedReader(_Decompressed(raw), 256 * 1024)


def _pieces(stream: io.BufferedReader, format: str, name: str, number: int, offset: int) -> Iterator[Piece]:
    if format == "ndjson":
        return readers.lines(stream, number=number, offset=offset)
    if format == "parquet":
        raise InputError(f"{name}: Parquet is read from files alone, and not from such that are compressed once more")
    if format == "json":
        return readers.json_items(stream, name)
    if format == "warc":
        # Loads all of ingest's parsers, which other formats do without.
        from newsmill.feed import warc

        return warc.pages(stream, name, number=number, offset=offset)
    if format == "rss":
        from newsmill.feed import webfeed

        return webfeed.entries(stream)
    return readers.whole(stream)


def _mark_last(documents: Iterator[Document]) -> Iterator[Document]:
    held: Document | None = None
    try:
        for document in documents:
            if held is not None:
                yield held
            held = document
    except (OSError, EOFError, zlib.error, InputError):
        # What could still be read counts, although the file is damaged behind it.
        if held is not None:
            yield held
        raise
    if held is not None:
        yield replace(held, position=replace(held.position, done=True))
