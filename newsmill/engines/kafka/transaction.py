"""One batch, one transaction: everything that a batch writes and the offsets that it consumed, or nothing.

kafka-python's producer leaves three gaps, which are closed here:

- A record that outlives the delivery timeout fails only its own future, and the transaction could still be committed
  without it. So every future is checked before the offsets are sent.
- When the producer's epoch is bumped while a transaction is being committed, `commit_transaction` can return as if it
  had worked. So after the commit the group's committed offset is read back: offsets are part of the transaction, and
  moved exactly if it was committed.
- Committing, aborting and sending offsets wait without a limit. So all of it runs under one deadline.

After any failure but a stale membership nobody knows whether the transaction was committed: the worker exits, and the
next one asks the broker where it stands (KIP-447: https://cwiki.apache.org/confluence/x/3B5jBg).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from kafka import KafkaProducer
from kafka.errors import CommitFailedError, InvalidProducerEpochError, KafkaError, ProducerFencedError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition

from newsmill import clients
from newsmill.engines.result import Output
from newsmill.errors import NewsmillError
from newsmill.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")

Offsets = Mapping[TopicPartition, OffsetAndMetadata]


class TransactionError(NewsmillError):
    """Whether the batch was committed is not known. The worker must exit; the next one finds out."""

    exit_code: ClassVar[int] = 1


class FencedError(NewsmillError):
    """Another worker runs with the same instance name, and the broker has shut this one out."""

    exit_code: ClassVar[int] = 1


class StaleMembershipError(Exception):
    """The group has rebalanced since the batch was read. Its transaction has been aborted: read and try it again."""


class Transactor:
    """Writes batches, each in one transaction.

    Args:
        settings: where the broker is, timeouts, and the instance's name.
        stage: name of the stage; with the instance it makes the transactional id. The same id after a restart ends
            what a killed worker left open.
        on_step: called between the steps of a batch (`begun`, `sent`, `flushed`, `offsets`, `committed`,
            `confirmed`). Tests use it to die there.
    """

    def __init__(self, settings: Settings, stage: str, on_step: Callable[[str], None]) -> None:
        self.transactional_id = f"{settings.namespace}newsmill.{stage}.{settings.instance}"
        self._settings = settings
        self._on_step = on_step
        self._timeout = settings.commit_timeout_s
        self._thread = _DeadlineThread(f"transactions-{stage}")
        timeout_ms = int(self._timeout * 1000)
        request_ms = max(1_000, timeout_ms // 3)
        self.producer: Any = KafkaProducer(
            **clients.producer(settings),
            transactional_id=self.transactional_id,
            transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
            # Before it repeats a transactional request (the broker has not finished the last one) it sleeps for this.
            retry_backoff_ms=20,
            # `flush` sends what is there; until then records gather into full batches.
            linger_ms=min(1_000, timeout_ms // 10),
            request_timeout_ms=request_ms,
            delivery_timeout_ms=timeout_ms - request_ms // 2,
            max_block_ms=timeout_ms,
        )

    def start(self) -> None:
        """Announce the transactional id: ends what an earlier worker of this name left open, and shuts it out.

        Raises FencedError, TransactionError.
        """
        self._within("announcing the transactional id", self.producer.init_transactions)

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
        producer = self.producer
        producer.begin_transaction()
        self._on_step("begun")
        names = {topic: clients.physical(self._settings, topic) for topic in {output.topic for output in outputs}}
        futures = [
            producer.send(
                names[output.topic],
                key=output.key,
                value=output.value,
                headers=list(output.headers),
                partition=output.partition,
            )
            for output in outputs
        ]
        self._on_step("sent")
        if futures:
            producer.flush(timeout=self._timeout)
        written: dict[tuple[str, int], int] = {}
        for future in futures:
            if not future.succeeded():
                if isinstance(future.exception, ProducerFencedError | InvalidProducerEpochError):
                    raise self._fenced() from future.exception
                raise TransactionError(f"a record could not be written: {future.exception or 'not delivered in time'}")
            done = future.value
            if done.offset > written.get(done.topic_partition, -1):
                written[done.topic_partition] = done.offset
        self._on_step("flushed")
        try:
            producer.send_offsets_to_transaction(dict(offsets), membership)
        except CommitFailedError as error:
            producer.abort_transaction()
            raise StaleMembershipError(str(error)) from error
        self._on_step("offsets")
        producer.commit_transaction()
        self._on_step("committed")
        # One partition tells for all: they are committed together or not at all.
        partition, sent = next(iter(offsets.items()))
        found = confirm(partition)
        if found is None or (found.offset, found.metadata) != (sent.offset, sent.metadata):
            raise TransactionError(
                f"the commit was acknowledged but offset {sent.offset} of {partition} did not arrive; found {found}"
            )
        self._on_step("confirmed")
        return written

    def _within(self, what: str, call: Callable[[], T]) -> T:
        try:
            return self._thread.run(call, self._timeout)
        except TimeoutError:
            raise TransactionError(f"{what} took longer than {self._timeout:g} s") from None
        except ProducerFencedError as error:
            raise self._fenced() from error
        except KafkaError as error:
            if "ProducerFenced" in repr(error) or isinstance(error.__cause__, ProducerFencedError):
                raise self._fenced() from error
            raise TransactionError(f"{what} failed: {error!r}") from error

    def _fenced(self) -> FencedError:
        return FencedError(
            f"the broker has shut out {self.transactional_id!r}: another worker has taken this name, or a batch took "
            "longer than NEWSMILL_TRANSACTION_TIMEOUT_S. Each worker of a stage needs a NEWSMILL_INSTANCE of its own"
        )

    def close(self) -> None:
        """Close the producer. Call it after a clean stop; after a failure the process just ends."""
        self.producer.close(timeout=5)


class _DeadlineThread:
    """Runs calls one after the other on a thread of its own, and gives up on one that takes too long.

    The thread is a daemon: a call that never returns does not keep the process alive.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], list[Any], threading.Event]] = queue.SimpleQueue()
        threading.Thread(target=self._loop, name=name, daemon=True).start()

    def run(self, call: Callable[[], T], seconds: float) -> T:
        """Return what `call` returns or raise what it raises. Raises TimeoutError after `seconds`."""
        answer: list[Any] = []
        done = threading.Event()
        started = time.monotonic()
        self._calls.put((call, answer, done))
        if not done.wait(seconds):
            raise TimeoutError(f"no answer after {time.monotonic() - started:.1f} s")
        value, error = answer
        if error is not None:
            raise error
        result: T = value
        return result

    def _loop(self) -> None:
        while True:
            call, answer, done = self._calls.get()
            try:
                answer.extend((call(), None))
            except BaseException as error:  # noqa: BLE001  (handed to the caller, whatever it is)
                answer.extend((None, error))
            done.set()
