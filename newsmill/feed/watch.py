"""Directories into which scrapers drop files: each is given out when it is finished, and again when it has changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from newsmill.feed.document import Position
from newsmill.feed.inputs import Input, scan

POLL_S: Final = 1.0
"""How often the directories are looked at, seconds."""

_STEP_S: Final = 0.2
"""How soon a stop is noticed while nothing comes, seconds."""


class _Look(NamedTuple):
    """What tells a file that is being written from one that is not."""

    size: int
    mtime_ns: int
    inode: int


class Watch:
    """Yields the files of directories as they are finished, and None whenever there are no more for now.

    A file is finished when its size and time of change have stayed the same for `settle_s` seconds. So a file that is
    written under another name (one that begins with a dot, or has an unknown suffix) and then renamed is never seen
    half written, and one that is written in its place is not as long as it grows. What is below the directories is
    polled: that works on network file systems, too.

    Args:
        directories: what to look at, with all that is below them.
        known: how far files were read before, by absolute path. A file that was read to its end and has not changed
            since is left alone.
        stopping: says when to stop.
        format: of all files; None: as their names say.
        clock, sleep: time, for tests.
    """

    def __init__(
        self,
        directories: Sequence[str],
        *,
        settle_s: float,
        known: Mapping[str, Position],
        stopping: Callable[[], bool],
        format: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directories = directories
        self._settle_s = settle_s
        self._known = known
        self._stopping = stopping
        self._format = format
        self._clock = clock
        self._sleep = sleep
        self._given: dict[str, _Look] = {}
        self._seen: dict[str, tuple[_Look, float]] = {}

    def __iter__(self) -> Iterator[Input | None]:
        while not self._stopping():
            yield from self._finished()
            yield None
            until = self._clock() + POLL_S
            while not self._stopping() and self._clock() < until:
                self._sleep(_STEP_S)

    def _finished(self) -> Iterator[Input]:
        there: set[str] = set()
        for source in (found for directory in self._directories for found in scan(directory, self._format)):
            if source.name in there:
                continue  # below two of the directories
            there.add(source.name)
            if self._stopping():
                return
            if (look := _look(source.name)) is None or self._given.get(source.name) == look:
                continue
            if self._was_read(source.name, look):
                self._given[source.name] = look
                continue
            before, since = self._seen.get(source.name, (None, 0.0))
            if before != look:
                self._seen[source.name] = look, self._clock()
            elif self._clock() - since >= self._settle_s:
                del self._seen[source.name]
                self._given[source.name] = look
                yield source
        self._given = {name: look for name, look in self._given.items() if name in there}
        self._seen = {name: seen for name, seen in self._seen.items() if name in there}

    def _was_read(self, name: str, look: _Look) -> bool:
        position = self._known.get(os.path.abspath(name))
        if position is None or position.file is None or not position.done:
            return False
        return (position.file.size, position.file.mtime_ns) == (look.size, look.mtime_ns)


def _look(name: str) -> _Look | None:
    try:
        status = os.stat(name)
    except OSError:
        return None  # gone again
    return _Look(status.st_size, status.st_mtime_ns, status.st_ino)
