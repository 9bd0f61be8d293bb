"""A transactional producer that never says "written" of what may not be.

kafka-python's producer leaves gaps. Two are closed here, and the third by whoever commits:

- A record that outlives the delivery timeout fails only its own future, and the transaction could still be committed
  without it. So every future is checked before the commit.
- Committing, aborting and sending offsets wait without a limit. So all of it runs under one deadline.
- When the producer's epoch is bumped while a transaction is being committed, `commit_transaction` can return as if it
  had worked. So after the commit something that was part of the transaction is read back.

After a failure nobody knows whether the transaction was committed: the process exits, and the next one asks the broker
where it stands (KIP-447: https://cwiki.apache.org/confluence/x/3B5jBg).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

from kafka import KafkaProducer
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from newsmill import clients
from newsmill.engines.result import Output
from newsmill.errors import NewsmillError
from newsmill.settings import Settings

T = TypeVar("T")


class TransactionError(NewsmillError):
    """Whether the batch was committed is not known. The process must exit; the next one finds out."""

    exit_code: ClassVar[int] = 1


class FencedError(NewsmillError):
    """Another process has taken this one's name, and the broker has shut this one out."""

    exit_code: ClassVar[int] = 1


class TransactionalProducer:
    """Sends records within transactions, one after the other, each under a deadline.

    Args:
        settings: where the broker is, and timeouts.
        transactional_id: the same id after a restart ends what a killed process left open, and shuts out whoever else
            has it.
        fenced: what to tell a person when that happens to this process.
        on_step: called between the steps of a transaction. Tests use it to die there.
    """

    def __init__(
        self,
        settings: Settings,
        transactional_id: str,
        fenced: str,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.transactional_id = transactional_id
        self._settings = settings
        self._on_step = on_step
        self._fenced_text = fenced
        self._timeout = settings.commit_timeout_s
        self._thread = _DeadlineThread(f"transactions-{transactional_id}")
        timeout_ms = int(self._timeout * 1000)
        request_ms = max(1_000, timeout_ms // 3)
        self.producer: Any = KafkaProducer(
            **clients.producer(settings),
            transactional_id=transactional_id,
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
        """Announce the transactional id: ends what an earlier process of this name left open, and shuts it out.

        Raises FencedError, TransactionError.
        """
        self._within("announcing the transactional id", self.producer.init_transactions)

    def know(self, topics: Collection[str]) -> None:
        """Look up the partitions of `topics` (named without a namespace), all at once: asked for when it is first
        written to, each would take a tenth of a second. Raises FencedError, TransactionError."""
        names = [clients.physical(self._settings, topic) for topic in topics]

        def ask() -> None:
            with ThreadPoolExecutor(len(names)) as pool:
                list(pool.map(self.producer.partitions_for, names))

        if names:
            self._within("looking up topics", ask)

    def _begin(self) -> None:
        self.producer.begin_transaction()
        self._on_step("begun")

    def _send(self, outputs: Sequence[Output]) -> list[Any]:
        """Send `outputs` in the open transaction; return what came of each, in order, once every one is written.

        Raises FencedError, TransactionError.
        """
        names = {topic: clients.physical(self._settings, topic) for topic in {output.topic for output in outputs}}
        futures = [
            self.producer.send(
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
            self.producer.flush(timeout=self._timeout)
        for future in futures:
            if not future.succeeded():
                if isinstance(future.exception, ProducerFencedError | InvalidProducerEpochError):
                    raise self._fenced() from future.exception
                raise TransactionError(f"a record could not be written: {future.exception or 'not delivered in time'}")
        self._on_step("flushed")
        return [future.value for future in futures]

    def _commit(self) -> None:
        self.producer.commit_transaction()
        self._on_step("committed")

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
        return FencedError(f"the broker has shut out {self.transactional_id!r}: {self._fenced_text}")

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
