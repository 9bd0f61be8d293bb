"""By how many records the live workers are behind, asked again and again with the same clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.structs import TopicPartition

from newsmill import clients
from newsmill.settings import Settings


class LagReader:
    """Asks the broker for the lag of the workers' consumer groups. It joins none of them.

    Args:
        settings: where the broker is.
        sources: topic by stage; a stage whose group has never committed anything counts nothing.

    Raises kafka.errors.KafkaError when no broker answers.
    """

    def __init__(self, settings: Settings, sources: Mapping[str, str]) -> None:
        self._groups = {clients.group(settings, s): clients.physical(settings, t) for s, t in sources.items()}
        self._consumer: Any = KafkaConsumer(**clients.consumer(settings))
        self._admin: Any = KafkaAdminClient(**clients.connection(settings))

    def lag(self) -> int:
        """Return by how many records, markers of transactions included, all groups together are behind.

        Raises kafka.errors.KafkaError.
        """
        committed: dict[TopicPartition, int] = {}
        for group, offsets in self._admin.list_group_offsets(list(self._groups)).items():
            topic = self._groups[group]
            committed |= {p: o.offset for p, o in offsets.items() if p.topic == topic and o.offset >= 0}
        if not committed:
            return 0
        ends = self._consumer.end_offsets(list(committed))
        return sum(max(0, ends[place] - offset) for place, offset in committed.items())

    def close(self) -> None:
        """Close the clients."""
        self._admin.close()
        self._consumer.close()
