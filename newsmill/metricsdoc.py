"""docs/metrics.md: the table of every metric, made from the catalogue.

python -m newsmill.metricsdoc > docs/metrics.md
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from newsmill.metrics import GatewayMetrics, Metrics, ReplayMetrics
from newsmill.sourcegauges import SourceGauges

_HEAD = """\
# Metrics

Every metric of workers, of the gateway and of replays, from `newsmill/metrics.py`; this page is made by
`make metrics-doc`. What to look at first, and what to do about it, is in [operations.md](operations.md).

All are in base units. Labels are bounded: none is ever a URL or an id. `stage` is on all of the workers', `run` on all
of replays'; the sources shown by name are at most `NEWSMILL_METRICS_SOURCES`. The process's own figures
(`process_cpu_seconds_total`, `process_resident_memory_bytes`, ...) are those of every Prometheus client.

| metric | type | labels | what it tells |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page as Markdown."""
    catalogues = (GatewayMetrics(CollectorRegistry()), Metrics(CollectorRegistry()), ReplayMetrics())
    metrics = [metric for one in catalogues for metric in vars(one).values()]
    families = [(f, m._labelnames) for m in metrics if isinstance(m, MetricWrapperBase) for f in m.describe()]
    families += [(f, f._labelnames) for m in metrics if isinstance(m, SourceGauges) for f in m.describe()]
    rows = {_name(family): _row(family, labels) for family, labels in families}  # workers and gateway share some
    return _HEAD + "".join(rows[name] for name in sorted(rows))


def _name(family: Any) -> str:
    return f"{family.name}{'_total' if family.type == 'counter' else ''}"


def _row(family: Any, names: Sequence[str]) -> str:
    labels = " ".join(f"`{label}`" for label in names)
    return f"| `{_name(family)}` | {family.type} | {labels} | {family.documentation} |\n"


if __name__ == "__main__":
    print(page(), end="")
