"""Finding the record that takes the process down: a crash in native code or too little memory leaves no exception.

Each start writes down where it starts. When three starts have died without getting any further, the records there are
tried one at a time, each named in the file before it is tried; the one named when the process dies again is the one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from newsmill.engines.embedded.files import replace_file

FILE: Final = "attempts.json"
DEATHS: Final = 3
"""Starts that may die at the same place before records are tried alone."""


class _Marker(msgspec.Struct):
    at: int
    starts: int
    alone_until: int | None = None
    trying: int | None = None


class Attempts:
    """The marker file of a state directory. Offsets count the documents taken in with this state."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._marker: _Marker | None = None

    def start(self, at: int, batch: int) -> int | None:
        """The process starts at offset `at` with batches of `batch` records.

        Returns the offset of the record that is known to kill the process, or None.
        """
        old = self._load()
        if old is not None and old.alone_until is not None and at < old.alone_until:
            killer = at if old.trying == at else None
            self._write(_Marker(at, old.starts + 1, old.alone_until))
            return killer
        starts = old.starts + 1 if old is not None and old.at == at else 1
        self._write(_Marker(at, starts, at + batch if starts > DEATHS else None))
        return None

    @property
    def alone(self) -> bool:
        """Whether records are to be tried one at a time."""
        return self._marker is not None and self._marker.alone_until is not None

    def trying(self, at: int) -> None:
        """The record at offset `at` is about to be tried alone."""
        if self._marker is not None and self._marker.alone_until is not None:
            self._marker.trying = at
            self._write(self._marker)

    def progressed(self, at: int) -> None:
        """Everything before offset `at` is durable."""
        if self._marker is not None and (self._marker.alone_until is None or at >= self._marker.alone_until):
            self._remove()

    def ended(self) -> None:
        """The process ends in an orderly way: no death to be counted."""
        if self._marker is None:
            return
        if self._marker.alone_until is None:
            self._remove()
        else:
            self._marker.trying = None
            self._write(self._marker)

    def _load(self) -> _Marker | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Marker)
        except (OSError, msgspec.MsgspecError):
            return None  # a hint, not state: without it three more starts are needed

    def _write(self, marker: _Marker) -> None:
        self._marker = marker
        replace_file(self._path, msgspec.json.encode(marker))

    def _remove(self) -> None:
        self._marker = None
        self._path.unlink(missing_ok=True)
