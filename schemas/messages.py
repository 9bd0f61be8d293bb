"""The typed messages that flow between the topics.

Each step adds to the message before it, so the classes extend one another. `RawInput`, what scrapers send, is in
schemas/raw.py; `RawDocument` is what ingest reads it into.

    RawInput -> Article -> UniqueArticle -> TaggedArticle -> ClassifiedArticle
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
    """A document of a scraper once it has been read: one name and one type for each field, at least one of `html` and
    `text`. What may be sent is `schemas.raw.RawInput`."""

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

    at: Annotated[Instant, Meta(description="the instant, UTC unless the source names another zone")]
    origin: Annotated[
        Literal["field", "json-ld", "meta", "url", "text"],
        Meta(description="where it was read: field of the document, JSON-LD or meta element of the page, URL, text"),
    ]
    confidence: Annotated[Unit, Meta(description="how far the instant is to be trusted")]


class RemovedText(Struct, kw_only=True, frozen=True):
    """A line of the raw document that is not the article, and a code for why it went (`ad`, `teaser`, ...)."""

    text: Annotated[str, Meta(description="the line")]
    reason: Annotated[str, Meta(description="code for why it went: `ad`, `teaser`, `caption`, ...")]


class Article(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One clean article (news.articles).

    `body` holds the paragraphs, joined by an empty line. `content_hash` is over headline and body without regard to
    case, accents' form, punctuation and spacing: equal hashes mean the same text. `processing` maps each stage
    that has touched the record to its version. `removed` is for audits, and empty unless it is asked for.
    `standfirst` is the first paragraph of the body, too: it is a part of the text. `provenance` says of headline,
    source, url, authors, language and standfirst where each was read: `field` of the raw document, `json-ld`, `meta`
    element, `html` (heading, title, `lang` or canonical link of the page), `url`, `text` (found in it, or made of it),
    `model`, `table` (the team's table of outlets). `published` has its own origin. Of a page `extra` has `section`,
    `modified_at`, `image` and `is_accessible_for_free`, where the page says them and the scraper does not.
    """

    id: ArticleId
    source: Annotated[str, Meta(description="name of the outlet, or its registrable domain")]
    headline: Annotated[str, Meta(description="headline, one line")]
    body: Annotated[str, Meta(description="paragraphs, joined by an empty line")]
    language: Annotated[str, Meta(description="language of the text (ISO 639-1, `und` where it can't be told)")]
    language_confidence: Annotated[Unit, Meta(description="how certain the language is")]
    word_count: Annotated[int, Meta(description="words in the body")]
    content_hash: Digest
    ingested_at: Annotated[Instant, Meta(description="when the document was brought in")]
    processing: Annotated[
        dict[str, str], Meta(description="stage -> version, of each stage that has touched the record")
    ]
    url: Annotated[str | None, Meta(description="canonical URL: tracking parameters and fragment removed")] = None
    authors: Annotated[tuple[str, ...], Meta(description="names of people, in the order of the byline")] = ()
    published: Annotated[Published | None, Meta(description="when it was published; missing where nothing says it")] = (
        None
    )
    fetched_at: Annotated[Instant | None, Meta(description="when the scraper fetched the page")] = None
    extra: Annotated[
        dict[str, Any], Meta(description="fields of the raw document that have no place of their own")
    ] = {}
    standfirst: Annotated[
        str | None, Meta(description="paragraph that sums the story up, below the headline; the body begins with it")
    ] = None
    provenance: Annotated[
        dict[str, str],
        Meta(description="field -> origin: `field`, `json-ld`, `meta`, `html`, `url`, `text`, `model` or `table`"),
    ] = {}
    removed: Annotated[
        tuple[RemovedText, ...], Meta(description="what ingest took out, where it was told to keep that")
    ] = ()


