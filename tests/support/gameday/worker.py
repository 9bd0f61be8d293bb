"""The command `newsmill` whose stages break on demand: python -m tests.support.gameday.worker worker entities.

A document breaks the stage that a marker in it names: `raise in entities` has it raise, `hang in entities` has it never
come back. The file `slow-STAGE` in the folder GAMEDAY_FOLDER holds how many records a second the stage may do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from newsmill.cli import main
from workers import pipeline
from workers.stage import Outcome, Record, Stage

FOLDER = Path(os.environ.get("GAMEDAY_FOLDER", "."))
FOR_EVER_SECONDS = 24 * 3600.0

_load = pipeline.load


def load(name: str, options: pipeline.StageOptions | None = None) -> Stage:
    """Return the real stage called `name`, breakable."""
    stage = _load(name, options)
    process = stage.process
    raises, hangs = f"raise in {name}".encode(), f"hang in {name}".encode()

    def breakable(batch: Sequence[Record]) -> Sequence[Outcome]:
        for record in batch:
            value = record.value or b""
            if raises in value:
                raise RuntimeError(f"cannot digest {record.topic}/{record.partition}/{record.offset}")
            if hangs in value:
                time.sleep(FOR_EVER_SECONDS)
        if (slow := FOLDER / f"slow-{name}").exists():
            time.sleep(len(batch) / float(slow.read_text()))
        return process(batch)

    stage.process = breakable  # type: ignore[method-assign]
    return stage


if __name__ == "__main__":
    pipeline.load = load
    main()
