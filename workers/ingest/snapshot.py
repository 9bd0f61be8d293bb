"""What is remembered of a partition as bytes, and back. No pickle.

    magic | MessagePack | blake2b-128 of all before it

Sources go by name, so that equal memories give equal bytes.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from schemas.messages import SourceHealth
from workers.ingest.memory import Memory, Source
from workers.ingest.recurring import FORM
from workers.ingest.redelivery import Decisions
from workers.ingest.watched import Watched
from workers.stage import StateVersionError

MAGIC: Final = b"newsmill-ingest-snapshot-2\n"
_SUM_BYTES: Final = 16


class _Source(Struct, frozen=True, array_like=True):
    name: str
    epoch: int
    stories: int
    stories_before: int
    seen: int
    hashes: bytes
    counts: bytes
    articles: bytes
    cuts: list[bytes]
    articles_before: bytes
    cuts_before: list[bytes]


class _Memory(Struct, frozen=True):
    version: str
    form: int
    most_entries: int
    last_offset: int
    watermark_us: int
    records: int
    first: int
    offsets: list[int]
    cuts: list[bytes]
    told: list[tuple[int, SourceHealth]]
    sources: list[_Source]
    clock_us: int
    documents: int
    watched: list[tuple[str, Watched]]


def dump(memory: Memory, version: str) -> bytes:
    """Return the snapshot of `memory`, which must not have staged changes."""
    if memory.staged:
        raise RuntimeError("a snapshot is of committed state alone")
    first, offsets, cuts, told = memory.decisions.dump()
    body = msgspec.msgpack.encode(
        _Memory(
            version=version,
            form=FORM,
            most_entries=memory.most_entries,
            last_offset=memory.last_offset,
            watermark_us=memory.watermark_us,
            records=memory.records,
            first=first,
            offsets=offsets,
            cuts=cuts,
            told=told,
            clock_us=memory.watch.clock_us,
            documents=memory.watch.documents,
            watched=sorted(memory.watch.sources.items()),
            sources=[
                _Source(
                    name,
                    source.epoch,
                    source.stories,
                    source.stories_before,
                    source.seen,
                    _to_bytes(source.lines.keys()),
                    _to_bytes(source.lines.values()),
                    _to_bytes(source.recent.keys()),
                    list(source.recent.values()),
                    _to_bytes(source.recent_before.keys()),
                    list(source.recent_before.values()),
                )
                for name, source in sorted(memory.sources.items())
            ],
        )
    )
    return b"".join((MAGIC, body, hashlib.blake2b(MAGIC + body, digest_size=_SUM_BYTES).digest()))


def load(data: bytes, version: str, most_entries: int) -> Memory:
    """Return the memory in `data`. Raises StateVersionError when it is damaged, or of another version or bound."""
    if not data.startswith(MAGIC):
        raise StateVersionError(f"not a snapshot of ingest: {data[:30]!r}, not {MAGIC!r}")
    if hashlib.blake2b(data[:-_SUM_BYTES], digest_size=_SUM_BYTES).digest() != data[-_SUM_BYTES:]:
        raise StateVersionError(f"the snapshot is damaged: wrong checksum over {len(data)} bytes")
    try:
        plain = msgspec.msgpack.decode(data[len(MAGIC) : -_SUM_BYTES], type=_Memory)
        for what, there, wanted in (
            ("version", plain.version, version),
            ("form", plain.form, FORM),
            ("bound", plain.most_entries, most_entries),
        ):
            if there != wanted:
                raise StateVersionError(f"the snapshot has {what} {there}, this is {wanted}")
        return _memory(plain)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StateVersionError(f"the snapshot can't be read: {error}") from error


def _memory(plain: _Memory) -> Memory:
    memory = Memory(plain.most_entries)
    memory.last_offset, memory.watermark_us = plain.last_offset, plain.watermark_us
    memory.records = plain.records
    memory.decisions = Decisions.of(plain.first, plain.offsets, plain.cuts, plain.told)
    for row in plain.sources:
        source = memory.sources[row.name] = Source()
        source.epoch, source.stories, source.stories_before = row.epoch, row.stories, row.stories_before
        source.seen = row.seen
        source.lines = dict(zip(_from_bytes(row.hashes), _from_bytes(row.counts), strict=True))
        source.recent = dict(zip(_from_bytes(row.articles), row.cuts, strict=True))
        source.recent_before = dict(zip(_from_bytes(row.articles_before), row.cuts_before, strict=True))
        memory.entries += source.entries
    memory.watch.clock_us, memory.watch.documents = plain.clock_us, plain.documents
    memory.watch.sources = dict(plain.watched)
    return memory


def _to_bytes(numbers: Iterable[int]) -> bytes:
    packed = array("Q", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _from_bytes(data: bytes) -> list[int]:
    packed = array("Q", data)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tolist()
