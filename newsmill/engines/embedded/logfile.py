"""The file of a log topic: one line a record, a checksum before its JSON. The state of a stage is the fold of it."""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from newsmill.engines.embedded.errors import StateError
from newsmill.engines.result import Output
from workers.stage import Record


def encode(output: Output, offset: int) -> bytes:
    """Return the line of a log record: CRC-32 in hex, a space, JSON, a newline."""
    plain = {
        "offset": offset,
        "key": _to_plain(output.key),
        "headers": [[name, _to_plain(value)] for name, value in output.headers],
        "value": _to_plain(output.value),
    }
    if output.partition:
        plain["partition"] = output.partition
    body = orjson.dumps(plain)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def records(path: Path, topic: str, length: int) -> Iterator[Record]:
    """Yield the records in the first `length` bytes of a log file, in order. Their timestamp is 0.

    Raises StateError when a line is damaged or the file ends within one.
    """
    with path.open("rb") as file:
        number = read = 0
        while read < length:
            line = file.readline()
            number += 1
            read += len(line)
            yield _record(line if read <= length else b"", topic, path, number)


def packed_records(path: Path, topic: str) -> Iterator[Record]:
    """Yield the records of a log file that is compressed with gzip, in order, as `records` does."""
    with gzip.open(path) as file:
        number = 0
        while True:
            try:
                line = file.readline()
            except (OSError, EOFError, zlib.error) as error:
                raise _damaged(path, number + 1) from error
            if not line:
                return
            number += 1
            yield _record(line, topic, path, number)


def _record(line: bytes, topic: str, path: Path, number: int) -> Record:
    try:
        crc, _, body = line.partition(b" ")
        if not line.endswith(b"\n") or int(crc, 16) != zlib.crc32(body[:-1]):
            raise ValueError("checksum")
        plain = orjson.loads(body)
        return Record(
            topic,
            plain.get("partition", 0),
            plain["offset"],
            _from_plain(plain["key"]),
            _from_plain(plain["value"]),
            tuple((name, _from_plain(value) or b"") for name, value in plain["headers"]),
        )
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise _damaged(path, number) from error


def _damaged(path: Path, number: int) -> StateError:
    return StateError(
        f"{path}: line {number} is damaged",
        "Bring the file back from a copy, or start anew with --fresh or another --state directory",
    )


def _to_plain(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _from_plain(plain: Any) -> bytes | None:
    if plain is None:
        return None
    if isinstance(plain, dict):
        return base64.b64decode(plain["base64"], validate=True)
    return bytes(plain.encode())
