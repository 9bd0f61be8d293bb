"""Which format an input has: by its suffix, else by its first byte."""

from __future__ import annotations

import io
import re
from pathlib import PurePath
from typing import Final

BOM: Final = b"\xef\xbb\xbf"
_WHITESPACE: Final = b" \t\r\n"

FORMATS: Final = ("ndjson", "json", "text", "html", "warc", "rss", "parquet")
"""`ndjson`: one JSON object a line. `json`: one object, or an array of objects. `text`, `html`: one document a file.
`warc`: the HTML pages of a crawl. `rss`: RSS or Atom, one document an entry. `parquet`: one document a row; needs the
extra `parquet`."""

CONTENT_TYPES: Final = {"text": b"text/plain", "html": b"text/html"}
"""Media type put into the header `content-type`; JSON is the default and has none."""

_FEED: Final = re.compile(rb"(?:<[?!][^>]*>\s*)*<(?:rss|feed|rdf:RDF)[\s>]", re.IGNORECASE)
"""The root element of RSS 0.9 to 2.0 and Atom, behind the XML declaration, a document type and comments."""

_SUFFIXES: Final = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".warc": "warc",
    ".rss": "rss",
    ".atom": "rss",
    ".xml": "rss",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def is_gzip(name: str) -> bool:
    """Return whether a file of this name is compressed.

    >>> is_gzip("a.ndjson.gz")
    True
    """
    return name.lower().endswith(".gz")


def of_name(name: str) -> str | None:
    """Return the format that the suffix of `name` tells (a closing `.gz` aside), or None.

    >>> of_name("today.NDJSON.gz")
    'ndjson'
    """
    base = name[:-3] if is_gzip(name) else name
    return _SUFFIXES.get(PurePath(base).suffix.lower())


def sniff(stream: io.BufferedReader) -> tuple[str, int]:
    """Return the format of `stream` and how many lines were skipped: the white space before its first byte is read.

    `{` is NDJSON, `[` a JSON array, `<` HTML or, when its first element says so, a web feed, `WARC/` a WARC file, and
    `PAR1` Parquet, and anything else (or nothing) plain text.
    """
    lines = 0
    while head := stream.peek(1):
        start = len(BOM) if head.startswith(BOM) else 0
        body = head[start:].lstrip(_WHITESPACE)
        skipped = head[: len(head) - len(body)]
        stream.read(len(skipped))
        lines += skipped.count(b"\n")
        if body:
            return _of_content(body), lines
    return "text", lines


def _of_content(head: bytes) -> str:
    if head.startswith(b"WARC/"):
        return "warc"
    if head.startswith(b"PAR1"):
        return "parquet"
    if _FEED.match(head):
        return "rss"
    return {b"{": "ndjson", b"[": "json", b"<": "html"}.get(head[:1], "text")
