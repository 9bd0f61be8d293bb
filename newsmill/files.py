"""Files that are whole after a crash."""

from __future__ import annotations

import io
import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Make `data` the content of `path` in one step: after a crash it is the old content or the new, never a part.

    Raises OSError when it can't be written; the old content is still there then.
    """
    temporary = path.with_name(path.name + ".tmp")
    with io.FileIO(temporary, "wb") as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) or 0 :]
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Return when names made or removed in the directory would survive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