class Match(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Why an article was not simply unique: the article it was matched with, and the evidence.

    `contained` is the share of this article's text that is in the matched one, `covers` the share of the matched one
    that is in this article: a trimmed copy is contained and covers little, a round-up the other way round.
    `containment` is the larger of the two. `version` names the stage's version whose `rule` it was.
    """

    article_id: Annotated[ArticleId, Meta(description="id of the article matched with")]
    similarity: Annotated[Unit, Meta(description="estimated Jaccard similarity of the word pairs")]
    containment: Annotated[Unit, Meta(description="share of the word pairs of the shorter text that both have")]
    first_seen: Annotated[Instant, Meta(description="event time of the article matched with")]
    rule: Annotated[str, Meta(description="rule that decided, for people and dashboards")]
    url: Annotated[str | None, Meta(description="URL of the article matched with")] = None
    contained: Annotated[Unit | None, Meta(description="share of this article's text that is in the matched one")] = (
        None
    )
    covers: Annotated[Unit | None, Meta(description="share of the matched text that is in this article")] = None
    version: Annotated[str | None, Meta(description="version of the stage whose rule it was")] = None


Origins = Annotated[tuple[str, ...], Meta(description="news agencies that the text credits")]
IndependentSources = Annotated[
    Annotated[int, Meta(ge=1)],
    Meta(description="sources of the cluster as far as known now; copies of one wire story count once"),
]
Joins = Annotated[tuple[ArticleId, ...], Meta(description="clusters that are one with `cluster_id` from now on")]


class Changes(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a revision changed, estimated from what is kept of the text before it."""

    headline: Annotated[bool, Meta(description="whether the headline is another")]
    added: Annotated[Unit, Meta(description="share of this text that is new")]
    removed: Annotated[Unit, Meta(description="share of the text before that is gone")]
    words: Annotated[int, Meta(description="difference in length, in words")]
    numbers: Annotated[
        Annotated[int, Meta(ge=0)], Meta(description="words that now have another number beside them")
    ] = 0
    paragraphs_added: Annotated[
        Annotated[int, Meta(ge=0)], Meta(description="paragraphs, of the first 24, that this text alone has")
    ] = 0
    paragraphs_removed: Annotated[
        Annotated[int, Meta(ge=0)], Meta(description="paragraphs, of the first 24, that the text before alone had")
    ] = 0
    parts: Annotated[
        tuple[Literal["opening", "middle", "end"], ...],
        Meta(description="where the new paragraphs stand: first quarter, last quarter, or between"),
    ] = ()


class UniqueArticle(Article, kw_only=True, frozen=True, omit_defaults=True):
    """An article that goes on (news.unique): new, or a revision of one that is known.

    `revision` counts from 1. `cluster_id` is the id of the first article of the story's cluster, `joins` are ids of
    clusters that this article was found to belong to as well: from now on they are one with `cluster_id`. `origins`
    are the news agencies that the text credits. `independent_sources` is how many sources the cluster has, as far as
    it is known now: copies of one wire story count once. `changes` says what a revision changed.
    """

    verdict: Annotated[Literal["unique", "revision", "near_copy", "not_checked"], Meta(description="why it goes on")]
    revision: Annotated[Annotated[int, Meta(ge=1)], Meta(description="counts from 1")]
    cluster_id: Annotated[ArticleId, Meta(description="id of the first article of the story's cluster")]
    match: Annotated[Match | None, Meta(description="the article it revises or resembles")] = None
    origins: Origins = ()
    independent_sources: IndependentSources = 1
    joins: Joins = ()
    changes: Annotated[Changes | None, Meta(description="what a revision changed")] = None


class Duplicate(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A small record of an article that does not go on (news.duplicates): which copy of what, why, how similar.

    `origins`, `independent_sources` and `joins` are as in `UniqueArticle`.
    """

    id: ArticleId
    source: Annotated[str, Meta(description="name of the outlet, or its registrable domain")]
    headline: Annotated[str, Meta(description="headline of the copy, one line")]
    verdict: Annotated[Literal["exact_copy", "near_copy", "recrawl"], Meta(description="what kind of copy it is")]
    cluster_id: Annotated[ArticleId, Meta(description="id of the first article of the story's cluster")]
    match: Annotated[Match, Meta(description="the article that it is a copy of, and the evidence")]
    content_hash: Digest
    language: Annotated[str, Meta(description="language of the text (ISO 639-1, `und` where it can't be told)")]
    ingested_at: Annotated[Instant, Meta(description="when the document was brought in")]
    processing: Annotated[
        dict[str, str], Meta(description="stage -> version, of each stage that has touched the record")
    ]
    url: Annotated[str | None, Meta(description="canonical URL: tracking parameters and fragment removed")] = None
    published: Annotated[Published | None, Meta(description="when it was published; missing where nothing says it")] = (
        None
    )
    fetched_at: Annotated[Instant | None, Meta(description="when the scraper fetched the page")] = None
    origins: Origins = ()
    independent_sources: IndependentSources = 1
    joins: Joins = ()


class Part(Struct, kw_only=True, frozen=True):
    """A part of a text, from the first place to the last, in 256ths of the text."""

    start: Annotated[Annotated[int, Meta(ge=0, le=254)], Meta(description="where it begins, in 256ths of the text")]
    end: Annotated[Annotated[int, Meta(ge=1, le=255)], Meta(description="where it ends, in 256ths of the text")]


class Holder(Struct, kw_only=True, frozen=True):
    """An article that holds another story as a part, a round-up for one; of its stories it counts for this one."""

    article_id: Annotated[ArticleId, Meta(description="id of the article that holds it")]
    content_hash: Annotated[Digest, Meta(description="hash of that article's text")]
    part: Annotated[Part, Meta(description="the part of that article's text that is this story")]


class DedupLogEntry(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One decision of dedup and what it learnt from the article (news.dedup-log).

    The state of dedup is the fold of these. `fingerprint` is base64 of the format named by `fingerprint_version`.
    The offset of the input is in the record's header `input-offset`. `writer` is a number (0 to 63) that stands for
    the outlet, when it wrote most of the article itself though it is a copy.
    """

    id: ArticleId
    content_hash: Digest
    event_time: Annotated[
        Instant, Meta(description="when the page was fetched, else brought in; the window goes by it")
    ]
    verdict: Annotated[
        Literal["unique", "revision", "exact_copy", "near_copy", "recrawl"], Meta(description="what was decided")
    ]
    revision: Annotated[Annotated[int, Meta(ge=1)], Meta(description="counts from 1")]
    cluster_id: Annotated[ArticleId, Meta(description="id of the first article of the story's cluster")]
    fingerprint: Annotated[str, Meta(description="base64 of the text's fingerprint")]
    fingerprint_version: Annotated[str, Meta(description="format of the fingerprint")]
    match: Annotated[Match | None, Meta(description="the article it was matched with")] = None
    url: Annotated[str | None, Meta(description="canonical URL: tracking parameters and fragment removed")] = None
    origins: Origins = ()
    independent_sources: IndependentSources = 1
    joins: Joins = ()
    changes: Annotated[Changes | None, Meta(description="what a revision changed")] = None
    writer: Annotated[
        Annotated[int, Meta(ge=0, le=63)] | None,
        Meta(description="stands for the outlet, when it wrote most of the article itself though it is a copy"),
    ] = None
    source: Annotated[str | None, Meta(description="name of the outlet, or its registrable domain")] = None
    part: Annotated[Part | None, Meta(description="the part of the text that is the story, when it is not all")] = None
    holders: Annotated[tuple[Holder, ...], Meta(description="known articles that are found to hold this story")] = ()


SourceProblem = Literal["refused", "empty_bodies", "short_bodies", "no_dates", "no_authors", "silent"]
SourceStatus = Literal["broken", "recovered", "usual", "dropped"]


class SourceHealth(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A source has broken or recovered (news.source-health): a record for each problem when it begins and when it ends.

    Problems: `refused` (documents that can't be read), `empty_bodies` (refused, for there is no text in them),
    `short_bodies` (less than a quarter of the usual length), `no_dates`, `no_authors`, and `silent` (nothing comes,
    while other sources deliver). What is usual is taken from two weeks of event time before it broke. A problem ends
    with `recovered`; with `usual` when it has lasted for two weeks, so that this is how the source is now; with
    `dropped` when the source is not watched any more, for it was silent for two weeks or others have more documents.
    Fewer documents than usual that are as they should be are a quiet day, and no record.
    """

    source: Annotated[str, Meta(description="the source, as documents are keyed by it on news.raw")]
    status: Annotated[SourceStatus, Meta(description="what has become of it")]
    problem: Annotated[SourceProblem, Meta(description="what is or was wrong with it")]
    at: Annotated[Instant, Meta(description="event time of the document with which it was noticed")]
    last_at: Annotated[Instant, Meta(description="event time when the source's last document came")]
    body_chars: Annotated[
        Annotated[int, Meta(ge=0)], Meta(description="mean length of its latest 20 bodies, in characters")
    ]
    usual_body_chars: Annotated[
        Annotated[int, Meta(ge=0)], Meta(description="usual length of its bodies, in characters")
    ]
    day_documents: Annotated[Annotated[int, Meta(ge=0)], Meta(description="its documents of the last 24 whole hours")]
    usual_day_documents: Annotated[Annotated[int, Meta(ge=0)], Meta(description="its documents of a day, on average")]
    processing: Annotated[dict[str, str], Meta(description="stage -> version, of the stage that noticed")]
    share: Annotated[Unit | None, Meta(description="of its latest 20 documents, how many have the problem")] = None
    usual_share: Annotated[Unit | None, Meta(description="of its documents before these, how many had it")] = None


class IngestLogEntry(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What ingest learnt from one document and what it cut from its article (news.ingest-log).

    The state of ingest is the fold of these. `lines` is base64 of the hashes of the lines that were looked at, in the
    form named by `form`; `cut` has bit n set where the n-th of them recurs in the source and was cut. The offset of the
    input is in the record's header `input-offset`; the record's key is the id of the article, zeros where the document
    was refused. `marks`, `chars` and `keyed` are for the health of the source, `health` is what was told of sources
    with this document. Entries of ingest before 1.3.0 have no `marks`.
    """

    source: Annotated[str, Meta(description="what the lines are learnt of: name or registrable domain, by no table")]
    event_time: Annotated[
        Instant, Meta(description="when the page was fetched, else brought in; what is old goes by it")
    ]
    lines: Annotated[str, Meta(description="base64 of the hashes of the lines that were looked at")]
    story: Annotated[bool, Meta(description="whether it counts as a story of its own, and no version of another")] = (
        True
    )
    cut: Annotated[Annotated[int, Meta(ge=0)], Meta(description="bits: which of the lines were cut")] = 0
    form: Annotated[Annotated[int, Meta(ge=1)], Meta(description="form of the hashes")] = 1
    marks: Annotated[
        Annotated[int, Meta(ge=0, le=15)] | None,
        Meta(description="bits: 1 refused, 2 refused for it has no text, 4 no date, 8 no author"),
    ] = None
    chars: Annotated[Annotated[int, Meta(ge=0)], Meta(description="length of the body, in characters")] = 0
    keyed: Annotated[str | None, Meta(description="what the document was keyed by, where that is not `source`")] = None
    health: Annotated[tuple[SourceHealth, ...], Meta(description="what was told of sources with it")] = ()


class Mention(Struct, kw_only=True, frozen=True):
    """One place in the text where an entity is named."""

    field: Annotated[Literal["headline", "body"], Meta(description="text that the offsets count in")]
    start: Annotated[Annotated[int, Meta(ge=0)], Meta(description="first character, in Unicode code points from 0")]
    end: Annotated[Annotated[int, Meta(ge=1)], Meta(description="behind the last character")]


class EntityLink(Struct, kw_only=True, frozen=True):
    """A public id of an entity, such as `iso3166:SV`, `geonames:3585968` or `wikidata:Q792`."""

    id: Annotated[str, Meta(description="namespace and id")]
    confidence: Annotated[Unit, Meta(description="how certain the link is")]


class Entity(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One person, organisation, place or other name of the article, with all its mentions in order."""

    name: Annotated[str, Meta(description="canonical name")]
    type: Annotated[
        Literal["PER", "ORG", "LOC", "MISC"], Meta(description="person, organisation, place, or another name")
    ]
    salience: Annotated[Unit, Meta(description="how much the article is about it")]
    confidence: Annotated[Unit, Meta(description="how certain name and type are")]
    mentions: Annotated[tuple[Mention, ...], Meta(description="every place where it is named, in order")]
    links: Annotated[tuple[EntityLink, ...], Meta(description="public ids")] = ()


class Entities(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The entities of an article, most salient first; `status` says whether the language has a model."""

    status: Annotated[Literal["ok", "unsupported_language"], Meta(description="whether the language has a model")]
    items: Annotated[tuple[Entity, ...], Meta(description="most salient first")] = ()


class TaggedArticle(UniqueArticle, kw_only=True, frozen=True, omit_defaults=True):
    """An article with its entities (news.tagged)."""

    entities: Annotated[Entities, Meta(description="people, organisations, places and other names")]


class Subject(Struct, kw_only=True, frozen=True):
    """One IPTC Media Topic: id `medtop:NNNNNNNN`, English name, level (1 is the top), calibrated probability."""

    id: Annotated[Annotated[str, Meta(pattern="^medtop:[0-9]{8}$")], Meta(description="IPTC Media Topic")]
    name: Annotated[str, Meta(description="English name of the topic")]
    level: Annotated[Annotated[int, Meta(ge=1, le=4)], Meta(description="depth in the taxonomy, 1 is the top")]
    probability: Annotated[Unit, Meta(description="calibrated: of those at 0.8, four in five are right")]


class CustomSubject(Struct, kw_only=True, frozen=True):
    """A subject of a team's own, given by its rules: id `PREFIX:NAME` (never `medtop:`) and name."""

    id: Annotated[
        Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,31}:[A-Za-z0-9._-]{1,64}$")],
        Meta(description="`PREFIX:NAME`, as the rules name it"),
    ]
    name: Annotated[str, Meta(description="name of the subject")]


class Subjects(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What the article is about, most probable first; `taxonomy` is the version of the Media Topics.

    `items` may hold subjects of level 2 beside the one of level 1 above them. `status` speaks of `items` alone.
    `custom`: a team's own subjects, in the order of its rules.
    """

    status: Annotated[
        Literal["ok", "unclassified", "unsupported_language"], Meta(description="whether subjects could be told")
    ]
    taxonomy: Annotated[str, Meta(description="version of the Media Topics")]
    items: Annotated[tuple[Subject, ...], Meta(description="most probable first")] = ()
    custom: Annotated[
        tuple[CustomSubject, ...], Meta(description="a team's own subjects, in the order of its rules")
    ] = ()


class ClassifiedArticle(TaggedArticle, kw_only=True, frozen=True, omit_defaults=True):
    """The end of the pipeline (news.classified): a clean, unique, tagged and classified article."""

    subjects: Annotated[Subjects, Meta(description="what the article is about")]
