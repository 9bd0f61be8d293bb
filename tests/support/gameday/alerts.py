"""Which alerts fire, since when, and until when: asked of Prometheus all the time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from tests.support.background import Background
from tests.support.prometheus import Prometheus

EVERY_SECONDS = 0.5


@dataclass(slots=True)
class Firing:
    """One alert that fired. Times are seconds since the Unix epoch; `until` is None while it fires."""

    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    since: float
    until: float | None = None


class Alerts(Background):
    """Asks on a thread of its own, and keeps every alert that has fired, in order."""

    def __init__(self, server: Prometheus) -> None:
        super().__init__()
        self._server = server
        self._lock = threading.Lock()
        self._fired: list[Firing] = []

    def work(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            alerts = self._server.get("alerts")["alerts"]
            self._note([alert for alert in alerts if alert["state"] == "firing"], time.time())

    def _note(self, firing: list[dict[str, Any]], now: float) -> None:
        with self._lock:
            going_on = {_key(f.labels): f for f in self._fired if f.until is None}
            for alert in firing:
                if going_on.pop(_key(alert["labels"]), None) is None:
                    self._fired.append(Firing(alert["labels"]["alertname"], alert["labels"], alert["annotations"], now))
            for gone in going_on.values():
                gone.until = now

    def fired(self, since: float = 0.0) -> list[Firing]:
        """Return what began to fire after `since`."""
        with self._lock:
            return [found for found in self._fired if found.since >= since]

    def firing(self) -> list[Firing]:
        """Return what fires now."""
        with self._lock:
            return [found for found in self._fired if found.until is None]


def _key(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))
