"""What a page says about itself: title, authors, date, canonical link, site and language.

Read from JSON-LD (schema.org articles) first, then from `meta` elements, then from the page. Values are as the page has
them; whoever uses them judges them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lxml.html import HtmlElement

from workers.ingest.characters import clean_line
from workers.ingest.rawjson import read_json
from workers.ingest.refusal import TOO_LARGE, Refusal

_MAX_JSON_LD_CHARS: Final = 500_000
_MAX_JSON_LD_NODES: Final = 2_000
_MAX_VALUE_CHARS: Final = 2_000

_ARTICLE_TYPES: Final = frozenset({"BlogPosting", "LiveBlogPosting", "Report", "Review"})

_META_TITLES: Final = ("og:title", "twitter:title", "dc.title", "parsely-title", "sailthru.title")
_META_AUTHORS: Final = ("author", "article:author", "dc.creator", "parsely-author", "sailthru.author", "byl")
_META_DESCRIPTIONS: Final = ("og:description", "description", "twitter:description")
_META_DATES: Final = (
    "article:published_time",
    "og:article:published_time",
    "datepublished",
    "article.published",
    "publishdate",
    "pubdate",
    "publish-date",
    "published_time_telegram",
    "parsely-pub-date",
    "sailthru.date",
    "dc.date.issued",
    "dcterms.created",
    "dcterms.date",
    "dc.date",
    "date",
)
_META_SECTIONS: Final = ("article:section", "section", "parsely-section", "sailthru.section")
_META_MODIFIED: Final = (
    "article:modified_time",
    "og:updated_time",
    "datemodified",
    "last-modified",
    "dcterms.modified",
)
_META_IMAGES: Final = ("og:image", "og:image:url", "twitter:image", "twitter:image:src")

_TIERS: Final = {"free": True, "metered": False, "locked": False}
_TRUTH: Final = {"true": True, "false": False}


@dataclass(slots=True)
class PageMetadata:
    """What a page says about itself. `published` is as written; the origins are where a value was written: `html` is
    the page's own heading or its `title`. `description` is what it says of itself to search engines."""

    title: str | None = None
    title_origin: Literal["json-ld", "meta", "html"] = "html"
    authors: list[str] = field(default_factory=list)
    authors_origin: Literal["json-ld", "meta"] = "meta"
    description: str | None = None
    published: str | None = None
    published_origin: Literal["json-ld", "meta"] = "meta"
    canonical: str | None = None
    site: str | None = None
    language: str | None = None
    section: str | None = None
    modified: str | None = None
    image: str | None = None
    free: bool | None = None
    """Whether it may be read without paying; None where the page does not say."""
    origins: dict[str, Literal["json-ld", "meta"]] = field(default_factory=dict)
    """Of `section`, `modified`, `image` and `free`."""


def take_json_ld(tree: HtmlElement) -> list[Any]:
    """Return what the page's JSON-LD scripts hold, in order, and remove those that can't be read from the tree.

    The extractor looks at them, too, with patterns that take time in the square of the length on what is no JSON.
    """
    documents = []
    left = _MAX_JSON_LD_CHARS
    for script in tree.xpath("//script"):
        if "ld+json" not in (script.get("type") or "").lower():
            continue
        text = (script.text or "").strip()
        left -= len(text)
        try:
            if not text or left < 0:
                raise Refusal(TOO_LARGE, "JSON-LD is empty or too long")
            documents.append(read_json(text.encode("utf-8", "replace")))
        except Refusal:
            script.drop_tree()
    return documents


