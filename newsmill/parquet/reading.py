"""Rows of Parquet files as documents, a few at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import IO, Any, Final

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from newsmill.feed.errors import InputError
from newsmill.feed.pieces import KEPT_BYTES, Piece
from newsmill.parquet import columns
from schemas.headers import Headers
from schemas.limits import MAX_RECORD_BYTES
from schemas.raw import ALIASES

BATCH_ROWS: Final = 32
"""Rows that are held at once. A row may be as large as a record."""

_BUFFER_BYTES: Final = 1024 * 1024

_NAMES: Final = frozenset(name for own, others in ALIASES.items() for name in (own, *others))
_CONTENT: Final = frozenset(name for own in ("html", "text") for name in (own, *ALIASES[own]))


def rows(stream: IO[bytes], name: str, *, after: int = 0) -> Iterator[Piece]:
    """See `newsmill.parquet.rows`. A file that newsmill has written gives the values of the records; of any other one
    each row is an object, columns that are null left out."""
    try:
        file = pq.ParquetFile(stream, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        render, headers = _renderer(file, name)
        number, total, size = 0, file.metadata.num_rows, stream.seek(0, os.SEEK_END)
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if number + count <= after:
                number += count
                continue
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group]):
                for row in _micro(batch).to_pylist():
                    number += 1
                    if number > after:
                        yield replace(_piece(render, headers, row, number), read=number * size // total)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{name}: cannot be read as Parquet: {text[0][:200]}") from error


def _renderer(
    file: Any, name: str
) -> tuple[Callable[[Mapping[str, Any]], bytes], Callable[[Mapping[str, Any]], Headers]]:
    schema = file.schema_arrow
    topic = (schema.metadata or {}).get(columns.TOPIC, b"").decode("utf-8", "replace")
    if topic:
        try:
            made = columns.of(topic)
        except ValueError as error:
            raise InputError(f"{name}: {error}") from error
        if isinstance(made, columns.DeadLetters):
            raise InputError(f"{name}: holds dead letters; `newsmill redrive` puts them back")
        return made.value, made.headers
    if not _CONTENT.intersection(schema.names):
        known = ", ".join(sorted(_NAMES.intersection(schema.names))) or "none that a document has"
        raise InputError(
            f"{name}: no column holds the text of documents: they are read from {', '.join(sorted(_CONTENT))}; it has "
            f"{len(schema.names)} columns, of them known: {known}"
        )
    return _object, lambda row: ()


def _piece(
    render: Callable[[Mapping[str, Any]], bytes],
    headers: Callable[[Mapping[str, Any]], Headers],
    row: Mapping[str, Any],
    number: int,
) -> Piece:
    try:
        value = render(row)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        return Piece(b"", 0, number, problem=f"a row that is no document: {str(error)[:200]}")
    kept = value[:KEPT_BYTES] if len(value) > MAX_RECORD_BYTES else value
    return Piece(kept, len(value), number, headers=headers(row))


def _object(row: Mapping[str, Any]) -> bytes:
    return orjson.dumps({name: _plain(value) for name, value in row.items() if value is not None}, default=_other)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: pyarrow gives maps as lists of pairs."""
    if isinstance(value, list):
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return {str(key): _plain(item) for key, item in value}
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.decode() if isinstance(value, bytes) else value


def _other(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _micro(batch: Any) -> Any:
    """Return the batch with times in microseconds: Python has no finer ones."""
    for index, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            type_ = pa.timestamp("us", tz=field.type.tz)
            batch = batch.set_column(index, field.name, batch.column(index).cast(type_, safe=False))
    return batch
