"""Local snapshots of a stage's state: they shorten the reading of its log, and are never trusted over it.

File: one line of JSON (the header), then the state as the stage wrote it. The header says which log the state was
folded from and how far, with a digest of the last record folded: if the log holds another record at that offset (a
recreated topic, another cluster), or the file is torn, the snapshot is left aside and the log is read from its start.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)


class Header(msgspec.Struct, kw_only=True, frozen=True):
    """What a snapshot is of. `log_offset` is the last log record folded; `log_digest` is of its key and value."""

    stage_version: str
    topic: str
    partition: int
    log_offset: int
    log_digest: str
    digest: str


def record_digest(key: bytes | None, value: bytes | None) -> str:
    """Return the blake2b-128 of a log record, hex."""
    state = hashlib.blake2b(key or b"", digest_size=16)
    state.update(b"\0")
    state.update(value or b"")
    return state.hexdigest()


def write(path: Path, header: Header, data: bytes) -> None:
    """Write a snapshot so that at `path` there is always a whole one: aside, synced, renamed.

    Raises OSError (a full disk, say) and then leaves what was there before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    try:
        with aside.open("wb") as file:
            file.write(msgspec.json.encode(header) + b"\n" + data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def read(path: Path, stage_version: str, topic: str, partition: int) -> tuple[Header, bytes] | None:
    """Return header and state of the snapshot at `path`; None when there is none, or it is torn, of another version,
    or of another log."""
    try:
        first, _, data = path.read_bytes().partition(b"\n")
        header = msgspec.json.decode(first, type=Header)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("snapshot %s can't be read and is left aside: %s", path, error)
        return None
    if header.digest != hashlib.blake2b(data, digest_size=16).hexdigest():
        log.warning("snapshot %s is torn and is left aside", path)
        return None
    if (header.stage_version, header.topic, header.partition) != (stage_version, topic, partition):
        log.info(
            "snapshot %s is of %s, %s/%d and is left aside", path, header.stage_version, header.topic, header.partition
        )
        return None
    return header, data


def header_for(stage_version: str, topic: str, partition: int, log_offset: int, log_digest: str, data: bytes) -> Header:
    """Return the header of a snapshot with the state `data`."""
    return Header(
        stage_version=stage_version,
        topic=topic,
        partition=partition,
        log_offset=log_offset,
        log_digest=log_digest,
        digest=hashlib.blake2b(data, digest_size=16).hexdigest(),
    )
