"""Toy stages as Faust workers in processes of their own, for tests.

    python -m tests.support.faust_worker     as `newsmill worker --engine faust` would
    faust -A tests.support.faust_worker worker

TOY_STAGE is `echo` or `counting`. At the step TOY_DIE_AT of a batch the process ends at once, as if killed; a record
that begins with `die` ends it while the stage runs.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from newsmill.engines.faust_engine import FaustEngine
from newsmill.metrics import Metrics
from newsmill.settings import from_environment
from tests.support.stages import CountingStage, EchoStage
from workers.stage import Stage


def _die() -> None:
    os._exit(9)


def _step(step: str) -> None:
    if step == os.environ.get("TOY_DIE_AT"):
        _die()
    if step == "processed":
        time.sleep(float(os.environ.get("TOY_SLEEP", "0")))


def make() -> FaustEngine:
    """Return the engine that the environment describes."""
    stage: Stage = CountingStage() if os.environ.get("TOY_STAGE") == "counting" else EchoStage(_die)
    return FaustEngine(stage, from_environment(os.environ), Metrics(), on_step=_step)


def __getattr__(name: str) -> Any:
    if name == "app":
        return make().app
    raise AttributeError(name)


if __name__ == "__main__":
    engine = make()
    signal.signal(signal.SIGTERM, lambda *_: engine.stop())
    engine.run()
