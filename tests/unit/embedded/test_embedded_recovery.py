"""Exactly once: a death between any two steps, damaged files, other options, records that kill, a full disk."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from newsmill.engines.embedded import EngineError, StateError, interrupted
from newsmill.engines.embedded import files as engine_files
from newsmill.engines.limit import DeadLetterLimitExceeded
from newsmill.engines.result import KILLED
from newsmill.feed import FileSource, expand
from schemas import topics
from tests.support.driver import Killed
from tests.support.embedded import STEPS, Killer, Run
from tests.support.stages import CountingStage, EchoStage
from workers.stage import StateVersionError

VALUES = [b"a", b"b", b"bad 1", b"a", b"raise 2", b"c", b"a", b"bad 3", b"b", b"d", b"a"]


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    run = Run(tmp_path / "undisturbed")
    run(VALUES)
    return run.files()


def test_the_undisturbed_run_is_as_expected(undisturbed: dict[str, bytes]) -> None:
    counts = [(r["value"], r["count"]) for r in map(json.loads, undisturbed["out.ndjson"].splitlines())]
    assert counts == [("A", 0), ("B", 0), ("A", 1), ("C", 0), ("A", 2), ("B", 1), ("D", 0), ("A", 3)]
    dead = [json.loads(line) for line in undisturbed["dead.ndjson"].splitlines()]
    assert [(d["value"], d["reason"], d["origin"]) for d in dead] == [
        ("bad 1", "bad_value", "test:3"),
        ("raise 2", "stage_raised", "test:5"),
        ("bad 3", "bad_value", "test:8"),
    ]


@pytest.mark.parametrize(("step", "batch"), list(itertools.product(STEPS, (1, 2, 3, 4))))
def test_a_death_at_any_step_leaves_the_same_bytes(
    tmp_path: Path, undisturbed: dict[str, bytes], step: str, batch: int
) -> None:
    run = Run(tmp_path / "killed")
    with pytest.raises(Killed):
        run(VALUES, on_step=Killer(step, batch))
    summary = run(VALUES)
    assert run.files() == undisturbed
    assert summary.resumed
    assert summary.documents == len(VALUES)
    assert sum(summary.outcomes.values()) == len(VALUES) + 8
    assert summary.dead_letters["ingest", "bad_value"] == 2


def test_deaths_at_every_start_leave_the_same_bytes(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    run = Run(tmp_path / "killed")
    for step in ("written", "checkpointed", "synced", "processed", "committed", "checkpointed"):
        with pytest.raises(Killed):
            run(VALUES, on_step=Killer(step, 1))
    run(VALUES)
    assert run.files() == undisturbed


@pytest.mark.parametrize("batch_records", [1, 2, 5, 64])
def test_the_bytes_do_not_depend_on_the_batches(
    tmp_path: Path, undisturbed: dict[str, bytes], batch_records: int
) -> None:
    run = Run(tmp_path / "other")
    run(VALUES, batch_records=batch_records)
    assert run.files()["out.ndjson"] == undisturbed["out.ndjson"]
    origins = [json.loads(line)["origin"] for line in run.files()["dead.ndjson"].splitlines()]
    assert origins == ["test:3", "test:5", "test:8"]


def test_torn_tails_are_cut(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    run = Run(tmp_path / "torn")
    with pytest.raises(Killed):
        run(VALUES, on_step=Killer("checkpointed", 2))
    for path in (run.out, run.dead, run.state / f"{topics.DEDUP_LOG}.log", run.state / "inputs.ndjson"):
        with path.open("ab") as file:
            file.write(b'deadbeef {"offset": 99, "key')
    (run.state / "checkpoint.json.tmp").write_bytes(b'{"format": 1, "fin')
    run(VALUES)
    assert run.files() == undisturbed


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_log_is_told_and_not_believed(tmp_path: Path, damage: str) -> None:
    run = Run(tmp_path)
    run(VALUES)
    log = run.state / f"{topics.DEDUP_LOG}.log"
    data = bytearray(log.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    log.write_bytes(data if damage == "flip" else data[:-1])
    with pytest.raises(StateError, match=r"dedup-log\.log.*--fresh"):
        run(VALUES)


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}', b"\xff"])
def test_a_damaged_checkpoint_is_told(tmp_path: Path, content: bytes) -> None:
    run = Run(tmp_path)
    run(VALUES)
    (run.state / "checkpoint.json").write_bytes(content)
    with pytest.raises(StateError, match=r"checkpoint\.json.*--fresh"):
        run(VALUES)
    run(VALUES, fresh=True)
    assert len(run.out.read_bytes().splitlines()) == 8


def test_a_later_format_of_the_checkpoint_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run(VALUES)
    path = run.state / "checkpoint.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(StateError, match="format 2, this newsmill reads 1"):
        run(VALUES)


def test_an_output_that_was_shortened_stops_an_interrupted_run(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(Killed):
        run(VALUES, on_step=Killer("committed", 2))
    run.out.write_bytes(b"")
    with pytest.raises(StateError, match=r"out\.ndjson holds 0 bytes where the state directory says"):
        run(VALUES)


def test_two_runs_can_not_share_a_state_directory(tmp_path: Path) -> None:
    run = Run(tmp_path)
    messages: list[str] = []

    def second(step: str) -> None:
        if step == "processed" and not messages:
            with pytest.raises(StateError, match="in use by another run") as error:
                run([b"z"])
            messages.append(str(error.value))

    run([b"a"], on_step=second)
    assert str(run.state) in messages[0]
    run([b"a"])  # the lock is gone with its holder


# -- other stages and options


def test_an_interrupted_run_goes_on_with_the_same_version_alone(tmp_path: Path) -> None:
    class Newer(EchoStage):
        version = "1.1.0"

    run = Run(tmp_path)
    with pytest.raises(Killed):
        run(VALUES, on_step=Killer("committed", 1))
    with pytest.raises(StateError, match=r"used ingest 1\.0\.0, this is 1\.1\.0.*--fresh"):
        run(VALUES, stages=[Newer(), CountingStage()])
    run(VALUES)
    summary = run([*VALUES, b"a"], stages=[Newer(), CountingStage()])  # a new run may have a new version
    assert summary.documents == 1


def test_an_interrupted_run_goes_on_with_the_same_options_and_files_alone(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(Killed):
        run(VALUES, options={"window": 7, "x": 1}, on_step=Killer("committed", 1))
    with pytest.raises(StateError, match="other options: window"):
        run(VALUES, options={"window": 8, "x": 1})
    elsewhere = Run(tmp_path)
    elsewhere.out = tmp_path / "elsewhere.ndjson"
    with pytest.raises(StateError, match=r"other files: .*out\.ndjson"):
        elsewhere(VALUES, options={"window": 7, "x": 1})


def test_other_stages_are_refused_also_after_a_finished_run(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run(VALUES, stages=[EchoStage()])
    with pytest.raises(StateError, match="made by the stages ingest, not ingest, dedup"):
        run(VALUES)


def test_state_that_can_not_be_folded_is_told_with_what_to_do(tmp_path: Path) -> None:
    class Other(CountingStage):
        def restore(self, partition, log):  # type: ignore[no-untyped-def]
            raise StateVersionError("entry of v1, this is v2")

    run = Run(tmp_path)
    run(VALUES)
    with pytest.raises(StateError, match=r"state of dedup .* entry of v1, this is v2\. Use another --state"):
        run(VALUES, stages=[EchoStage(), Other()])


def test_the_next_run_knows_what_was_seen(tmp_path: Path) -> None:
    run = Run(tmp_path)
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_text("a")
    second.write_text("a")
    run(FileSource(expand([str(first)]), ingested_ms=1))
    summary = run(FileSource(expand([str(first), str(second)]), ingested_ms=2))
    assert summary.documents == 1
    assert not summary.resumed
    assert [json.loads(line)["count"] for line in run.out.read_bytes().splitlines()] == [0, 1]


def test_the_output_of_a_finished_run_belongs_to_the_user(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run([b"a"])
    run.out.write_bytes(b"mine\n")
    run.dead.unlink()
    run([b"a", b"b"])
    assert run.out.read_bytes() == b'mine\n{"value": "B", "count": 0}\n'
    assert run.dead.exists()


def test_a_file_with_something_in_it_is_not_taken_over(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.out.write_bytes(b"precious\n")
    with pytest.raises(StateError, match=r"out\.ndjson holds something"):
        run([b"a"])
    assert run.out.read_bytes() == b"precious\n"
    run([b"a"], fresh=True)
    assert run.out.read_bytes() == b'{"value": "A", "count": 0}\n'


def test_only_what_is_interrupted_keeps_its_time(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert interrupted(run.state) is None
    with pytest.raises(Killed):
        run(VALUES, on_step=Killer("committed", 1))
    kept = interrupted(run.state)
    assert kept is not None
    assert kept.ingested_ms == 1000
    run(VALUES)
    assert interrupted(run.state) is None


def test_a_stopped_run_goes_on(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    run = Run(tmp_path / "stopped")
    engine = run.engine(VALUES, on_step=lambda step: engine.stop() if step == "written" else None)
    summary = engine.run()
    assert summary.stopped
    assert summary.documents == 3
    assert not run(VALUES).stopped
    assert run.files() == undisturbed


# -- records that kill the process

PROGRAM = """
    import os, sys
    from pathlib import Path
    from tests.support.embedded import Run
    from tests.support.stages import CountingStage, EchoStage

    def die():
        os.kill(os.getpid(), 9)

    values = [b"a", b"b", b"die", b"a", b"c", b"die 2", b"b"]
    print(Run(Path(sys.argv[1]))(values, stages=[EchoStage(die), CountingStage()], batch_records=5).dead_letters)
