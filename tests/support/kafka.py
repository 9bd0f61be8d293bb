"""A namespace of topics on the shared broker, for one test: feed it, read it, run engines on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from newsmill import clients, topics
from newsmill.engines.broker.records import to_record
from newsmill.engines.kafka.engine import KafkaEngine
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from schemas import headers as h
from tests.support.driver import Killed
from workers.stage import Record, Stage

PATIENCE = 60.0


class Place:
    """Topics with a namespace of their own. One partition each, if not told otherwise."""

    def __init__(self, bootstrap: str, name: str, state_dir: Path, **partitions: int) -> None:
        self.settings = Settings(
            bootstrap=bootstrap,
            namespace=f"{name}.",
            state_dir=str(state_dir),
            session_timeout_s=6.0,
            transaction_timeout_s=15.0,
            commit_timeout_s=20.0,
        )
        counts = {
            t.name: partitions.get(t.name.removeprefix("news.").replace("-", "_"), 1)
            for t in topics.declared()
            if t.log_of is None or t.name.removeprefix("news.").replace("-", "_") in partitions
        }
        with topics.admin_client(clients.connection(self.settings)) as admin:
            topics.create(
                admin,
                topics.declared(self.settings.namespace),
                partitions={self.settings.namespace + name: count for name, count in counts.items()},
            )

    def physical(self, topic: str) -> str:
        return clients.physical(self.settings, topic)

    def producer(self, **options: Any) -> Any:
        return KafkaProducer(**clients.producer(self.settings) | options)

    def feed(
        self,
        topic: str,
        values: Iterable[bytes],
        *,
        key: Callable[[int], bytes] = lambda i: b"k%d" % i,
        headers: h.Headers = (),
    ) -> int:
        producer = self.producer()
        futures = [
            producer.send(self.physical(topic), key=key(i), value=value, headers=[(h.INGESTED_AT, b"1000"), *headers])
            for i, value in enumerate(values)
        ]
        producer.flush()
        for future in futures:
            future.get(0)
        producer.close()
        return len(futures)

    def read(self, topic: str) -> list[Record]:
        """Return all committed records of `topic`, by partition and offset. Waits until no transaction is open."""
        name = self.physical(topic)
        lookup: Any = KafkaConsumer(**clients.consumer(self.settings) | {"isolation_level": "read_uncommitted"})
        places = [TopicPartition(name, p) for p in sorted(lookup.partitions_for_topic(name))]
        ends = lookup.end_offsets(places)
        lookup.close()
        consumer: Any = KafkaConsumer(**clients.consumer(self.settings))
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        found: list[Record] = []
        deadline = time.monotonic() + PATIENCE
        while any(consumer.position(place) < ends[place] for place in places):
            assert time.monotonic() < deadline, f"{name} can't be read to its end: a transaction is open"
            for records in consumer.poll(timeout_ms=200).values():
                found.extend(map(to_record, records))
        consumer.close()
        return sorted(found, key=lambda r: (r.partition, r.offset))

    def values(self, topic: str) -> list[bytes]:
        return [record.value or b"" for record in self.read(topic)]

    def wait_for(self, topic: str, count: int) -> list[Record]:
        """Return the committed records of `topic` as soon as there are `count`, and not one more."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self.read(topic)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} records on {topic}"
            Running.check()
            time.sleep(0.1)
        assert len(found) == count
        return found


class Running:
    """An engine on a thread. A `Killed` from its `on_step` abandons it: its transaction stays open, as after SIGKILL.

    `bury_all` closes the clients of those that were abandoned.
    """

    _abandoned: ClassVar[list[Running]] = []

    def __init__(
        self,
        stage: Stage,
        settings: Settings,
        *,
        on_step: Callable[[str], None] = lambda _: None,
        set_up: Callable[[KafkaEngine], None] = lambda _: None,
    ) -> None:
        self.stage = stage
        self.metrics = Metrics()
        self.engine = KafkaEngine(stage, settings, self.metrics, on_step=on_step)
        self._set_up = set_up
        self.error: BaseException | None = None
        self.expected = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._set_up(self.engine)
            self.engine.run()
        except BaseException as error:  # noqa: BLE001  (the test looks at it)
            self.error = error
            Running._abandoned.append(self)
            if isinstance(error, Killed):
                # A killed process sends nothing more, not even what waits in its buffers.
                self.engine._transactor.producer._sender.force_close()

    @property
    def alive(self) -> bool:
        """Whether the engine has not ended."""
        return self._thread.is_alive()

    def ended(self) -> BaseException | None:
        """Wait until the engine has ended by itself; return what it raised. Its group membership is given up, so
        that a test need not wait for the session timeout; what it left open in a transaction stays open."""
        self.expected = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the engine did not end"
        consumer = getattr(self.engine, "_consumer", None)
        if self.error is not None and consumer is not None:
            consumer.close(autocommit=False)
        return self.error

    @classmethod
    def check(cls) -> None:
        """Raise what an engine has died of if no test has asked for it."""
        for running in cls._abandoned:
            if running.error is not None and not running.expected:
                raise AssertionError("an engine has ended") from running.error

    @classmethod
    def bury_all(cls) -> None:
        while cls._abandoned:
            engine = cls._abandoned.pop().engine
            for name in ("_consumer", "_positions", "_transactor"):
                if (client := getattr(engine, name, None)) is not None:
                    client.close()

    def stop(self) -> None:
        self.engine.stop()
        assert self.ended() is None, self.error

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"stage": self.stage.name, **labels})


def die_at(step: str, nth: int = 1) -> Callable[[str], None]:
    """Return an `on_step` that dies when `step` is reached for the `nth` time."""
    seen: list[str] = []

    def on_step(name: str) -> None:
        if name == step:
            seen.append(name)
            if len(seen) == nth:
                raise Killed(step)

    return on_step


def each_once(records: Sequence[Record], expected: Sequence[bytes]) -> None:
    """Every expected value is there exactly once, and nothing else is."""
    assert sorted(r.value or b"" for r in records) == sorted(expected)
