"""The command `newsmill` with toy stages, for tests that start it as a program: python -m tests.support.toy_command."""

from __future__ import annotations

import os
import signal
import time

from newsmill.cli import main
from tests.support.stages import CountingStage, EchoStage
from workers import pipeline
from workers.stage import Stage


class SlowStage(EchoStage):
    """Takes 50 ms a batch, so that a signal finds it at work."""

    def process(self, batch):  # type: ignore[no-untyped-def]
        time.sleep(0.05)
        return super().process(batch)


def load(name: str, options: pipeline.StageOptions | None = None) -> Stage:
    """Return a toy stage; `die` in a document ends the process that works on it, as a crash in native code would."""
    if name == "dedup":
        return CountingStage()
    return SlowStage() if os.environ.get("TOY_SLOW") else EchoStage(lambda: os.kill(os.getpid(), signal.SIGKILL))


if __name__ == "__main__":
    pipeline.load = load
    main()
