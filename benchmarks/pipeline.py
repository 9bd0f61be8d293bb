"""Measure what the pipeline does: articles a second and a core, and the time from feed to classified.

    python -m benchmarks.pipeline
    python -m benchmarks.pipeline --data articles.ndjson.gz --parts kafka latency

Parts: `stages`, each stage alone in the embedded engine, 500 records a batch; `chain`, all of them in one process;
`kafka`, four workers on an Apache Kafka of its own, with everything fed at once; `latency`, the same with documents
fed at a steady rate. A document's latency runs from when it was due to be sent (not from when it was) until a
read-committed consumer has it on news.classified, news.duplicates or news.dead-letters.

Without --data the documents are made from samples/. Where more are wanted than the file has, the rest are made from its
texts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import load, print_table, spread
from benchmarks.pipeline_kafka import Pipeline
from benchmarks.raw_documents import SAMPLES, raw_documents
from newsmill.engines.embedded import EmbeddedEngine, ListSink
from newsmill.feed import Document, Position
from schemas import headers as h
from schemas import topics
from workers import pipeline
from workers.stage import Stage, StatefulStage

PARTS = ("stages", "chain", "kafka", "latency")
BATCH = 500
INGESTED_MS = 1_767_225_600_000
FINAL = (topics.CLASSIFIED, topics.DUPLICATES, topics.DEAD_LETTERS)


def embedded(stages: Sequence[Stage], documents: Sequence[Document]) -> tuple[float, ListSink]:
    """Run `documents` through `stages`; return CPU seconds and the records for the next stage."""
    sink = ListSink()
    going_on = next(topic for topic in stages[-1].sinks if topic != topics.DUPLICATES)
    engine = EmbeddedEngine(stages, documents, {going_on: [sink]}, ingested_ms=INGESTED_MS, batch_records=BATCH)
    begin = time.process_time()
    engine.run()
    return time.process_time() - begin, sink


def measure_embedded(parts: Sequence[str], documents: list[Document], repeats: int) -> None:
    """Measure stages and chain, and print the table."""
    stages = [pipeline.load(name) for name in pipeline.STAGES]
    rows: list[tuple[str, ...]] = []

    def add(title: str, count: int, seconds: list[float]) -> None:
        rates = [count / one for one in seconds]
        micros = [one / count * 1e6 for one in seconds]
        rows.append((title, f"{count:,}", spread(micros), spread(rates)))

    if "stages" in parts:
        waiting = documents
        for stage in stages:
            # New ones of those with state each time: the second time all would be known.
            runs = [embedded([_fresh(stage)], waiting) for _ in range(repeats)]
            add(stage.name, len(waiting), [seconds for seconds, _ in runs])
            waiting = [
                Document(o.value or b"", o.key or b"", o.headers, f"made:{i}", Position(None, 0), len(o.value or b""))
                for i, o in enumerate(runs[-1][1].outputs)
            ]
    if "chain" in parts:
        seconds = [embedded([_fresh(stage) for stage in stages], documents)[0] for _ in range(repeats)]
        add("all four, one process", len(documents), seconds)
    print_table(("embedded", "articles in", "CPU us an article", "articles a second and core"), rows)


def _fresh(stage: Stage) -> Stage:
    return pipeline.load(stage.name) if isinstance(stage, StatefulStage) else stage


def measure_kafka(kafka: Pipeline, path: Path, count: int, repeats: int) -> None:
    """Feed everything at once, several times; print what each process used."""
    cpu: dict[str, list[float]] = {}
    rates: list[float] = []
    for turn in range(repeats):
        documents = raw_documents(path, count, f"turn{turn}")
        with kafka.running() as place:
            before = place.cpu()
            begin = time.perf_counter()
            place.feed(documents)
            arrived = place.wait(documents, FINAL)
            rates.append(len(documents) / (max(arrived.values()) - begin))
            for name, seconds in place.cpu().items():
                cpu.setdefault(name, []).append((seconds - before[name]) / len(documents) * 1e6)
    workers = [sum(cpu[stage][turn] for stage in pipeline.STAGES) for turn in range(repeats)]
    rows = [(name, spread(used)) for name, used in cpu.items() if name != "broker"]
    rows += [("four workers together", spread(workers)), ("beside them: broker", spread(cpu["broker"]))]
    print_table(("kafka", "CPU us an article"), rows)
    print(f"articles a second and core of the workers: {spread([1e6 / used for used in workers])}")
    print(f"articles a second, workers, broker and feeding on this machine: {spread(rates)}")


def measure_latency(kafka: Pipeline, path: Path, rate: float, seconds: float) -> None:
    """Feed at a steady rate; print when documents arrived at each topic."""
    count = int(rate * seconds)
    warm_up = raw_documents(path, count + 50, "warm")[count:]
    documents = raw_documents(path, count, "live")
    with kafka.running() as place:
        place.feed(warm_up)
        place.wait(warm_up, FINAL)
        before, begin = place.cpu(), time.perf_counter()
        due = place.feed_at(documents, rate)
        place.wait(documents, FINAL)
        cores = {name: (used - before[name]) / (time.perf_counter() - begin) for name, used in place.cpu().items()}
        seen = place.seen
    hops = (topics.RAW, topics.ARTICLES, topics.UNIQUE, topics.TAGGED, *FINAL)
    wanted = [(h.get(document.headers, h.ORIGIN) or b"") for document in documents]
    rows = [
        _percentiles(topic, [seen[topic][origin] - due[origin] for origin in wanted if origin in seen[topic]])
        for topic in hops
    ]
    ends = [next(seen[t][origin] for t in FINAL if origin in seen[t]) - due[origin] for origin in wanted]
    rows.append(_percentiles("end of the pipeline", ends))
    print_table((f"{rate:g} a second, {seconds:g} s", "documents", "p50 ms", "p90", "p99", "max"), rows)
    print("cores used: " + ", ".join(f"{name} {used:.2f}" for name, used in cores.items()))


def _percentiles(name: str, seconds: list[float]) -> tuple[str, ...]:
    if len(seconds) < 2:
        return (name, str(len(seconds)), "-", "-", "-", "-")
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return (name, f"{len(seconds):,}", *(f"{s * 1000:,.0f}" for s in (cuts[49], cuts[89], cuts[98], max(seconds))))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SAMPLES, help="raw documents (default: samples/)")
    parser.add_argument("--documents", type=int, default=1_000, help="to use (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of each measurement (default: %(default)s)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    parser.add_argument("--engine", choices=("kafka", "faust"), default="kafka", help="of the workers")
    parser.add_argument("--rate", type=float, default=20, help="documents a second, for latency (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="of feeding, for latency (default: %(default)s)")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the workers")
    options = parser.parse_args()
    print(f"{options.documents:,} documents of {options.data.name}; {load()}")
    if {"stages", "chain"} & {*options.parts}:
        documents = raw_documents(options.data, options.documents)
        measure_embedded(options.parts, documents, options.repeats)
        print(load())
    kafka = Pipeline(options.engine, dict(item.split("=", 1) for item in options.set))
    if "kafka" in options.parts:
        measure_kafka(kafka, options.data, options.documents, options.repeats)
        print(load())
    if "latency" in options.parts:
        measure_latency(kafka, options.data, options.rate, options.seconds)
        print(load())


if __name__ == "__main__":
    main()
