"""Names of the Kafka record headers. Headers, never values, carry what differs from one run to the next.

A header is a pair (name, UTF-8 bytes). Those in `PASSED_ON` travel from an input record to each record made of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Headers = tuple[tuple[str, bytes], ...]

ORIGIN: Final = "origin"
"""Where the document entered: `news.raw/<partition>/<offset>` or `<file>:<line>`. Set once, then passed on."""

INGESTED_AT: Final = "ingested-at"
"""When the document was brought in: milliseconds since the Unix epoch, UTC. Written once, by whatever brings it in."""

DOCUMENT_ID: Final = "document-id"
"""What the gateway told the sender: blake2b-128 of the document's bytes, hex. The same document sent again has the
same one."""

RUN: Final = "run"
"""Id of the run that made the record: `live`, or the name of a replay."""

REPLAY: Final = "replay"
"""Present on replayed records, which read state and never change it. Its value names the replay."""

REDRIVEN: Final = "redriven"
"""How many times the record was put back from the dead letters: a decimal number. Missing: never."""

PROMOTED: Final = "promoted"
"""Present on records of a run that were published to the live topics afterwards, beside `replay`. Its value names the
run. Stages leave such a record alone: what follows from it was published with it."""

TRACEPARENT: Final = "traceparent"
"""W3C Trace Context, passed on untouched."""

CONTENT_TYPE: Final = "content-type"
"""Media type of a raw document: `application/json` (the default), `text/plain` or `text/html`."""

LOCATOR: Final = "locator"
"""For a raw document that can't name its own source (a bare text or HTML file): the file's name."""

INPUT_OFFSET: Final = "input-offset"
"""On log records: the offset of the input record that the entry is about."""

TAKEN_OVER: Final = "taken-over"
"""Present on records in the log of a run that live workers have decided: the run itself did not process their input."""

DEAD_STAGE: Final = "dead-stage"
DEAD_TOPIC: Final = "dead-topic"
DEAD_PARTITION: Final = "dead-partition"
DEAD_OFFSET: Final = "dead-offset"
DEAD_REASON: Final = "dead-reason"
DEAD_DETAIL: Final = "dead-detail"
DEAD_VERSION: Final = "dead-version"

DEAD: Final = frozenset({DEAD_STAGE, DEAD_TOPIC, DEAD_PARTITION, DEAD_OFFSET, DEAD_REASON, DEAD_DETAIL, DEAD_VERSION})
"""Headers that a record gets when it becomes a dead letter."""

PASSED_ON: Final = frozenset({ORIGIN, INGESTED_AT, DOCUMENT_ID, RUN, REPLAY, REDRIVEN, TRACEPARENT})

LIVE_RUN: Final = b"live"


def get(headers: Iterable[tuple[str, bytes]], name: str) -> bytes | None:
    """Return the value of the first header called `name`, or None.

    >>> get((("run", b"live"),), "run")
    b'live'
    """
    for key, value in headers:
        if key == name:
            return value
    return None
