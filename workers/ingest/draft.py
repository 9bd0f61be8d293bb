"""A raw document to a draft: everything about an article that its own record tells, except its language.

This is the dear and pure part of ingest (`IngestStage.prepare`): it may run in another process, so a draft is plain
data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urljoin, urlsplit

from schemas.keys import UNKNOWN_SOURCE
from schemas.limits import MAX_AUTHORS, MAX_BODY_CHARS
from schemas.messages import Published
from workers.ingest import headline as headlines
from workers.ingest.characters import clean_line, folded
from workers.ingest.dates import When, is_plausible, read_date, read_url_date
from workers.ingest.document import Incoming, check_extra
from workers.ingest.furniture import furniture_kind
from workers.ingest.html import Page, read_page
from workers.ingest.identity import article_id
from workers.ingest.metadata import PageMetadata
from workers.ingest.outlets import NONE as NO_OUTLETS
from workers.ingest.outlets import Outlets, Row
from workers.ingest.recurring import Lines, lines_of
from workers.ingest.refusal import NO_ARTICLE_TEXT, TOO_LARGE, Refusal
from workers.ingest.text import RECURS, Cleaned, Removed, clean_text
from workers.ingest.urls import (
    canonical_url,
    is_domain,
    is_site_root,
    registrable_domain,
    without_credentials,
)

_MAX_SOURCE_CHARS: Final = 100
_MAX_AUTHOR_CHARS: Final = 200
_MAX_ENTRY_CHARS: Final = 2_000
_MAX_TITLE_CHARS: Final = 2_000

_NOTHING: Final = frozenset({"none", "null", "nan", "undefined", "n/a"})
"""What programs write for nothing."""

_AUTHOR_LEAD: Final = re.compile(r"(?:(?:written )?by|von|por|par|di)[\s:]+", re.IGNORECASE)
_MAIL_AUTHOR: Final = re.compile(r"[^\s@()]{1,100}@[^\s@()]{1,100} \(([^()]{2,200})\)")
_AUTHOR_SEPARATORS: Final = re.compile(r"\s*[;|]\s*|\s+(?:and|und|et|&)\s+")

_CONFIDENCE: Final = {"field": 0.9, "json-ld": 0.9, "meta": 0.8, "url": 0.6}
_LESS_PRECISE: Final = {"zone": 0.0, "time": 0.05, "day": 0.1}
"""Taken off the confidence: a time without its zone may be hours off, a day alone a day."""


class Draft(NamedTuple):
    """An article without its language and hash of content. `folds` are the folded paragraphs of its body, `numbers`
    their lines; `removed` are the lines that went. `lines` are those to look at for what recurs in the source. `id` is
    of all paragraphs, so that it does not change with what is learnt.

    `origin` is the source without the team's table of outlets: `id` and what is learnt go by it, so that they stay when
    the table changes. `outlet` is the row of the table that gave `source`."""

    id: str
    source: str
    origin: str
    headline: str
    paragraphs: list[str]
    folds: list[str]
    ingested_at: datetime
    url: str | None
    authors: tuple[str, ...]
    published: Published | None
    fetched_at: datetime | None
    declared_language: str | None
    extra: dict[str, Any]
    numbers: list[int]
    removed: list[Removed]
    lines: Lines
    standfirst: str | None
    provenance: dict[str, str]
    outlet: Row | None = None


def make_draft(incoming: Incoming, outlets: Outlets = NO_OUTLETS) -> Draft:
    """Return the draft of a raw document, whose outlet `outlets` may tell. Raises Refusal with a reason of the text's
    or the page's readers."""
    document = incoming.document
    extra = dict(incoming.extra)
    page = _content(incoming)
    metadata = page.metadata
    provenance = {"headline": "text", "language": "field" if document.language else "html"}
    url = _url(incoming, metadata, extra, provenance)
    origin = _source(incoming, metadata, url, extra, provenance)
    outlet = outlets.find(document.source or (None if url else metadata.site), url)
    if outlet is not None:
        provenance["source"] = "table"
        if document.source and document.source != outlet.outlet:
            extra[incoming.fields.get("source", "source")] = without_credentials(document.source)
    authors = _authors(document.authors if document.authors is not None else metadata.authors)
    title = _title(document.title or metadata.title, metadata.site)
    headline, cleaned, byline = _headline(title, page.cleaned)
    if title:
        provenance["headline"] = "field" if document.title else metadata.title_origin
    if byline and not authors:
        authors = _authors(byline)
        provenance["authors"] = "text"
    elif authors:
        provenance["authors"] = "field" if document.authors is not None else metadata.authors_origin
    standfirst = _standfirst(cleaned, metadata)
    if standfirst:
        provenance["standfirst"] = "text" if cleaned.standfirst else "meta"
    if sum(map(len, cleaned.paragraphs)) + 2 * len(cleaned.paragraphs) > MAX_BODY_CHARS:
        raise Refusal(TOO_LARGE, f"the body is longer than {MAX_BODY_CHARS} characters")
    fetched_at = _fetched(incoming, extra)
    published = _published(incoming, metadata, url, fetched_at or incoming.ingested_at, extra)
    _about_page(metadata, url, fetched_at or incoming.ingested_at, extra, provenance)
    check_extra(extra)
    return Draft(
        id=article_id(url, origin, headline, cleaned.folds),
        source=origin if outlet is None else outlet.outlet,
        origin=origin,
        headline=headline,
        paragraphs=cleaned.paragraphs,
        folds=cleaned.folds,
        ingested_at=incoming.ingested_at,
        url=url,
        authors=authors,
        published=published,
        fetched_at=fetched_at,
        declared_language=document.language or metadata.language,
        extra=extra,
        numbers=cleaned.numbers,
        removed=cleaned.removed,
        standfirst=standfirst,
        provenance=provenance,
        outlet=outlet,
        lines=lines_of(cleaned.paragraphs, cleaned.folds, cleaned.doubts, cleaned.left_out),
    )


