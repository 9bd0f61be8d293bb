import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import encode
from schemas.keys import digest
from schemas.messages import Entities, Entity, EntityLink, Mention, TaggedArticle
from workers.classify import ClassifyStage, load
from workers.stage import Record

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def classify_data() -> Path:
    return REPOSITORY / "tests/data/classify"


@pytest.fixture
def shared() -> Path:
    """The folder of data that is not part of the project: NEWSMILL_SHARED, else beside the repository."""
    folder = Path(os.environ.get("NEWSMILL_SHARED") or REPOSITORY.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}")
    return folder


@pytest.fixture(scope="session")
def stage() -> ClassifyStage:
    return load()


@pytest.fixture(scope="session")
def articles(classify_data: Path) -> dict[str, dict[str, Any]]:
    """Articles of ours that no model was trained on, by name."""
    found: list[dict[str, Any]] = json.loads((classify_data / "articles.json").read_text("utf-8"))["articles"]
    return {item["name"]: item for item in found}


@pytest.fixture(scope="session")
def tagged() -> Callable[..., TaggedArticle]:
    def make(headline: str, body: str, language: str = "en") -> TaggedArticle:
        id = digest(headline, body)
        return TaggedArticle(
            id=id,
            source="example.com",
            headline=headline,
            body=body,
            language=language,
            language_confidence=0.99,
            word_count=len(body.split()),
            content_hash=id,
            ingested_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
            processing={"ingest": "1.0.0", "dedup": "1.0.0", "entities": "1.0.0+0123abcd"},
            verdict="unique",
            revision=1,
            cluster_id=id,
            url="https://example.com/a",
            authors=("A. Writer",),
            extra={"section": "front"},
            entities=Entities(
                status="ok",
                items=(
                    Entity(
                        name="Portmere",
                        type="LOC",
                        salience=0.5,
                        confidence=0.9,
                        mentions=(Mention(field="body", start=0, end=8),),
                        links=(EntityLink(id="geonames:1", confidence=0.5),),
                    ),
                ),
            ),
        )

    return make


@pytest.fixture(scope="session")
def record(tagged: Callable[..., TaggedArticle]) -> Callable[..., Record]:
    def make(headline: str, body: str, language: str = "en", offset: int = 0) -> Record:
        article = tagged(headline, body, language)
        return Record("news.tagged", 0, offset, article.id.encode(), encode(article))

    return make
