"""Faust's aiokafka transport, with what Faust has no setting for: a consumer that never sees an aborted record, an
idempotent producer, and offsets that are committed only when this engine says so.

Faust's own commits can't be used (0.15.3, faust/transport/consumer.py): `_commit_offsets` notes offsets as committed
whether or not the broker took them, and `_add_gap` counts a record that follows a gap (the marker of a transaction) as
done as soon as it arrives, before anyone has processed it. So nothing is ever acked through Faust, and its `commit`
does nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import aiokafka
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from newsmill.clients import MAX_DEAD_LETTER_BYTES

FETCH_WAIT_MS = 500


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust has no usable types
    """The thread of the Kafka consumer: it fetches, commits and keeps the membership alive while the stage works."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # The offset behind the last record handed over, by partition.
        self.handed_over: dict[TP, int] = {}

    def _create_worker_consumer(self, transport: Any) -> Any:
        conf = self.app.conf
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            # The one thing that Faust offers for its exactly_once alone.
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_bytes=4 * MAX_DEAD_LETTER_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    def highwater(self, tp: TP) -> Any:
        """Return the last stable offset: what lies behind it can't be read yet."""
        return self._ensure_consumer().last_stable_offset(tp)

    async def _fetch_records(self, *args: Any, **kwargs: Any) -> Any:
        fetched = await super()._fetch_records(*args, **kwargs)
        for tp, records in fetched.items():
            self.handed_over[tp] = records[-1].offset + 1
        return fetched

    async def commit_offsets(self, offsets: Mapping[TP, OffsetAndMetadata]) -> None:
        """Commit `offsets`; return when the broker has confirmed them. Raises KafkaError."""
        plain = {driver.ensure_aiokafka_TP(tp): offset for tp, offset in offsets.items()}
        await self.call_thread(self._ensure_consumer().commit, plain)

    async def committed_offsets(self, partitions: Iterable[TP]) -> dict[TP, OffsetAndMetadata]:
        """Return what the group has committed, with metadata; partitions without an offset are left out."""
        coordinator = self._ensure_consumer()._coordinator
        found: dict[TP, OffsetAndMetadata] = await self.call_thread(
            coordinator.fetch_committed_offsets, list(partitions)
        )
        return found

    async def end_offsets(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Return last stable offsets, asked of the broker."""
        ends: dict[TP, int] = await self.call_thread(self._ensure_consumer().end_offsets, list(partitions))
        return ends

    def position_behind(self, tp: TP, done: int) -> int:
        """Return the offset that is read next, given that everything before `done` is processed.

        That is beyond `done` where only markers of transactions lie between.
        """
        if done < self.handed_over.get(tp, done):
            return done
        state = self._ensure_consumer()._fetcher._subscriptions.subscription.assignment.state_value(tp)
        return max(done, state.position) if state is not None and state.has_valid_position else done


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer without commits of its own."""

    _thread: ConsumerThread

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Do nothing: offsets are committed by the batch loop, once their outputs are confirmed."""
        return False

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:
        """As Faust does; but where Faust has a message delivered unless the flow is suspended before, and there is
        room for the message, deliver it.

        Faust makes four tasks for that, for each message: a quarter of all that the engine costs. Delivering waits for
        nothing but room.
        """
        if len(coros) != 2 or not self.app.has_room():
            return await super().wait_first(*coros, timeout=timeout)
        deliver, suspended = coros
        suspended.close()
        await deliver
        return None

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust would complain that it has not committed. `newsmill.health` watches for stalls."""

    @property
    def thread(self) -> ConsumerThread:
        """The consumer's thread."""
        return self._thread


class Producer(driver.Producer):  # type: ignore[misc]
    """Faust's producer, idempotent: a retry neither doubles a record nor changes the order of a partition."""

    def _settings_extra(self) -> dict[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    @property
    def kafka(self) -> Any:
        """The aiokafka producer beneath."""
        return self._ensure_producer()


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with the consumer and the producer of this module."""

    Consumer = Consumer
    Producer = Producer
