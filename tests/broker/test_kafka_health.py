"""What a worker says of itself when its stage never comes back from a batch."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import pytest

from newsmill.health import Health
from schemas import topics
from tests.support.kafka import PATIENCE, Place, Running
from tests.support.stages import HangingStage

pytestmark = pytest.mark.broker


def test_a_stage_that_hangs_on_its_first_record_makes_its_worker_unhealthy(place: Callable[..., Place]) -> None:
    where = place()
    where.feed(topics.RAW, [b"a"])
    stage = HangingStage()
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
