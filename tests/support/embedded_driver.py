"""The embedded engine behind the drivers' interface: one stage, files, a state directory."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import orjson

from newsmill.engines.embedded import EmbeddedEngine, FileSink, logfile
from newsmill.engines.embedded.checkpoint import FILE, Checkpoint, load
from newsmill.engines.result import Output
from newsmill.feed import Document, Position
from newsmill.feed.source import ListSource
from schemas import topics
from tests.support.driver import EngineDriver, Item, Life, OnStep, go_on
from workers.stage import Stage

_INGESTED_MS = 1_000


class EmbeddedDriver(EngineDriver):
    """Runs of `EmbeddedEngine` with one stage. What goes to a topic is kept in a file, with key and headers."""

    name = "embedded"
    steps: ClassVar = ("processed", "written", "synced", "checkpointed", "committed")
    exactly_once = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fed: dict[str, list[Document]] = {}

    def feed(self, topic: str, items: Iterable[Item], partition: int = 0) -> None:
        documents = self._fed.setdefault(topic, [])
        for item in items:
            assert item.key is not None
            assert item.value is not None
            number = len(documents) + 1
            origin = f"{topic}:{number}"
            position = Position(None, number)
            documents.append(Document(item.value, item.key, item.headers, origin, position, len(item.value)))

    def live(
        self,
        stage: Stage,
        *,
        batch_records: int = 500,
        dead_letter_limit: int = 100,
        on_step: OnStep = go_on,
    ) -> Life:
        engine = EmbeddedEngine(
            [stage],
            ListSource(self._fed.get(stage.source, ())),
            {topic: [FileSink(self._file(stage.name, topic), _line)] for topic in (*stage.sinks, topics.DEAD_LETTERS)},
            self._state(stage.name),
            ingested_ms=_INGESTED_MS,
            batch_records=batch_records,
            dead_letter_limit=dead_letter_limit,
            on_step=lambda step: on_step(step, engine.stop),
        )
        try:
            engine.run()
        except BaseException as error:  # noqa: BLE001  (the test looks at it)
            return Life(engine.metrics, error)
        return Life(engine.metrics, None)

    def read(self, topic: str, partition: int = 0) -> list[Item]:
        rows: list[Item] = []
        for state in sorted(self._directory.glob("*-state")):
            checkpoint = load(state)
            assert checkpoint is not None
            file = self._file(state.name.removesuffix("-state"), topic)
            # A careful reader goes no further than the checkpoint says.
            lines = file.read_bytes()[: checkpoint.outputs[str(file)]] if file.exists() else b""
            rows += map(_row, lines.splitlines())
            if topic in checkpoint.logs:
                for entry in logfile.records(state / f"{topic}.log", topic, checkpoint.logs[topic]):
                    rows.append(Item(entry.key, entry.value, entry.headers))
        return rows

    def done(self, stage: Stage) -> int:
        return self._checkpoint(stage).offsets.get(stage.source, 0)

    def rewind(self, stage: Stage) -> None:
        before = self._checkpoint(stage)
        before.offsets[stage.source] = 0
        before.current = None
        (self._state(stage.name) / FILE).write_bytes(msgspec.json.encode(before))

    def snapshots(self) -> Sequence[Path]:
        return ()

    def _checkpoint(self, stage: Stage) -> Checkpoint:
        found = load(self._state(stage.name))
        assert found is not None
        return found

    def _state(self, stage: str) -> Path:
        return self._directory / f"{stage}-state"

    def _file(self, stage: str, topic: str) -> Path:
        return self._directory / f"{stage}-{topic}.rows"


def _line(output: Output) -> bytes:
    headers = [[name, base64.b64encode(value).decode()] for name, value in output.headers]
    key, value = (None if part is None else base64.b64encode(part).decode() for part in (output.key, output.value))
    return orjson.dumps([key, value, headers]) + b"\n"


def _row(line: bytes) -> Item:
    key, value, headers = orjson.loads(line)
    return Item(
        None if key is None else base64.b64decode(key),
        None if value is None else base64.b64decode(value),
        tuple((name, base64.b64decode(text)) for name, text in headers),
    )
