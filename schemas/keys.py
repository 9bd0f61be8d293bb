"""What decides which records meet: keys of news.raw and ids of articles."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

UNKNOWN_SOURCE = "unknown"


def source_key(url: str | None, source: str | None) -> bytes:
    """Return the key of a raw document: its source, lower-cased, else its URL's host without `www.`, else `unknown`.

    Every producer of news.raw uses this one function, so that documents of a source stay in order on one partition.

    >>> source_key("https://www.Example.com/a", None)
    b'example.com'
    """
    if source and (name := " ".join(source.split()).casefold()):
        return name.encode("utf-8", "replace")[:200]
    if url:
        try:
            host = urlsplit(url.strip()).hostname
        except ValueError:
            host = None
        if host:
            return host.removeprefix("www.").encode("utf-8", "replace")[:200]
    return UNKNOWN_SOURCE.encode()


def digest(*parts: str) -> str:
    """Return the blake2b-128 of `parts` as 32 hex digits. Each part is closed by a NUL, so that ("ab", "c") differs
    from ("a", "bc"). Source: RFC 7693."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(part.encode("utf-8", "surrogatepass"))
        state.update(b"\0")
    return state.hexdigest()
