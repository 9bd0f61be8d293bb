"""Invented stories, the articles made of them, and a stage that is fed as an engine feeds it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas import headers, topics
from schemas.codec import decode, encode
from schemas.keys import digest
from schemas.messages import Article, DedupLogEntry, Duplicate, UniqueArticle
from workers.dedup import DedupOptions, DedupStage
from workers.stage import Emit, Message, Record

HERE = Path(__file__).parent
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
STORIES = json.loads((HERE / "stories.json").read_text("utf-8"))


class Bench:
    """A dedup stage with the offsets, log and outputs of one partition."""

    def __init__(self, **options: object) -> None:
        self.stage = DedupStage(DedupOptions(**options))  # type: ignore[arg-type]
        self.offset = 0
        self.log: list[Record] = []

    def record(self, article: Article, offset: int | None = None, replay: bool = False) -> Record:
        marks = ((headers.REPLAY, b"backfill"),) if replay else ()
        if offset is None:
            offset, self.offset = self.offset, self.offset + 1
        return Record(topics.ARTICLES, 0, offset, article.id.encode(), encode(article), marks)

    def feed(self, *articles: Article) -> list[Emit]:
        """Process each article in a batch of its own, log it, and commit."""
        return [self.run([self.record(article)])[0] for article in articles]

    def run(self, batch: Sequence[Record]) -> list[Emit]:
        outcomes = self.stage.process(batch)
        for record, outcome in zip(batch, outcomes, strict=True):
            assert isinstance(outcome, Emit), outcome
            if outcome.log:
                self.log.append(log_record(outcome.log, record.offset))
        self.stage.commit()
        return list(outcomes)  # type: ignore[arg-type]


def log_record(message: Message, offset: int) -> Record:
    """The log record as the engine writes it, with the offset of its input."""
    marks = ((headers.INPUT_OFFSET, str(offset).encode("ascii")),)
    return Record(message.topic, 0, offset, message.key, message.value, marks)


class Toolbox:
    """What the tests make articles of and read outcomes with."""

    Bench = Bench
    stories = STORIES
    start = START
    log_record = staticmethod(log_record)

    @staticmethod
    def article(
        story: str = "bridge",
        url: str = "https://courier.example/1",
        minutes: float = 0,
        headline: str | None = None,
        paragraphs: Sequence[str] | None = None,
        source: str = "courier.example",
    ) -> Article:
        """An article of one of the stories, or of `paragraphs`, fetched `minutes` after the start."""
        headline = STORIES[story]["headline"] if headline is None else headline
        body = "\n\n".join(STORIES[story]["paragraphs"] if paragraphs is None else paragraphs)
        at = START + timedelta(minutes=minutes)
        return Article(
            id=digest(url),
            source=source,
            headline=headline,
            body=body,
            language="en",
            language_confidence=0.99,
            word_count=len(body.split()),
            content_hash=digest("".join(c for c in (headline + body).casefold() if c.isalnum())),
            ingested_at=at + timedelta(seconds=5),
            processing={"ingest": "1.0.0"},
            url=url,
            fetched_at=at,
        )

    @staticmethod
    def unique(emit: Emit) -> UniqueArticle:
        """The one message that went to news.unique."""
        (message,) = [m for m in emit.messages if m.topic == topics.UNIQUE]
        return decode(message.value, UniqueArticle)

    @staticmethod
    def duplicate(emit: Emit) -> Duplicate:
        """The one message that went to news.duplicates."""
        (message,) = [m for m in emit.messages if m.topic == topics.DUPLICATES]
        return decode(message.value, Duplicate)

    @staticmethod
    def entry(emit: Emit) -> DedupLogEntry:
        """The log entry."""
        assert emit.log is not None
        return decode(emit.log.value, DedupLogEntry)


@pytest.fixture(scope="session")
def box() -> type[Toolbox]:
    return Toolbox


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of measurement data beside the repository, where there is one."""
    found = Path(os.environ.get("NEWSMILL_SHARED", HERE.parents[3] / "shared"))
    if not found.is_dir():
        pytest.skip(f"no measurement data at {found}")
    return found
