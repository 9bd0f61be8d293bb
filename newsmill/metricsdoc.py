"""docs/metrics.md: the table of every metric, made from the catalogue.

python -m newsmill.metricsdoc > docs/metrics.md
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from newsmill.metrics import Metrics

_HEAD = """\
# Metrics

Every metric of a worker, from `newsmill/metrics.py`; this page is made by `make metrics-doc`. What to look at first,
and what to do about it, is in [operations.md](operations.md).

All are in base units. Labels are bounded: none is ever a URL or an id. `stage` is on all; the sources shown by name are
at most `NEWSMILL_METRICS_SOURCES`. The process's own figures (`process_cpu_seconds_total`,
`process_resident_memory_bytes`, ...) are those of every Prometheus client.

| metric | type | labels | what it tells |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page as Markdown."""
    metrics = [
        metric for metric in vars(Metrics(CollectorRegistry())).values() if isinstance(metric, MetricWrapperBase)
    ]
    return _HEAD + "".join(_row(metric) for metric in sorted(metrics, key=_name))


def _name(metric: Any) -> str:
    (family,) = metric.describe()
    return f"{family.name}{'_total' if family.type == 'counter' else ''}"


def _row(metric: Any) -> str:
    (family,) = metric.describe()
    labels = " ".join(f"`{label}`" for label in metric._labelnames)
    return f"| `{_name(metric)}` | {family.type} | {labels} | {family.documentation} |\n"


if __name__ == "__main__":
    print(page(), end="")