def without(draft: Draft, cut: Sequence[int]) -> Draft:
    """Return the draft without the lines with these numbers, which recur in its source; the draft itself when nothing
    would be left."""
    gone = frozenset(cut)
    kept = [number for number, line in enumerate(draft.lines.places) if line not in gone]
    if len(kept) == len(draft.paragraphs) or not any(draft.folds[number] for number in kept):
        return draft
    paragraphs = [draft.paragraphs[number] for number in kept]
    headline = draft.headline
    if kept[0] and headline == headlines.from_text(draft.paragraphs):
        headline = headlines.from_text(paragraphs)
    removed = [
        Removed(draft.numbers[number], paragraph, RECURS)
        for number, paragraph in enumerate(draft.paragraphs)
        if draft.lines.places[number] in gone
    ]
    return draft._replace(
        headline=headline,
        paragraphs=paragraphs,
        standfirst=draft.standfirst if kept[0] == 0 else None,
        provenance={name: origin for name, origin in draft.provenance.items() if name != "standfirst" or kept[0] == 0},
        folds=[draft.folds[number] for number in kept],
        numbers=[draft.numbers[number] for number in kept],
        removed=sorted([*draft.removed, *removed], key=lambda cut: cut.line),
    )


def source_name(given: str) -> str | None:
    """Return a source as it is called: a name as it is written, a domain in lower case without `www.`, a URL's domain.
    None when it is neither, or too long."""
    name = clean_line(given[: 4 * _MAX_SOURCE_CHARS])
    if "://" in name:
        url = canonical_url(name)
        return registrable_domain(url) if url else None
    if is_domain(name.partition("/")[0].partition(":")[0]) and (url := canonical_url(f"https://{name}")):
        return (urlsplit(url).hostname or name).removeprefix("www.")
    return name if len(name) <= _MAX_SOURCE_CHARS and folded(name) else None


