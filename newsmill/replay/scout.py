"""Finds records by the origin that they name themselves, ahead of where they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from newsmill.replay.errors import ReplayError
from newsmill.replay.partitions import Partitions
from newsmill.settings import Settings
from schemas import headers as h
from schemas.replays import Span

SLACK_MS: Final = 60_000
"""Clocks of brokers may differ by so much."""

MOST_KNOWN: Final = 2_000_000
"""Origins that are remembered: as many records as live workers may have been behind."""


class Scout:
    """Reads ahead in a range and remembers where records stand that brought their origin with them.

    A record that the live run had decided by some time had arrived by then. So no more is read than what had arrived,
    and what is found depends on nothing but the question.

    Args:
        settings, topic, spans: what is read.
        positions: next offset of each partition; what is before is not looked for.
    """

    def __init__(self, settings: Settings, topic: str, spans: Sequence[Span], positions: Mapping[int, int]) -> None:
        self._settings = settings
        self._topic = topic
        self._spans = spans
        self._positions = dict(positions)
        self._records: Partitions | None = None
        self._known: dict[bytes, list[tuple[int, int, int]]] = {}
        self._sweep_at = 10_000

    def find(self, origin: bytes, decided_ms: int, reached: Mapping[int, int]) -> tuple[int, int] | None:
        """Return partition and offset of the first record with this origin that is not behind `reached` (next offset by
        partition) and had arrived at `decided_ms` (milliseconds since the Unix epoch); None when there is none."""
        if self._records is None:
            self._records = Partitions(self._settings, self._topic, self._spans, self._positions)
        bound = decided_ms + SLACK_MS
        self._read_up_to(self._records, bound)
        if len(self._known) > self._sweep_at:
            self._sweep(reached)
        found = [
            (arrived, partition, offset)
            for arrived, partition, offset in self._known.get(_digest(origin), ())
            if offset >= reached[partition] and arrived <= bound
        ]
        return min(found)[1:] if found else None

    def _read_up_to(self, records: Partitions, bound: int) -> None:
        for number in records.numbers:
            while (record := records.peek(number)) is not None and record.timestamp_ms <= bound:
                records.take(number)
                if (origin := h.get(record.headers, h.ORIGIN)) is not None:
                    place = record.timestamp_ms, record.partition, record.offset
                    self._known.setdefault(_digest(origin), []).append(place)

    def _sweep(self, reached: Mapping[int, int]) -> None:
        kept = {
            origin: left
            for origin, places in self._known.items()
            if (left := [place for place in places if place[2] >= reached[place[1]]])
        }
        if len(kept) > MOST_KNOWN:
            raise ReplayError(
                f"live workers were more than {MOST_KNOWN:,} records behind in this range; replay it in shorter "
                "pieces, or with --order time"
            )
        self._known = kept
        self._sweep_at = max(10_000, 2 * len(kept))

    def close(self) -> None:
        """Close the client."""
        if self._records is not None:
            self._records.close()


def _digest(origin: bytes) -> bytes:
    return hashlib.blake2b(origin, digest_size=16).digest()
