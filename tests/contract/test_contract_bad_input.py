"""The table of bad input through the embedded engine as a whole: an article or a dead letter, and no crash."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from schemas import topics
from tests.cases.bad_input import CASES, Case
from tests.support.bad_input_run import digest, kept

REPOSITORY = Path(__file__).resolve().parents[2]
MEMORY_BYTES: Final = 512 * 1024**2
"""How far the process may grow beyond its stages. The largest document is 50 MB, and a batch is up to 16 MiB."""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.bad_input_run", str(MEMORY_BYTES)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_nothing_is_lost_nothing_is_doubled_and_memory_is_bounded(lines: list[dict[str, Any]]) -> None:
    *outcomes, last = lines
    assert sorted(outcome["case"] for outcome in outcomes) == sorted(case.name for case in CASES)
    assert last["peak"] < MEMORY_BYTES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_bad_input_becomes_an_article_or_a_dead_letter_with_its_bytes(
    case: Case, lines: list[dict[str, Any]]
) -> None:
    (outcome,) = (outcome for outcome in lines if outcome.get("case") == case.name)
    if case.expected == "article":
        assert outcome["topic"] in (topics.CLASSIFIED, topics.DUPLICATES), outcome["reason"]
        return
    assert (outcome["topic"], outcome["reason"]) == (topics.DEAD_LETTERS, case.expected)
    assert outcome["key"] == f"key {CASES.index(case)}"
    assert outcome["value"] == digest(kept(case))