def _content(incoming: Incoming) -> Page:
    """The article's paragraphs: of the page where there is one; where that gives nothing, of the text beside it."""
    document = incoming.document
    if document.html is not None:
        try:
            page = read_page(document.html)
        except Refusal:
            if document.text is None:
                raise
            page = Page(Cleaned([], []), PageMetadata())
        if any(page.cleaned.folds) or document.text is None:
            return _with_text(page)
        return _with_text(
            Page(
                clean_text(document.text, _title(document.title or page.metadata.title, page.metadata.site)),
                page.metadata,
            )
        )
    return _with_text(Page(clean_text(document.text or "", _title(document.title, None)), PageMetadata()))


def _with_text(page: Page) -> Page:
    if not any(page.cleaned.folds):
        raise Refusal(NO_ARTICLE_TEXT, "no letters or digits are left after cleaning")
    return page


def _headline(title: str | None, cleaned: Cleaned) -> tuple[str, Cleaned, str | None]:
    """Return the headline, the body without it, and the byline's name where the body began with one.

    `title` is what came along, cleaned.
    """
    headline = headlines.from_title(title) if title else cleaned.headline or ""
    # What is left must be an article still: letters or digits, not a line of stars alone.
    if title and any(cleaned.folds[1:]) and cleaned.folds[0] == folded(headline):
        cleaned = _without_first(cleaned, "headline_again")
    elif not headline and any(cleaned.folds[1:]) and headlines.is_headline(*cleaned.paragraphs[:2]):
        headline, cleaned = cleaned.paragraphs[0], _without_first(cleaned, None)
    byline = headlines.byline(cleaned.paragraphs[0]) if any(cleaned.folds[1:]) else None
    if byline:
        cleaned = _without_first(cleaned, "byline")
    if not headline:
        headline = headlines.from_text(cleaned.paragraphs)
    return headline, cleaned, byline or cleaned.byline


def _without_first(cleaned: Cleaned, reason: str | None) -> Cleaned:
    """Return the body without its first paragraph, which is the headline or goes for a reason."""
    number, line = cleaned.numbers[0], cleaned.paragraphs[0]
    removed = [*cleaned.removed, Removed(number, line, reason)] if reason else cleaned.removed
    return replace(
        cleaned,
        paragraphs=cleaned.paragraphs[1:],
        folds=cleaned.folds[1:],
        numbers=cleaned.numbers[1:],
        doubts=cleaned.doubts[1:],
        removed=sorted(removed, key=lambda cut: cut.line),
    )


def _standfirst(cleaned: Cleaned, metadata: PageMetadata) -> str | None:
    """The first paragraph where it is the standfirst: known by its place in a text, or because the page describes
    itself with it."""
    first = cleaned.paragraphs[0]
    if cleaned.standfirst == first:
        return first
    described = metadata.description is not None and len(cleaned.paragraphs) > 1
    return first if described and folded(metadata.description or "") == cleaned.folds[0] else None


def _title(title: str | None, site: str | None) -> str | None:
    """The title, cleaned, without the site's name after a bar or dash; None when it holds no letter or digit."""
    if not title:
        return None
    clean = clean_line(title[:_MAX_TITLE_CHARS])
    if site:
        for bar in (" | ", " - ", " – ", " — ", " · "):
            head, found, tail = clean.rpartition(bar)
            if found and head and folded(tail) == folded(site):
                clean = head.strip()
                break
    return clean if folded(clean) and furniture_kind(clean) != "label" else None


def _absolute(link: str | None, url: str | None) -> str | None:
    """Return a link on the page at `url` with all that it leaves out; None when it leads to no page."""
    if not link:
        return None
    try:
        whole = urljoin(url, link) if url else link
    except ValueError:
        return None
    return without_credentials(whole) if canonical_url(whole) else None


def _url(incoming: Incoming, metadata: PageMetadata, extra: dict[str, Any], provenance: dict[str, str]) -> str | None:
    raw = incoming.document.url
    url = canonical_url(raw) if raw else None
    if raw and url is None:
        extra[incoming.fields.get("url", "url")] = without_credentials(raw)
    if url is not None:
        provenance["url"] = "field"
    link = _absolute(metadata.canonical, url)
    canonical = canonical_url(link) if link else None
    if canonical is None or canonical == url or is_site_root(canonical):
        return url
    # Only a page of the same site may say under which name it is known: else anyone could claim another's article.
    home = registrable_domain(url) if url else None
    if home is not None and registrable_domain(canonical) == home:
        provenance["url"] = "html"
        return canonical
    extra.setdefault("canonical_url", canonical)
    return url


