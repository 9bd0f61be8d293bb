"""Where Faust's agent leaves messages for the batch loop: bounded by count and by bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

OVERHEAD_BYTES = 64


def size(message: Any) -> int:
    """Return the bytes of a Faust message that count for a batch."""
    return len(message.key or b"") + len(message.value or b"") + OVERHEAD_BYTES


class Inbox:
    """A queue of Faust messages. `put` waits while there is no room; `gather` waits for a batch to fill."""

    def __init__(self, records: int, size_bytes: int) -> None:
        self._records = records
        self._bytes = size_bytes
        self._messages: deque[Any] = deque()
        self._held = 0
        self._changed = asyncio.Condition()
        self._awake = False

    def _full(self) -> bool:
        return len(self._messages) >= self._records or self._held >= self._bytes

    async def put(self, message: Any) -> None:
        """Add a message; one that is larger than the whole inbox gets in when it is empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._full())
            self._messages.append(message)
            self._held += size(message)
            if len(self._messages) == 1 or self._full():
                self._changed.notify_all()

    async def gather(self, wait_s: float, linger_s: float) -> list[Any]:
        """Return everything there is: wait `wait_s` for a first message, then `linger_s` for more, or until full.

        Returns an empty list when nothing came, or `wake` was called.
        """
        async with self._changed:
            if await self._within(wait_s, lambda: bool(self._messages)) and not self._awake:
                await self._within(linger_s, self._full)
            self._awake = False
            messages = list(self._messages)
            self._empty()
            return messages

    async def _within(self, seconds: float, condition: Any) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait_for(lambda: self._awake or condition())
        except TimeoutError:
            return False
        return True

    async def wake(self) -> None:
        """Make `gather` return at once."""
        async with self._changed:
            self._awake = True
            self._changed.notify_all()

    async def clear(self) -> None:
        """Drop what is there: the partitions are another worker's now."""
        async with self._changed:
            self._empty()

    def _empty(self) -> None:
        self._messages.clear()
        self._held = 0
        self._changed.notify_all()
