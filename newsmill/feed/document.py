"""One raw document on its way in, and where it stood in its file."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from typing import Any

from schemas.headers import Headers


@dataclass(frozen=True, slots=True)
class FileId:
    """Which file was read, and as what it was known.

    `path` is absolute. `head_crc` is the CRC-32 of the first `head_bytes` bytes: it tells a file that has grown from
    another file of the same name.
    """

    path: str
    size: int
    mtime_ns: int
    head_bytes: int
    head_crc: int


@dataclass(frozen=True, slots=True)
class Position:
    """A place behind a document, from which reading can go on.

    `line` counts lines (NDJSON), items (a JSON array, a web feed) or records (WARC) from 1. `offset` is a byte offset,
    or -1 where a file can't be sought in (gzip) or holds one document. `file` is None for a stream, which can't be read
    again. `done` says that the file holds no more. `read` is about how many bytes of the file were read for it, where
    `offset` is -1: progress alone, which is not saved.
    """

    file: FileId | None
    line: int
    offset: int = -1
    done: bool = False
    read: int = field(default=0, compare=False)

    @property
    def passed(self) -> int:
        """How many bytes of the file are behind, as far as that is known; all when it is done."""
        if self.offset >= 0:
            return self.offset
        return self.file.size if self.done and self.file is not None else self.read

    def dump(self) -> list[Any]:
        """Return the position as a JSON array, for a checkpoint. Raises ValueError for a position in a stream."""
        if self.file is None:
            raise ValueError("a stream has no position that could be returned to")
        f = self.file
        return [_dump_path(f.path), f.size, f.mtime_ns, f.head_bytes, f.head_crc, self.line, self.offset, self.done]

    @classmethod
    def load(cls, plain: Any) -> Position:
        """Return the position that `dump` wrote. Raises ValueError for anything else."""
        kinds = (str, int, int, int, int, int, int, bool)
        if (
            not isinstance(plain, list)
            or len(plain) != len(kinds)
            or any(type(value) is not kind for value, kind in zip(plain, kinds, strict=True))
        ):
            raise ValueError(f"not a position: {plain!r}")
        return cls(FileId(_load_path(plain[0]), *plain[1:5]), *plain[5:])


def _dump_path(path: str) -> str:
    """JSON holds Unicode alone, and a name in Linux may be any bytes: such a path is base64 behind a NUL, which no path
    holds."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "\0" + base64.b64encode(os.fsencode(path)).decode()
    return path


def _load_path(plain: str) -> str:
    return os.fsdecode(base64.b64decode(plain[1:])) if plain.startswith("\0") else plain


@dataclass(frozen=True, slots=True)
class Document:
    """A raw document: what becomes the record of news.raw.

    `origin` is `<file as given>:<line>` and is among the headers, too. `size` is the true length in bytes; where it is
    above the limit of a record, `value` holds only the beginning and `too_large` is set. `problem` says why it could
    not be read as a document at all. `stored` are the headers of the record, where the file holds records with theirs.
    """

    value: bytes
    key: bytes
    headers: Headers
    origin: str
    position: Position
    size: int
    too_large: bool = False
    problem: str = ""
    stored: Headers = ()

    @property
    def refused(self) -> bool:
        """Whether it is no document that a stage could read."""
        return self.too_large or bool(self.problem)
