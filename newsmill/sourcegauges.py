"""How sources do, in the metrics: read when Prometheus asks, for a batch has other things to do.

Anybody can name a source, so those shown are bounded: those with the most documents, and of the broken ones as many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from workers.stage import SourceState

MOST_SHOWN: Final = 100
"""Most sources shown by name, where the settings allow as many."""

MAX_NAME_CHARS: Final = 100
OTHER: Final = "other"

_BROKEN: Final = "newsmill_source_broken"
_FAMILIES: Final = (
    (
        _BROKEN,
        "1 while a source is broken by this problem; of those beyond the bound how many, as `other`.",
        ("stage", "source", "problem"),
    ),
    ("newsmill_source_body_chars", "Mean length of the latest 20 bodies of a source.", ("stage", "source")),
    ("newsmill_source_usual_body_chars", "Usual length of its bodies, over two weeks.", ("stage", "source")),
    (
        "newsmill_source_missing_ratio",
        "Share of its latest 20 articles without a `date` or an `author`.",
        ("stage", "source", "field"),
    ),
    ("newsmill_source_day_documents", "Its documents of the last 24 whole hours of event time.", ("stage", "source")),
    ("newsmill_source_usual_day_documents", "Its documents of a day, on average over two weeks.", ("stage", "source")),
)

Read = Callable[[], Sequence[SourceState]]


class SourceGauges(Collector):
    """The gauges of how sources do, of all stages that watch them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stages: dict[str, tuple[Read, int]] = {}
        registry.register(self)

    def show(self, stage: str, read: Read, limit: int) -> None:
        """Show what `read` returns for `stage`, at most `limit` sources by name. It is called when metrics are asked
        for, by the thread that serves them."""
        self._stages[stage] = read, min(limit, MOST_SHOWN)

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the families without samples."""
        return [GaugeMetricFamily(name, text, labels=labels) for name, text, labels in _FAMILIES]

    def collect(self) -> Iterable[Metric]:
        """Return the families as they are now."""
        families = {family.name: family for family in self.describe()}
        for stage, (read, limit) in self._stages.items():
            states: dict[str, SourceState] = {}
            for state in sorted(read(), key=lambda state: (-state.usual_day_documents, state.source)):
                # Names that are cut, and sources that are in two partitions for they have no key: the larger one.
                states.setdefault(state.source[:MAX_NAME_CHARS], state)
            states.pop(OTHER, None)
            for name, state in list(states.items())[:limit]:
                for family, labels, value in _samples(state):
                    families[family].add_metric([stage, name, *labels], value)
            broken = Counter[tuple[str, str]]()
            for number, (name, state) in enumerate((n, s) for n, s in states.items() if s.broken):
                broken.update((name if number < limit else OTHER, problem) for problem in state.broken)
            for (name, problem), count in sorted(broken.items()):
                families[_BROKEN].add_metric([stage, name, problem], count)
        return families.values()


def _samples(state: SourceState) -> Iterator[tuple[str, tuple[str, ...], float]]:
    yield "newsmill_source_body_chars", (), state.body_chars
    yield "newsmill_source_usual_body_chars", (), state.usual_body_chars
    yield "newsmill_source_missing_ratio", ("date",), state.without_date
    yield "newsmill_source_missing_ratio", ("author",), state.without_author
    yield "newsmill_source_day_documents", (), state.day_documents
    yield "newsmill_source_usual_day_documents", (), state.usual_day_documents
