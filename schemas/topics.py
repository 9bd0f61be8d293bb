"""The topics: what each one carries, how it is keyed, split and kept. The one place where that is declared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec

from schemas.messages import (
    Article,
    ClassifiedArticle,
    DedupLogEntry,
    Duplicate,
    IngestLogEntry,
    SourceHealth,
    TaggedArticle,
    UniqueArticle,
)
from schemas.raw import RawInput
from schemas.replays import ReplayRecord

RAW: Final = "news.raw"
ARTICLES: Final = "news.articles"
UNIQUE: Final = "news.unique"
DUPLICATES: Final = "news.duplicates"
TAGGED: Final = "news.tagged"
CLASSIFIED: Final = "news.classified"
DEAD_LETTERS: Final = "news.dead-letters"
DEDUP_LOG: Final = "news.dedup-log"
REPLAYS: Final = "news.replays"
INGEST_LOG: Final = "news.ingest-log"
SOURCE_HEALTH: Final = "news.source-health"

DEDUP_WINDOW: Final = timedelta(days=7)
"""Default event-time window in which copies are found."""

INGEST_WINDOW: Final = timedelta(days=14)
"""Event time after which ingest forgets a line that it has not seen again."""

RAW_RETENTION: Final = timedelta(days=7)

OUTAGE_ALLOWANCE: Final = timedelta(days=2)
"""How long the pipeline may stand still before a log loses what a restart needs."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One Kafka topic. `partitions` is the default at creation; `key` says in words what its records are keyed by.

    All topics delete by time (`cleanup.policy=delete`) and stamp records on arrival (`LogAppendTime`): an article of
    last year keeps its own dates in its value and is not deleted before it is read.

    `log_of`: the topic of whose records it keeps the decisions. It has as many partitions as that one, each with what
    was decided on the records of the same number.
    """

    name: str
    message: type[msgspec.Struct] | None
    key: str
    partitions: int
    retention: timedelta
    purpose: str
    log_of: str | None = None


TOPICS: Final[tuple[Topic, ...]] = (
    Topic(RAW, RawInput, "source", 4, RAW_RETENTION, "documents as scrapers deliver them"),
    # Never compacted, as all logs: the state at any earlier point is the fold of the log up to there.
    Topic(
        INGEST_LOG,
        IngestLogEntry,
        "article id",
        4,
        RAW_RETENTION + INGEST_WINDOW + OUTAGE_ALLOWANCE,
        "what ingest learnt of its sources, from which its state is rebuilt",
        log_of=RAW,
    ),
    # One partition: copies must meet, and one process handles far more articles than the world writes.
    Topic(ARTICLES, Article, "article id", 1, timedelta(days=3), "clean articles"),
    Topic(UNIQUE, UniqueArticle, "article id", 4, timedelta(days=3), "new articles and revisions"),
    Topic(DUPLICATES, Duplicate, "article id", 1, timedelta(days=30), "which copy of what, why, how similar"),
    Topic(TAGGED, TaggedArticle, "article id", 4, timedelta(days=3), "articles with entities"),
    Topic(CLASSIFIED, ClassifiedArticle, "article id", 4, timedelta(days=30), "articles with entities and subjects"),
    Topic(DEAD_LETTERS, None, "as the refused record", 1, timedelta(days=30), "refused records, as they were"),
    Topic(SOURCE_HEALTH, SourceHealth, "source", 1, timedelta(days=30), "sources that have broken or recovered"),
    Topic(
        DEDUP_LOG,
        DedupLogEntry,
        "article id",
        1,
        RAW_RETENTION + DEDUP_WINDOW + OUTAGE_ALLOWANCE,
        "decisions of dedup, from which its state is rebuilt",
        log_of=ARTICLES,
    ),
    Topic(REPLAYS, ReplayRecord, "run", 1, timedelta(days=90), "replays: what was asked, how far it is, who and when"),
)

BY_NAME: Final[dict[str, Topic]] = {topic.name: topic for topic in TOPICS}
