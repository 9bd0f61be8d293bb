"""What several commands read in the same way: options, and standard input."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import click

from newsmill.feed import Input
from newsmill.feed.inputs import STDIN
from schemas.topics import BY_NAME
from workers.pipeline import STAGES


def _pairs(
    names: Iterable[str], what: str
) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], dict[str, int]]:
    allowed = tuple(names)

    def read(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
        pairs: dict[str, int] = {}
        for value in values:
            name, _, number = value.partition("=")
            if name not in allowed:
                raise click.BadParameter(f"{name!r} is no {what}; there are {', '.join(allowed)}")
            if not number.isdecimal() or not 1 <= int(number) <= 1_000:
                raise click.BadParameter(f"{value!r}: write {what}=N, N from 1 to 1000")
            pairs[name] = int(number)
        return pairs

    return read


_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def span_option(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Callback of an option such as `30m`, `12h` or `7d`; returns seconds."""
    if value is None:
        return None
    if (match := _SPAN.fullmatch(value)) is None:
        raise click.BadParameter(f"{value!r} is no span of time: write 30m, 12h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


class Instant(click.ParamType):
    """A time as RFC 3339, converted to milliseconds since the Unix epoch."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the milliseconds. Fails with click.BadParameter."""
        if isinstance(value, int):
            return value
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-01-31T12:00:00Z", param, ctx)
        if instant.tzinfo is None:
            self.fail(f"{value!r} has no time zone; write for example {value}Z", param, ctx)
        return round(instant.timestamp() * 1000)


def worker_addresses_option(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """Callback of a multiple option `[http://]HOST:PORT[/metrics]`; returns them as `http://HOST:PORT`."""
    return [_worker_address(value) for value in values]


def _worker_address(value: str) -> str:
    advice = f"{value!r} is no address of a worker's metrics: write http://HOST:PORT, such as http://127.0.0.1:9101"
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port
    except ValueError as error:
        raise click.BadParameter(advice) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port or "@" in parts.netloc:
        raise click.BadParameter(advice)
    if parts.path not in {"", "/", "/metrics"} or parts.query or parts.fragment:
        raise click.BadParameter(advice)
    return f"{parts.scheme}://{parts.netloc}"


workers_option = click.option(
    "--worker",
    "urls",
    multiple=True,
    metavar="URL",
    callback=worker_addresses_option,
    help="Address of the metrics of a worker or gateway; repeatable.",
)
"""The option `--worker`, for commands that read metrics; gives `urls`."""

scale_option = _pairs(STAGES, "stage")
"""Callback of a multiple option `STAGE=N`."""

partitions_option = _pairs(BY_NAME, "topic")
"""Callback of a multiple option `TOPIC=N`."""


def refuse_closed_input(inputs: Iterable[Input]) -> None:
    """Raise click.UsageError where an input is standard input and that is closed."""
    if sys.stdin is None and any(given.name == STDIN for given in inputs):
        raise click.UsageError("standard input is closed: name files or directories, or pipe documents in")


def standard_input() -> io.BufferedReader[Any] | None:
    """Return what stands in for standard input in this process, None where it is the real one."""
    if sys.stdin is None:
        return None  # closed, and nothing reads it: `refuse_closed_input`
    try:
        sys.stdin.fileno()
    except OSError:
        return io.BufferedReader(click.get_binary_stream("stdin"))
    return None
