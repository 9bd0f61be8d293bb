"""`newsmill status` on a real Kafka."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from newsmill.settings import Settings
from schemas import topics
from tests.support.kafka import Place, Running
from tests.support.stages import EchoStage

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]


def _status(settings: Settings, *arguments: str) -> tuple[int, dict[str, Any], str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
    place = {"NEWSMILL_BOOTSTRAP": settings.bootstrap, "NEWSMILL_NAMESPACE": settings.namespace}
    done = subprocess.run(
        # An address where nobody listens: workers that happen to run on this machine are not this test's.
        [sys.executable, "-m", "newsmill", "status", "--json", *arguments],
        cwd=ROOT,
        env=own | place | {"NEWSMILL_METRICS_HOST": "127.9.9.9"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_it_tells_what_waits_who_works_and_what_is_wrong(place: Callable[..., Place]) -> None:
    where = place(raw=2)
    where.feed(topics.RAW, [b"a", b"bad b", b"c"])
    code, found, said = _status(where.settings)
    assert found, said
    assert code == 1
    assert [problem["text"] for problem in found["problems"]] == ["no worker runs, and input waits"]

    worker = Running(EchoStage(), where.settings)
    where.wait_for(topics.ARTICLES, 2)
    code, found, _ = _status(where.settings)
    worker.stop()
    # What ingest has made waits for dedup now.
    assert [(problem["stage"], problem["text"]) for problem in found["problems"]] == [
        ("dedup", "no worker runs, and input waits")
    ]
    ingest = found["stages"][0]
    assert ingest["group"]["state"] == "Stable"
    assert ingest["group"]["members"] == ["ingest-0"]
    assert {line["member"] for line in ingest["group"]["partitions"]} == {"ingest-0"}
    assert all(line["end"] == (line["committed"] or 0) for line in ingest["group"]["partitions"])
    assert found["dead_letters"][0] >= 1


def test_a_worker_that_was_named_and_does_not_answer_is_a_problem(place: Callable[..., Place]) -> None:
    code, found, _ = _status(place().settings, "--worker", "http://127.0.0.1:1")
    assert code == 1
    assert "http://127.0.0.1:1 does not answer" in found["problems"][0]["text"]


def test_no_broker_is_one_line_that_says_what_to_do() -> None:
    code, _, said = _status(Settings(bootstrap="127.0.0.1:1", namespace="x."))
    assert code == 1
    assert "NEWSMILL_BOOTSTRAP" in said
    assert "Traceback" not in said
