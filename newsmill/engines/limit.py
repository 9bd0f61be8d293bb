"""The dead-letter limit: a stage that raises on many records is broken, and must stop before it empties the topic."""

from __future__ import annotations

import base64
from typing import ClassVar, Final

from newsmill.errors import NewsmillError

WINDOW: Final = 1_000
"""Records of a partition that are looked back on."""


class DeadLetterLimitExceeded(NewsmillError):
    """The stage raised on too many of the last records. Nothing of the batch has been written."""

    exit_code: ClassVar[int] = 1


class FailureWindow:
    """Which of the last `WINDOW` records of one partition made the stage raise. Rejections don't count: they are the
    stage's own decision about bad input.

    It is written into the commit metadata of the partition, so that a worker which stops and is started again stops
    again, and does not dead-letter another hundred records at each start.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bits = 0

    @property
    def failures(self) -> int:
        """Exceptions among the last `WINDOW` records."""
        return self._bits.bit_count()

    def after(self, outcomes: list[bool]) -> FailureWindow:
        """Return the window as it is once these records (True: the stage raised) have passed.

        Raises DeadLetterLimitExceeded as soon as one of them takes the window over its limit.
        """
        bits = self._bits
        mask = (1 << WINDOW) - 1
        if not any(outcomes):
            bits = (bits << len(outcomes)) & mask
        else:
            for failed in outcomes:
                bits = ((bits << 1) | failed) & mask
                if failed and bits.bit_count() > self._limit:
                    raise DeadLetterLimitExceeded(
                        f"the stage raised on more than {self._limit} of the last {WINDOW} records. "
                        "The last tracebacks are in news.dead-letters. Mend the cause, or raise "
                        "NEWSMILL_DEAD_LETTER_LIMIT to go on past it"
                    )
        window = FailureWindow(self._limit)
        window._bits = bits
        return window

    def dump(self) -> str:
        """Return the window as ASCII (at most 168 characters; empty when there were no failures)."""
        size = (self._bits.bit_length() + 7) // 8
        return base64.b64encode(self._bits.to_bytes(size, "big")).decode()

    @classmethod
    def load(cls, text: str, limit: int) -> FailureWindow:
        """Return the window that `dump` wrote; text that it did not write gives an empty one."""
        window = cls(limit)
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError:
            return window
        window._bits = int.from_bytes(raw, "big") & ((1 << WINDOW) - 1)
        return window
