from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workers.ingest import IngestStage
from workers.stage import Record, Reject

INGESTED_MS = 1_795_500_000_000  # 2026-11-24T06:00:00Z
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def stage() -> IngestStage:
    return IngestStage.load()


@pytest.fixture(scope="session")
def article(stage: IngestStage) -> Callable[..., dict[str, Any]]:
    """Fields or bytes in, the article's JSON out; fails the test when the document is refused."""

    def make(value: bytes | None = None, headers: tuple[tuple[str, bytes], ...] = (), **fields: Any) -> dict[str, Any]:
        raw = value if value is not None else json.dumps(fields).encode()
        record = Record("news.raw", 0, 0, None, raw, headers, INGESTED_MS)
        (outcome,) = stage.process([record])
        assert not isinstance(outcome, Reject), outcome
        found: dict[str, Any] = json.loads(outcome.messages[0].value)
        assert outcome.messages[0].key.decode() == found["id"]
        return found

    return make


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with data that is measured on and not part of the repository."""
    folder = Path(os.environ.get("NEWSMILL_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; NEWSMILL_SHARED names another folder")
    return folder
