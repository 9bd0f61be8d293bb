"""What has been fetched and not yet processed: bounded by count and by bytes, on its way to the batch loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

OVERHEAD_BYTES = 64


def size(message: Any) -> int:
    """Return the bytes of a Faust message that count for a batch."""
    return len(message.key or b"") + len(message.value or b"") + OVERHEAD_BYTES


class Inbox:
    """A queue of Faust messages, with a door at its far end.

    A message passes the door (`admit`) before it goes through Faust's own queues, which are bounded by count alone:
    500 records can be 4 GiB. It may wait there. Then the agent puts it in (`put`), and the loop takes it (`gather`).

    Args:
        records: of a batch; twice as many are let in.
        size_bytes: of a batch; twice as much is let in.
    """

    def __init__(self, records: int, size_bytes: int) -> None:
        self._records = records
        self._bytes = size_bytes
        self._messages: deque[Any] = deque()
        self._held = 0
        # What is admitted and not yet taken, here and in Faust's queues.
        self._admitted = 0
        self._admitted_bytes = 0
        self._changed = asyncio.Condition()
        self._awake = False

    async def admit(self, message: Any) -> None:
        """Wait until there is room for `message`. One that is larger than all room gets in when it is alone."""
        while not self.has_room():
            async with self._changed:
                await self._changed.wait()
        self._admitted += 1
        self._admitted_bytes += size(message)

    def has_room(self) -> bool:
        """Whether the next message is admitted without waiting."""
        return self._admitted < 2 * self._records and self._admitted_bytes < 2 * self._bytes

    async def put(self, message: Any) -> None:
        """Add an admitted message."""
        self._messages.append(message)
        self._held += size(message)
        if len(self._messages) == 1 or self._full():
            async with self._changed:
                self._changed.notify_all()

    async def gather(self, wait_s: float, linger_s: float) -> list[Any]:
        """Return what there is, at most a batch: wait `wait_s` for a first message, then `linger_s` for a full batch.

        Returns an empty list when nothing came, or `wake` was called.
        """
        async with self._changed:
            if await self._within(wait_s, lambda: bool(self._messages)):
                await self._within(linger_s, self._full)
            self._awake = False
            messages = [self._messages.popleft() for _ in range(min(self._records, len(self._messages)))]
            taken = sum(map(size, messages))
            self._held -= taken
            # Never below nothing: `clear` forgets what Faust's queues hold, and some of it may still come.
            self._admitted = max(0, self._admitted - len(messages))
            self._admitted_bytes = max(0, self._admitted_bytes - taken)
            self._changed.notify_all()
            return messages

    def _full(self) -> bool:
        return len(self._messages) >= self._records or self._held >= self._bytes

    async def _within(self, seconds: float, condition: Callable[[], bool]) -> bool:
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
        """Drop what is here and in Faust's queues: the partitions are another worker's now."""
        async with self._changed:
            self._messages.clear()
            self._held = self._admitted = self._admitted_bytes = 0
            self._changed.notify_all()
