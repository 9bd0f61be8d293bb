"""Bytes to a raw document: JSON with any of the names that scrapers use, bare text, or a bare HTML page."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from html import unescape
from typing import Any, Final

import orjson

from schemas import headers
from schemas.limits import MAX_AUTHORS, MAX_EXTRA_BYTES, MAX_RECORD_BYTES
from schemas.messages import RawDocument
from schemas.raw import ALIASES
from workers.ingest.dates import from_milliseconds
from workers.ingest.decoding import declared_encoding, decode_text
from workers.ingest.html import looks_like_html
from workers.ingest.rawjson import read_json
from workers.ingest.refusal import (
    BAD_CONTENT_TYPE,
    BAD_FIELD,
    EMPTY_VALUE,
    EXTRA_TOO_LARGE,
    NO_CONTENT,
    NOT_AN_OBJECT,
    TOO_LARGE,
    Refusal,
)
from workers.stage import Record

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_HTML: Final = "text/html"

_LOCATOR_CHARS: Final = 255

_NAMES: Final = {name: frozenset((name, *aliases)) for name, aliases in ALIASES.items()}
"""For each field all names under which it may come."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A raw document with what came beside it: unknown fields, and when it was brought in (UTC)."""

    document: RawDocument
    extra: dict[str, Any]
    ingested_at: datetime
    fields: dict[str, str] = field(default_factory=dict)
    """For each field of the document the name under which it came."""


def read_document(record: Record) -> Incoming:
    """Return the raw document in a record of news.raw.

    Raises Refusal: `empty_value`, `too_large`, `bad_encoding`, `bad_json`, `not_an_object`, `too_deep`, `bad_field`,
    `bad_content_type`, `no_content`, `extra_too_large`.
    """
    value = record.value
    if value is None or not value.strip():
        raise Refusal(EMPTY_VALUE, "the record has no value")
    if len(value) > MAX_RECORD_BYTES:
        raise Refusal(TOO_LARGE, f"{len(value)} bytes; at most {MAX_RECORD_BYTES} are read")
    ingested_at = ingestion_time(record)
    media_type, charset = _content_type(record)
    if media_type == _JSON:
        return _from_json(value, ingested_at)
    extra: dict[str, Any] = {}
    if locator := headers.get(record.headers, headers.LOCATOR):
        extra["locator"] = locator.decode("utf-8", "replace")[-_LOCATOR_CHARS:]
    if media_type == _HTML:
        document = RawDocument(html=decode_text(value, charset or declared_encoding(value)))
    else:
        document = RawDocument(text=decode_text(value, charset))
    return Incoming(document, extra, ingested_at)


def _content_type(record: Record) -> tuple[str, str | None]:
    header = headers.get(record.headers, headers.CONTENT_TYPE)
    if not header:
        return _JSON, None
    media_type, _, parameters = header.decode("latin-1").lower().partition(";")
    media_type = media_type.strip()
    name, _, charset = parameters.strip().partition("=")
    if media_type in ("application/xhtml+xml", _HTML):
        media_type = _HTML
    elif media_type.endswith("+json") or media_type == "text/json":
        media_type = _JSON
    if media_type not in (_JSON, _TEXT, _HTML):
        raise Refusal(BAD_CONTENT_TYPE, f"{media_type[:100]!r} is not read")
    return media_type, charset.strip(" \"'") if name.strip() == "charset" else None


def ingestion_time(record: Record) -> datetime:
    """When the document was brought in: the header's time, else the broker's; 1970 when neither is an instant."""
    header = headers.get(record.headers, headers.INGESTED_AT)
    at = None
    if header is not None and len(header) <= 20 and header.isdigit():
        at = from_milliseconds(int(header))
    fallback = from_milliseconds(max(0, record.timestamp_ms)) or from_milliseconds(0)
    chosen = at or fallback
    if chosen is None:
        raise AssertionError("1970 is an instant")
    return chosen


def _from_json(value: bytes, ingested_at: datetime) -> Incoming:
    data = read_json(value)
    if not isinstance(data, dict):
        raise Refusal(NOT_AN_OBJECT, f"the JSON is {_kind(data)}, not an object")
    extra = dict(data)
    raw: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, candidates in _NAMES.items():
        if candidates.isdisjoint(data):
            continue
        for candidate in (name, *ALIASES[name]):
            if extra.get(candidate) is not None:
                raw[name], names[name] = extra.pop(candidate), candidate
                break
        # An own name that holds null says only that the field is missing.
        if name in extra and extra[name] is None:
            del extra[name]
    html = _text(raw, "html")
    text = _joined_text(raw)
    if html is None and text is None:
        raise Refusal(NO_CONTENT, "neither html nor text holds anything")
    html, text = _unescaped(html), _unescaped(text)
    if html is None and text is not None and looks_like_html(text):
        html, text = text, None
    document = RawDocument(
        url=_text(raw, "url"),
        source=_source(raw),
        title=_text(raw, "title"),
        html=html,
        text=text,
        published_at=_date(raw, "published_at", names, extra),
        fetched_at=_date(raw, "fetched_at", names, extra),
        authors=_authors(raw),
        language=_text(raw, "language"),
    )
    check_extra(extra)
    return Incoming(document, extra, ingested_at, names)


def check_extra(extra: dict[str, Any]) -> None:
    """Raise Refusal (`extra_too_large`) when the JSON of `extra` is larger than it may be."""
    if extra and (size := len(orjson.dumps(extra))) > MAX_EXTRA_BYTES:
        raise Refusal(EXTRA_TOO_LARGE, f"unknown fields take {size} bytes; at most {MAX_EXTRA_BYTES} are kept")


def _text(raw: dict[str, Any], name: str) -> str | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refusal(BAD_FIELD, f"{name}: expected text, got {_kind(value)}")
    return value if value.strip() else None


def _unescaped(text: str | None) -> str | None:
    """A text without one layer of escapes where that makes it HTML: out of feeds that escape once too often."""
    if text is not None and text.lstrip().startswith("&lt;") and looks_like_html(found := unescape(text)):
        return found
    return text


def _joined_text(raw: dict[str, Any]) -> str | None:
    """The text; a list of texts is one of paragraphs, as Scrapy's `getall()` gives it."""
    value = raw.get("text")
    if not isinstance(value, list):
        return _text(raw, "text")
    if not all(isinstance(part, str) for part in value):
        raise Refusal(BAD_FIELD, "text: expected text or a list of texts, got a list of other things")
    joined = "\n\n".join(value)
    return joined if joined.strip() else None


def _source(raw: dict[str, Any]) -> str | None:
    """The source; an object with a name counts, as NewsAPI and schema.org's `publisher` have it."""
    value = raw.get("source")
    if isinstance(value, dict):
        raw = {"source": value.get("name")}
    return _text(raw, "source")


def _date(raw: dict[str, Any], name: str, names: dict[str, str], extra: dict[str, Any]) -> str | int | float | None:
    """A date as written. It never stops an article: one of another type is kept in `extra`."""
    value = raw.get(name)
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return value
    if value is not None:
        extra[names[name]] = value
    return None


def _authors(raw: dict[str, Any]) -> list[str] | None:
    value = raw.get("authors")
    if value is None:
        return None
    people = value if isinstance(value, list) else [value]
    found = []
    for person in people:
        name = person.get("name") if isinstance(person, dict) else person
        if name is None:
            continue
        if not isinstance(name, str):
            raise Refusal(BAD_FIELD, f"authors: expected a name or a list of names, got {_kind(name)}")
        found.append(name)
        if len(found) == MAX_AUTHORS:
            break
    return found


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"
