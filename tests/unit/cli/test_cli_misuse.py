"""Streams that are closed or full, and directories without rights: one line that says what to do, a non-zero status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from newsmill.cli import group
from newsmill.cli.signals import stop_on_signals

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "samples"


def shell(command: str, where: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `command` with `newsmill` defined, as a user types it; the status of a pipe is that of its first part."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
    define = f'newsmill() {{ "{sys.executable}" -m newsmill "$@"; }}; set -o pipefail; '
    return subprocess.run(
        ["bash", "-c", define + command],
        cwd=where,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["settings", f"run {SAMPLES} -q", f"run {SAMPLES} --table", f"explain {SAMPLES}"])
def test_output_that_is_full_is_told(command: str) -> None:
    result = shell(f"newsmill {command} > /dev/full")
    assert result.returncode == 1
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["settings", f"run {SAMPLES} -q"])
def test_a_reader_that_goes_is_no_error_to_tell(command: str) -> None:
    result = shell(f"newsmill {command} | head -c 0")
    assert result.returncode == 1
    assert not result.stderr


def test_output_that_is_closed_is_told_before_anything_is_done(tmp_path: Path) -> None:
    result = shell(f"newsmill run {SAMPLES} --duplicates copies >&-", tmp_path)
    assert result.returncode == 2
    assert "standard output is closed" in result.stderr
    assert not list(tmp_path.iterdir())


def test_input_that_is_closed_is_told_where_it_is_wanted(tmp_path: Path) -> None:
    result = shell("newsmill run - <&-", tmp_path)
    assert result.returncode == 2
    assert "standard input is closed" in result.stderr
    result = shell(f"newsmill run {SAMPLES} -o out.ndjson <&-", tmp_path)
    assert result.returncode == 0
    assert len((tmp_path / "out.ndjson").read_bytes().splitlines()) == 36


def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path) -> None:
    command = f"newsmill run {SAMPLES} --state state -o out.ndjson"
    result = shell(f"ulimit -f 4; {command}", tmp_path)
    assert result.returncode == 1
    assert "run the same command again" in result.stderr
    assert "Traceback" not in result.stderr
    assert shell(command, tmp_path).returncode == 0
    assert shell(f"newsmill run {SAMPLES} -q --state other -o other.ndjson", tmp_path).returncode == 0
    ids = [
        [line.split(b'"id":"')[1][:32] for line in (tmp_path / name).read_bytes().splitlines()]
        for name in ("out.ndjson", "other.ndjson")
    ]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 36


def test_an_error_of_the_system_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/state/one.json")

    monkeypatch.setattr("newsmill.cli.settings.from_environment", refuse)
    result = CliRunner().invoke(group, ["settings"])
    assert result.exit_code == 1
    assert result.stderr == (
        "newsmill: /srv/state/one.json: Permission denied. Run it as the owner, or name another place\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once_and_says_so(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    def stopped_twice(*_: object) -> None:
        with stop_on_signals(lambda: None):
            signal.raise_signal(number)
            signal.raise_signal(number)

    monkeypatch.setattr("newsmill.cli.settings.from_environment", stopped_twice)
    result = CliRunner().invoke(group, ["settings"])
    assert result.exit_code == 128 + number
    assert f"by a second {number.name}" in result.stderr
