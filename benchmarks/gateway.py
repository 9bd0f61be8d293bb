"""Measure the gateway: documents a second and time to the acknowledgement, on a real Kafka on this machine.

    python -m benchmarks.gateway --documents 50000 --clients 50 --batch 20

Starts a broker (Java 17), a gateway process and one process of clients; all three share the machine. Articles of
3 kB. `--bootstrap` uses a broker that is there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import aiohttp

from newsmill import clients, topics
from newsmill.local import LocalKafka
from newsmill.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


def article(number: int, size: int, chance: random.Random) -> bytes:
    """Return an article of about `size` bytes."""
    words = [chance.choice(("harbour", "council", "ferry", "budget", "storm", "minister")) + str(n) for n in range(500)]
    text = " ".join(chance.choices(words, k=size // 9))[:size]
    return json.dumps(
        {"url": f"https://outlet{number % 80}.example/story/{number}", "title": f"Report {number}", "text": text}
    ).encode()


async def send(url: str, bodies: list[bytes], count: int) -> list[float]:
    """Send `bodies` from `count` clients; return the seconds that each took."""
    seconds: list[float] = []
    waiting = iter(bodies)

    async def client(session: aiohttp.ClientSession) -> None:
        for body in waiting:
            started = time.perf_counter()
            async with session.post(url, data=body, headers={"Content-Type": "application/x-ndjson"}) as response:
                if response.status != 202:
                    raise SystemExit(f"{response.status}: {await response.text()}")
                await response.read()
            seconds.append(time.perf_counter() - started)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(count)))
    return seconds


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_ready(url: str) -> None:
    """Wait until the gateway takes documents."""
    for _ in range(600):
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{url}/readyz", timeout=5):
            return
        time.sleep(0.1)
    raise SystemExit("the gateway did not become ready")


def measure(settings: Settings, options: argparse.Namespace) -> None:
    """Run one gateway on the broker of `settings`, and print what it does."""
    with topics.admin_client(clients.connection(settings)) as admin:
        topics.create(admin, topics.declared(settings.namespace))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")} | {
        "PYTHONPATH": str(ROOT),
        "NEWSMILL_BOOTSTRAP": settings.bootstrap,
        "NEWSMILL_NAMESPACE": settings.namespace,
        "NEWSMILL_GATEWAY_PORT": str(port),
        "NEWSMILL_GATEWAY_RATE": "0",
        "NEWSMILL_METRICS_PORT": "0",
    }
    chance = random.Random(1)
    documents = [article(n, options.size, chance) for n in range(options.documents)]
    bodies = [b"\n".join(documents[at : at + options.batch]) for at in range(0, len(documents), options.batch)]
    gateway = subprocess.Popen([sys.executable, "-m", "newsmill", "gateway"], env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(url)
        asyncio.run(send(f"{url}/v1/articles", bodies[: options.clients], options.clients))
        used = cpu_seconds(gateway.pid)
        started = time.perf_counter()
        seconds = sorted(asyncio.run(send(f"{url}/v1/articles", bodies, options.clients)))
        took = time.perf_counter() - started
        used = cpu_seconds(gateway.pid) - used
        print(
            f"{len(documents)} documents of {options.size} bytes, {options.batch} a request, {options.clients} clients:"
            f" {len(documents) / took:,.0f} documents/s;"
            f" CPU of the gateway {used / len(documents) * 1e6:.0f} us a document;"
            f" a request takes {seconds[len(seconds) // 2] * 1e3:.0f} ms (median),"
            f" {seconds[len(seconds) * 99 // 100] * 1e3:.0f} ms (99 %)"
        )
    finally:
        gateway.terminate()
        gateway.wait()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--batch", type=int, default=20, help="documents in a request")
    parser.add_argument("--size", type=int, default=3_000, help="bytes of a document's text")
    parser.add_argument("--bootstrap", help="brokers to use; none are started then")
    options = parser.parse_args()
    if options.bootstrap:
        measure(Settings(bootstrap=options.bootstrap, namespace=f"bench-{os.getpid()}."), options)
        return
    with tempfile.TemporaryDirectory() as place, LocalKafka(Path(place, "kafka")) as broker:
        measure(Settings(bootstrap=broker.bootstrap), options)


if __name__ == "__main__":
    main()
