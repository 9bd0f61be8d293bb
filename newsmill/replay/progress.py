"""How far a replay is, and how long it still takes: a bar on a terminal, a line every ten seconds off it."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import click
from rich.progress import TextColumn, TimeRemainingColumn

from newsmill.progress import Bar

LINE_EVERY_S: Final = 10.0


class ReplayProgress:
    """Shows the share of the planned offsets that is done, counts, and the time that is left. A context manager.

    Args:
        label: what is being done.
        total: offsets of the plan; 0: not known.
        done: of these, what earlier processes of the run have done.
        quiet: show nothing.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        label: str,
        total: int,
        *,
        done: int = 0,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label = label
        self._total = total
        self._first = self._done = done
        self._quiet = quiet
        self._clock = clock
        self._began = self._last = clock()
        self._bar = Bar(label, total, done=done, quiet=quiet, more=(TextColumn("left"), TimeRemainingColumn()))

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    @property
    def seconds(self) -> float:
        """Time since this process began to work."""
        return self._clock() - self._began

    def say(self, text: str) -> None:
        """Show a line at once."""
        if self._quiet:
            return
        if not self._bar.say(f"newsmill: {text}"):
            click.echo(f"newsmill: {text}", err=True)

    def reached(self, done: int, counts: str) -> None:
        """Note that `done` offsets of the plan are done in all, and show it where it is time."""
        self._done = done
        if self._quiet:
            return
        if not self._bar.update(done, counts) and self._clock() - self._last >= LINE_EVERY_S:
            self._last = self._clock()
            click.echo(f"newsmill: {self.line(counts)}", err=True)

    def line(self, counts: str) -> str:
        """Return how far it is as a line of text."""
        parts = [f"{self._label}: {counts}" if counts else self._label]
        if self._total:
            parts.append(f"{100 * min(1.0, self._done / self._total):.0f} %")
        new = self._done - self._first
        if self._total and new > 0 and self.seconds > 0:
            left = max(0, self._total - self._done) * self.seconds / new
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a span of time for a person.

    >>> duration(42), duration(3 * 3600 + 120)
    ('42 s', '3 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
