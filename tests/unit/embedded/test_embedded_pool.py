"""Several processes give the same bytes as one; a process that dies is told, and the record found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsmill.engines.embedded import EngineError, StagePool
from newsmill.engines.embedded.pool import Spread
from newsmill.engines.result import KILLED
from tests.support.embedded import Run
from tests.support.stages import CountingStage, EchoStage
from tests.support.toy_command import load
from workers.stage import Record

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
