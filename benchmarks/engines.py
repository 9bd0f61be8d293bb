"""Measure what the engines cost: CPU time, records a second and memory, beside other ways to copy a topic.

    python -m benchmarks.engines

Starts an Apache Kafka of its own and fills a topic. Each loop then copies it in a fresh process, with a stage that does
nothing; all take turns, several times. Counted is the process alone, without its start, from the first record to the
commit of the last. `exactly once` rows write records and offsets in one transaction, 500 records each where not said
otherwise; the bare loops are at least once. All write with lz4. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from benchmarks.engine_loops import LOOPS, Task
from benchmarks.measuring import load, made_up_documents, print_table, spread
from newsmill import clients, topics
from newsmill.local import LocalKafka
from newsmill.settings import Settings
from schemas import headers as h
from schemas.keys import digest
from schemas.messages import RawDocument
from schemas.topics import DEAD_LETTERS, Topic

SOURCE = "bench.source"

TITLES = {
    "kafka": "newsmill, kafka engine (exactly once)",
    "faust": "newsmill, faust engine (at least once)",
    "embedded": "newsmill, embedded engine, file to file (exactly once)",
    "quix": "Quix Streams (exactly once, transactions of 5 s)",
    "quix-500": "Quix Streams (exactly once)",
    "aiokafka": "bare aiokafka",
    "kafka-python": "bare kafka-python",
}


def fill(settings: Settings, file: Path, count: int, size: int) -> None:
    """Write the same `count` documents to the topic and to `file`."""
    producer: Any = KafkaProducer(**clients.producer(settings), linger_ms=50)
    with file.open("wb") as out:
        for number, value in enumerate(made_up_documents(count, size)):
            out.write(value + b"\n")
            headers = [
                (h.ORIGIN, b"news.raw/0/%d" % number),
                (h.INGESTED_AT, b"1767225600000"),
                (h.RUN, h.LIVE_RUN),
            ]
            producer.send(SOURCE, key=digest(str(number)).encode(), value=value, headers=headers)
            if number % 5_000 == 0:
                producer.flush()
    producer.flush()
    producer.close()


def measure(name: str, task: Task) -> dict[str, float]:
    """Run one loop in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.engine_loops", name, json.dumps(asdict(task))],
        stdout=subprocess.PIPE,
        check=True,
        timeout=600,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000, help="records to copy (default: %(default)s)")
    parser.add_argument("--size", type=int, default=3_000, help="bytes of a record (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each loop (default: %(default)s)")
    parser.add_argument("--partitions", type=int, default=1, help="of the topics (default: %(default)s)")
    parser.add_argument("--only", nargs="*", choices=LOOPS, default=list(LOOPS), help="loops to run (default: all)")
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in options.only}
    print(f"{options.records:,} records of {options.size:,} bytes, {options.partitions} partition(s); {load()}")
    with tempfile.TemporaryDirectory() as scratch, LocalKafka(Path(scratch, "kafka"), heap="1g") as broker:
        settings = Settings(bootstrap=broker.bootstrap)
        with topics.admin_client(clients.connection(settings)) as admin:

            def create(*names: str) -> None:
                made = topics.create(
                    admin,
                    [Topic(name, RawDocument, "outlet", options.partitions, timedelta(1), "a run") for name in names],
                )
                if any(one.outcome != "created" for one in made):
                    raise SystemExit(f"topics were not created: {made}")

            create(SOURCE, DEAD_LETTERS)
            file = Path(scratch, "documents.ndjson")
            fill(settings, file, options.records, options.size)
            for turn in range(options.repeats):
                for name in options.only:
                    run = f"bench.{name}.{turn}"
                    create(run)
                    source = str(file) if name == "embedded" else SOURCE
                    task = Task(broker.bootstrap, source, run, options.records, run, str(Path(scratch, "state")))
                    found[name].append(measure(name, task))
                    (sink,) = topics.describe(admin, [Topic(run, None, "", 0, timedelta(), "")])
                    if name != "embedded" and sum(sink.end) < options.records:
                        raise SystemExit(f"{name} wrote less than it read")
                    admin.delete_topics([run])
    print(load())
    rows = [
        (
            TITLES[name],
            spread([run["cpu_us"] for run in runs], 1),
            spread([run["per_second"] for run in runs]),
            spread([run["memory_mb"] for run in runs]),
        )
        for name, runs in found.items()
    ]
    print_table(("loop", "CPU us a record", "records a second", "peak MB"), rows)
    middle = {name: statistics.median(run["cpu_us"] for run in runs) for name, runs in found.items()}
    for peer in ("quix", "quix-500"):
        if "kafka" in middle and peer in middle:
            print(f"kafka engine / {TITLES[peer]}: {middle['kafka'] / middle[peer]:.2f} times the CPU")


if __name__ == "__main__":
    main()
