"""The gateway as a program of its own, which a test may kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from newsmill.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class GatewayProcess:
    """`newsmill gateway` on a free port, which it keeps over restarts."""

    def __init__(self, settings: Settings, log: Path, **more: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
        self._environment = {
            **clean,
            "PYTHONPATH": str(ROOT),
            "NEWSMILL_BOOTSTRAP": settings.bootstrap,
            "NEWSMILL_NAMESPACE": settings.namespace,
            "NEWSMILL_GATEWAY_PORT": str(self.port),
            "NEWSMILL_METRICS_PORT": "0",
            **more,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "newsmill", "gateway"], env=self._environment, stdout=log, stderr=log
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._ready():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def terminate(self) -> int:
        """Send SIGTERM, and return the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)
