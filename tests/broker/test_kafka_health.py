"""What a worker says of itself when its stage never comes back from a batch."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from newsmill.health import Health
from schemas import topics
from tests.support.kafka import PATIENCE, Place, Running
from tests.support.stages import EchoStage
from workers.stage import Outcome, Record

pytestmark = pytest.mark.broker


class _Hanging(EchoStage):
    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        self.go_on.wait(PATIENCE)
        return super().process(batch)


def test_a_stage_that_hangs_on_its_first_record_makes_its_worker_unhealthy(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.RAW, [b"a"])
    stage = _Hanging()
    worker = Running(stage, dataclasses.replace(where.settings, stall_s=1.0))
    health: Health = worker.engine.health
    deadline = time.monotonic() + PATIENCE
    while not health.problem():
        assert time.monotonic() < deadline
        Running.check()
        time.sleep(0.05)
    assert "nothing has moved" in health.problem()
    stage.go_on.set()
    where.wait_for(topics.ARTICLES, 1)
    while health.problem():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.stop()
