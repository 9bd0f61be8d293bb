"""Where records that no stage reads go: files, a stream, a list."""

from __future__ import annotations

import gzip
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Final

from newsmill.engines.embedded import logfile
from newsmill.engines.embedded.errors import EngineError, StateError, storage_error
from newsmill.engines.embedded.files import AppendFile
from newsmill.engines.result import Output

Render = Callable[[Output], bytes]

_QUICK: Final = 1
"""Level of compression: what is written is read once more, and then gone."""


class Sink(ABC):
    """Takes the records of a topic. `path` is set where a length can be checkpointed and returned to."""

    path: Path | None = None
    length: int = 0

    # The empty methods suit a sink that holds nothing open.

    def open(self, keep: int | None, *, must_be_new: bool = False) -> None:  # noqa: B027  (empty: see above)
        """Get ready: cut to `keep` bytes, or with None keep all. `must_be_new`: refuse what holds something."""

    @abstractmethod
    def write(self, outputs: Sequence[Output]) -> None:
        """Take the records, in order. Raises EngineError when they can't be written."""

    def sync(self) -> None:  # noqa: B027  (empty: see above)
        """Return when everything written would survive a power cut."""

    def close(self) -> None:  # noqa: B027  (empty: see above)
        """Let go of what is open."""


class FileSink(Sink):
    """Appends a line for each record to a file.

    Args:
        path: the file.
        render: makes the line of a record, newline included.
    """

    def __init__(self, path: Path, render: Render) -> None:
        self.path = Path(os.path.abspath(path))
        self._render = render
        self._file: AppendFile | None = None

    def open(self, keep: int | None, *, must_be_new: bool = False) -> None:
        """Open the file. Raises StateError when it is shorter than `keep`, or holds something and must be new."""
        assert self.path is not None  # noqa: S101  (set in __init__)
        try:
            if must_be_new and self.path.exists() and self.path.stat().st_size:
                raise StateError(
                    f"{self.path} holds something that was not written with this state directory",
                    "Move it away, or start anew with --fresh, which overwrites it",
                )
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(self.path, error) from error
        self._file = AppendFile(self.path, keep)
        self.length = self._file.length

    def write(self, outputs: Sequence[Output]) -> None:
        """Append a line for each record."""
        if self._file is not None:
            self._file.append(self._pack(b"".join(map(self._render, outputs))))
            self.length = self._file.length

    def _pack(self, lines: bytes) -> bytes:
        return lines

    def sync(self) -> None:
        """Return when the lines would survive a power cut."""
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class PackedSink(FileSink):
    """Appends the records as they are, key and headers too, compressed: `logfile.packed_records` reads them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, partial(logfile.encode, offset=0))

    def _pack(self, lines: bytes) -> bytes:
        # A member of its own for each batch, so that the file can be cut between any two.
        return gzip.compress(lines, _QUICK, mtime=0) if lines else b""


class StreamSink(Sink):
    """Writes a line for each record to a stream, such as standard output: at least once, as it can't be cut."""

    def __init__(self, stream: IO[bytes], render: Render) -> None:
        self._stream = stream
        self._render = render

    def write(self, outputs: Sequence[Output]) -> None:
        """Write and flush. Raises BrokenPipeError when nobody reads any more."""
        try:
            self._stream.write(b"".join(map(self._render, outputs)))
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise EngineError(f"the output stream can't be written: {error.strerror or error}") from error


class ListSink(Sink):
    """Keeps the records in memory, for tests and for showing them."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    def write(self, outputs: Sequence[Output]) -> None:
        """Keep the records."""
        self.outputs.extend(outputs)
