"""Records into a Parquet file: row groups of bounded size, the same records always in the same groups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from newsmill.engines.embedded import logfile
from newsmill.engines.result import Output
from newsmill.parquet import columns

GROUP_ROWS: Final = 5_000
GROUP_BYTES: Final = 32 * 1024 * 1024
"""Most of each in a row group, as JSON; one record may be larger."""


def write_file(packed: Path, path: Path, topic: str) -> None:
    """See `newsmill.parquet.write_file`."""
    made = columns.of(topic)
    temporary = packed.with_name(f"{packed.name}.tmp")
    with open(temporary, "wb") as file:
        with pq.ParquetWriter(file, made.schema, compression="zstd") as writer:
            for rows in _groups(packed, topic, made):
                writer.write_table(pa.Table.from_pylist(rows, schema=made.schema), row_group_size=len(rows))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _groups(packed: Path, topic: str, made: columns.Columns | columns.DeadLetters) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    size = 0
    for record in logfile.packed_records(packed, topic):
        value = len(record.value or b"")
        if rows and (len(rows) == GROUP_ROWS or size + value > GROUP_BYTES):
            yield rows
            rows, size = [], 0
        rows.append(made.row(Output(topic, record.key, record.value, record.headers)))
        size += value
    if rows:
        yield rows
