"""Several processes give the same bytes as one; a process that dies is told, and the record found."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from newsmill.engines.embedded import EngineError, StagePool
from newsmill.engines.embedded.chain import Chain
from newsmill.engines.embedded.pool import PoolDied, Spread
from newsmill.engines.result import KILLED
from newsmill.metrics import Metrics
from tests.support.embedded import Run
from tests.support.stages import CountingStage, EchoStage
from tests.support.toy_command import load
from workers.stage import Emit, Message, Outcome, Record

VALUES = [b"bad %d" % i if i % 11 == 0 else b"raise %d" % i if i % 37 == 5 else b"v%d" % (i % 9) for i in range(150)]


@pytest.fixture
def pool() -> Iterator[StagePool]:
    pool = StagePool(2, {"ingest": EchoStage})
    yield pool
    pool.close()


def test_two_processes_give_the_bytes_of_one(tmp_path: Path, pool: StagePool) -> None:
    one, two = Run(tmp_path / "1"), Run(tmp_path / "2")
    first = one(VALUES, batch_records=40)
    second = two(VALUES, batch_records=40, pool=pool)
    assert one.files() == two.files()
    assert first.outcomes == second.outcomes
    details = [json.loads(line)["detail"] for line in one.dead.read_bytes().splitlines()]
    assert sum("Traceback" in detail for detail in details) == 4


def test_outcomes_come_in_order_whatever_the_cut(pool: StagePool) -> None:
    stage = Spread(EchoStage(), pool)
    for size in (1, 2, 3, 16, 17, 33, 100):
        batch = [Record("news.raw", 0, i, b"k", b"%d" % i) for i in range(size)]
        assert stage.process(batch) == EchoStage().process(batch)


def test_a_process_that_dies_is_told_and_its_record_is_found(tmp_path: Path) -> None:
    run = Run(tmp_path)
    values = [b"a", b"die", b"b"]

    def start() -> None:
        pool = StagePool(2, {"ingest": _deadly})
        try:
            run(values, stages=[EchoStage(_die_here), CountingStage()], pool=pool)
        finally:
            pool.close()

    for _ in range(3):
        with pytest.raises(EngineError, match="a process of --jobs died"):
            start()
        assert run.out.read_bytes() == b""
    # Now records are tried in the main process, one at a time; here, dying there is an exception.
    with pytest.raises(_Died):
        start()
    start()
    assert [json.loads(line)["value"] for line in run.out.read_bytes().splitlines()] == ["A", "B"]
    assert [json.loads(line)["reason"] for line in run.dead.read_bytes().splitlines()] == [KILLED]


class _Died(BaseException):
    pass


def _die_here() -> None:
    raise _Died


def _deadly() -> EchoStage:
    stage = load("ingest")
    assert isinstance(stage, EchoStage)
    return stage


class _Preparing(CountingStage):
    """Reads news.raw; its state is the main process's, what it prepares is made elsewhere."""

    name = "ingest"
    source = "news.raw"
    sinks = ("news.articles",)
    heavy_prepare = True

    def prepare(self, record: Record) -> tuple[int, bytes]:
        value = record.value or b""
        if value.startswith(b"raise"):
            raise ValueError(f"cannot prepare {value!r}")
        return os.getpid(), value

    def process(self, batch: Sequence[Record]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for record in batch:
            place, value = record.prepared or self.prepare(record)
            note = "elsewhere" if place != os.getpid() else "here"
            outcomes.append(Emit("unique", (Message("news.articles", b"k", value),), notes=(note,)))
        return outcomes


def _prepared(pool: StagePool, values: list[bytes]) -> tuple[list[bytes], Counter[str]]:
    stage = _Preparing()
    chain = Chain([stage], Metrics(), dead_letter_limit=100, pool=pool)
    batch = chain.run([Record("news.raw", 0, i, b"k", value) for i, value in enumerate(values)], {})
    result = batch.results[0][1]
    return [output.value or b"" for output in result.outputs if output.topic == "news.articles"], result.notes


def test_a_stage_with_state_prepares_in_the_pool() -> None:
    pool = StagePool(2, {"ingest": _Preparing})
    try:
        assert _prepared(pool, [b"a", b"b", b"c"]) == ([b"a", b"b", b"c"], {"elsewhere": 3})
        # One that raises is met again here, and is the only one that is refused.
        assert _prepared(pool, [b"a", b"raise", b"c"]) == ([b"a", b"c"], {"here": 2})
    finally:
        pool.close()


def test_a_process_that_dies_while_it_prepares_is_told() -> None:
    pool = StagePool(2, {"ingest": _dying})
    try:
        with pytest.raises(PoolDied):
            _prepared(pool, [b"a", b"b"])
    finally:
        pool.close()


def _dying() -> _Preparing:
    os._exit(1)
