"""The state directory: lock, checkpoint, logs, and the files that have been read."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from newsmill.engines.embedded import attempts, checkpoint, logfile
from newsmill.engines.embedded.errors import InUseError, StateError, storage_error
from newsmill.engines.embedded.files import AppendFile
from newsmill.engines.result import Output
from newsmill.feed.document import Position
from workers.stage import Record

_INPUTS: Final = "inputs.ndjson"
_LOCK: Final = "lock"


class State:
    """An open state directory. One process at a time: the lock is held until `close` or the process's end.

    Args:
        directory: made when it does not exist.
        log_topics: topics of the logs to keep.
        fresh: forget what is there.

    Raises StateError when the directory is in use or damaged, EngineError when it can't be written.
    """

    def __init__(self, directory: Path, log_topics: Iterable[str], *, fresh: bool = False) -> None:
        self.directory = directory
        self._files: dict[str, AppendFile] = {}
        self._lock = self._acquire()
        try:
            if fresh:
                self._clear()
            self.checkpoint = checkpoint.load(directory)
            self.attempts = attempts.Attempts(directory)
            lengths = self.checkpoint.logs if self.checkpoint is not None else {}
            for name in (*log_topics, _INPUTS):
                # Without a checkpoint nothing of it counts.
                self._files[name] = AppendFile(self._path(name), lengths.get(name, 0))
            self.known = self._read_inputs(lengths.get(_INPUTS, 0))
            self._current: Position | None = None
            if self.checkpoint is not None and self.checkpoint.current is not None:
                self._enter(_position(self.checkpoint.current, directory / checkpoint.FILE))
        except BaseException:
            self.close()
            raise

    @property
    def lengths(self) -> dict[str, int]:
        """Length of each file, for the checkpoint."""
        return {name: file.length for name, file in self._files.items()}

    @property
    def current(self) -> Position | None:
        """Position in the file that was read last."""
        return self._current

    def log(self, topic: str) -> Iterator[Record]:
        """Yield the records of a log. Raises StateError where it is damaged."""
        return logfile.records(self._path(topic), topic, self._files[topic].length)

    def append(
        self, logs: Mapping[str, Sequence[Output]], offsets: Mapping[str, int], positions: Iterable[Position]
    ) -> None:
        """Write log records, the first of each topic at its offset in `offsets`, and how far the input was read."""
        for topic, outputs in logs.items():
            first = offsets.get(topic, 0)
            lines = [logfile.encode(output, first + index) for index, output in enumerate(outputs)]
            self._files[topic].append(b"".join(lines))
        left: list[bytes] = []
        for position in positions:
            if position.file is not None:
                left.extend(orjson.dumps(old.dump()) + b"\n" for old in self._enter(position))
        self._files[_INPUTS].append(b"".join(left))

    def sync(self) -> None:
        """Return when what was appended would survive a power cut."""
        for file in self._files.values():
            file.sync()

    def close(self) -> None:
        """Close the files and let go of the lock."""
        for file in self._files.values():
            file.close()
        os.close(self._lock)

    def _path(self, name: str) -> Path:
        return self.directory / (name if name == _INPUTS else f"{name}.log")

    def _enter(self, position: Position) -> list[Position]:
        """Make `position` the current one; return the one before, if it was in another file."""
        old = self._current
        self._current = position
        if position.file is not None:
            self.known[position.file.path] = position
        if old is None or old.file is None or position.file is None or old.file.path == position.file.path:
            return []
        return [old]

    def _acquire(self) -> int:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise storage_error(self.directory, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise InUseError(
                f"{self.directory} is in use by another run", "Wait for it, or give this one another --state directory"
            ) from error
        return descriptor

    def _clear(self) -> None:
        for path in (
            *self.directory.glob("*.log"),
            *self.directory.glob("*.tmp"),
            *(self.directory / name for name in (checkpoint.FILE, attempts.FILE, _INPUTS)),
        ):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise storage_error(path, error) from error

    def _read_inputs(self, length: int) -> dict[str, Position]:
        path = self._path(_INPUTS)
        known: dict[str, Position] = {}
        for line in path.read_bytes()[:length].splitlines():
            position = _position(_plain(line), path)
            if position.file is not None:
                known[position.file.path] = position
        return known


def _plain(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _position(plain: object, path: Path) -> Position:
    try:
        return Position.load(plain)
    except ValueError as error:
        raise StateError(f"{path} is damaged", "Start anew with --fresh or another --state directory") from error
