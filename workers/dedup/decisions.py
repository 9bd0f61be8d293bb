"""What was decided for each input offset, so that a redelivered record gets its decision again."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from schemas.messages import Changes, Match

Verdict = Literal["unique", "revision", "exact_copy", "near_copy", "recrawl"]
"""What a live article may be found to be; a replayed one that is not known is `not_checked`."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Microseconds since the Unix epoch, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(value: int) -> datetime:
    """The UTC time `value` microseconds after the Unix epoch."""
    return _EPOCH + value * _MICROSECOND


class Decision(Struct, frozen=True, array_like=True, omit_defaults=True):
    """All that, with the article, determines what goes out. `cluster_id` None stands for the article's own id. The
    other fields are those of the messages."""

    verdict: Verdict
    revision: int = 1
    cluster_id: str | None = None
    match: Match | None = None
    origins: tuple[str, ...] = ()
    independent_sources: int = 1
    joins: tuple[str, ...] = ()
    changes: Changes | None = None


ALWAYS_KEPT: Final = 10_000
"""So many of the latest decisions are kept whatever their event time: far more than any engine has in flight."""

PLAIN: Final = Decision("unique")
"""By far the most frequent decision; it is kept as None."""

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Decision)


def pack(decision: Decision) -> bytes | None:
    """Return `decision` as MessagePack, the plain one as None."""
    return None if decision == PLAIN else _encoder.encode(decision)


def unpack(packed: bytes | None) -> Decision:
    """Return the decision that `pack` was given."""
    return PLAIN if packed is None else _decoder.decode(packed)


class Decisions:
    """Decisions by ascending offset; the first ones leave when they fall out of the window or there are too many."""

    def __init__(self) -> None:
        self._offsets = array("q")
        self._times = array("q")
        # An array of objects, with room at its end, and not a list: the cycle collector walks through all of a list.
        self._packed: NDArray[np.object_] = np.empty(0, object)
        self._start = 0

    @classmethod
    def of(cls, offsets: list[int], times_us: list[int], packed: list[bytes | None]) -> Decisions:
        """Return what `dump` was called on. Raises ValueError when the lists are of different lengths."""
        if not len(offsets) == len(times_us) == len(packed):
            raise ValueError(f"{len(offsets)} offsets, {len(times_us)} times and {len(packed)} decisions")
        made = cls()
        made._offsets.extend(offsets)
        made._times.extend(times_us)
        made._packed = np.empty(len(packed), object)
        made._packed[:] = packed
        return made

    def __len__(self) -> int:
        return len(self._offsets) - self._start

    @property
    def nbytes(self) -> int:
        """Bytes held, about."""
        return 24 * len(self._offsets)

    def add(self, offset: int, time_us: int, packed: bytes | None) -> None:
        """Append the decision on `offset`, which is above all offsets so far."""
        count = len(self._offsets)
        if count == len(self._packed):
            longer = np.empty(max(1024, count * 5 // 4), object)
            longer[:count] = self._packed
            self._packed = longer
        self._offsets.append(offset)
        self._times.append(time_us)
        self._packed[count] = packed

    def get(self, offset: int) -> Decision | None:
        """Return the decision on `offset`, or None when it is not held (any more)."""
        at = bisect_left(self._offsets, offset, self._start)
        if at == len(self._offsets) or self._offsets[at] != offset:
            return None
        return unpack(self._packed[at])

    def expire(self, cutoff_us: int, most: int) -> None:
        """Drop from the front what is older than `cutoff_us` or more than `most`, but none of the latest `ALWAYS_KEPT`.

        Those can be redelivered, however old they are: event times of a backfill may be years apart.
        """
        end = len(self._offsets) - ALWAYS_KEPT
        start = max(self._start, min(end, len(self._offsets) - most))
        while start < end and self._times[start] < cutoff_us:
            start += 1
        self._start = start

    def mark(self) -> tuple[int, int]:
        """Return what `back_to` needs to undo all that follows, up to the next `compact`."""
        return self._start, len(self._offsets)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Undo everything since `mark`."""
        self._start, end = mark
        self._packed[end : len(self._offsets)] = None
        del self._offsets[end:], self._times[end:]

    def compact(self) -> None:
        """Give dropped decisions' memory back, when they are half of all."""
        if self._start > 1024 and self._start * 2 > len(self._offsets):
            self._packed = self._packed[self._start : len(self._offsets)].copy()
            del self._offsets[: self._start], self._times[: self._start]
            self._start = 0

    def dump(self) -> tuple[list[int], list[int], list[bytes | None]]:
        """Return (offsets, event times, packed decisions) of all that are held."""
        start, end = self._start, len(self._offsets)
        return self._offsets[start:].tolist(), self._times[start:].tolist(), self._packed[start:end].tolist()
