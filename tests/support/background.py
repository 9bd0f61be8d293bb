"""Work that goes on beside a test, on a thread of its own, until it is closed."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class Background(ABC):
    """Runs `work` on a daemon thread. What it raises is kept in `error`, for the main thread to raise."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__.lower(), daemon=True)
        self.error: BaseException | None = None

    @abstractmethod
    def work(self) -> None:
        """Do it until `_over` is set, or until nothing is left to do."""

    @property
    def started(self) -> bool:
        """Whether it has begun."""
        return self._thread.ident is not None

    @property
    def ended(self) -> bool:
        """Whether it works no more, or has not begun."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Tell it to end, and wait until it has."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001  (the main thread raises it)
            self.error = error
