"""Where a feed goes on: how far the broker has confirmed each file.

The first line says what is fed, and each line after it is a position; the last one of a file counts. A window appends
its positions and syncs them, so that a feed of a million small files does not write a million positions a window.
The whole is replaced in one step when a feed begins to save, and when it has become long. A death while a line is
written leaves a torn end, which is left out: what it would have said is sent again.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from newsmill.feed.document import Position
from newsmill.feed.errors import ResumeError
from newsmill.files import replace_file

_FORMAT: Final = 1
_MANY_LINES: Final = 1_000
"""Lines that may be appended, however few files are known."""

_REMEDY: Final = "Name another file, or remove this one to feed everything again"


class _Header(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    newsmill_resume: int
    topic: str
    cluster: str


class ResumeFile:
    """An open resume file. One feed at a time: `PATH.lock` is locked until `close` or the process's end.

    Args:
        path: made when the first position is saved.
        topic: topic that is fed. What was confirmed on another one says nothing about this one.
        cluster: id of the Kafka cluster, for the same reason.

    Raises ResumeError when the file is in use, damaged, or of another topic or cluster.
    """

    def __init__(self, path: Path, *, topic: str, cluster: str) -> None:
        self.path = path
        self.known: dict[str, Position] = {}
        """Absolute path of an input -> position behind the last document that the broker has confirmed."""
        self._header = _Header(newsmill_resume=_FORMAT, topic=topic, cluster=cluster)
        self._file: io.FileIO | None = None
        self._appended = 0
        self._lock = self._acquire()
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def save(self, positions: Mapping[str, Position]) -> None:
        """Add `positions` to those known, and return when they would survive a power cut. Raises ResumeError."""
        self.known.update(positions)
        try:
            if self._file is None or self._appended + len(positions) > max(_MANY_LINES, len(self.known)):
                self._replace()
            else:
                self._append(self._file, positions.values())
        except OSError as error:
            raise ResumeError(
                f"{self.path}: cannot be written: {error.strerror or error}. Put that right and run the same command "
                "again: it goes on behind what was saved last"
            ) from error

    def close(self) -> None:
        """Close the file and let go of the lock."""
        if self._file is not None:
            self._file.close()
        os.close(self._lock)

    def _replace(self) -> None:
        replace_file(self.path, msgspec.json.encode(self._header) + b"\n" + _lines(self.known.values()))
        if self._file is not None:
            self._file.close()
        self._file = io.FileIO(self.path, "ab")
        self._appended = 0

    def _append(self, file: io.FileIO, positions: Iterable[Position]) -> None:
        data = _lines(positions)
        self._appended += data.count(b"\n")
        view = memoryview(data)
        while view:
            view = view[file.write(view) or 0 :]
        os.fsync(file.fileno())

    def _acquire(self) -> int:
        lock = self.path.with_name(self.path.name + ".lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ResumeError(f"{lock}: cannot be written: {error.strerror or error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise ResumeError(f"{self.path} is in use by another feed. Wait for it, or name another file") from error
        return descriptor

    def _load(self) -> None:
        try:
            first, *lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        except OSError as error:
            raise ResumeError(f"{self.path}: cannot be read: {error.strerror}") from error
        self._check(first)
        torn: str | None = None
        # What stands behind the last end of a line is torn, or nothing.
        for line in lines[:-1]:
            try:
                position = Position.load(msgspec.json.decode(line))
            except (msgspec.MsgspecError, ValueError) as error:
                torn = torn or str(error)
                continue
            if torn is not None:
                raise ResumeError(f"{self.path} is damaged ({torn}). {_REMEDY}")
            if position.file is not None:
                self.known[position.file.path] = position

    def _check(self, line: bytes) -> None:
        try:
            header = msgspec.json.decode(line, type=_Header)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ResumeError(f"{self.path} is no resume file ({error}). {_REMEDY}") from error
        if header.newsmill_resume != _FORMAT:
            raise ResumeError(
                f"{self.path} is of format {header.newsmill_resume}, this newsmill reads {_FORMAT}. {_REMEDY}"
            )
        if header.topic != self._header.topic:
            raise ResumeError(f"{self.path} is about the topic {header.topic}, not {self._header.topic}. {_REMEDY}")
        if header.cluster != self._header.cluster:
            raise ResumeError(f"{self.path} is about another Kafka cluster ({header.cluster}). {_REMEDY}")


def _lines(positions: Iterable[Position]) -> bytes:
    return b"".join(msgspec.json.encode(position.dump()) + b"\n" for position in positions)
