"""How fast one sender may send: a token bucket."""

from __future__ import annotations

import time
from collections.abc import Callable


class Bucket:
    """A token bucket that counts documents.

    A request of more documents than the bucket holds is let through when the bucket is full, and leaves a debt: else it
    could never be sent.

    Args:
        rate: documents a second that flow in; 0: no limit.
        burst: documents that it holds, at least 1.
        clock: monotonic seconds.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._level = self._burst
        self._at = clock()

    def wait(self, documents: int = 1) -> float:
        """Return how long to wait until `documents` may be sent, seconds; 0 when they may be now."""
        if not self._rate:
            return 0.0
        self._fill()
        return max(0.0, (min(float(documents), self._burst) - self._level) / self._rate)

    def take(self, documents: int) -> None:
        """Take `documents` out."""
        self._fill()
        self._level -= documents

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