"""


def test_a_record_that_kills_the_process_is_found_and_set_aside(tmp_path: Path) -> None:
    def start() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)], capture_output=True, text=True, check=False
        )

    run = Run(tmp_path)
    codes = []
    for _ in range(20):
        done = start()
        codes.append(done.returncode)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    # Three die with the batch, the fourth tries alone and dies with the record; the second one is met alone
    # or after three more.
    assert codes[:4] == [-9] * 4
    assert len(codes) <= 10
    values = [(r["value"], r["count"]) for r in map(json.loads, run.out.read_bytes().splitlines())]
    assert values == [("A", 0), ("B", 0), ("A", 1), ("C", 0), ("B", 1)]
    dead = [json.loads(line) for line in run.dead.read_bytes().splitlines()]
    assert [(d["value"], d["reason"]) for d in dead] == [("die", KILLED), ("die 2", KILLED)]


def test_errors_and_stops_are_no_deaths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(EchoStage):
        def process(self, batch):  # type: ignore[no-untyped-def]
            raise SystemError

    run = Run(tmp_path)
    for _ in range(6):
        with pytest.raises(DeadLetterLimitExceeded):
            run([b"a", b"b"], stages=[Broken(), CountingStage()], dead_letter_limit=1)
    tried: list[int] = []

    class Counting(EchoStage):
        def process(self, batch):  # type: ignore[no-untyped-def]
            tried.append(len(batch))
            return super().process(batch)

    run([b"a", b"b"], stages=[Counting(), CountingStage()])
    assert tried == [2]


# -- a full disk


def test_a_full_disk_loses_nothing(
    tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that takes so many bytes and no more, with more room at each start."""
    import errno

    run = Run(tmp_path / "full")
    room = 0
    left = 0

    class Full(engine_files.io.FileIO):  # type: ignore[name-defined,misc]
        def write(self, data):  # type: ignore[no-untyped-def]
            nonlocal left
            if left <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            data = bytes(data)[:left]
            left -= len(data)
            return super().write(data)

    monkeypatch.setattr(engine_files.io, "FileIO", Full)
    failures = 0
    for room in range(0, 40_000, 97):
        left = room
        try:
            run(VALUES)
            break
        except EngineError as error:
            assert "No space left on device. Make room" in str(error)  # noqa: PT017
            failures += 1
    assert failures > 10
    assert run.files() == undisturbed


def test_a_full_disk_is_told_by_the_real_system_too(tmp_path: Path) -> None:
    program = """
        import resource, signal, sys
        from pathlib import Path
        from tests.support.embedded import Run
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        Run(Path(sys.argv[1]))([b"a%d" % i for i in range(500)])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "File too large. Make room" in done.stderr
    run = Run(tmp_path)
    assert run([b"a%d" % i for i in range(500)]).documents == 500
    assert [json.loads(line)["value"] for line in run.out.read_bytes().splitlines()] == [f"A{i}" for i in range(500)]
