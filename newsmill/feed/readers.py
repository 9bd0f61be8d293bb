"""One reader for each format: an open stream in, pieces out. A piece longer than a record is never held whole."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import orjson

from newsmill.feed import formats
from newsmill.feed.errors import InputError
from newsmill.feed.pieces import KEPT_BYTES, Piece
from schemas.limits import MAX_RECORD_BYTES

MAX_ARRAY_BYTES: Final = 256 * 1024 * 1024
"""Largest file with a JSON array: it has to be in memory at once."""

_CHUNK: Final = 1024 * 1024


def lines(stream: io.BufferedReader[Any], *, number: int = 0, offset: int = 0) -> Iterator[Piece]:
    """Yield the lines of NDJSON from `stream`, which stands at `offset` behind line `number`. Empty lines are skipped.

    The line's end (`\\n` or `\\r\\n`) is cut off, and a byte order mark at the file's start.
    """
    limit = MAX_RECORD_BYTES + len(b"\r\n")
    while line := stream.readline(limit + 1):
        number += 1
        size = len(line)
        if size > limit and not line.endswith(b"\n"):
            line = line[:KEPT_BYTES]
            while rest := stream.readline(_CHUNK):
                size += len(rest)
                if rest.endswith(b"\n"):
                    break
            offset += size
            yield Piece(line, size, number, offset)
            continue
        start = offset
        offset += size
        value = line.rstrip(b"\r\n")
        if start == 0:
            value = value.removeprefix(formats.BOM)
        if len(value) > MAX_RECORD_BYTES:
            yield Piece(value[:KEPT_BYTES], len(value), number, offset)
        elif value.strip():
            yield Piece(value, len(value), number, offset)


def whole(stream: io.BufferedReader[Any]) -> Iterator[Piece]:
    """Yield all of `stream` as one piece; nothing when it is empty or only white space."""
    value = _read(stream, MAX_RECORD_BYTES + 1)
    if len(value) > MAX_RECORD_BYTES:
        size = len(value)
        while rest := stream.read(_CHUNK):
            size += len(rest)
        yield Piece(value[:KEPT_BYTES], size, 1)
    elif value.strip():
        yield Piece(value, len(value), 1)


def json_items(stream: io.BufferedReader[Any], name: str) -> Iterator[Piece]:
    """Yield the items of a JSON array, or the one object that the stream holds, or (scrapers do that) its lines.

    The items keep their bytes: nothing is written anew. An array that is not JSON is one piece, as it is.

    Raises InputError when an array is larger than MAX_ARRAY_BYTES.
    """
    head = stream.peek(1).removeprefix(formats.BOM).lstrip()
    if not head.startswith(b"["):
        yield from _object_or_lines(stream)
        return
    data = _read(stream, MAX_ARRAY_BYTES + 1)
    if len(data) > MAX_ARRAY_BYTES:
        raise InputError(
            f"{name}: a JSON array of more than {MAX_ARRAY_BYTES // 1024**2} MiB; write it as NDJSON, one object a "
            f"line (jq -c '.[]' {name})"
        )
    try:
        items = msgspec.json.decode(data.removeprefix(formats.BOM), type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        yield _bounded(data, 1)
        return
    for number, item in enumerate(items, 1):
        yield _bounded(bytes(item), number)


def _object_or_lines(stream: io.BufferedReader[Any]) -> Iterator[Piece]:
    first = stream.readline(MAX_RECORD_BYTES + 1)
    rest = stream.readline(MAX_RECORD_BYTES + 1) if first.endswith(b"\n") else b""
    if rest and _is_json(first):
        offset = len(first)
        yield Piece(first.removeprefix(formats.BOM).rstrip(b"\r\n"), len(first.rstrip(b"\r\n")), 1, -1)
        yield from _lines_after(rest, stream, offset)
        return
    joined = io.BufferedReader(_Chain(first + rest, stream))
    yield from whole(joined)


def _lines_after(first: bytes, stream: io.BufferedReader[Any], offset: int) -> Iterator[Piece]:
    for piece in lines(io.BufferedReader(_Chain(first, stream)), number=1, offset=offset):
        # Positions count items here: the format of the whole file is what decides how it is read again.
        yield Piece(piece.value, piece.size, piece.number, -1)


class _Chain(io.RawIOBase):
    """Bytes that were read already, then the rest of a stream."""

    def __init__(self, head: bytes, stream: io.BufferedReader[Any]) -> None:
        self._head = memoryview(head)
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # typeshed has no type for buffers in 3.11
        if self._head:
            size = min(len(view), len(self._head))
            view[:size] = self._head[:size]
            self._head = self._head[size:]
            return size
        return self._stream.readinto1(view)


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line.removeprefix(formats.BOM))
    except orjson.JSONDecodeError:
        return False
    return True


def _bounded(value: bytes, number: int) -> Piece:
    return Piece(value[:KEPT_BYTES] if len(value) > MAX_RECORD_BYTES else value, len(value), number)


def _read(stream: io.BufferedReader[Any], most: int) -> bytes:
    """Return up to `most` bytes; grows with the content, so that a small file takes little."""
    parts: list[bytes] = []
    size = 0
    while size < most and (part := stream.read(min(_CHUNK, most - size))):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
