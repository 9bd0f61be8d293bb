"""A real Prometheus for tests: one that is installed, else Debian's package unpacked into the cache, no root needed."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CACHE = Path.home() / ".cache" / "newsmill" / "prometheus"


class NoPrometheus(Exception):
    """There is none here, and none can be had. The text says why."""


def find(program: str) -> Path:
    """Return the path of `prometheus` or `promtool`. Raises NoPrometheus."""
    if found := shutil.which(program):
        return Path(found)
    unpacked = CACHE / "usr" / "bin" / program
    if not unpacked.exists():
        _unpack()
    return unpacked


def _unpack() -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NoPrometheus(f"Prometheus is not installed, and there is no {tool} to fetch Debian's package with")
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
        fetch = ["apt-get", "download", "--quiet", "prometheus"]
        done = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        packages = list(Path(folder).glob("prometheus_*.deb"))
        if done.returncode or not packages:
            raise NoPrometheus(f"Debian's package of Prometheus can't be had: {done.stderr.strip()}")
        subprocess.run(["dpkg-deb", "-x", packages[0], f"{folder}/x"], check=True, timeout=60)
        with contextlib.suppress(OSError):  # another process was quicker
            Path(folder, "x").rename(CACHE)


class Prometheus:
    """A running Prometheus: `query` asks it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **arguments: str) -> Any:
        """Return `data` of an answer of the HTTP API. Raises AssertionError with Prometheus' words on an error."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{arguments}: {error.read().decode()}") from error

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return what `expression` gives now, or gave `at` seconds since the Unix epoch: a list of samples."""
        when = {} if at is None else {"time": f"{at:.3f}"}
        result: list[dict[str, Any]] = self.get("query", query=expression, **when)["result"]
        return result


@contextlib.contextmanager
def running(config: Path, data: Path) -> Iterator[Prometheus]:
    """Run Prometheus with `config`, its data under `data`, on a free port of the loopback address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [
        str(find("prometheus")),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = data.with_suffix(".log")
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            _wait(port, process, log)
            yield Prometheus(port)
        finally:
            process.terminate()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError(f"Prometheus did not start:\n{log.read_text()}")