def read_metadata(tree: HtmlElement, json_ld: list[Any]) -> PageMetadata:
    """Return what the page `tree` says about itself, `json_ld` being what its JSON-LD scripts hold.

    Never fails: what can't be read is missing.
    """
    page = PageMetadata(language=_text(tree.get("lang")))
    metas: dict[str, str] = {}
    meta_authors: list[str] = []
    headings: list[str] = []
    title = None
    for document in json_ld:
        if page.published is None:
            _read_json_ld(document, page)
    for element in tree.iter("meta", "link", "title", "h1"):
        if element.tag == "meta":
            name = (element.get("property") or element.get("name") or element.get("itemprop") or "").strip().lower()
            content = _text(element.get("content"))
            if name and content:
                metas.setdefault(name, content)
                if name in _META_AUTHORS[:2] and len(meta_authors) < 50:
                    meta_authors.append(content)
        elif element.tag == "link":
            if (element.get("rel") or "").strip().lower() == "canonical" and page.canonical is None:
                page.canonical = _text(element.get("href"))
        elif element.tag == "h1":
            if len(headings) < 2 and (heading := _text(element.text_content())):
                headings.append(heading)
        elif title is None:
            title = _text(element.text_content())
    page.title_origin = page.authors_origin = "json-ld"
    if page.title is None:
        page.title, page.title_origin = _first(metas, _META_TITLES), "meta"
    if page.title is None:
        page.title, page.title_origin = (headings[0] if len(headings) == 1 else None) or title, "html"
    if not page.authors:
        page.authors = meta_authors or [name for name in (_first(metas, _META_AUTHORS),) if name]
        page.authors_origin = "meta"
    if page.published is None:
        page.published = _first(metas, _META_DATES)
    page.canonical = page.canonical or metas.get("og:url")
    page.site = metas.get("og:site_name")
    page.description = _first(metas, _META_DESCRIPTIONS)
    _note(
        page,
        "meta",
        _first(metas, _META_SECTIONS),
        _first(metas, _META_MODIFIED),
        _first(metas, _META_IMAGES),
        _TIERS.get(metas.get("article:content_tier", "").lower()),
    )
    return page


def _note(
    page: PageMetadata,
    origin: Literal["json-ld", "meta"],
    section: str | None,
    modified: str | None,
    image: str | None,
    free: bool | None,
) -> None:
    """Note what the page says that it has not said before, and where."""
    for name, value in (("section", section), ("modified", modified), ("image", image), ("free", free)):
        if value is not None and name not in page.origins:
            setattr(page, name, value)
            page.origins[name] = origin


def _read_json_ld(document: Any, page: PageMetadata) -> None:
    for node in _nodes(document):
        types = node.get("@type")
        names = types if isinstance(types, list) else [types]
        if not any(isinstance(name, str) and (name.endswith("Article") or name in _ARTICLE_TYPES) for name in names):
            continue
        page.title = page.title or _text(node.get("headline"))
        page.authors = page.authors or _names(node.get("author"))
        section, free = node.get("articleSection"), node.get("isAccessibleForFree")
        _note(
            page,
            "json-ld",
            _text(section[0] if isinstance(section, list) and section else section),
            _text(node.get("dateModified")),
            _image(node.get("image")),
            free if isinstance(free, bool) else _TRUTH.get((_text(free) or "").lower().rpartition("/")[2]),
        )
        published = _text(node.get("datePublished"))
        if published:
            page.published, page.published_origin = published, "json-ld"
            return


def _nodes(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-LD document, outermost first, at most 2,000."""
    queue = deque([document])
    for _ in range(_MAX_JSON_LD_NODES):
        if not queue:
            return
        item = queue.popleft()
        if isinstance(item, dict):
            yield item
            queue.extend(member for member in item.values() if isinstance(member, (dict, list)))
        elif isinstance(item, list):
            queue.extend(member for member in item[:_MAX_JSON_LD_NODES] if isinstance(member, (dict, list)))


def _names(author: Any) -> list[str]:
    people = author if isinstance(author, list) else [author]
    names = [_text(person.get("name") if isinstance(person, dict) else person) for person in people[:50]]
    return [name for name in names if name]


def _image(image: Any) -> str | None:
    """Return the address of the first image, which may be an address, an object or a list of these."""
    first = image[0] if isinstance(image, list) and image else image
    return _text(first.get("url") if isinstance(first, dict) else first)


def _first(metas: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((metas[name] for name in names if name in metas), None)


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return clean_line(value[:_MAX_VALUE_CHARS]) or None
