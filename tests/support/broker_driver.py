"""The kafka and the faust engine behind the drivers' interface: one stage, on a real broker."""

from __future__ import annotations

import dataclasses
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from kafka import KafkaConsumer
from kafka.structs import OffsetAndMetadata, TopicPartition

from newsmill import clients
from newsmill.engines.broker.records import to_record
from newsmill.engines.faust_engine import FaustEngine
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from schemas import topics
from tests.support.driver import EngineDriver, Item, Life, OnStep, go_on
from tests.support.kafka import PATIENCE, Place, Running
from workers.stage import Stage

UNCOMMITTED: Final = {"isolation_level": "read_uncommitted"}


class _Run(Protocol):
    """An engine on a thread."""

    metrics: Metrics
    engine: Any

    @property
    def alive(self) -> bool: ...

    def ended(self) -> BaseException | None: ...


class _FaustRunning:
    """A faust engine on a thread of its own."""

    def __init__(self, stage: Stage, settings: Settings, *, on_step: Callable[[str], None]) -> None:
        self.metrics = Metrics()
        self.engine = FaustEngine(stage, settings, self.metrics, on_step=on_step)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.engine.run()
        except BaseException as error:  # noqa: BLE001  (the test looks at it)
            self._error = error

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def ended(self) -> BaseException | None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the engine did not end"
        return self._error


class BrokerDriver(EngineDriver):
    """Topics with a namespace of their own on the broker that all tests share."""

    def __init__(self, bootstrap: str, name: str, state_dir: Path, partitions: int = 1) -> None:
        self.partitions = partitions
        self.place = Place(bootstrap, name, state_dir, articles=partitions, dedup_log=partitions)
        self._reader: Any = KafkaConsumer(**clients.consumer(self.place.settings))
        self._lookup: Any = KafkaConsumer(**clients.consumer(self.place.settings) | UNCOMMITTED)
        # topic -> partition -> offset behind the last record that can be read
        self._ends: dict[str, dict[int, int]] = {}

    @abstractmethod
    def _start(self, stage: Stage, settings: Settings, on_step: Callable[[str], None]) -> _Run:
        """Start the engine on a thread."""

    def feed(self, topic: str, items: Iterable[Item], partition: int = 0) -> None:
        producer = self.place.producer(linger_ms=0)
        sent = [
            producer.send(
                self.place.physical(topic),
                key=item.key,
                value=item.value,
                headers=list(item.headers),
                partition=partition,
            )
            for item in items
        ]
        producer.flush()
        for future in sent:
            self._ends.setdefault(topic, {})[partition] = future.get(0).offset + 1
        producer.close()

    def live(
        self,
        stage: Stage,
        *,
        batch_records: int = 500,
        dead_letter_limit: int = 100,
        on_step: OnStep = go_on,
    ) -> Life:
        ends = self._ends.get(stage.source) or self._find_ends(stage.source)
        settings = dataclasses.replace(
            self.place.settings, batch_records=batch_records, dead_letter_limit=dead_letter_limit, linger_ms=50
        )
        started = threading.Event()

        def step(name: str) -> None:
            started.wait()
            on_step(name, run.engine.stop)

        run = self._start(stage, settings, step)
        started.set()
        deadline = time.monotonic() + PATIENCE
        while run.alive and not self._all_done(run.metrics, stage, ends):
            assert time.monotonic() < deadline, f"{stage.name} did not get to the end of its input, {ends}"
            time.sleep(0.02)
        run.engine.stop()
        return Life(run.metrics, run.ended())

    @staticmethod
    def _all_done(metrics: Metrics, stage: Stage, ends: dict[int, int]) -> bool:
        def committed(partition: int) -> float:
            labels = {"stage": stage.name, "partition": str(partition)}
            found = metrics.registry.get_sample_value("newsmill_committed_offset", labels)
            return -1 if found is None else found

        return all(committed(partition) >= end for partition, end in ends.items())

    def _find_ends(self, topic: str) -> dict[int, int]:
        """Return where the last readable records are: markers of transactions may lie behind them."""
        found = {p: self._records(topic, p) for p in range(self.partitions if topic == topics.ARTICLES else 1)}
        return {partition: records[-1].offset + 1 for partition, records in found.items() if records}

    def read(self, topic: str, partition: int = 0) -> list[Item]:
        records = map(to_record, self._records(topic, partition))
        return [Item(record.key, record.value, record.headers) for record in records]

    def _records(self, topic: str, partition: int) -> list[Any]:
        """Return the committed records of a partition. Waits until no transaction is open. With clients that are kept:
        making one takes longer than reading."""
        tp = TopicPartition(self.place.physical(topic), partition)
        end = self._lookup.end_offsets([tp])[tp]
        self._reader.assign([tp])
        self._reader.seek(tp, 0)
        found: list[Any] = []
        deadline = time.monotonic() + PATIENCE
        while self._reader.position(tp) < end:
            assert time.monotonic() < deadline, f"{tp} can't be read to its end: a transaction is open"
            found += self._reader.poll(timeout_ms=100).get(tp, ())
        return found

    def close(self) -> None:
        self._reader.close()
        self._lookup.close()

    def done(self, stage: Stage) -> int:
        consumer, tp = self._of_group(stage)
        found = consumer.committed(tp)
        consumer.close()
        return found or 0

    def rewind(self, stage: Stage) -> None:
        consumer, tp = self._of_group(stage)
        consumer.assign([tp])
        consumer.commit({tp: OffsetAndMetadata(0, "", -1)})
        consumer.close(autocommit=False)

    def _of_group(self, stage: Stage) -> tuple[Any, TopicPartition]:
        settings = self.place.settings
        consumer = KafkaConsumer(**clients.consumer(settings), group_id=clients.group(settings, stage.name))
        return consumer, TopicPartition(self.place.physical(stage.source), 0)

    def snapshots(self) -> Sequence[Path]:
        return sorted(self.place.settings.path("snapshots").glob("*.snapshot"))


class KafkaDriver(BrokerDriver):
    """The kafka engine."""

    name = "kafka"
    steps: ClassVar = (
        "polled", "processed", "begun", "sent", "flushed", "offsets", "committed", "confirmed", "done"
    )  # fmt: skip
    exactly_once = True

    def _start(self, stage: Stage, settings: Settings, on_step: Callable[[str], None]) -> _Run:
        return Running(stage, settings, on_step=on_step)

    def close(self) -> None:
        Running.bury_all()
        super().close()


class FaustDriver(BrokerDriver):
    """The faust engine."""

    name = "faust"
    steps: ClassVar = ("polled", "processed", "logged", "written", "committed", "done")
    exactly_once = False

    def _start(self, stage: Stage, settings: Settings, on_step: Callable[[str], None]) -> _Run:
        return _FaustRunning(stage, settings, on_step=on_step)
