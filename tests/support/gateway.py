"""A gateway in this process, on a Kafka that the test plays."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from newsmill.gateway.app import Gateway
from newsmill.gateway.link import Link, Outgoing
from newsmill.gateway.outbox import Outbox
from newsmill.health import Health
from newsmill.metrics import GatewayMetrics
from newsmill.settings import Settings
from schemas.limits import MAX_RECORD_BYTES

Done = Callable[[BaseException | None], None]


class FakeKafka:
    """Takes records and acknowledges them; a test may have it do otherwise.

    `outcome` says of a value why it is given up, None for an acknowledgement. While `silent`, nothing is answered until
    `answer_all`. `away` is what connecting raises.
    """

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []
        self.outcome: Callable[[bytes], BaseException | None] = lambda value: None
        self.silent = False
        self.away: BaseException | None = None
        self.record_bytes = MAX_RECORD_BYTES
        self.connections = 0
        self.closed = 0
        self._waiting: list[tuple[Outgoing, Done]] = []
        self._lock = threading.Lock()

    def connect(self) -> Link:
        if self.away is not None:
            raise self.away
        self.connections += 1
        return self

    def send(self, record: Outgoing, done: Done) -> None:
        with self._lock:
            self.taken.append(record)
            if self.silent:
                self._waiting.append((record, done))
                return
        done(self.outcome(record.value))

    def answer_all(self) -> None:
        with self._lock:
            self.silent = False
            waiting, self._waiting = self._waiting, []
        for record, done in waiting:
            done(self.outcome(record.value))

    def check(self) -> None:
        if self.away is not None:
            raise self.away

    def close(self) -> None:
        self.answer_all()
        self.closed += 1

    @property
    def values(self) -> list[bytes]:
        return [record.value for record in self.taken]


@dataclass
class Served:
    """A gateway that is served, and a client of it."""

    url: str
    session: aiohttp.ClientSession
    metrics: GatewayMetrics
    health: Health
    outbox: Outbox

    async def post(self, data: Any, content_type: str | None = "application/json", **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            given["Content-Type"] = content_type
        skip = [] if content_type is not None else ["Content-Type"]
        if isinstance(data, bytes) and len(data) > 500_000:
            data = io.BytesIO(data)  # aiohttp warns of large bytes
        async with self.session.post(
            f"{self.url}/v1/articles", data=data, headers=given, skip_auto_headers=skip
        ) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.session.get(f"{self.url}{path}", headers=headers) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@contextlib.asynccontextmanager
async def served(kafka: FakeKafka, *, connected: bool = True, **settings: Any) -> AsyncIterator[Served]:
    """Serve a gateway on `kafka`, with these settings, on a free port."""
    changed = threading.Event()
    health = Health(60.0)

    def on_change(problem: str) -> None:
        health.ready(problem)
        changed.set()

    outbox = Outbox(kafka.connect, on_change)
    metrics = GatewayMetrics()
    metrics.watch(health)
    gateway = Gateway(Settings(**settings), outbox, metrics, health, now_ms=lambda: 1_234)
    runner = web.AppRunner(gateway.app(), access_log=None, auto_decompress=False, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    outbox.start()
    if connected:
        assert changed.wait(10)
    async with aiohttp.ClientSession() as session:
        try:
            yield Served(f"http://127.0.0.1:{port}", session, metrics, health, outbox)
        finally:
            kafka.answer_all()
            await runner.cleanup()
            outbox.close()


@contextlib.contextmanager
def served_in_thread(kafka: FakeKafka, **settings: Any) -> Iterator[Served]:
    """Serve a gateway in a thread of its own, for tests that block."""
    started, stop = threading.Event(), threading.Event()
    found: list[Served] = []

    async def run() -> None:
        async with served(kafka, **settings) as gateway:
            found.append(gateway)
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert started.wait(20)
    try:
        yield found[0]
    finally:
        stop.set()
        thread.join()
