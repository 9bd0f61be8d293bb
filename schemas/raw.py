"""What scrapers may send to news.raw: the accepted names and types. Liberal, since nobody can change all scrapers."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "url": ("link", "uri"),
    "source": ("site", "site_name", "sitename", "source_domain", "domain", "publisher", "outlet"),
    "title": ("headline", "name"),
    "html": ("raw_html", "body_html", "content_html"),
    "text": ("body", "content", "article_body", "articleBody", "maintext", "full_text", "article"),
    "published_at": (
        "published", "date_published", "datePublished", "publishedAt", "published_date", "publish_date", "date_publish",
        "pubDate", "pub_date", "publication_date", "date",
    ),
    "fetched_at": ("fetched", "crawled_at", "scraped_at", "retrieved_at", "date_download", "download_date"),
    "authors": ("author", "byline", "creator"),
    "language": ("lang", "inLanguage"),
}  # fmt: skip
"""Other names of the fields, in order of trust: of schema.org, RSS, JSON Feed, NewsAPI, news-please, newspaper.

A field's own name always wins; an alias beside it is an unknown field and stays in `extra`.
"""


class Named(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A source or person as an object, as schema.org and NewsAPI have it. Only its name is read."""

    name: Annotated[str | None, Meta(description="the name")] = None


class RawInput(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A document as scrapers send it (news.raw). One of `html` and `text` must hold something; all else may be missing.

    null is the same as missing. A field that is missing is read from its other names (`x-aliases`), the first that is
    there. Fields that are not listed here are kept, and arrive in the article under `extra`.
    """

    url: Annotated[str | None, Meta(description="address of the page; one that can't be read is kept in `extra`")] = (
        None
    )
    source: Annotated[str | Named | None, Meta(description="outlet; else the URL's registrable domain")] = None
    title: Annotated[str | None, Meta(description="headline; else that of the page, else the text's first line")] = None
    html: Annotated[str | None, Meta(description="the page, or the part with the article; wins over `text`")] = None
    text: Annotated[str | list[str] | None, Meta(description="plain text, or a list of its paragraphs")] = None
    published_at: Annotated[
        Any,
        Meta(description="RFC 3339, another usual form, or seconds, milliseconds or microseconds since 1970"),
    ] = None
    fetched_at: Annotated[Any, Meta(description="when the page was fetched; forms as of `published_at`")] = None
    authors: Annotated[
        list[str | Named | None] | str | Named | None,
        Meta(description="names in order; one text with several is taken apart at `;`, `|` and `and`"),
    ] = None
    language: Annotated[str | None, Meta(description="declared language (BCP 47); the text decides")] = None
