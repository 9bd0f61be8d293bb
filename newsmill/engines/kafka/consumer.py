"""kafka-python's consumer, without the ways in which 3.0.12 stands still, falls out of its group for good, or says what
was true before.

Its coordinator (kafka/coordinator/base.py, `join_group_async`) begins to rejoin inside a poll, and switches heartbeats
off. If the poll ends first, the next one is meant to go on. But it only does if `need_rejoin()` still says so, and
where the reason was a change of the topic's metadata, the leader's own assignment removes that reason. Then nobody
takes up the join: the member sends no heartbeats, the broker forgets it, and each of its commits is refused, for ever.
The Java client asks for "rejoin needed or pending" there.

Its fetcher (kafka/consumer/fetcher.py, `fetched_records`) puts aside what it holds of a paused partition, and takes it
up again after `resume` only while it has no other partition's records in hand. But a partition whose records are all
handed out stays in hand, empty. Then the resumed partition is neither taken up nor fetched again: it stands still.

Its coordinator (kafka/coordinator/consumer.py, `fetch_committed_offsets_async`) keeps a question that is on its way,
for others to share. Where whoever asked has given up (a poll that ends), the answer stays, and the next one who asks
gets it, however old it is by then: a transaction just committed seems not to have arrived.
"""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer


class PausingConsumer(KafkaConsumer):  # type: ignore[misc]  # kafka-python has no types
    """A KafkaConsumer whose partitions can be paused and resumed while there are records of others."""

    def poll(self, *arguments: Any, **named: Any) -> Any:
        """As KafkaConsumer.poll."""
        in_hand = self._fetcher._next_partition_records
        if in_hand is not None and not in_hand:
            self._fetcher._next_partition_records = None
        return super().poll(*arguments, **named)


class GroupConsumer(PausingConsumer):
    """A consumer that goes on with a join that it has begun."""

    def poll(self, *arguments: Any, **named: Any) -> Any:
        """As KafkaConsumer.poll."""
        if self.joining:
            self.join_again()
        return super().poll(*arguments, **named)

    def committed(self, partition: Any, *arguments: Any, **named: Any) -> Any:
        """As KafkaConsumer.committed; the broker is always asked."""
        self._coordinator._offset_fetch_futures.pop(frozenset((partition,)), None)
        return super().committed(partition, *arguments, **named)

    @property
    def joining(self) -> bool:
        """Whether it has begun to join its group, and has not finished. It sends no heartbeats meanwhile."""
        return bool(self._coordinator.rejoining)

    def join_again(self) -> None:
        """Join the group again at the next poll: what this member knows of the group is out of date."""
        self._coordinator.request_rejoin()
