"""The typed messages that flow between the topics.

Each step adds to the message before it, so the classes extend one another:

    RawDocument -> Article -> UniqueArticle -> TaggedArticle -> ClassifiedArticle
                           \\-> Duplicate

Times are timezone-aware and go over the wire as RFC 3339. Offsets into text count Unicode code points (Python's `str`
index), with `end` exclusive. Probabilities and similarities are between 0 and 1.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Instant = Annotated[datetime, Meta(tz=True)]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
ArticleId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="blake2b-128 of what identifies the article")]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="blake2b-128, hex")]


class RawDocument(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a scraper sends (news.raw). Liberal: everything but one of `html` and `text` may be missing.

    Fields that are not listed here are kept and arrive in the article under `extra`.
    """

    url: str | None = None
    source: str | None = None
    title: str | None = None
    html: str | None = None
    text: str | None = None
    published_at: str | int | float | None = None
    fetched_at: str | int | float | None = None
    authors: list[str] | str | None = None
    language: str | None = None


class Published(Struct, kw_only=True, frozen=True):
    """When an article says that it was published, where that was read, and how far it is to be trusted."""

    at: Instant
    origin: Literal["field", "json-ld", "meta", "url", "text"]
    confidence: Unit


class Article(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One clean article (news.articles).

    `body` holds the paragraphs, joined by an empty line. `content_hash` is over headline and body without regard to
    case, accents' form, punctuation and spacing: equal hashes mean the same text. `processing` maps each stage
    that has touched the record to its version.
    """

    id: ArticleId
    source: str
    headline: str
    body: str
    language: str
    language_confidence: Unit
    word_count: int
    content_hash: Digest
    ingested_at: Instant
    processing: dict[str, str]
    url: str | None = None
    authors: tuple[str, ...] = ()
    published: Published | None = None
    fetched_at: Instant | None = None
    extra: dict[str, Any] = {}


class Match(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Why an article was not simply unique: the article it was matched with, and the evidence."""

    article_id: ArticleId
    similarity: Unit
    containment: Unit
    first_seen: Instant
    rule: str
    url: str | None = None


class UniqueArticle(Article, kw_only=True, frozen=True, omit_defaults=True):
    """An article that goes on (news.unique): new, or a revision of one that is known.

    `revision` counts from 1. `cluster_id` is the id of the first article of the story's cluster.
    """

    verdict: Literal["unique", "revision", "near_copy", "not_checked"]
    revision: Annotated[int, Meta(ge=1)]
    cluster_id: ArticleId
    match: Match | None = None


class Duplicate(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A small record of an article that does not go on (news.duplicates): which copy of what, why, how similar."""

    id: ArticleId
    source: str
    headline: str
    verdict: Literal["exact_copy", "near_copy", "recrawl"]
    cluster_id: ArticleId
    match: Match
    content_hash: Digest
    language: str
    ingested_at: Instant
    processing: dict[str, str]
    url: str | None = None
    published: Published | None = None
    fetched_at: Instant | None = None


class DedupLogEntry(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One decision of dedup and what it learnt from the article (news.dedup-log).

    The state of dedup is the fold of these. `fingerprint` is base64 of the format named by `fingerprint_version`.
    The offset of the input is in the record's header `input-offset`.
    """

    id: ArticleId
    content_hash: Digest
    event_time: Instant
    verdict: Literal["unique", "revision", "exact_copy", "near_copy", "recrawl"]
    revision: Annotated[int, Meta(ge=1)]
    cluster_id: ArticleId
    fingerprint: str
    fingerprint_version: str
    match: Match | None = None
    url: str | None = None


class Mention(Struct, kw_only=True, frozen=True):
    """One place in the text where an entity is named."""

    field: Literal["headline", "body"]
    start: Annotated[int, Meta(ge=0)]
    end: Annotated[int, Meta(ge=1)]


class EntityLink(Struct, kw_only=True, frozen=True):
    """A public id of an entity, such as `iso3166:SV`, `geonames:3585968` or `wikidata:Q792`."""

    id: str
    confidence: Unit


class Entity(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One person, organisation, place or other name of the article, with all its mentions in order."""

    name: str
    type: Literal["PER", "ORG", "LOC", "MISC"]
    salience: Unit
    confidence: Unit
    mentions: tuple[Mention, ...]
    links: tuple[EntityLink, ...] = ()


class Entities(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The entities of an article, most salient first; `status` says whether the language has a model."""

    status: Literal["ok", "unsupported_language"]
    items: tuple[Entity, ...] = ()


class TaggedArticle(UniqueArticle, kw_only=True, frozen=True, omit_defaults=True):
    """An article with its entities (news.tagged)."""

    entities: Entities


class Subject(Struct, kw_only=True, frozen=True):
    """One IPTC Media Topic: id `medtop:NNNNNNNN`, English name, level (1 is the top), calibrated probability."""

    id: Annotated[str, Meta(pattern="^medtop:[0-9]{8}$")]
    name: str
    level: Annotated[int, Meta(ge=1, le=4)]
    probability: Unit


class CustomSubject(Struct, kw_only=True, frozen=True):
    """A subject of a team's own, given by its rules: id `PREFIX:NAME` (never `medtop:`) and name."""

    id: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,31}:[A-Za-z0-9._-]{1,64}$")]
    name: str


class Subjects(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What the article is about, most probable first; `taxonomy` is the version of the Media Topics.

    `items` may hold subjects of level 2 beside the one of level 1 above them. `status` speaks of `items` alone.
    `custom`: a team's own subjects, in the order of its rules.
    """

    status: Literal["ok", "unclassified", "unsupported_language"]
    taxonomy: str
    items: tuple[Subject, ...] = ()
    custom: tuple[CustomSubject, ...] = ()


class ClassifiedArticle(TaggedArticle, kw_only=True, frozen=True, omit_defaults=True):
    """The end of the pipeline (news.classified): a clean, unique, tagged and classified article."""

    subjects: Subjects
