"""A bounded run of each fuzz target; the long ones are `make fuzz`."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
RUNS = {"ingest": 1_500, "webfeed": 1_500}
"""Inputs to try, where one takes about a millisecond; the others' take a tenth."""

needs_atheris = pytest.mark.skipif(find_spec("atheris") is None, reason="Atheris has no wheel for this machine")


def fuzz(target: str, runs: int, folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tests.fuzz", target, "--runs", str(runs), "--artifacts", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=False)


@needs_atheris
@pytest.mark.parametrize("target", sorted({*TARGETS} - {"planted"}))
def test_nothing_but_refusals_comes_of_any_bytes(target: str, tmp_path: Path) -> None:
    done = fuzz(target, RUNS.get(target, 10_000), tmp_path)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-4_000:]
    assert b"Done " in done.stderr


@needs_atheris
def test_a_planted_error_is_found_and_kept(tmp_path: Path) -> None:
    done = fuzz("planted", 200_000, tmp_path)
    assert done.returncode != 0
    assert b"planted, to see that it is found" in done.stdout + done.stderr
    assert [path.read_bytes()[:3] for path in tmp_path.iterdir()] == [b"fat"]
