"""Which format an input has: by its suffix, else by its first byte."""

from __future__ import annotations

import io
from pathlib import PurePath
from typing import Final

BOM: Final = b"\xef\xbb\xbf"
_WHITESPACE: Final = b" \t\r\n"

FORMATS: Final = ("ndjson", "json", "text", "html")
"""`ndjson`: one JSON object a line. `json`: one object, or an array of objects. `text`, `html`: one document a file."""

CONTENT_TYPES: Final = {"text": b"text/plain", "html": b"text/html"}
"""Media type put into the header `content-type`; JSON is the default and has none."""

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

    `{` is NDJSON, `[` a JSON array, `<` HTML, and anything else (or nothing) plain text.
    """
    lines = 0
    while head := stream.peek(1):
        start = len(BOM) if head.startswith(BOM) else 0
        body = head[start:].lstrip(_WHITESPACE)
        skipped = head[: len(head) - len(body)]
        stream.read(len(skipped))
        lines += skipped.count(b"\n")
        if body:
            return {b"{": "ndjson", b"[": "json", b"<": "html"}.get(body[:1], "text"), lines
    return "text", lines
