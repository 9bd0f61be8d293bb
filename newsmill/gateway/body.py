"""The body of a request: read in pieces, decompressed in pieces, and never larger than it may be."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final, Protocol

from newsmill.gateway.budget import Full, Hold
from newsmill.gateway.problems import Problem

READ_SECONDS: Final = 30.0
"""Longest that a request may take to send its body."""

_PIECE: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_MOST_MEMBERS: Final = 1_000
"""Members that hold nothing cost time all the same."""


class Stream(Protocol):
    """What is needed of an `aiohttp.StreamReader`."""

    async def readany(self) -> bytes:
        """Return what has arrived, at least one byte; nothing at the end."""


async def read_body(
    stream: Stream, *, encoding: str, length: int | None, most: int, hold: Hold, seconds: float
) -> bytes:
    """Return the body, decompressed.

    Args:
        stream: the bytes as sent.
        encoding: of the header Content-Encoding: empty, `identity`, `gzip` or `x-gzip`.
        length: of the header Content-Length, where it is there.
        most: largest body, decompressed, bytes.
        hold: grows by what is kept.
        seconds: longest to wait for all of it.

    Raises Problem: 400, 408, 413, 415, 503.
    """
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "a body is sent plainly or with Content-Encoding: gzip",
            headers={"Accept-Encoding": "gzip"},  # RFC 9110, section 15.5.16
        )
    if length is not None and length > most:
        raise _too_large(most)
    unpack = _Gzip() if encoding.endswith("gzip") else None
    parts: list[bytes] = []
    sent = size = 0
    try:
        async with asyncio.timeout(seconds):
            while data := await stream.readany():
                sent += len(data)
                if sent > most:
                    raise _too_large(most)
                for part in unpack.feed(data) if unpack else (data,):
                    size += len(part)
                    if size > most:
                        raise _too_large(most)
                    hold.grow(len(part))
                    parts.append(part)
    except TimeoutError:
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {seconds:g} s") from None
    except Full:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "as much is in flight as the gateway holds; send again later", retry_after=1
        ) from None
    if unpack and not unpack.complete:
        raise Problem(HTTPStatus.BAD_REQUEST, "the gzip body ends too early")
    return b"".join(parts)


def _too_large(most: int) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body holds at most {most} bytes, decompressed; send fewer documents"
    )


class _Gzip:
    """Decompresses a stream of gzip members (RFC 1952) in pieces of bounded size, whatever they are made of."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._members = 1
        self.complete = False
        """Whether the last member has come to its end."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` adds. Raises Problem (400)."""
        while True:
            if data and self._member.eof:
                self._next_member()
            try:
                part = self._member.decompress(data, _PIECE)
            except zlib.error as error:
                raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not gzip, or is damaged: {error}") from None
            if part:
                yield part
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            # A full piece with nothing left to read can still have something behind it, inside of zlib.
            if not data and (self._member.eof or len(part) < _PIECE):
                break
        self.complete = self._member.eof

    def _next_member(self) -> None:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise Problem(HTTPStatus.BAD_REQUEST, f"the gzip body has more than {_MOST_MEMBERS} members")
        self._member = zlib.decompressobj(_GZIP)
