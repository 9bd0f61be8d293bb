"""The topics of one broker test, written and read by plain clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from newsmill import clients
from newsmill import topics as admin
from newsmill.settings import Settings
from schemas import topics


class Cluster:
    """The topics of one test, written and read by plain clients."""

    def __init__(self, settings: Settings, partitions: Mapping[str, int]) -> None:
        self.settings = settings
        own = [replace(topic, name=clients.physical(settings, topic.name)) for topic in topics.TOPICS]
        counts = {clients.physical(settings, name): count for name, count in partitions.items()}
        with admin.admin_client(clients.connection(settings)) as client:
            assert {made.outcome for made in admin.create(client, own, partitions=counts)} == {"created"}

    def produce(
        self,
        topic: str,
        values: Sequence[bytes | None],
        partition: int | None = 0,
        *,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        producer = KafkaProducer(**clients.producer(self.settings))
        for number, value in enumerate(values):
            producer.send(
                clients.physical(self.settings, topic),
                key=f"key {number}".encode(),
                value=value,
                partition=partition,
                headers=list(headers),
            )
        producer.flush()
        producer.close()

    def abort(self, topic: str, values: Sequence[bytes]) -> None:
        """Write `values` in a transaction that is aborted."""
        producer = KafkaProducer(**clients.producer(self.settings), transactional_id=f"{self.settings.namespace}abort")
        producer.init_transactions()
        producer.begin_transaction()
        for value in values:
            producer.send(clients.physical(self.settings, topic), key=b"aborted", value=value, partition=0)
        producer.flush()
        producer.abort_transaction()
        producer.close()

    def read(self, topic: str) -> list[Any]:
        """Return every record of `topic`, committed or not, partition by partition."""
        consumer = KafkaConsumer(**clients.consumer(self.settings) | {"isolation_level": "read_uncommitted"})
        name = clients.physical(self.settings, topic)
        places = [TopicPartition(name, partition) for partition in sorted(consumer.partitions_for_topic(name))]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found: list[Any] = []
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(timeout_ms=200).values():
                found += records
        consumer.close()
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def values(self, topic: str) -> list[bytes | None]:
        return [record.value for record in self.read(topic)]

    def committed(self, topic: str, stage: str) -> dict[int, int]:
        consumer = KafkaConsumer(**clients.consumer(self.settings), group_id=clients.group(self.settings, stage))
        name = clients.physical(self.settings, topic)
        found = {p: consumer.committed(TopicPartition(name, p)) for p in consumer.partitions_for_topic(name)}
        consumer.close()
        return {partition: offset for partition, offset in found.items() if offset is not None}
