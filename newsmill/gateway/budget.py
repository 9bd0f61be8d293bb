"""How much is held at once, over all requests: what does not fit is refused, and nothing waits."""

from __future__ import annotations

from types import TracebackType


class Full(Exception):
    """There is no room now."""


class Budget:
    """A number of bytes or documents that may be held at once. Not for threads: all of it runs on the event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def hold(self) -> Hold:
        """Return a share of it that is empty yet."""
        return Hold(self)


class Hold:
    """What one request holds of a budget; given back by `release`, or at the end of a `with`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._size = 0

    def grow(self, size: int) -> None:
        """Take `size` more. Raises Full, and then takes nothing."""
        if self._budget.taken + size > self._budget.most:
            raise Full
        self._budget.taken += size
        self._size += size

    def release(self) -> None:
        """Give all of it back. A second call does nothing."""
        self._budget.taken -= self._size
        self._size = 0

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()
