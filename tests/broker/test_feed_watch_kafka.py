"""`newsmill feed --watch` as a program against a real Kafka: files come while it runs, and it is killed meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from newsmill.feed.sender import WINDOW_DOCUMENTS
from schemas import topics
from tests.support.kafka import Place

pytestmark = pytest.mark.broker

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def watching(place: Place, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
    more = {
        "PYTHONPATH": str(ROOT),
        "NEWSMILL_BOOTSTRAP": place.settings.bootstrap,
        "NEWSMILL_NAMESPACE": place.settings.namespace,
    }
    command = [sys.executable, "-m", "newsmill", "feed", "--watch", str(directory), "--settle", "0.3"]
    process = subprocess.Popen(command, env=clean | more, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def drop(directory: Path, name: str, numbers: range) -> None:
    """Write a file as scrapers should: under another name, and then renamed."""
    hidden = directory / f".{name}"
    hidden.write_text("".join(json.dumps({"n": n, "text": f"Report {n}"}) + "\n" for n in numbers))
    hidden.rename(directory / name)


def arrived(place: Place) -> Counter[int]:
    return Counter(json.loads(value)["n"] for value in place.values(topics.RAW))


def wait_for(place: Place, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(arrived(place)) < count:
        assert time.monotonic() < deadline, len(arrived(place))
        time.sleep(0.2)


def test_files_that_come_are_sent_over_kills_and_stops(place: Callable[..., Place], tmp_path: Path) -> None:
    here, directory = place(raw=2), tmp_path / "drop"
    directory.mkdir()
    drop(directory, "a.ndjson", range(100))
    with watching(here, directory) as process:
        wait_for(here, 100)
        drop(directory, "b.ndjson", range(100, 4_100))
        while (directory / ".newsmill-feed").stat().st_size < 400:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    drop(directory, "c.ndjson", range(4_100, 4_200))
    with watching(here, directory) as process:
        wait_for(here, 4_200)
        with (directory / "a.ndjson").open("a") as file:
            file.write('{"n": 4200, "text": "added"}\n')
        wait_for(here, 4_201)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    with watching(here, directory) as process:
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        assert process.stderr is not None
        assert b"sent 0 documents" in process.stderr.read()
    found = arrived(here)
    assert set(found) == set(range(4_201))
    assert sum(found.values()) - len(found) <= WINDOW_DOCUMENTS
