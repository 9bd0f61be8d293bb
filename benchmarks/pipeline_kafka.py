"""A broker, four workers and a consumer that sees what comes out: for benchmarks/pipeline.py."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from benchmarks.measuring import cpu_seconds
from newsmill import clients
from newsmill import topics as admin
from newsmill.feed import Document
from newsmill.local import LocalKafka
from newsmill.settings import PREFIX, Settings
from schemas import headers as h
from schemas import topics
from workers.pipeline import STAGES

PATIENCE_SECONDS = 300.0
STALL_SECONDS = 120.0


@dataclass(slots=True)
class Pipeline:
    """How to run it: the workers' engine, and settings by name that differ from the defaults."""

    engine: str
    settings: Mapping[str, str]

    @contextlib.contextmanager
    def running(self) -> Iterator[Running]:
        """Start it all with empty topics, and stop it at the end."""
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory())
            broker = stack.enter_context(LocalKafka(Path(scratch, "kafka")))
            settings = Settings(bootstrap=broker.bootstrap)
            with admin.admin_client(clients.connection(settings)) as client:
                admin.create(client)
            environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | {
                f"{PREFIX}BOOTSTRAP": broker.bootstrap,
                f"{PREFIX}STATE_DIR": scratch,
                f"{PREFIX}METRICS_PORT": "0",
                f"{PREFIX}LOG_LEVEL": "error",
                **{PREFIX + name.upper(): value for name, value in self.settings.items()},
            }
            processes = {}
            for stage in STAGES:
                command = [sys.executable, "-W", "ignore", "-m", "newsmill", "worker", stage, "--engine", self.engine]
                processes[stage] = subprocess.Popen(command, env=environment)
                stack.callback(_stop, processes[stage])
            running = Running(
                settings, {name: one.pid for name, one in processes.items()} | {"broker": broker.pid or 0}
            )
            stack.callback(running.close)
            running.warm_up()
            yield running


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(slots=True)
class Running:
    """A pipeline that runs. `seen` has when (`time.perf_counter`) each origin was first seen on each topic."""

    settings: Settings
    pids: dict[str, int]
    seen: dict[str, dict[bytes, float]] = field(default_factory=dict)
    _doubles: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _ready: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)
    _producer: Any = field(init=False)

    def __post_init__(self) -> None:
        self.seen = {topic.name: {} for topic in topics.TOPICS if topic.name not in (topics.DEDUP_LOG, topics.REPLAYS)}
        self._producer = KafkaProducer(**clients.producer(self.settings), linger_ms=0)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _watch(self) -> None:
        consumer: Any = KafkaConsumer(**clients.consumer(self.settings))
        places = [TopicPartition(name, p) for name in self.seen for p in consumer.partitions_for_topic(name)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        self._ready.set()
        while not self._stopping.is_set():
            polled = consumer.poll(timeout_ms=200)
            now = time.perf_counter()
            for place, records in polled.items():
                seen = self.seen[place.topic]
                for record in records:
                    origin = h.get(record.headers, h.ORIGIN) or b""
                    self._doubles += origin in seen
                    seen.setdefault(origin, now)
        consumer.close()

    def warm_up(self) -> None:
        """Send a document and wait until it is through: then every worker has its partitions."""
        value = b'{"url": "https://warm.example/", "text": "%s"}' % (b"The council met on Tuesday evening. " * 20)
        origin = b"warm-up"
        self._producer.send(topics.RAW, key=b"warm", value=value, headers=[(h.ORIGIN, origin)])
        self._wait({origin}, (topics.CLASSIFIED, topics.DEAD_LETTERS))

    def feed(self, documents: Sequence[Document]) -> None:
        """Send `documents` as fast as the broker takes them."""
        for document in documents:
            self._producer.send(topics.RAW, key=document.key, value=document.value, headers=_stamped(document))
        self._producer.flush()

    def feed_at(
        self, documents: Sequence[Document], rate: float, enough: Callable[[], bool] = lambda: False
    ) -> dict[bytes, float]:
        """Send `documents`, `rate` a second, until `enough`; return when each was due, whether or not it was sent in
        time."""
        due: dict[bytes, float] = {}
        begin = time.perf_counter()
        for number, document in enumerate(documents):
            if enough():
                break
            at = due[document.origin.encode()] = begin + number / rate
            if (left := at - time.perf_counter()) > 0:
                time.sleep(left)
            self._producer.send(topics.RAW, key=document.key, value=document.value, headers=_stamped(document))
        self._producer.flush()
        return due

    def wait_for(self, count: int, at: Sequence[str]) -> None:
        """Wait until `count` documents in all are on one of the topics `at`. Ends the program when none comes for
        long, or something is there twice."""
        last, moved = -1, time.monotonic()
        while (now := sum(len(self.seen[topic]) for topic in at)) < count:
            if now != last:
                last, moved = now, time.monotonic()
            if time.monotonic() - moved > STALL_SECONDS:
                raise SystemExit(f"{count - now} of {count} documents did not arrive")
            time.sleep(0.2)
        if self._doubles:
            raise SystemExit(f"{self._doubles} records were there twice")

    def wait(self, documents: Sequence[Document], at: Sequence[str]) -> dict[bytes, float]:
        """Wait until all `documents` are on one of the topics `at`; return when they were seen, by origin.

        Ends the program when that takes too long, or something is there twice.
        """
        return self._wait({document.origin.encode() for document in documents}, at)

    def _wait(self, origins: set[bytes], at: Sequence[str]) -> dict[bytes, float]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            arrived = {origin: when for topic in at for origin, when in dict(self.seen[topic]).items()}
            if missing := len(origins - arrived.keys()):
                if time.monotonic() > deadline:
                    raise SystemExit(f"{missing} of {len(origins)} documents did not arrive")
                time.sleep(0.1)
                continue
            if self._doubles:
                raise SystemExit(f"{self._doubles} records were there twice")
            return {origin: arrived[origin] for origin in origins}

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds that each worker and the broker have used so far."""
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    def close(self) -> None:
        """Stop watching."""
        self._stopping.set()
        self._thread.join()
        self._producer.close()


def _stamped(document: Document) -> list[tuple[str, bytes]]:
    return [*document.headers, (h.INGESTED_AT, str(time.time_ns() // 1_000_000).encode())]
