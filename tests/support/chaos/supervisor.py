"""Real worker processes, started again when they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from newsmill.settings import PREFIX, Settings
from workers.pipeline import STAGES

ROOT = Path(__file__).resolve().parents[3]
STOP_SECONDS = 60.0
_NOISE = ("Unable connect to node", "Unable to update metadata", "NodeNotReadyError", "No node available for metadata")

Cause = Literal["killed", "asked", "by itself"]


@dataclass(frozen=True, slots=True)
class Exit:
    """One end of a worker: when (monotonic seconds), why, and its status."""

    at: float
    cause: Cause
    status: int


@dataclass(slots=True)
class Slot:
    """A worker's place: its stage, and the instance name that it keeps over restarts."""

    stage: str
    instance: str
    process: subprocess.Popen[bytes] | None = None
    due: float = 0.0
    wanted: bool = True
    killed: bool = False
    starts: int = 0
    exits: list[Exit] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`stage-instance`, which is also the client id of the worker's group membership."""
        return f"{self.stage}-{self.instance}"


class Supervisor:
    """Starts `newsmill worker STAGE` for each slot, and starts it again when it ends: at once if it was killed, after
    a second if it ended by itself.

    Args:
        settings: of all workers; instance and state directory are each slot's own.
        engine: `kafka` or `faust`.
        where: folder for state directories and logs.
        program: module to run in place of `newsmill`.
        ports: port of the metrics, by slot; the others serve none.
        environment: further variables for the workers.
    """

    def __init__(
        self,
        settings: Settings,
        engine: str,
        where: Path,
        *,
        program: str = "newsmill",
        ports: Mapping[str, int] = MappingProxyType({}),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._where = where
        self._program = program
        self._ports = ports
        self._environment = environment
        self._lock = threading.RLock()
        self._over = threading.Event()
        self.slots = {slot.name: slot for slot in (Slot(stage, "0") for stage in STAGES)}

    def log(self, name: str) -> Path:
        """Return the file that the slot's workers log to."""
        return self._where / f"{name}.log"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Have workers running; whatever still runs at the end is killed."""
        thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            for slot in self.slots.values():
                if slot.process is not None and slot.process.poll() is None:
                    slot.process.kill()
                    slot.process.wait()

    def _supervise(self) -> None:
        while not self._over.wait(0.02):
            with self._lock:
                for slot in self.slots.values():
                    self._collect(slot)
                    if slot.process is None and slot.wanted and time.monotonic() >= slot.due:
                        self._start(slot)

    def _collect(self, slot: Slot) -> None:
        if slot.process is None or (status := slot.process.poll()) is None:
            return
        now = time.monotonic()
        cause: Cause = "killed" if slot.killed else "by itself" if slot.wanted else "asked"
        slot.exits.append(Exit(now, cause, status))
        slot.process, slot.killed = None, False
        slot.due = now + (1.0 if cause == "by itself" else 0.0)

    def _start(self, slot: Slot) -> None:
        chosen = {name: str(getattr(self._settings, name)) for name in Settings.__slots__} | {
            "instance": slot.instance,
            "state_dir": str(self._where / f"{slot.name}.state"),
            "metrics_port": str(self._ports.get(slot.name, 0)),
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= self._environment
        environment |= {f"{PREFIX}{name.upper()}": value for name, value in chosen.items()}
        with self.log(slot.name).open("ab") as log:
            slot.process = subprocess.Popen(
                [sys.executable, "-m", self._program, "worker", slot.stage, "--engine", self._engine],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        slot.starts += 1

    def of(self, stage: str) -> list[Slot]:
        """Return the slots of `stage`."""
        return [slot for slot in self.slots.values() if slot.stage == stage]

    def add(self, stage: str, instance: str) -> Slot:
        """Start another worker of `stage`; one that had this name before is started again."""
        with self._lock:
            slot = self.slots.setdefault(f"{stage}-{instance}", Slot(stage, instance))
            slot.wanted = True
            return slot

    def kill(self, slot: Slot, *, again: bool = True) -> float | None:
        """SIGKILL the slot's worker; with `again` it is started again. Returns when (monotonic seconds), None where
        none was running."""
        with self._lock:
            slot.wanted = slot.wanted and again
            if slot.process is None or slot.process.poll() is not None:
                return None
            slot.killed = True
            slot.process.kill()
            at = time.monotonic()
            slot.process.wait()
            return at

    def send(self, slot: Slot, number: signal.Signals) -> None:
        """Send a signal to the slot's worker."""
        with self._lock:
            assert slot.process is not None, f"{slot.name} does not run"
            slot.process.send_signal(number)

    def ask_to_leave(self, *slots: Slot) -> None:
        """SIGTERM to those that run, and wait. Fails when a worker does not end with status 0."""
        with self._lock:
            asked = [slot for slot in slots if slot.process is not None]
            for slot in slots:
                slot.wanted = False
                if slot.process is not None:
                    slot.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for slot in asked:
            while slot.process is not None:
                assert time.monotonic() < deadline, f"{slot.name} does not stop:\n{self.tail(slot.name)}"
                time.sleep(0.05)
            last = slot.exits[-1]
            assert last.status == 0, f"{slot.name} ended with {last}:\n{self.tail(slot.name)}"

    def release(self, slot: Slot) -> None:
        """Start again a worker that was killed for good."""
        with self._lock:
            slot.wanted = True

    def tail(self, name: str, size: int = 3_000) -> str:
        """Return the end of a slot's log, without what a client says over and over while the broker is away."""
        if not self.log(name).exists():
            return ""
        lines = self.log(name).read_text(errors="replace").splitlines(keepends=True)
        return "".join(line for line in lines if not any(noise in line for noise in _NOISE))[-size:]
