"""Is a worker alive, is it ready, is it making progress? And the small HTTP server that tells.

/metrics    Prometheus text format
/healthz    200 while the worker is alive and making progress; 503 when input has waited too long while nothing moved
/readyz     200 while it is a member of its group, its state is restored, and the broker answers
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

MAX_REQUEST_SECONDS: Final = 10


class Health:
    """What a worker knows of itself; written by its main loop, read by the HTTP server's threads.

    Args:
        stall_s: how long input may wait while nothing moves, seconds.
        clock: monotonic seconds.
    """

    def __init__(self, stall_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall_s = stall_s
        self._clock = clock
        self._lock = threading.Lock()
        self._moved = clock()
        self._waiting = False
        self._not_ready = "starting"

    def progress(self) -> None:
        """A batch became durable, or state was restored further."""
        with self._lock:
            self._moved = self._clock()

    def waiting(self, waits: bool) -> None:
        """Say whether input waits. When none does, standing still is fine."""
        with self._lock:
            if not (waits and self._waiting):
                self._moved = self._clock()
            self._waiting = waits

    def ready(self, reason_against: str = "") -> None:
        """Say whether the worker does its job; a reason against it means that it is alive but not ready."""
        with self._lock:
            if reason_against:
                # Waiting for the broker or for state is not a stall of the worker's own.
                self._waiting = False
                self._moved = self._clock()
            self._not_ready = reason_against

    def problem(self) -> str:
        """Return why the worker is unhealthy; empty when it is healthy."""
        with self._lock:
            still = self._clock() - self._moved
            if self._waiting and still > self._stall_s:
                return f"input waits and nothing has moved for {still:.0f} s"
            return ""

    def not_ready(self) -> str:
        """Return why the worker is not ready; empty when it is."""
        with self._lock:
            return self._not_ready


class HealthServer:
    """Serves metrics and health on a thread of its own.

    Raises OSError when the port is taken.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        class Handler(_Handler):
            pass

        Handler.registry = registry
        Handler.health = health
        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    health: Health
    timeout = MAX_REQUEST_SECONDS
    server_version = "newsmill"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.split("?", 1)[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.registry), content_type)
        elif path == "/healthz":
            self._tell(self.health.problem())
        elif path == "/readyz":
            self._tell(self.health.problem() or self.health.not_ready())
        else:
            self._answer(404, b"/metrics /healthz /readyz\n", "text/plain; charset=utf-8")

    def _tell(self, problem: str) -> None:
        self._answer(503 if problem else 200, f"{problem or 'ok'}\n".encode(), "text/plain; charset=utf-8")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes every few seconds are not news."""
