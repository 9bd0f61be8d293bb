"""Parquet files: records of a topic as rows, and rows as documents. Needs pyarrow (the extra `parquet`); nothing else
here does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from newsmill.errors import NewsmillError
from newsmill.feed.pieces import Piece


class ParquetMissingError(NewsmillError):
    """Parquet is asked for, and pyarrow is not installed."""


def require() -> None:
    """Raise ParquetMissingError where Parquet can't be read or written."""
    try:
        import pyarrow.parquet  # noqa: F401  (only whether it is there)
    except ImportError as error:
        raise ParquetMissingError(
            f"Parquet needs pyarrow, which is not installed ({error}): pip install pyarrow"
        ) from error


def write_file(packed: Path, path: Path, topic: str) -> None:
    """Write the records of `topic` in `packed` (as PackedSink writes them) to the Parquet file `path`, which appears
    when it is complete. Raises ParquetMissingError, StateError where `packed` is damaged, OSError."""
    require()
    from newsmill.parquet import writing

    writing.write_file(packed, path, topic)


def rows(stream: IO[bytes], name: str, *, after: int = 0) -> Iterator[Piece]:
    """Yield the rows of a Parquet file behind the first `after` ones as JSON documents.

    Raises ParquetMissingError; InputError for a file that is damaged or holds no documents.
    """
    require()
    from newsmill.parquet import reading

    return reading.rows(stream, name, after=after)
