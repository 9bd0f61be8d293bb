"""RSS and Atom files: each entry is a document."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

import feedparser
import orjson

from newsmill.feed.pieces import KEPT_BYTES, Piece
from schemas.limits import MAX_RECORD_BYTES

MAX_FEED_BYTES: Final = MAX_RECORD_BYTES
"""Largest file with a feed: it has to be in memory at once. News feeds are below 1 MB."""


def entries(stream: io.BufferedReader[Any]) -> Iterator[Piece]:
    """Yield the entries of a feed as JSON documents: url, title, html or text, published_at, authors, language, guid.

    The file is read and never anything that it names. One that is no feed, or too large, is one piece with a problem.
    """
    data = stream.read(MAX_FEED_BYTES + 1)
    if not data.strip():
        return
    if len(data) > MAX_FEED_BYTES:
        yield _problem(data, f"a feed of more than {MAX_FEED_BYTES // 1024**2} MiB")
        return
    try:
        # A stream, not bytes: those it would take for an address or a file's name first. Markup stays as it is, ingest
        # reads it.
        feed = feedparser.parse(io.BytesIO(data), sanitize_html=False)
    except Exception as error:  # noqa: BLE001  (it raises whatever its parsers do)
        yield _problem(data, f"no RSS or Atom: {str(error)[:200] or type(error).__name__}")
        return
    if not feed.version:
        reason = feed.get("bozo_exception")
        yield _problem(data, f"no RSS or Atom{f': {str(reason)[:200]}' if reason else ''}")
        return
    for number, entry in enumerate(feed.entries, 1):
        value = _document(entry, feed.feed)
        yield Piece(value[:KEPT_BYTES] if len(value) > MAX_RECORD_BYTES else value, len(value), number)


def _problem(data: bytes, problem: str) -> Piece:
    return Piece(data[:KEPT_BYTES], len(data[:KEPT_BYTES]), 1, problem=problem)


def _document(entry: Any, feed: Any) -> bytes:
    content = _content(entry)
    field = "text" if content.get("type") == "text/plain" else "html"
    found = {
        "url": entry.get("link"),
        "title": entry.get("title"),
        field: content.get("value"),
        "published_at": entry.get("published") or entry.get("updated"),
        "authors": _authors(entry),
        "language": content.get("language") or feed.get("language"),
        "guid": entry.get("id"),
        "tags": [tag["term"] for tag in entry.get("tags", ()) if tag.get("term")],
        "feed_title": feed.get("title"),
    }
    # What feedparser makes of broken encodings can hold lone surrogates.
    plain = {key: value for key, value in found.items() if value}
    try:
        return orjson.dumps(plain)
    except (orjson.JSONEncodeError, UnicodeEncodeError):
        return orjson.dumps({key: _clean(value) for key, value in plain.items()})


def _content(entry: Any) -> Any:
    """Return the longest of what an entry says: the whole article where the feed has it, else its summary."""
    said = [*entry.get("content", ()), entry.get("summary_detail") or {}]
    return max(said, key=lambda one: len(one.get("value") or ""))


def _authors(entry: Any) -> list[str]:
    names = [author.get("name") for author in entry.get("authors", ())]
    return [name for name in names if name] or [name for name in (entry.get("author"),) if name]


def _clean(value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return str(value).encode("utf-8", "replace").decode()