def _source(
    incoming: Incoming, metadata: PageMetadata, url: str | None, extra: dict[str, Any], provenance: dict[str, str]
) -> str:
    given = incoming.document.source
    if given and given.strip().casefold() not in _NOTHING:
        if name := source_name(given):
            provenance["source"] = "field"
            return name
        extra[incoming.fields.get("source", "source")] = without_credentials(given)
    if url and (domain := registrable_domain(url)):
        provenance["source"] = "url"
        return domain
    if metadata.site and (name := source_name(metadata.site)):
        provenance["source"] = "meta"
        return name
    return UNKNOWN_SOURCE


def _authors(given: Sequence[str] | str | None) -> tuple[str, ...]:
    """Names, each once, in order, without a leading `By`; a text with several is taken apart at `;`, `|` and `and`."""
    if not given:
        return ()
    names: dict[str, None] = {}
    known: set[str] = set()
    entries = [given] if isinstance(given, str) else given
    for line in (line for entry in entries for line in entry[:_MAX_ENTRY_CHARS].splitlines()):
        text = clean_line(line)
        if mail := _MAIL_AUTHOR.fullmatch(text):
            text = mail[1]  # RSS 2.0 has authors so
        if lead := _AUTHOR_LEAD.match(text):
            text = text[lead.end() :]
        for part in _AUTHOR_SEPARATORS.split(text):
            name = part.strip(" ,")
            # A profile's address is no name.
            key = folded(name)
            if not key or len(name) > _MAX_AUTHOR_CHARS or "://" in name or name.casefold() in _NOTHING:
                continue
            if key not in known:
                known.add(key)
                names[name] = None
    return tuple(names)[:MAX_AUTHORS]


def _fetched(incoming: Incoming, extra: dict[str, Any]) -> datetime | None:
    raw = incoming.document.fetched_at
    when = read_date(raw)
    if when and is_plausible(when.at, incoming.ingested_at):
        return when.at
    if raw is not None:
        extra[incoming.fields.get("fetched_at", "fetched_at")] = raw
    return None


def _published(
    incoming: Incoming, metadata: PageMetadata, url: str | None, latest: datetime, extra: dict[str, Any]
) -> Published | None:
    raw = incoming.document.published_at
    found = _trusted(read_date(raw), "field", latest)
    if found is None and raw is not None:
        extra[incoming.fields.get("published_at", "published_at")] = raw
    if found is None and metadata.published:
        found = _trusted(read_date(metadata.published), metadata.published_origin, latest)
    if found is None and url:
        found = _trusted(read_url_date(url), "url", latest)
    return found


def _about_page(
    metadata: PageMetadata, url: str | None, latest: datetime, extra: dict[str, Any], provenance: dict[str, str]
) -> None:
    """Put what the page says of itself beside the scraper's own fields, which win."""
    modified = read_date(metadata.modified)
    modified_at = modified.at if modified and is_plausible(modified.at, latest) else None
    for name, key, value in (
        ("section", "section", metadata.section),
        ("modified_at", "modified", modified_at),
        ("image", "image", _absolute(metadata.image, url)),
        ("is_accessible_for_free", "free", metadata.free),
    ):
        if value is not None and name not in extra:
            extra[name] = value
            provenance[name] = metadata.origins[key]


def _trusted(
    when: When | None, origin: Literal["field", "json-ld", "meta", "url"], latest: datetime
) -> Published | None:
    if when is None or not is_plausible(when.at, latest):
        return None
    return Published(
        at=when.at, origin=origin, confidence=round(_CONFIDENCE[origin] - _LESS_PRECISE[when.precision], 2)
    )
