"""Parts of the faust engine that need no broker."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from newsmill.engines.broker.marks import Marks
from newsmill.engines.broker.partitions import Partition, cut
from newsmill.engines.faust_engine import apps
from newsmill.engines.faust_engine.app import credentials, make_app
from newsmill.engines.faust_engine.batches import BatchLoop, to_record
from newsmill.engines.faust_engine.errors import StuckError
from newsmill.engines.faust_engine.inbox import OVERHEAD_BYTES, Inbox, size
from newsmill.engines.runner import Runner
from newsmill.health import Health
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from tests.support.stages import EchoStage
from workers import pipeline

HERE = TP("news.raw", 0)


def message(offset: int, value: bytes = b"", **other: Any) -> Any:
    return SimpleNamespace(tp=HERE, offset=offset, key=None, value=value, **other)


def cut_here(messages: list[Any], partition: Partition, most_bytes: int) -> list[list[Any]]:
    return cut(((m.tp, m) for m in messages), {HERE: partition}, most_bytes, lambda m: int(m.offset), size)


def mark_start(partition: Partition, first: int, records: int) -> bool:
    """Mark a start as an engine does: ask, commit, note. Returns whether a mark was due."""
    marks = partition.start_mark(first)
    if marks is not None:
        partition.marked(marks, first if partition.committed is None else partition.committed, records)
    return marks is not None


def offsets(batches: list[list[Any]]) -> list[list[int]]:
    return [[message.offset for message in batch] for batch in batches]


def test_batches_are_cut_by_bytes() -> None:
    messages = [message(0, b"x" * 60), message(1, b"x" * 60), message(2, b"x" * 500), message(3)]
    partition = Partition(None, Marks())
    assert offsets(cut_here(messages, partition, 2 * (60 + OVERHEAD_BYTES))) == [[0, 1], [2], [3]]


def test_records_that_are_tried_alone_are_batches_of_their_own() -> None:
    messages = [message(offset) for offset in range(10, 16)]
    careful = Partition(10, Marks(starts=3), careful=2)
    assert offsets(cut_here(messages, careful, 10_000)) == [[10], [11], [12, 13, 14, 15]]
    trying = Partition(10, Marks(trying=12))
    assert offsets(cut_here(messages, trying, 10_000)) == [[10, 11], [12], [13, 14, 15]]


def test_a_start_is_marked_once_and_a_lone_record_each_time() -> None:
    fresh = Partition(None, Marks())
    assert mark_start(fresh, 7, 3)
    assert fresh.marks.starts == 1
    assert not mark_start(fresh, 10, 3)
    careful = Partition(7, Marks(starts=3), careful=2)
    assert mark_start(careful, 7, 1)
    assert mark_start(careful, 8, 1)
    assert careful.marks.trying == 8
    careful.durable(9, "")
    assert careful.marks == Marks()
    assert not mark_start(careful, 9, 1)


def test_a_mark_that_was_not_committed_is_due_again() -> None:
    fresh = Partition(None, Marks())
    assert fresh.start_mark(7) == fresh.start_mark(7) == Marks(starts=1)
    alone = Partition(7, Marks(starts=3), careful=2)
    assert alone.start_mark(7) == alone.start_mark(7) == Marks(starts=3, trying=7)


def test_only_a_new_worker_takes_a_record_for_deadly() -> None:
    found = Partition(7, Marks(starts=3, trying=7))
    assert found.deadly(7)
    assert not found.deadly(8)
    found.durable(8, "")
    own = Partition(7, Marks(starts=3), careful=5)
    mark_start(own, 7, 1)
    assert not own.deadly(7)


def test_the_inbox_lets_in_two_batches_by_count_and_by_bytes() -> None:
    async def admitted(inbox: Inbox, value: bytes) -> int:
        for count in range(100):
            try:
                async with asyncio.timeout(0.01):
                    await inbox.admit(message(count, value))
            except TimeoutError:
                return count
        return 100

    async def run() -> tuple[int, int, int]:
        by_count = await admitted(Inbox(5, 1_000_000), b"")
        by_bytes = await admitted(Inbox(1_000, 1_000), b"x" * (500 - OVERHEAD_BYTES))
        alone = await admitted(Inbox(1_000, 1_000), b"x" * 5_000)
        return by_count, by_bytes, alone

    assert asyncio.run(run()) == (10, 4, 1)


def test_the_inbox_gives_out_a_batch_at_a_time_and_makes_room() -> None:
    async def run() -> None:
        inbox = Inbox(3, 1_000_000)
        for offset in range(5):
            await inbox.admit(message(offset))
            await inbox.put(message(offset))
        assert [m.offset for m in await inbox.gather(10, 10)] == [0, 1, 2]
        await inbox.wake()
        assert [m.offset for m in await inbox.gather(10, 10)] == [3, 4]
        await inbox.put(message(5))
        await inbox.clear()
        assert await inbox.gather(0.01, 0.01) == []

    asyncio.run(run())


def test_a_message_keeps_its_bytes_and_its_time() -> None:
    record = to_record(
        message(
            3, b"\xff", topic="news.raw", partition=0, timestamp=1732444444.123, headers=(("a", b"\x00"), ("a", None))
        )
    )
    assert (record.offset, record.value, record.timestamp_ms) == (3, b"\xff", 1732444444123)
    assert record.headers == (("a", b"\x00"), ("a", b""))


def test_security_settings_become_credentials() -> None:
    assert credentials(Settings()) is None
    tls = credentials(Settings(security_protocol="SSL"))
    assert isinstance(tls, faust.SSLCredentials)
    assert tls.context.verify_mode == ssl.CERT_REQUIRED
    assert tls.context.check_hostname
    plain = credentials(
        Settings(
            security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512", sasl_username="u", sasl_password="p"
        )
    )
    assert (plain.protocol.value, plain.mechanism.value) == ("SASL_PLAINTEXT", "SCRAM-SHA-512")
    assert (plain.username, plain.password) == ("u", "p")
    both = credentials(Settings(security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="u"))
    assert both.protocol.value == "SASL_SSL"
    assert both.ssl_context.verify_mode == ssl.CERT_REQUIRED
    ticket = credentials(Settings(security_protocol="SASL_SSL", sasl_mechanism="GSSAPI"))
    assert (ticket.protocol.value, ticket.mechanism.value) == ("SASL_SSL", "GSSAPI")


def test_the_app_reads_no_settings_but_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_URL", "kafka://elsewhere:1")
    monkeypatch.setenv("WEB_ENABLED", "true")
    app = make_app(Settings(bootstrap="one:1, two:2", namespace="t."), "ingest")
    assert [str(url) for url in app.conf.broker] == ["kafka://one:1", "kafka://two:2"]
    assert app.conf.id == "t.newsmill.ingest"
    assert not app.conf.web_enabled


def test_each_stage_is_an_app_made_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str, options: pipeline.StageOptions) -> EchoStage:
        loaded.append(name)
        return EchoStage()

    monkeypatch.setattr(pipeline, "load", load)
    monkeypatch.setenv("NEWSMILL_NAMESPACE", "t.")
    monkeypatch.delenv("NEWSMILL_SHARED", raising=False)  # of tests alone
    for name in pipeline.STAGES:
        monkeypatch.delitem(vars(apps), name, raising=False)
    assert apps.ingest is apps.ingest
    monkeypatch.delitem(vars(apps), "ingest")
    assert loaded == ["ingest"]
    with pytest.raises(AttributeError):
        _ = apps.nothing


def test_importing_the_apps_loads_no_stage_and_makes_nothing(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    code = "import sys, newsmill.engines.faust_engine.apps; print([m for m in sys.modules if m.startswith('workers.')])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "NEWSMILL_NONSENSE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['workers.stage', 'workers.pipeline']"
    assert list(tmp_path.iterdir()) == []


class Waiting:
    """Measures what waits, as `Lag` does."""

    def __init__(self, *waiting: int | Exception) -> None:
        self.waiting = list(waiting)

    async def measure_faust(self, thread: Any, done: Any) -> int:
        found = self.waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def looked_around(*waiting: int | Exception, patience_s: float = 0.0) -> None:
    """Have a loop look around whenever nothing has come, `waiting` records being there to come each time."""
    app = SimpleNamespace(consumer=SimpleNamespace(thread=SimpleNamespace(position_behind=lambda tp, done: done)))
    settings = dataclasses.replace(Settings(), commit_timeout_s=patience_s)
    loop = BatchLoop(app, Runner(EchoStage(), Metrics()), settings, Metrics(), Health(60), lambda step: None)
    loop._partitions[HERE] = Partition(7, Marks())
    loop._lag = Waiting(*waiting)  # type: ignore[assignment]  # stands in for Lag

    async def run() -> None:
        for _ in waiting:
            await loop._look_around()

    asyncio.run(run())


def test_a_worker_to_which_faust_hands_nothing_over_ends() -> None:
    with pytest.raises(StuckError, match="4 records wait"):
        looked_around(0, 4)


def test_one_that_may_wait_goes_on() -> None:
    looked_around(4, 4, patience_s=3_600)
    looked_around(0, 0)
    looked_around(KafkaConnectionError("away"), KafkaConnectionError("away"))
