"""What a run does while it waits."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from newsmill.replay.archive import ArchiveInput, open_archive
from newsmill.replay.control import Control
from newsmill.replay.fused import Fused, State, Target
from newsmill.replay.pace import Pace
from newsmill.replay.progress import ReplayProgress
from newsmill.settings import Settings
from schemas import topics
from workers.stage import Record


class Nowhere(Target):
    def write(self, *_: object) -> None:
        pass

    def finish(self, *_: object) -> None:
        pass


class Asked(Pace):
    """A pace by which a record is due after a pause."""

    def __init__(self) -> None:
        super().__init__(factor=1.0)
        self.asked = 0
        self.stood = 0.0

    def until_due(self, timestamp_ms: int) -> float:
        self.asked += 1
        return 0.0 if self.stood else 60.0

    def stood_still(self, seconds: float) -> None:
        self.stood += seconds


def test_a_pause_while_a_record_is_not_due_is_a_pause(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"{}\n")
    place = {"digest": "", "ingested_ms": 0}
    monkeypatch.setattr("newsmill.replay.archive.digest", lambda archive: "")
    source = ArchiveInput(open_archive([str(tmp_path)]), topics.RAW, State(archive=place), lambda record: True)
    control, pace = Control(), Asked()
    said: list[str] = []
    control.say = said.append
    chain: Any = SimpleNamespace(runners=())
    run = Fused(
        Settings(),
        "r1",
        chain,
        source,
        Nowhere(),
        state=State(),
        counts={},
        control=control,
        pace=pace,
        progress=ReplayProgress("", 0, quiet=True),
    )
    control._pause.set()
    threading.Timer(0.3, control._pause.clear).start()
    run._wait_until_due(Record(topics.RAW, 0, 0, b"", b"{}", (), 1))
    assert pace.stood > 0
    assert pace.asked < 5, "it does not ask again and again"
    assert said[-1] == "goes on"
