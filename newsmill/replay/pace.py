"""How fast a replay may go: as told, as the records once came, and never at the cost of live traffic."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from kafka.errors import KafkaError

from newsmill.errors import NewsmillError
from newsmill.settings import Settings
from newsmill.status.lag import LagReader

NICENESS: Final = 10
"""Added to the niceness of the process: live workers on the same machine come first."""

SLOWEST: Final = 1.0
"""Records a second that a replay still writes, however far live workers are behind."""

GROWTH: Final = 1.25
"""Factor by which the limit grows with each look at a lag that is below the bound."""

FREE: Final = 100_000.0
"""Records a second that no replay reaches: a limit that has grown to this is none."""

EVERY_SECONDS: Final = 1.0
UNKNOWN_SECONDS: Final = 10.0
"""A lag that nobody could tell for so long counts as too much."""


class PaceError(NewsmillError):
    """A pace that can't be read."""


def lower_priority() -> None:
    """Put this process behind the others of the machine. Called once, when it starts."""
    os.nice(NICENESS)


def parse_rate(text: str) -> float:
    """Return records a second of `--rate` (`100/s`, `100`). Raises PaceError.

    >>> parse_rate("100/s")
    100.0
    """
    try:
        rate = float(text.removesuffix("/s"))
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise PaceError(f"--rate is {text!r}: write 100/s, a number above 0")
    return rate


def parse_pace(text: str) -> float:
    """Return how many times as fast as the records came `--pace` is (`original`: 1, `x10`: 10). Raises PaceError.

    >>> parse_pace("original"), parse_pace("x2.5")
    (1.0, 2.5)
    """
    try:
        factor = 1.0 if text == "original" else float(text.removeprefix("x")) if text.startswith("x") else math.nan
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise PaceError(f"--pace is {text!r}: write original, or xN for N times as fast")
    return factor


class Pace:
    """Says when the next records may go.

    Where live workers are behind by more than `most_lag` records, the limit is halved with each look (from what was
    reached, where there was no limit); where they are not, it grows again.

    Args:
        rate: most records a second; None: no limit.
        factor: how many times as fast as the records once came; None: as fast as the limit allows.
        lag: returns by how many records live workers are behind, None where that can't be told; no argument: whether
            anything lives is not looked at.
        most_lag: records.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        rate: float | None = None,
        factor: float | None = None,
        lag: Callable[[], int | None] | None = None,
        most_lag: int = 1_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate or math.inf
        self._factor = factor
        self._lag = lag
        self._most_lag = most_lag
        self._clock = clock
        self.limit = self._rate
        """Records a second at the moment; infinite where nothing limits them."""
        self._debt = 0.0
        self._at = self._looked = clock()
        self._wrote = 0
        self._reached = math.inf
        self._begin: tuple[float, int] | None = None

    @property
    def backing_off(self) -> bool:
        """Whether live workers make it slower than it was told."""
        return self.limit < self._rate

    def most(self, batch: int) -> int:
        """Return how many records the next batch may have: `batch`, fewer where that would come in bursts."""
        return batch if math.isinf(self.limit) else max(1, min(batch, int(self.limit / 4)))

    def wrote(self, records: int) -> None:
        """Note that so many records were written."""
        self._settle()
        self._wrote += records
        if not math.isinf(self.limit):
            self._debt += records

    def wait(self) -> float:
        """Return for how long to wait before the next batch, seconds; ask again after that. 0: it may go."""
        self._look()
        self._settle()
        if self._debt < 0.001:  # what rounding has left
            return 0.0
        # Asked again before the next look at the lag, which may change the limit.
        return min(self._debt / self.limit, EVERY_SECONDS / 2)

    def until_due(self, timestamp_ms: int) -> float:
        """Return for how long a record that once arrived at `timestamp_ms` (milliseconds since 1970) has to wait, in
        seconds; 0 or less: it is due. The first record that is asked about is due at once."""
        if self._factor is None:
            return 0.0
        now = self._clock()
        if self._begin is None:
            self._begin = (now, timestamp_ms)
        began, first_ms = self._begin
        return began + (timestamp_ms - first_ms) / 1000 / self._factor - now

    def stood_still(self, seconds: float) -> None:
        """Note a pause of so many seconds: what was due in it is not all due at once afterwards."""
        if self._begin is not None:
            self._begin = (self._begin[0] + seconds, self._begin[1])

    def _settle(self) -> None:
        now = self._clock()
        if self._debt > 0:
            self._debt = 0.0 if math.isinf(self.limit) else max(0.0, self._debt - (now - self._at) * self.limit)
        self._at = now

    def _look(self) -> None:
        now = self._clock()
        if self._lag is None or now - self._looked < EVERY_SECONDS:
            return
        self._settle()
        if self._wrote:
            self._reached = self._wrote / (now - self._looked)
        self._looked, self._wrote = now, 0
        lag = self._lag()
        if lag is None or lag > self._most_lag:
            base = min(self.limit, self._reached)
            self.limit = max(SLOWEST, base / 2) if not math.isinf(base) else SLOWEST
        elif self.limit < self._rate:
            # What it reaches says nothing of what it could while the limit holds it back.
            held = self._reached > self.limit / 2
            self.limit = self.limit * GROWTH if held else self.limit * GROWTH * 2
            if self.limit >= self._rate or (math.isinf(self._rate) and self.limit > FREE):
                self.limit = self._rate


class LiveLag:
    """Asks about once a second, on a thread of its own, by how many records the live workers are behind.

    The first answer is there when the constructor returns; where the broker does not give one, lag is unknown.
    """

    def __init__(self, settings: Settings, sources: dict[str, str]) -> None:
        self._reader = LagReader(settings, sources)
        self._lag: int | None = None
        self._at = -math.inf
        self._stopping = threading.Event()
        self._ask()
        self._thread = threading.Thread(target=self._loop, name="live-lag", daemon=True)
        self._thread.start()

    def __call__(self) -> int | None:
        """Return the lag, records; None where nobody has been able to tell for a while."""
        return self._lag if time.monotonic() - self._at < UNKNOWN_SECONDS else None

    def close(self) -> None:
        """Stop asking."""
        self._stopping.set()
        self._thread.join(5)
        self._reader.close()

    def _loop(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
            self._ask()

    def _ask(self) -> None:
        try:
            self._lag = self._reader.lag()
            self._at = time.monotonic()
        except KafkaError:
            return  # it gets too old by itself
