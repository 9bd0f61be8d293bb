from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from newsmill.local import process, stop_recorded
from newsmill.local.kafka import pid_file


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen([sys.executable, "-c", "print(flush=True); import time; time.sleep(600)"], stdout=-1)
    assert running.stdout is not None
    running.stdout.readline()
    yield running
    running.kill()
    running.communicate()


def test_a_running_process_is_found_and_stopped(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    path = pid_file(tmp_path)
    process.record(path, sleeper.pid)
    assert process.recorded(path) == sleeper.pid
    assert stop_recorded(tmp_path, timeout=20) == "stopped"
    assert sleeper.wait() == -15
    assert not path.exists()


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        process.record(pid_file(tmp_path), deaf.pid)
        assert stop_recorded(tmp_path, timeout=0.3) == "stopped"
        assert deaf.wait() == -9


def test_another_process_under_the_same_id_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    path = pid_file(tmp_path)
    path.write_bytes(orjson.dumps({"pid": sleeper.pid, "started": "an earlier boot/12345"}))
    assert process.recorded(path) is None
    assert stop_recorded(tmp_path) == "not running"
    assert sleeper.poll() is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"1", b"{}", b'{"pid": 0, "started": "x"}', b'{"pid": -1, "started": "x"}', b'{"pid": "1"}'],
)
def test_a_damaged_file_names_nobody(tmp_path: Path, content: bytes) -> None:
    path = pid_file(tmp_path)
    path.write_bytes(content)
    assert process.recorded(path) is None
    assert stop_recorded(tmp_path) == "not running"


def test_a_missing_file_names_nobody(tmp_path: Path) -> None:
    assert stop_recorded(tmp_path) == "not running"


def test_a_process_without_a_start_is_not_recorded_as_anybody(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    path = pid_file(tmp_path)
    process.record(path, gone.pid)
    assert process.recorded(path) is None


def test_an_ended_process_that_nobody_has_collected_does_not_run(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as zombie:
        assert zombie.stdout is not None
        zombie.stdout.read()
        # The output is closed a moment before the process ends; WNOWAIT waits for that without collecting it.
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert process.started(zombie.pid) is None


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="ps is not here")
def test_ps_tells_processes_apart_where_there_is_no_proc(sleeper: subprocess.Popen[bytes]) -> None:
    first = process._started_from_ps(sleeper.pid)
    assert first
    assert process._started_from_ps(sleeper.pid) == first
    assert process._started_from_ps(2**22 + 1) is None
