"""Files that survive a crash: appended to up to a known length, or replaced as a whole."""

from __future__ import annotations

import io
import os
from pathlib import Path

from newsmill import files
from newsmill.engines.embedded.errors import StateError, storage_error


class AppendFile:
    """A file that is only appended to. What lies beyond a known length can be cut off.

    Writes go straight to the operating system: after an error nothing waits in a buffer to be written later.

    Args:
        path: the file; it is made when it does not exist.
        keep: length to cut the file to; None keeps all.

    Raises StateError when the file is shorter than `keep`, EngineError when it can't be opened.
    """

    def __init__(self, path: Path, keep: int | None = None) -> None:
        self.path = path
        self._changed = False
        try:
            new = not path.exists()
            self._file = io.FileIO(path, "ab")
            size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise storage_error(path, error) from error
        if keep is not None and size < keep:
            self._file.close()
            raise StateError(
                f"{path} holds {size} bytes where the state directory says {keep}: it was changed or removed",
                "Bring it back, or start anew with --fresh or another --state directory",
            )
        self.length = size if keep is None else keep
        try:
            if size > self.length:
                self._file.truncate(self.length)
                self._changed = True
            if new:
                files.sync_directory(path.parent)
        except OSError as error:
            self._file.close()
            raise storage_error(path, error) from error

    def append(self, data: bytes) -> None:
        """Write `data` at the end. Raises EngineError when it can't all be written."""
        view = memoryview(data)
        try:
            while view:
                written = self._file.write(view) or 0
                self.length += written
                self._changed = True
                view = view[written:]
        except OSError as error:
            raise storage_error(self.path, error) from error

    def sync(self) -> None:
        """Return when everything appended would survive a power cut. Raises EngineError."""
        if not self._changed:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage_error(self.path, error) from error
        self._changed = False

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def replace_file(path: Path, data: bytes) -> None:
    """Make `data` the content of `path` in one step, as `newsmill.files` does. Raises EngineError; the old content is
    still there then."""
    try:
        files.replace_file(path, data)
    except OSError as error:
        raise storage_error(path, error) from error
