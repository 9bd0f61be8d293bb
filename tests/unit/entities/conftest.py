"""What the tests of the entities stage share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schemas.codec import encode
from schemas.messages import UniqueArticle
from workers.entities import EntitiesStage, load
from workers.stage import Record


@pytest.fixture(scope="session")
def stage() -> EntitiesStage:
    return load()


@pytest.fixture
def shared() -> Path:
    """The folder of data that is not part of the repository."""
    repository = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("NEWSMILL_SHARED", repository.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (set NEWSMILL_SHARED)")
    return folder


@pytest.fixture
def article():
    """Make a valid UniqueArticle from a few fields."""

    def make(headline: str, body: str, language: str = "en", **fields: object) -> UniqueArticle:
        from datetime import UTC, datetime

        values = {
            "id": "0" * 32,
            "source": "the lantern",
            "headline": headline,
            "body": body,
            "language": language,
            "language_confidence": 0.9,
            "word_count": len(body.split()),
            "content_hash": "1" * 32,
            "ingested_at": datetime(2026, 11, 24, 8, 0, tzinfo=UTC),
            "processing": {"ingest": "1", "dedup": "1"},
            "verdict": "unique",
            "revision": 1,
            "cluster_id": "0" * 32,
        }
        return UniqueArticle(**(values | fields))

    return make


@pytest.fixture
def record():
    """Make an input record from an article, or from bytes."""

    def make(value: UniqueArticle | bytes | None, offset: int = 0) -> Record:
        data = encode(value) if isinstance(value, UniqueArticle) else value
        key = value.id.encode() if isinstance(value, UniqueArticle) else b"k"
        return Record("news.unique", 0, offset, key, data)

    return make
