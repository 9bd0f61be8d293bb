"""Transactions that a broker forgets when it is killed.

Apache Kafka 4.3.1, killed after it has decided to commit a transaction and before it has written the markers, sometimes
takes the transaction for complete when it comes back: its log of transactions has PrepareCommit, then CompleteCommit,
and no partition has a marker. Nobody who reads committed records gets past it, for ever. As no partition has a marker,
neither outputs nor offsets count yet: aborting it everywhere is safe, and the batch is read again.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import AbortTransactionSpec
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.settings import Settings

_RUNNING = ("Ongoing", "PrepareCommit", "PrepareAbort")
_LONG_SECONDS = 3.0


class _Open(NamedTuple):
    """A transaction that is open on a partition."""

    place: TopicPartition
    producer_id: int
    epoch: int
    coordinator_epoch: int
    start: int


def abort_forgotten(settings: Settings) -> list[TopicPartition]:
    """Abort what stays open on a partition while the coordinator of transactions has nothing running for it; return on
    which partitions that was.

    Raises kafka.errors.KafkaError.
    """
    admin: Any = KafkaAdminClient(**clients.connection(settings))
    try:
        before = _open(admin)
        time.sleep(_LONG_SECONDS)
        running = {
            listing.producer_id
            for listings in admin.list_transactions().values()
            for listing in listings
            if listing.state.value in _RUNNING
        }
        time.sleep(_LONG_SECONDS)
        # The same at the beginning and at the end, so it was in the middle, too: no transaction of a worker at work.
        forgotten = sorted(found for found in before & _open(admin) if found.producer_id not in running)
        for place, producer_id, epoch, coordinator_epoch, _ in forgotten:
            admin.abort_transaction(AbortTransactionSpec(place, producer_id, epoch, coordinator_epoch))
        return [found.place for found in forgotten]
    finally:
        admin.close()


def _open(admin: Any) -> set[_Open]:
    places = [
        TopicPartition(topic["name"], part["partition_index"])
        for topic in admin.describe_topics()
        for part in topic["partitions"]
    ]
    return {
        _Open(place, found.producer_id, found.producer_epoch, found.coordinator_epoch, start)
        for place, state in admin.describe_producers(places).items()
        for found in state.active_producers
        if (start := found.current_transaction_start_offset) >= 0
    }
