"""What the commands that rebuild the state of a stage have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator

from newsmill.settings import from_environment
from newsmill.worker import stage_options


def rebuilt(name: str, state_dir: str | None) -> Iterator[tuple[int, int, int, int]]:
    """Rebuild the state of the stage `name`, partition by partition, and write a snapshot of each.

    Yields (partition, entries in the state, entries learnt anew, entries whose input is gone). Raises RestoreError.
    """
    from newsmill.engines.broker.restore import LogTail, log_partitions
    from workers import pipeline
    from workers.stage import StatefulStage

    settings = from_environment(os.environ, state_dir=state_dir)
    stage = pipeline.load(name, stage_options(settings))
    if not isinstance(stage, StatefulStage):
        raise TypeError(f"{name} has no state")
    for partition in log_partitions(settings, stage):
        anew, gone = LogTail(settings, stage, partition).rebuild()
        yield partition, stage.state_size()[0], anew, gone
        stage.forget(partition)
