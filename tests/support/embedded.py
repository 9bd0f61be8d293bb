"""Running the embedded engine on toy stages: a run into files, and a way to kill it at a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from newsmill.engines.embedded import EmbeddedEngine, FileSink, RunSummary, dead_letter_line, value_line
from newsmill.feed import Document, Position, Source
from schemas import headers as h
from schemas import topics
from tests.support.driver import Killed
from tests.support.stages import CountingStage, EchoStage
from workers.stage import Stage

STEPS = ("processed", "written", "synced", "checkpointed", "committed")


class Killer:
    """Raises Killed at the given step of the given batch (from 1)."""

    def __init__(self, step: str, batch: int) -> None:
        self._step = step
        self._left = batch

    def __call__(self, step: str) -> None:
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                raise Killed


def documents(values: Iterable[bytes]) -> list[Document]:
    return [
        Document(
            value,
            b"key",
            ((h.ORIGIN, b"test:%d" % line), (h.INGESTED_AT, b"1000")),
            f"test:{line}",
            Position(None, line),
            len(value),
        )
        for line, value in enumerate(values, 1)
    ]


class Run:
    """Runs of the two toy stages with files and state in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.out = directory / "out.ndjson"
        self.dead = directory / "dead.ndjson"
        self.state = directory / "state"

    def engine(
        self,
        source: Source | Sequence[bytes],
        *,
        stages: Sequence[Stage] | None = None,
        on_step: Callable[[str], None] | None = None,
        batch_records: int = 3,
        **more: Any,
    ) -> EmbeddedEngine:
        if on_step is not None:
            more["on_step"] = on_step
        return EmbeddedEngine(
            stages or [EchoStage(), CountingStage()],
            source if isinstance(source, Source) else documents(source),
            {
                topics.UNIQUE: [FileSink(self.out, value_line)],
                topics.DEAD_LETTERS: [FileSink(self.dead, dead_letter_line)],
            },
            more.pop("state_dir", self.state),
            ingested_ms=1000,
            batch_records=batch_records,
            **more,
        )

    def __call__(self, source: Source | Sequence[bytes], **more: Any) -> RunSummary:
        return self.engine(source, **more).run()

    def files(self) -> dict[str, bytes]:
        """Return everything that must be the same after a crash as without one."""
        return {path.name: path.read_bytes() for path in (self.out, self.dead, self.state / f"{topics.DEDUP_LOG}.log")}
