"""The state of one partition as bytes, and back: columns as they stand in memory, a header, a checksum. No pickle.

    magic | length of the header (4 bytes) | header (MessagePack) | columns, one after another | blake2b-128 of the rest

Rows go in the order in which they were made, so that equal states give equal bytes.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from workers.dedup.decisions import Decisions
from workers.dedup.fingerprint import FINGERPRINT_VERSION
from workers.dedup.options import DedupOptions
from workers.dedup.sizes import KEYS
from workers.dedup.state import PartitionState
from workers.dedup.table import COLUMNS
from workers.stage import StateVersionError

MAGIC: Final = b"newsmill-dedup-snapshot-1\n"
_LENGTH: Final = struct.Struct("<I")
_SUM_BYTES: Final = 16


class _Header(Struct, frozen=True):
    """What the columns can't hold."""

    version: str
    fingerprint_version: str
    options: dict[str, int]
    rows: int
    last_offset: int
    watermark_us: int
    next_seq: int
    offsets: list[int]
    times_us: list[int]
    decided: list[bytes | None]
    urls: list[str | None]
    row_decisions: list[bytes | None]


def dump(state: PartitionState, options: DedupOptions, version: str) -> bytes:
    """Return the snapshot of `state`, which must not have staged changes."""
    if state.staged:
        raise RuntimeError("a snapshot is of committed state alone")
    table = state.table
    rows = np.flatnonzero(table.alive)
    rows = rows[np.argsort(table.seq[rows])]
    offsets, times, decided = state.decisions.dump()
    header = msgspec.msgpack.encode(
        _Header(
            version=version,
            fingerprint_version=FINGERPRINT_VERSION,
            options=_settings(options),
            rows=len(rows),
            last_offset=state.last_offset,
            watermark_us=state.watermark_us,
            next_seq=state.next_seq,
            offsets=offsets,
            times_us=times,
            decided=decided,
            urls=table.urls[rows].tolist(),
            row_decisions=table.decisions[rows].tolist(),
        )
    )
    parts = [MAGIC, _LENGTH.pack(len(header)), header]
    parts.extend(getattr(table, name)[rows].tobytes() for name, _, _ in COLUMNS)
    parts.append(np.packbits(state.by_text.chains.linked(rows)).tobytes())
    parts.append(state.by_key.chains.keys(rows).tobytes())
    parts.append(np.packbits(state.by_key.chains.linked(rows)).tobytes())
    checksum = hashlib.blake2b(digest_size=_SUM_BYTES)
    for part in parts:
        checksum.update(part)
    return b"".join([*parts, checksum.digest()])


def load(data: bytes, options: DedupOptions, version: str) -> PartitionState:
    """Return the state in `data`. Raises StateVersionError when it is damaged, or of another version or setting."""
    view = memoryview(data)
    if not data.startswith(MAGIC):
        raise StateVersionError(f"not a snapshot of dedup: {bytes(view[:30])!r}, not {MAGIC!r}")
    if hashlib.blake2b(view[:-_SUM_BYTES], digest_size=_SUM_BYTES).digest() != view[-_SUM_BYTES:]:
        raise StateVersionError(f"the snapshot is damaged: wrong checksum over {len(data)} bytes")
    try:
        (length,) = _LENGTH.unpack_from(view, len(MAGIC))
        start = len(MAGIC) + _LENGTH.size
        header = msgspec.msgpack.decode(view[start : start + length], type=_Header)
    except (struct.error, msgspec.MsgspecError) as error:
        raise StateVersionError(f"the snapshot's header can't be read: {error}") from error
    for what, there, wanted in (
        ("version", header.version, version),
        ("fingerprints", header.fingerprint_version, FINGERPRINT_VERSION),
        ("options", header.options, _settings(options)),
    ):
        if there != wanted:
            raise StateVersionError(f"the snapshot has {what} {there}, this is {wanted}")
    return _state(header, view[start + length : -_SUM_BYTES], options)


def _state(header: _Header, data: memoryview, options: DedupOptions) -> PartitionState:
    state, count = PartitionState(options), header.rows
    state.occupy(count)
    table, at = state.table, 0

    def take(kind: str, items: int) -> Any:
        nonlocal at
        part = np.frombuffer(data, kind, items, at)
        at += part.nbytes
        return part

    try:
        for name, kind, width in COLUMNS:
            column = take(kind, count * width)
            getattr(table, name)[:count] = column.reshape(count, width) if width > 1 else column
        in_text = np.unpackbits(take("u1", -(-count // 8)), count=count).astype(bool).reshape(count, 1)
        keys = take("<u4", count * KEYS).reshape(count, KEYS)
        in_keys = np.unpackbits(take("u1", -(-count * KEYS // 8)), count=count * KEYS).astype(bool).reshape(count, KEYS)
        if at != len(data) or not len(header.urls) == len(header.row_decisions) == count:
            raise ValueError(f"{len(data)} bytes, of which {at} belong to {count} rows")
        table.urls[:count] = header.urls
        table.decisions[:count] = header.row_decisions
        state.decisions = Decisions.of(header.offsets, header.times_us, header.decided)
    except ValueError as error:
        raise StateVersionError(f"the snapshot's columns can't be read: {error}") from error
    table.alive[:count] = True
    low = np.uint64(0xFFFFFFFF)
    everyone = np.ones((count, 1), bool)
    state.by_id.chains.rebuild((table.id[:count, 1:] & low).astype(np.uint32), everyone)
    state.by_text.chains.rebuild((table.hash[:count, 1:] & low).astype(np.uint32), in_text)
    state.by_key.chains.rebuild(keys, in_keys)
    state.last_offset, state.watermark_us = header.last_offset, header.watermark_us
    state.next_seq, state.entries = header.next_seq, count
    state.queue_all(count)
    return state


def _settings(options: DedupOptions) -> dict[str, int]:
    """The options on which the fold of a log depends. Thresholds are not among them: decisions stay as they were."""
    return {"window_us": options.window_us, "max_entries": options.max_entries}
