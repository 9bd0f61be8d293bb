"""Which sources get a series of their own in the metrics: those with the most documents, within a bound.

Anybody can name a source, so names must not grow the metrics without end. Up to `limit` sources are shown by name, all
others together as `other`. A source that comes later takes the place of the smallest one shown once it has twice as
many documents; so the shown ones settle, and a flood of one-off names changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from newsmill.metrics import Metrics

OTHER: Final = "other"
MAX_NAME_CHARS: Final = 100

WAITING_A_PLACE: Final = 4
"""Sources counted while they are not shown, for each one that is."""


class Sources:
    """Names to show, for keys of news.raw.

    Args:
        limit: most sources shown by name; 0 shows none.
        on_drop: called with a name that is no longer shown; its series should go.
    """

    def __init__(self, limit: int, on_drop: Callable[[str], None] = lambda _: None) -> None:
        self._limit = limit
        self._on_drop = on_drop
        self._shown: dict[str, int] = {}
        self._waiting: dict[str, int] = {}

    @property
    def limit(self) -> int:
        """Most sources shown by name."""
        return self._limit

    def name(self, key: bytes | None, documents: int = 1) -> str:
        """Count `documents` for the source with this key; return the name under which to show them."""
        name = (key or b"").decode("utf-8", "replace")[:MAX_NAME_CHARS] or OTHER
        if name in self._shown:
            self._shown[name] += documents
            return name
        if name == OTHER or not self._limit:
            return OTHER
        if len(self._shown) < self._limit:
            self._shown[name] = documents
            return name
        count = self._waiting.pop(name, 0) + documents
        smallest = min(self._shown, key=lambda shown: (self._shown[shown], shown))
        if count >= 2 * self._shown[smallest]:
            del self._shown[smallest]
            self._on_drop(smallest)
            self._shown[name] = count
            return name
        if len(self._waiting) >= WAITING_A_PLACE * self._limit:
            # The one that has waited longest without another document.
            del self._waiting[next(iter(self._waiting))]
        self._waiting[name] = count
        return OTHER


def shown_sources(limit: int, metrics: Metrics, stage: str) -> Sources:
    """Return the sources that `stage` shows in `metrics`; the series of one that is no longer shown are removed."""

    def drop(name: str) -> None:
        for labels in [sample.labels for family in metrics.sources.collect() for sample in family.samples]:
            if labels["stage"] == stage and labels["source"] == name:
                with contextlib.suppress(KeyError):  # the sample of the time of creation has the same labels
                    metrics.sources.remove(stage, name, labels["outcome"])

    return Sources(limit, drop)
