"""The table of bad input through the whole embedded engine, in a process whose memory is bounded.

    python -m tests.support.bad_input_run BYTES

BYTES is how much address space the process may take beyond what it has with the stages loaded. Prints a line of JSON
for each record that comes out, then one with the peak of memory in bytes.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from collections.abc import Iterator, Sequence

from newsmill.engines.embedded import EmbeddedEngine, Sink
from newsmill.engines.result import Output
from newsmill.feed import Document, Position
from newsmill.feed.readers import KEPT_BYTES
from schemas import headers as h
from schemas import topics
from schemas.limits import MAX_RECORD_BYTES
from tests.cases.bad_input import CASES, Case
from workers import pipeline

INGESTED_MS = 1_795_500_000_000


def kept(case: Case) -> bytes:
    """Return the bytes of a document as they reach the engine: of one that is too large, the beginning."""
    value = case.read() or b""
    return value if len(value) <= MAX_RECORD_BYTES else value[:KEPT_BYTES]


def digest(value: bytes) -> str:
    return hashlib.blake2b(value, digest_size=16).hexdigest()


def documents() -> Iterator[Document]:
    # Made one by one: together they are far larger than the engine may grow.
    for number, case in enumerate(CASES):
        value, size = kept(case), len(case.read() or b"")
        yield Document(
            value,
            b"key %d" % number,
            (*case.headers, (h.ORIGIN, b"%d" % number)),
            f"{number}",
            Position(None, number),
            size,
            too_large=size > len(value),
        )


class Printed(Sink):
    """Prints what became of each document."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def write(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            headers = dict(output.headers)
            became = {
                "case": CASES[int(headers[h.ORIGIN])].name,
                "topic": self._topic,
                "reason": headers.get(h.DEAD_REASON, b"").decode(),
                "key": (output.key or b"").decode(),
                "value": digest(output.value or b""),
            }
            print(json.dumps(became))


def main() -> None:
    stages = [pipeline.load(name) for name in pipeline.STAGES]
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    bound = taken + int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    sinks = {topic: [Printed(topic)] for topic in (topics.CLASSIFIED, topics.DUPLICATES, topics.DEAD_LETTERS)}
    EmbeddedEngine(stages, documents(), sinks, ingested_ms=INGESTED_MS).run()
    print(json.dumps({"peak": _peak_bytes()}))


def _peak_bytes() -> int:
    """The most memory that this program has held. getrusage counts its parent's, too, as of the fork."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
