"""A whole newsmill on one machine: a broker, its topics, the four workers and the gateway, supervised.

State below the state directory: `kafka/` (the broker's data), `up.pid` and `workers/*.pid` (what runs), `snapshots/`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from newsmill import clients, topics
from newsmill.errors import NewsmillError
from newsmill.local import process
from newsmill.local.kafka import LocalKafka, stop_recorded
from newsmill.settings import GATEWAY_METRICS_PORT, METRICS_PORTS, PORT_STEP, PREFIX, Settings
from workers.pipeline import STAGES

log = logging.getLogger(__name__)

GATEWAY: Final = "gateway"
"""Its command, and what it goes by among the workers."""

STOP_SECONDS: Final = 30.0
BACKOFF_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_SECONDS: Final = 60.0
"""A worker that has run this long is started again without delay when it ends."""


class ClusterError(NewsmillError):
    """The cluster can't be started. The text says why and what to do."""


@dataclass(slots=True)
class Worker:
    """One worker process and its place: the stage, and the slot that names its instance. Or the gateway."""

    stage: str
    slot: int
    port: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    due: float = 0.0
    failures: int = 0

    @property
    def name(self) -> str:
        """`stage-slot`."""
        return f"{self.stage}-{self.slot}"


@dataclass(slots=True)
class Cluster:
    """Starts and supervises everything that runs on this machine.

    Args:
        settings: of the workers; the bootstrap address is replaced when a broker is started here.
        external: use the brokers that the settings name, and start none.
        engine: `kafka` or `faust`.
        scale: number of workers by stage; 1 where not given.
        port: of the broker; None: the one that it had before, else a free one.
    """

    settings: Settings
    external: bool = False
    engine: str = "kafka"
    scale: Mapping[str, int] = field(default_factory=dict)
    port: int | None = None
    workers: list[Worker] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start the broker, the topics and the workers; stop them all at the end, workers first.

        Raises ClusterError, LocalKafkaError, kafka.errors.KafkaError.
        """
        state = Path(self.settings.state_dir)
        state.mkdir(parents=True, exist_ok=True)
        if (other := process.recorded(state / "up.pid")) is not None:
            raise ClusterError(f"a cluster already runs on {state} (process {other}). `newsmill down` stops it")
        process.record(state / "up.pid", os.getpid())
        with contextlib.ExitStack() as stack:
            stack.callback((state / "up.pid").unlink, missing_ok=True)
            _stop_orphans(state)
            if not self.external:
                broker = LocalKafka(state / "kafka", port=self.port)
                stack.enter_context(broker)
                self.settings = replace(self.settings, bootstrap=broker.bootstrap)
            self._create_topics()
            stack.callback(self._stop_workers)
            for stage in STAGES:
                for slot in range(self.scale.get(stage, 1)):
                    worker = Worker(stage, slot, METRICS_PORTS[stage] + PORT_STEP * slot)
                    self.workers.append(worker)
                    self._start(worker)
            gateway = Worker(GATEWAY, 0, GATEWAY_METRICS_PORT)
            self.workers.append(gateway)
            self._start(gateway)
            yield

    def supervise(self) -> None:
        """Start workers again that have ended, until `stopping` is set. One that ends again and again waits longer."""
        while not self.stopping.wait(0.2):
            now = time.monotonic()
            for worker in self.workers:
                if worker.process is None:
                    if now >= worker.due:
                        self._start(worker)
                elif (status := worker.process.poll()) is not None:
                    self._ended(worker, status, now)

    def _ended(self, worker: Worker, status: int, now: float) -> None:
        steady = now - worker.started > STEADY_SECONDS
        worker.failures = 0 if steady else worker.failures + 1
        wait = 0.0 if steady else BACKOFF_SECONDS[min(worker.failures, len(BACKOFF_SECONDS)) - 1]
        worker.process = None
        worker.due = now + wait
        worker.restarts += 1
        log.warning("worker %s ended with status %d; started again in %g s", worker.name, status, wait)

    def _start(self, worker: Worker) -> None:
        # The settings of this process, said once more, so that the worker sees the same whatever their source was.
        environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)} | {
            f"{PREFIX}{name.upper()}": str(getattr(self.settings, name)) for name in Settings.__slots__
        }
        gateway = worker.stage == GATEWAY
        if not gateway:
            environment[f"{PREFIX}GATEWAY_TOKENS"] = ""  # what a process need not know it can't tell
        environment |= {f"{PREFIX}INSTANCE": str(worker.slot), f"{PREFIX}METRICS_PORT": str(worker.port)}
        arguments = [GATEWAY] if gateway else ["worker", worker.stage, "--engine", self.engine]
        worker.process = subprocess.Popen(
            [sys.executable, "-m", "newsmill", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            # A group of its own: Ctrl-C is for this process, which then stops the workers in good order.
            process_group=0,
        )
        worker.started = time.monotonic()
        path = Path(self.settings.state_dir, "workers")
        path.mkdir(exist_ok=True)
        process.record(path / f"{worker.name}.pid", worker.process.pid)

    def _stop_workers(self) -> None:
        running = [worker for worker in self.workers if worker.process is not None]
        for worker in running:
            if worker.process is not None:
                worker.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in running:
            if worker.process is not None:
                try:
                    worker.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    log.warning(
                        "worker %s did not stop in %g s and is killed; nothing is lost", worker.name, STOP_SECONDS
                    )
                    worker.process.kill()
                    worker.process.wait()
            Path(self.settings.state_dir, "workers", f"{worker.name}.pid").unlink(missing_ok=True)

    def _create_topics(self) -> None:
        with topics.admin_client(clients.connection(self.settings)) as admin:
            results = topics.create(admin, topics.declared(self.settings.namespace))
        for result in results:
            if result.outcome == "failed":
                raise ClusterError(f"topic {result.topic} could not be created: {'; '.join(result.details)}")
            if result.outcome == "differs":
                log.warning("topic %s is not as declared: %s", result.topic, "; ".join(result.details))


def _stop_orphans(state: Path) -> bool:
    """Stop workers that an earlier cluster left behind when it was killed. Returns whether there were any."""
    stopped = [process.stop(path, STOP_SECONDS) for path in sorted((state / "workers").glob("*.pid"))]
    return any(stopped)


def down(state: Path) -> list[str]:
    """Stop what runs on the state directory, whoever started it; returns what was stopped."""
    stopped = []
    if process.stop(state / "up.pid", 2 * STOP_SECONDS):
        stopped.append("cluster")
    if _stop_orphans(state):
        stopped.append("workers")
    if stop_recorded(state / "kafka") == "stopped":
        stopped.append("broker")
    return stopped
