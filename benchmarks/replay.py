"""Measure a replay: articles a second, beside the embedded engine on the same documents and beside bare copying.

    python -m benchmarks.replay --data articles.ndjson.gz --documents 877

A real Apache Kafka gets the documents once. Then, in turn: the embedded engine, file to file, exactly once; a replay of
news.raw through all stages into a run's own topics, exactly once. For the transport alone: a replay of the same kind
through a stage that hands each document on as it is; a bare kafka-python loop that copies news.raw into another topic
(at least once); and `kcat -C | kcat -P` (keys and values, no headers; at least once), where there is kcat. Counted is
this process, and those of kcat, from the first document to the last commit, the stages loaded; the broker's CPU is not
in it. All begin without state.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from benchmarks.measuring import load, print_table, spread
from benchmarks.raw_documents import SAMPLES, raw_documents
from newsmill import clients
from newsmill import topics as admin
from newsmill.engines.embedded import EmbeddedEngine, FileSink, value_line
from newsmill.feed import Document
from newsmill.local import LocalKafka
from newsmill.replay.control import Control
from newsmill.replay.pace import Pace
from newsmill.replay.progress import ReplayProgress
from newsmill.replay.request import Request
from newsmill.replay.run import Surroundings, into_topics
from newsmill.replay.session import Session
from newsmill.settings import Settings
from newsmill.worker import stage_options
from schemas import topics
from workers import pipeline
from workers.stage import Emit, Message, Outcome, Record, Stage, StatefulStage

BATCH = 500
COPY = "benchmark.copy"


def main() -> None:
    """Measure all three as often as asked, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SAMPLES, help="NDJSON of raw documents, or a directory of them")
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kcat", default=shutil.which("kcat") or shutil.which("kafkacat"), help="the program")
    options = parser.parse_args()
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    documents = raw_documents(options.data, options.documents)
    loaded = [pipeline.load(name) for name in pipeline.STAGES]
    print(f"{len(documents):,} documents of {options.data.name}; {load()}")
    with tempfile.TemporaryDirectory() as scratch, LocalKafka(Path(scratch, "kafka")) as broker:
        settings = Settings(bootstrap=broker.bootstrap, state_dir=scratch)
        fill(settings, documents)
        runs: dict[str, Callable[[int], None]] = {
            "embedded engine, file to file": lambda n: embedded(_fresh(loaded), documents, Path(scratch, f"run-{n}")),
            "replay into a run's own topics": lambda n: replay(settings, _fresh(loaded), f"run-{n}"),
            "replay without work: each document as it is": lambda n: replay(settings, [PassingStage()], f"bare-{n}"),
            "bare kafka-python loop, copying": lambda n: copy(settings, len(documents)),
        }
        if options.kcat:
            runs["kcat | kcat, copying"] = lambda n: pipe(settings, options.kcat)
        else:
            print("kcat not found (Debian: apt-get install kcat; or --kcat PROGRAM)")
        timed: dict[str, list[tuple[float, float]]] = {title: [] for title in runs}
        for repeat in range(options.repeats):
            for title, run in runs.items():
                timed[title].append(_timed(run, repeat))
    count = len(documents)
    rows = [
        (
            title,
            spread([cpu / count * 1e6 for cpu, _ in times]),
            spread([count / cpu for cpu, _ in times]),
            spread([count / wall for _, wall in times]),
        )
        for title, times in timed.items()
    ]
    print_table(("", "CPU us an article", "articles a second of CPU", "articles a second"), rows)
    print(load())


def fill(settings: Settings, documents: Sequence[Document]) -> None:
    """Create the topics and send the documents to news.raw."""
    with admin.admin_client(clients.connection(settings)) as client:
        admin.create(client)
        client.create_topics({COPY: {"num_partitions": 4, "replication_factor": 1}})
    producer: Any = KafkaProducer(**clients.producer(settings))
    for document in documents:
        producer.send(topics.RAW, key=document.key, value=document.value, headers=list(document.headers))
    producer.flush()
    producer.close()


def embedded(stages: Sequence[Stage], documents: Sequence[Document], folder: Path) -> None:
    """Run all stages in the embedded engine, with a state directory and an output file."""
    sinks = {topics.CLASSIFIED: [FileSink(folder / "out.ndjson", value_line)]}
    ingested_ms = time.time_ns() // 1_000_000
    EmbeddedEngine(stages, documents, sinks, folder / "state", ingested_ms=ingested_ms, batch_records=BATCH).run()


def replay(settings: Settings, stages: Sequence[Stage], run: str) -> None:
    """Replay all of news.raw into topics of the run's own."""
    request = Request(base="empty", order="time")
    around = Surroundings(Control(), Pace(), lambda total, done: ReplayProgress(run, total, done=done, quiet=True))
    session = Session(settings, run, "run")
    into_topics(session, request, stages, request.options(stages, stage_options(settings)), around)
    session.close()


class PassingStage(Stage):
    """news.raw -> news.articles, as it is: what is left of a replay is reading, transactions and checkpoints."""

    name = "ingest"
    source = topics.RAW
    sinks = (topics.ARTICLES,)
    kinds = ("passed",)
    reasons = ()
    version = "0"

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        """Return each record as a message."""
        return [Emit("passed", (Message(topics.ARTICLES, r.key or b"", r.value or b""),)) for r in batch]


def pipe(settings: Settings, kcat: str) -> None:
    """Copy news.raw with two processes of kcat. Keys and values are one line each."""
    common = [kcat, "-b", settings.bootstrap, "-q", "-K", "\t"]
    read = subprocess.Popen([*common, "-C", "-t", topics.RAW, "-o", "beginning", "-e"], stdout=subprocess.PIPE)
    subprocess.run([*common, "-P", "-t", COPY, "-z", settings.compression], stdin=read.stdout, check=True)
    if read.wait() != 0:
        raise SystemExit(f"kcat ended with status {read.returncode}")


def copy(settings: Settings, count: int) -> None:
    """Copy `count` records of news.raw, batch by batch."""
    consumer: Any = KafkaConsumer(**clients.consumer(settings))
    producer: Any = KafkaProducer(**clients.producer(settings))
    consumer.assign([TopicPartition(topics.RAW, p) for p in consumer.partitions_for_topic(topics.RAW)])
    consumer.seek_to_beginning()
    while count > 0:
        for records in consumer.poll(timeout_ms=500, max_records=BATCH).values():
            for record in records:
                producer.send(COPY, key=record.key, value=record.value, headers=list(record.headers))
            count -= len(records)
        producer.flush()
    consumer.close()
    producer.close()


def _timed(run: Callable[[int], None], number: int) -> tuple[float, float]:
    """Return the seconds of CPU, with that of its processes, and of time that `run` takes."""
    cpu, wall = sum(os.times()[:4]), time.perf_counter()
    run(number)
    return sum(os.times()[:4]) - cpu, time.perf_counter() - wall


def _fresh(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages, those with state without any."""
    return [pipeline.load(stage.name) if isinstance(stage, StatefulStage) else stage for stage in stages]


if __name__ == "__main__":
    main()
