"""One batch, one transaction: everything that a batch writes and the offsets that it consumed, or nothing.

Of the traps that kafka-python's producer has (see newsmill/engines/kafka/producer.py), the last is closed here: after
the commit the group's committed offset is read back. Offsets are part of the transaction, and moved exactly if it was
committed. After any failure but a stale membership the worker exits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kafka.errors import CommitFailedError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

from newsmill.engines.kafka.producer import FencedError, TransactionalProducer, TransactionError
from newsmill.engines.result import Output
from newsmill.settings import Settings

__all__ = ["FencedError", "StaleMembershipError", "TransactionError", "Transactor"]

Offsets = Mapping[TopicPartition, OffsetAndMetadata]


def transactional_id(settings: Settings, stage: str, instance: str) -> str:
    """Return the transactional id of a worker: the same after a restart."""
    return f"{settings.namespace}newsmill.{stage}.{instance}"


class StaleMembershipError(Exception):
    """The group has rebalanced since the batch was read. Its transaction has been aborted: read and try it again."""


class Transactor(TransactionalProducer):
    """Writes batches, each in one transaction.

    Args:
        settings: where the broker is, timeouts, and the instance's name.
        stage: name of the stage; with the instance it makes the transactional id. The same id after a restart ends
            what a killed worker left open.
        on_step: called between the steps of a batch (`begun`, `sent`, `flushed`, `offsets`, `committed`,
            `confirmed`). Tests use it to die there.
    """

    def __init__(self, settings: Settings, stage: str, on_step: Callable[[str], None]) -> None:
        super().__init__(
            settings,
            transactional_id(settings, stage, settings.instance),
            "another worker has taken this name, or a batch took longer than NEWSMILL_TRANSACTION_TIMEOUT_S. Each "
            "worker of a stage needs a NEWSMILL_INSTANCE of its own",
            on_step,
        )

    def write(
        self,
        outputs: Sequence[Output],
        offsets: Offsets,
        membership: ConsumerGroupMetadata,
        confirm: Callable[[TopicPartition], OffsetAndMetadata | None],
    ) -> dict[tuple[str, int], int]:
        """Write `outputs` and `offsets` in one transaction; return when the broker is known to have committed it.

        Args:
            membership: the consumer's group membership at the time when the batch was read.
            confirm: returns the committed offset of a partition, read from the broker, transactions settled.

        Returns the highest offset written, by (topic, partition).
        Raises StaleMembershipError, FencedError, TransactionError; only after the first may the worker go on.
        """
        if membership.generation_id <= 0:
            # The broker would not check a membership without a generation at all.
            raise StaleMembershipError("the worker is not a member of its group")
        return self._within("writing a batch", lambda: self._write(outputs, offsets, membership, confirm))

    def _write(
        self,
        outputs: Sequence[Output],
        offsets: Offsets,
        membership: ConsumerGroupMetadata,
        confirm: Callable[[TopicPartition], OffsetAndMetadata | None],
    ) -> dict[tuple[str, int], int]:
        self._begin()
        written: dict[tuple[str, int], int] = {}
        for done in self._send(outputs):
            if done.offset > written.get(done.topic_partition, -1):
                written[done.topic_partition] = done.offset
        try:
            self.producer.send_offsets_to_transaction(dict(offsets), membership)
        except CommitFailedError as error:
            self.producer.abort_transaction()
            raise StaleMembershipError(str(error)) from error
        self._on_step("offsets")
        self._commit()
        # One partition tells for all: they are committed together or not at all.
        partition, sent = next(iter(offsets.items()))
        found = confirm(partition)
        if found is None or (found.offset, found.metadata) != (sent.offset, sent.metadata):
            raise TransactionError(
                f"the commit was acknowledged but offset {sent.offset} of {partition} did not arrive; found {found}"
            )
        self._on_step("confirmed")
        return written
