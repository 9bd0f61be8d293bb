from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cases.golden_ingest import GOLDEN, outcomes
from workers.ingest import IngestStage
from workers.ingest.stage import VERSION


def test_output_changes_only_with_the_version(stage: IngestStage) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    declared = golden["version"].split("+")[0]
    assert declared == VERSION, "the version was raised: write the record anew, as tests/cases/golden_ingest.py says"
    found = outcomes(stage)
    if found != golden["outcomes"] and golden["version"] != stage.version:
        pytest.skip(f"the record is of {golden['version']}; here other libraries make it {stage.version}")
    assert found == golden["outcomes"], "output has changed: raise VERSION in workers/ingest/stage.py"


def test_output_does_not_depend_on_the_hash_seed() -> None:
    program = (
        "import json; from tests.cases.golden_ingest import outcomes; from workers.ingest import IngestStage;"
        "print(json.dumps(outcomes(IngestStage.load())))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=GOLDEN.parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
