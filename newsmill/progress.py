"""A bar for a person at a terminal, on standard error; off a terminal there is none."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn


class Bar:
    """What a command is doing, the share that is done, and a text. A context manager.

    Args:
        label: what the command is doing.
        total: the whole, in any unit; 0: not known.
        done: how much of it was done before.
        quiet: show none.
        more: columns behind the time.
    """

    def __init__(
        self, label: str, total: int, *, done: int = 0, quiet: bool = False, more: tuple[ProgressColumn, ...] = ()
    ) -> None:
        self._bar: Progress | None = None
        if not quiet and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[counts]}"),
                TimeElapsedColumn(),
                *more,
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(label, total=total or None, completed=done, counts="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, text: str) -> bool:
        """Show how much is done. Returns whether there is a bar that shows it."""
        if self._bar is None:
            return False
        self._bar.update(self._task, completed=done, counts=text)
        return True

    def say(self, text: str) -> bool:
        """Show a line above the bar. Returns whether there is a bar to show it above."""
        if self._bar is None:
            return False
        self._bar.console.print(text, markup=False, highlight=False)
        return True
