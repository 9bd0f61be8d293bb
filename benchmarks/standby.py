"""Measure how long dedup stands still when its worker goes: with a second worker that keeps the state warm and without.

    python -m benchmarks.standby --articles 200000

A real Apache Kafka, whose news.dedup-log holds so many made-up decisions, and two worker processes with the default
timeouts. While articles come in, the first is asked to stop (SIGTERM) or killed (SIGKILL). Told is the time from then
to the next article that is durably decided, and what the second worker says its restore took. Without a standby the
second begins with the log alone, or with a snapshot of its own.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import OffsetAndMetadata, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.dedup_scale import Feed, Log
from benchmarks.measuring import load, print_table
from newsmill import clients
from newsmill import topics as admin
from newsmill.local import LocalKafka
from newsmill.settings import PREFIX, Settings
from schemas import topics

CHUNK = 2_000
BATCHES = 8
"""Batches of 500 live articles that are made, and sent over and over: what comes again is a recrawl."""

WAYS = {
    "log": ("the log alone", 0, False),
    "snapshot": ("a snapshot of its own, and the log", 0, True),
    "standby": ("a standby", 1, False),
}
"""What the second worker has: in words, NEWSMILL_STANDBY_PARTITIONS, whether it has a snapshot, of the way `log`."""

PLACE = TopicPartition(topics.ARTICLES, 0)


def main() -> None:
    """Measure each way, asked and killed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=200_000, help="decisions in the log")
    parser.add_argument("--rate", type=int, default=100, help="articles a second that come in meanwhile")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="what the second worker has")
    options = parser.parse_args()
    if "snapshot" in options.ways and options.ways[0] != "log":
        parser.error("the snapshot is made by the way `log`, which has to come first")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    rows = []
    with tempfile.TemporaryDirectory() as scratch, LocalKafka(Path(scratch, "kafka")) as broker:
        settings = Settings(bootstrap=broker.bootstrap)
        fill(settings, options.articles)
        print(f"{options.articles:,} decisions in the log, {options.rate} articles a second; {load()}", flush=True)
        with feeding(settings, options.rate):
            kept = Path(scratch, "kept")
            for way in options.ways:
                title, standby, snapshot = WAYS[way]
                for how, number in (("asked to stop", signal.SIGTERM), ("killed", signal.SIGKILL)):
                    where = Path(scratch, f"{len(rows)}")
                    if snapshot:
                        shutil.copytree(kept, where / "1")
                    seconds, restore = take_over(settings, where, standby, number)
                    if not kept.exists():
                        # Of the first worker, which has stopped in good order.
                        shutil.copytree(where / "0", kept)
                    rows.append((title, how, f"{seconds:.1f}", f"{restore:.2f}"))
                    print(*rows[-1], load(), sep=", ", flush=True)
    print_table(("the second worker has", "the first is", "s until decided again", "of which restore"), rows)


def fill(settings: Settings, articles: int) -> None:
    """Create the topics, and have a log of decisions on as many articles, which the group has behind it."""
    with admin.admin_client(clients.connection(settings)) as client:
        admin.create(client)
    log, producer = Log(), KafkaProducer(**clients.producer(settings))
    for _ in range(0, articles, CHUNK):
        for record in log.chunk(CHUNK):
            producer.send(record.topic, key=b"-", value=record.value, headers=list(record.headers), partition=0)
            # At the offset that the decision is on; nobody reads it.
            producer.send(topics.ARTICLES, value=b"-", partition=0)
        producer.flush()
    producer.close()
    consumer: Any = KafkaConsumer(**clients.consumer(settings), group_id=clients.group(settings, "dedup"))
    consumer.assign([PLACE])
    consumer.commit({PLACE: OffsetAndMetadata(log.offset, "", -1)})
    consumer.close(autocommit=False)


@contextmanager
def feeding(settings: Settings, rate: int) -> Iterator[None]:
    """Have `rate` articles a second come in."""
    feed, over = Feed(), threading.Event()
    records = [record for _ in range(BATCHES) for record in feed.batch()]

    def run() -> None:
        producer: Any = KafkaProducer(**clients.producer(settings) | {"linger_ms": 5})
        sent, began = 0, time.monotonic()
        while not over.wait(0.05):
            while sent < (time.monotonic() - began) * rate:
                record = records[sent % len(records)]
                producer.send(topics.ARTICLES, key=record.key, value=record.value, partition=0)
                sent += 1
        producer.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def take_over(settings: Settings, where: Path, standby: int, number: signal.Signals) -> tuple[float, float]:
    """Run two workers, send the first one a signal, and return (seconds until something is decided again, seconds of
    the second one's restore)."""
    first, second = (Worker(settings, where, name, standby) for name in ("0", "1"))
    committed: Any = KafkaConsumer(
        **clients.consumer(settings) | {"isolation_level": "read_uncommitted"},
        group_id=clients.group(settings, "dedup"),
    )

    def at() -> int:
        return int(committed.committed(PLACE) or 0)

    try:
        first.start()
        begun = at()
        _until(lambda: at() > begun, "the first decides")
        second.start()
        _until(lambda: second.ready() if standby else "dedup-1" in _members(settings), "the second waits")
        # The first has caught up with what came in while it restored its own state.
        _until(lambda: first.value("newsmill_lag_records") < 100, "the first has no lag")
        started = time.monotonic()
        first.process.send_signal(number)
        first.process.wait()
        before = at()
        _until(lambda: at() > before, "the second decides")
        return time.monotonic() - started, second.value("newsmill_restore_seconds")
    finally:
        for worker in (first, second):
            worker.close()
        committed.close()


class Worker:
    """A dedup worker process with a state directory of its own below `where`."""

    def __init__(self, settings: Settings, where: Path, name: str, standby: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)} | {
            f"{PREFIX}BOOTSTRAP": settings.bootstrap,
            f"{PREFIX}INSTANCE": name,
            f"{PREFIX}STATE_DIR": str(where / name),
            f"{PREFIX}METRICS_PORT": str(self._port),
            f"{PREFIX}STANDBY_PARTITIONS": str(standby),
            f"{PREFIX}LOG_LEVEL": "error",
        }

    def start(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "newsmill", "worker", "dedup"]
        self.process = subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)

    def ready(self) -> bool:
        """Whether /readyz says so."""
        return self.value("newsmill_ready") > 0

    def value(self, name: str) -> float:
        """Return the sum of a metric; NaN while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return float("nan")
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == name) if samples else float("nan")

    def close(self) -> None:
        """End it, in good order, so that the next one need not wait for its session to end."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def _members(settings: Settings) -> set[str]:
    with admin.admin_client(clients.connection(settings)) as client:
        (group,) = client.describe_groups([clients.group(settings, "dedup")]).values()
        return {member["client_id"] for member in group["members"]}


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
