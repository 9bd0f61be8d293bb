"""Where a feed goes on: how far the broker has confirmed each file, in one small file that is replaced as a whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from newsmill.feed.document import Position
from newsmill.feed.errors import ResumeError
from newsmill.files import replace_file

_FORMAT: Final = 1


class _Content(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    format: int
    topic: str
    cluster: str
    positions: list[list[Any]]


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
        self._topic = topic
        self._cluster = cluster
        self._lock = self._acquire()
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def save(self, positions: Mapping[str, Position]) -> None:
        """Add `positions` to those known, and return when they would survive a power cut. Raises ResumeError."""
        self.known.update(positions)
        content = _Content(
            format=_FORMAT,
            topic=self._topic,
            cluster=self._cluster,
            positions=[position.dump() for position in self.known.values()],
        )
        try:
            replace_file(self.path, msgspec.json.encode(content) + b"\n")
        except OSError as error:
            raise ResumeError(
                f"{self.path}: cannot be written: {error.strerror or error}. Put that right and run the same command "
                "again: it goes on behind what was saved last"
            ) from error

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._lock)

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
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ResumeError(f"{self.path}: cannot be read: {error.strerror}") from error
        remedy = "Name another file, or remove this one to feed everything again"
        try:
            content = msgspec.json.decode(data, type=_Content)
            positions = [Position.load(plain) for plain in content.positions]
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            raise ResumeError(f"{self.path} is no resume file, or damaged ({error}). {remedy}") from error
        if content.format != _FORMAT:
            raise ResumeError(f"{self.path} is of format {content.format}, this newsmill reads {_FORMAT}. {remedy}")
        if content.topic != self._topic:
            raise ResumeError(f"{self.path} is about the topic {content.topic}, not {self._topic}. {remedy}")
        if content.cluster != self._cluster:
            raise ResumeError(f"{self.path} is about another Kafka cluster ({content.cluster}). {remedy}")
        self.known = {position.file.path: position for position in positions if position.file is not None}
