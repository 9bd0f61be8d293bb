"""What the benchmarks share: CPU time and memory of processes, made-up documents, and tables."""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return user and system time of process `pid`, all its threads, in seconds; the kernel counts in 1/100 s."""
    # The name of the program, in brackets, may hold spaces.
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_memory_mb(pid: int | str = "self") -> float:
    """Return the most memory that process `pid` has held so far (VmHWM), in MB."""
    for line in Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"process {pid} has no memory")


def load() -> str:
    """Return the machine's load averages, as text."""
    return "load " + " ".join(f"{value:.2f}" for value in os.getloadavg())


def made_up_documents(count: int, size: int) -> Iterator[bytes]:
    """Yield `count` raw documents as JSON of about `size` bytes: invented words as frequent as words are (Zipf), so
    that they compress as text does."""
    draw = random.Random(1)
    vocabulary = ["".join(draw.choices("etaoinshrdlucmfwyp", k=draw.randint(2, 9))) for _ in range(20_000)]
    weights = [1 / (rank + 3) for rank in range(len(vocabulary))]
    # A thousand texts: making one takes longer than sending it.
    texts = [" ".join(draw.choices(vocabulary, weights, k=size // 5)) for _ in range(1000)]
    for number in range(count):
        text = texts[number % len(texts)]
        plain = {
            "url": f"https://outlet{number % 80}.example/news/{number}",
            "source": f"outlet{number % 80}",
            "title": text[:70],
            "published_at": "2026-01-31T12:00:00Z",
        }
        room = size - len(orjson.dumps(plain)) - len(',"text":""')
        yield orjson.dumps({**plain, "text": text[:room]})


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return median and range of `values`, as `12 (11-14)`."""
    middle, low, high = (f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low}-{high})"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip())
