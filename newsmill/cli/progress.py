"""How far a command is in its inputs: a bar on a terminal, a line on standard error every ten seconds off it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import click

from newsmill.feed import Input, Position
from newsmill.progress import Bar

_LINE_EVERY_S: Final = 10.0


class Meter:
    """Shows the share of the inputs' bytes that is done, where their sizes are known, and a text. A context manager.

    Args:
        inputs: what is read.
        label: what the command is doing, for the bar.
        quiet: show nothing.
    """

    def __init__(self, inputs: Sequence[Input], label: str, *, quiet: bool) -> None:
        self._quiet = quiet
        self._total = sum(i.size for i in inputs) if not any(i.stream for i in inputs) else 0
        self._done: dict[str, int] = {}
        self._sum = 0
        self._started = self._last = time.monotonic()
        self._bar = Bar(label, self._total, quiet=quiet)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    @property
    def seconds(self) -> float:
        """Time since the command began to work."""
        return time.monotonic() - self._started

    def reached(self, position: Position) -> None:
        """Note that a file was read up to `position`."""
        if (file := position.file) is not None:
            self._sum += position.passed - self._done.get(file.path, 0)
            self._done[file.path] = position.passed

    def show(self, counts: str) -> None:
        """Show `counts` beside the bar; off a terminal as a line, when it is time for one."""
        if self._quiet:
            return
        if not self._bar.update(self._sum, counts) and time.monotonic() - self._last >= _LINE_EVERY_S:
            self._last = time.monotonic()
            share = f" ({100 * self._sum / self._total:.0f} % of the input)" if self._total else ""
            click.echo(f"newsmill: {counts}, {self.seconds:.0f} s{share}", err=True)
