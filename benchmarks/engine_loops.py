"""The loops that benchmarks/engines.py measures, each run in a process of its own. Not called by hand.

Every loop reads the same records, writes each one unchanged, and stops after the last. What is counted starts with the
first record that the loop sees and ends when the last one is committed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import peak_memory_mb
from newsmill import clients
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from workers.stage import Emit, Message, Outcome, Record, Stage

BATCH = 500
"""Records that every loop takes at a time (newsmill's default)."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a loop is to do: copy `records` records of `source` (a topic; for embedded a file) to `sink`."""

    bootstrap: str
    source: str
    sink: str
    records: int
    group: str
    state_dir: str


class Meter:
    """CPU time and wall time from the first record to the last."""

    def __init__(self, records: int) -> None:
        self.left = records
        self._records = records
        self._begin: tuple[float, float] | None = None
        self._end = (0.0, 0.0)

    def saw(self, count: int) -> None:
        """`count` records have arrived."""
        if self._begin is None:
            self._begin = (time.process_time(), time.perf_counter())
        self.left -= count

    def finished(self) -> bool:
        """Whether the last record has arrived; called when what has arrived is committed."""
        if self.left > 0:
            return False
        self._end = (time.process_time(), time.perf_counter())
        return True

    def result(self) -> dict[str, float]:
        """Return what was measured: CPU microseconds a record, records a second, peak memory in MB."""
        if self._begin is None or self.left != 0:
            raise SystemExit(f"{self.left} of {self._records} records did not arrive")
        cpu, wall = (end - begin for begin, end in zip(self._begin, self._end, strict=True))
        return {
            "cpu_us": cpu / self._records * 1e6,
            "per_second": self._records / wall,
            "memory_mb": peak_memory_mb(),
        }


class Identity(Stage):
    """Hands every record on as it is."""

    kinds = ("same",)
    reasons = ()
    version = "1"

    def __init__(self, task: Task, meter: Meter) -> None:
        self.name, self.source, self.sinks = task.group, task.source, (task.sink,)
        self._meter = meter

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        """Return each record as a message for the sink."""
        self._meter.saw(len(batch))
        sink = self.sinks[0]
        return [Emit("same", (Message(sink, record.key or b"", record.value or b""),)) for record in batch]


def _newsmill(task: Task, meter: Meter, engine_class: Any) -> None:
    def step(name: str) -> None:
        if name == "done" and meter.finished():
            engine.stop()

    settings = Settings(bootstrap=task.bootstrap, state_dir=task.state_dir, batch_records=BATCH)
    engine = engine_class(Identity(task, meter), settings, Metrics(), on_step=step)
    engine.run()


def kafka(task: Task, meter: Meter) -> None:
    """The kafka engine, exactly once."""
    from newsmill.engines.kafka.engine import KafkaEngine

    _newsmill(task, meter, KafkaEngine)


def faust(task: Task, meter: Meter) -> None:
    """The faust engine, at least once."""
    from newsmill.engines.faust_engine import FaustEngine

    _newsmill(task, meter, FaustEngine)


def embedded(task: Task, meter: Meter) -> None:
    """The embedded engine, from a file to a file, exactly once."""
    from newsmill.engines.embedded import EmbeddedEngine, FileSink, value_line
    from newsmill.feed import FileSource, expand

    state = Path(task.state_dir, task.group)
    sink = FileSink(state / "out.ndjson", value_line)
    state.mkdir(parents=True)
    source = FileSource(expand([task.source]), ingested_ms=0)
    EmbeddedEngine([Identity(task, meter)], source, {task.sink: [sink]}, state).run()
    meter.finished()


def _quix(task: Task, meter: Meter, **options: Any) -> None:
    from quixstreams import Application

    app = Application(
        task.bootstrap,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        producer_extra_config={"compression.type": "lz4"},
        auto_create_topics=False,
        loglevel="ERROR",
        state_dir=task.state_dir,
        **options,
    )
    form = dict.fromkeys(("key_deserializer", "value_deserializer", "key_serializer", "value_serializer"), "bytes")
    source, sink = (app.topic(name, **form) for name in (task.source, task.sink))

    def same(value: bytes) -> bytes:
        meter.saw(1)
        return value

    app.dataframe(source).apply(same).to_topic(sink)
    # It returns after the last record is committed.
    app.run(count=task.records, collect=False)
    meter.finished()


def quix(task: Task, meter: Meter) -> None:
    """Quix Streams, exactly once, with its own defaults: a transaction takes 5 s."""
    _quix(task, meter)


def quix_500(task: Task, meter: Meter) -> None:
    """Quix Streams, exactly once, a transaction for each 500 records."""
    _quix(task, meter, commit_every=BATCH)


def bare_aiokafka(task: Task, meter: Meter) -> None:
    """aiokafka without transactions: read, write, wait, commit."""
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    async def run() -> None:
        consumer = AIOKafkaConsumer(
            task.source,
            bootstrap_servers=task.bootstrap,
            group_id=task.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=task.bootstrap, acks="all", compression_type="lz4", max_batch_size=1024 * 1024
        )
        await consumer.start()
        await producer.start()
        while not meter.finished():
            polled = await consumer.getmany(timeout_ms=500, max_records=BATCH)
            futures = []
            for records in polled.values():
                meter.saw(len(records))
                futures += [
                    await producer.send(task.sink, record.value, key=record.key, headers=list(record.headers))
                    for record in records
                ]
            await producer.flush()
            for future in futures:
                await future
            if polled:
                await consumer.commit()
        await producer.stop()
        await consumer.stop()

    asyncio.run(run())


def bare_kafka_python(task: Task, meter: Meter) -> None:
    """kafka-python without transactions: read, write, wait, commit."""
    from kafka import KafkaConsumer, KafkaProducer

    settings = Settings(bootstrap=task.bootstrap)
    consumer: Any = KafkaConsumer(task.source, **clients.consumer(settings), group_id=task.group)
    producer: Any = KafkaProducer(**clients.producer(settings), linger_ms=1000)
    while not meter.finished():
        polled = consumer.poll(timeout_ms=500, max_records=BATCH)
        futures = []
        for records in polled.values():
            meter.saw(len(records))
            futures += [
                producer.send(task.sink, record.value, key=record.key, headers=list(record.headers))
                for record in records
            ]
        producer.flush()
        for future in futures:
            future.get(0)
        if polled:
            consumer.commit()
    producer.close()
    consumer.close()


LOOPS: dict[str, Callable[[Task, Meter], None]] = {
    "kafka": kafka,
    "faust": faust,
    "embedded": embedded,
    "quix": quix,
    "quix-500": quix_500,
    "aiokafka": bare_aiokafka,
    "kafka-python": bare_kafka_python,
}


def main() -> None:
    """Run the loop that the command line names, with the task in it (JSON); print what was measured, as JSON."""
    logging.basicConfig(level=logging.ERROR)
    # An offset that the last transaction has not settled yet is asked for again, which the client calls an error.
    logging.getLogger("kafka.coordinator").setLevel(logging.CRITICAL)
    task = Task(**json.loads(sys.argv[2]))
    meter = Meter(task.records)
    LOOPS[sys.argv[1]](task, meter)
    print(json.dumps(meter.result()))


if __name__ == "__main__":
    main()
