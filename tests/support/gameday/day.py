"""The scene of a game day: a broker, four workers under load, and Prometheus with the project's rules."""

from __future__ import annotations

import contextlib
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from newsmill.local import LocalKafka
from newsmill.settings import Settings
from tests.support import prometheus
from tests.support.chaos.supervisor import Supervisor
from tests.support.gameday import rules
from tests.support.gameday.alerts import Alerts
from tests.support.gameday.load import Load
from workers.pipeline import STAGES

PATIENCE_SECONDS = 120.0


class Day:
    """One game day. Enter `running`; then `tests.support.gameday.deeds` go wrong in it.

    Args:
        settings: of all workers. The topics are there.
        kafka: the broker, for those who stop it.
        where: folder for everything.
        speed: how many times faster than in production the rules run.
        rate: documents a second.
        count: documents until they begin again.
    """

    def __init__(
        self, settings: Settings, kafka: LocalKafka, where: Path, *, speed: float, rate: float, count: int, seed: int
    ) -> None:
        self.settings = settings
        self.kafka = kafka
        self.where = where
        self.speed = speed
        self.ports = {f"{stage}-0": _free_port() for stage in STAGES}
        self.supervisor = Supervisor(
            settings,
            "kafka",
            where,
            program="tests.support.gameday.worker",
            ports=self.ports,
            environment={"GAMEDAY_FOLDER": str(where)},
        )
        self.load = Load(settings, rate, count=count, seed=seed)
        self.server: prometheus.Prometheus
        self.alerts: Alerts

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Have everything at work."""
        config = self.where / "prometheus.yml"
        config.write_text(rules.configuration(self.ports, rules.faster(self.speed, self.where), self.speed))
        with self.supervisor.running(), prometheus.running(config, self.where / "prometheus") as self.server:
            self.alerts = Alerts(self.server)
            try:
                self.until(lambda: self.holds("count(newsmill_ready == 1) == 4"), "all workers are ready")
                self.load.start()
                self.alerts.start()
                yield
            finally:
                if self.load.started:
                    self.load.close()
                    self.alerts.close()

    # -- waiting

    def holds(self, condition: str) -> bool:
        """Return whether a condition in PromQL finds anything now."""
        return bool(self.server.query(condition))

    def until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `condition` holds. Fails after `seconds`, or when a helper has failed."""
        deadline = time.monotonic() + seconds
        while not condition():
            for helper in (self.load, getattr(self, "alerts", None)):
                if helper is not None and helper.error is not None:
                    raise AssertionError(f"{type(helper).__name__} has failed") from helper.error
            assert time.monotonic() < deadline, self._explain(f"waited {seconds:g} s until {what}")
            time.sleep(0.1)

    def stay(self, seconds: float) -> None:
        """Let `seconds` of production time pass."""
        over = time.monotonic() + seconds / self.speed
        self.until(lambda: time.monotonic() >= over, "time has passed", seconds / self.speed + 1)

    def _explain(self, what: str) -> str:
        firing = [f"{found.name} {found.labels}" for found in self.alerts.firing()] if hasattr(self, "alerts") else []
        logs = [f"-- {name}:\n{self.supervisor.tail(name, 1_500)}" for name in self.supervisor.slots]
        return "\n".join([what, f"firing: {firing}", *logs])

    def healthy(self, slot: str) -> bool | None:
        """Return what /healthz of a worker says; None where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[slot]}/healthz", timeout=1):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return None


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
