"""What the metrics cost: series, CPU for each record counted, and CPU for each scrape.

    python -m benchmarks.metrics

Series are those of four workers with 12 partitions each and more than 500 sources. The CPU for a record is set against
that of the cheapest stage, ingest of plain text, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

from prometheus_client import generate_latest
from rich.console import Console
from rich.table import Table

from newsmill.engines.broker.positions import Positions
from newsmill.engines.runner import Runner
from newsmill.health import Health
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from newsmill.sources import shown_sources
from schemas import headers as h
from schemas import topics
from workers import pipeline
from workers.stage import Record, Stage

BATCH = 500
SOURCES = 600
PARTITIONS = 12
SCRAPE_SECONDS = 10
TEXT = "The council of Port Alder voted on Monday to reopen the ferry berth after a winter of storms and repairs. " * 20


def _cpu(call: Callable[[], object], repeats: int) -> float:
    """Return the median CPU seconds of `call`."""
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return statistics.median(taken)


def _records(count: int) -> list[Record]:
    return [
        Record(
            topics.RAW,
            n % PARTITIONS,
            n,
            f"outlet{n % SOURCES}.example".encode(),
            json.dumps(
                {"url": f"https://outlet{n % SOURCES}.example/{n}", "title": f"Berth {n}", "text": TEXT}
            ).encode(),
            ((h.INGESTED_AT, b"1700000000000"),),
            1_700_000_000_000,
        )
        for n in range(count)
    ]


def _runner(stage: Stage, metrics: Metrics) -> Runner:
    sources = shown_sources(Settings().metrics_sources, metrics, stage.name)
    return Runner(stage, metrics, sources=sources)


def _touch_partitions(metrics: Metrics, stage: str) -> None:
    for gauge in Positions.gauges(metrics):
        for partition in range(PARTITIONS):
            gauge.labels(stage, partition).set(1)


def series_of(metrics: Metrics) -> int:
    """Return how many series a scrape of `metrics` has."""
    return sum(not line.startswith(b"#") for line in generate_latest(metrics.registry).splitlines())


def _cost(runner: Runner, repeats: int) -> tuple[float, float]:
    """Return CPU seconds a record of (the stage's work, counting), once all sources have their series."""
    records = _records(BATCH * 4)
    batches = [records[at : at + BATCH] for at in range(0, len(records), BATCH)]
    results = [runner.run(batch) for batch in batches]
    for result in results:
        runner.commit(result)
    working = _cpu(lambda: runner.run(batches[0]), repeats)
    counting = _cpu(lambda: runner.commit(results[0]), repeats)
    return working / BATCH, counting / BATCH


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    series, scrape, counting, working = 0, 0.0, 0.0, 0.0
    for name in pipeline.STAGES:
        metrics = Metrics()
        stage = pipeline.load(name)
        runner = _runner(stage, metrics)
        metrics.watch(name, Health(60))
        metrics.announce(name, stage.version, "kafka")
        _touch_partitions(metrics, name)
        if name == "ingest":
            working, counting = _cost(runner, arguments.repeats)
        series += series_of(metrics)
        scrape = max(scrape, _cpu(partial(generate_latest, metrics.registry), arguments.repeats))
    table = Table("what", "figure", "target")
    table.add_row("series of four workers, 12 partitions each, 500 sources by name", f"{series:,}", "< 5,000")
    table.add_row("CPU to count a record, us", f"{counting * 1e6:.1f}", "")
    table.add_row("CPU of ingest for a plain text, us", f"{working * 1e6:.0f}", "")
    table.add_row("counting, share of that", f"{counting / working:.2%}", "< 2 %, with scrapes")
    table.add_row("CPU of the dearest scrape, ms", f"{scrape * 1e3:.1f}", "")
    table.add_row(f"scrapes each {SCRAPE_SECONDS} s, share of a core", f"{scrape / SCRAPE_SECONDS:.2%}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
