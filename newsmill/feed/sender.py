"""Documents to a topic, in windows: each is confirmed by the broker before the next one begins.

A window bounds the memory, and how much is sent twice when a feed dies and is started again: what was sent since the
last confirmed window, so at most one window.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from newsmill.feed.document import Document, Position
from newsmill.feed.errors import ChangedInputError, FeedError, InputError
from newsmill.feed.inputs import Input

WINDOW_DOCUMENTS: Final = 500
WINDOW_BYTES: Final = 16 * 1024 * 1024

TOO_LARGE: Final = "too_large"
"""Reason of a rejection: the document is larger than a record may be."""

REFUSED_SIZE: Final = "too_large_for_broker"
"""Reason of a rejection: the topic takes smaller records only."""

UNREADABLE: Final = "unreadable"
"""Reason of a rejection: the input, the rest of it, or a place in it can't be read."""

_CLOSE_S: Final = 1.0
_SIZES: Final = (MessageSizeTooLargeError, RecordListTooLargeError)


class Sent(Protocol):
    """What a producer gives for a record that it was given; a `kafka.producer.future.FutureRecordMetadata`."""

    def get(self, timeout: float) -> object:
        """Return when the broker has confirmed the record. Raises KafkaError when it was given up or time is up."""


class Producer(Protocol):
    """What is needed of a `kafka.KafkaProducer`."""

    def send(self, topic: str, *, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> Sent:
        """Take a record. Raises KafkaError."""

    def flush(self, timeout: float) -> None:
        """Send what waits for company; wait until all was confirmed or given up. Raises KafkaError."""

    def close(self, timeout: float) -> None:
        """Let go of the connections. Raises KafkaError."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document, or the rest of an input, that was not sent."""

    origin: str
    reason: str
    detail: str


@dataclass(slots=True)
class FeedSummary:
    """What a feed came to. `last` is the origin of the last document that was confirmed or rejected."""

    sent: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    stopped: bool = False
    last: str = ""


def _ignore(*_: object) -> None:
    pass


class Sender:
    """Sends the documents of inputs to a topic, each confirmed.

    Args:
        make_producer: returns a producer that is idempotent and waits for all replicas. It is called again when the
            broker has refused a record for its size: kafka-python fails everything after that with the same error.
        topic: name on the cluster.
        timeout_s: longest to wait for the confirmation of a window, seconds.
        window_documents, window_bytes: most of each that is sent before all of it must be confirmed; one document may
            be larger than `window_bytes`.
        on_confirmed: called with the positions behind a confirmed window, by path (streams have none), and the summary.
        on_rejected: called for each rejection, when it is known.
    """

    def __init__(
        self,
        make_producer: Callable[[], Producer],
        topic: str,
        *,
        timeout_s: float,
        window_documents: int = WINDOW_DOCUMENTS,
        window_bytes: int = WINDOW_BYTES,
        on_confirmed: Callable[[Mapping[str, Position], FeedSummary], None] = _ignore,
        on_rejected: Callable[[Rejection], None] = _ignore,
    ) -> None:
        self.summary = FeedSummary()
        self._make_producer = make_producer
        self._producer = make_producer()
        self._topic = topic
        self._timeout_s = timeout_s
        self._most = window_documents
        self._most_bytes = window_bytes
        self._on_confirmed = on_confirmed
        self._on_rejected = on_rejected
        # None stands for a document that was not sent: it takes its place in the order, so that it is not read again.
        self._window: list[tuple[Document, Sent | None]] = []
        self._bytes = 0
        self._stopping = False

    def stop(self) -> None:
        """Stop after the document at hand, and confirm what is in flight. May be called from a signal handler."""
        self._stopping = True

    def run(self, inputs: Iterable[Input | None], read: Callable[[Input], Iterable[Document | None]]) -> FeedSummary:
        """Send what `read` gives for each input, and return when all of it is confirmed, or after `stop`. Call it once.

        None among the inputs or documents says that no more has come for now. An input that can't be read (on) counts
        as rejected, and the next one is taken. Raises FeedError when the broker does not confirm, ChangedInputError,
        and what `on_confirmed` raises; `summary` then says what was confirmed.
        """
        try:
            self._inputs(inputs, read)
        finally:
            self._close()
        return self.summary

    def _inputs(self, inputs: Iterable[Input | None], read: Callable[[Input], Iterable[Document | None]]) -> None:
        for source in inputs:
            if source is None:
                self._confirm()
                continue
            try:
                self._input(read(source))
            except ChangedInputError:
                self._confirm()
                raise
            except InputError as error:
                self._on_input_error(source, error)
            if self._stopping:
                break
        self.summary.stopped = self._stopping
        self._confirm()

    def _input(self, documents: Iterable[Document | None]) -> None:
        for document in documents:
            if document is None:
                self._confirm()
            else:
                self._send(document)
            if len(self._window) >= self._most or self._bytes >= self._most_bytes:
                self._confirm()
            if self._stopping:
                return

    def _send(self, document: Document) -> None:
        sent: Sent | None = None
        if document.too_large:
            self._reject(document.origin, TOO_LARGE, f"{document.size:,} bytes")
        elif document.problem:
            self._reject(document.origin, UNREADABLE, document.problem)
        else:
            try:
                sent = self._take(document)
            except MessageSizeTooLargeError:
                self._reject(document.origin, TOO_LARGE, f"{document.size:,} bytes")
            except KafkaError as error:
                self._confirm()
                raise FeedError(_not_confirmed(document, error)) from error
            else:
                self._bytes += len(document.value)
        self._window.append((document, sent))

    def _confirm(self) -> None:
        """Wait for the window. What is confirmed in one piece from its beginning counts, whatever comes behind."""
        window, self._window, self._bytes = self._window, [], 0
        if not window:
            return
        deadline = time.monotonic() + self._timeout_s
        producer = self._producer
        self._flush()
        positions: dict[str, Position] = {}
        failed: FeedError | None = None
        for document, sent in window:
            try:
                self.summary.sent += sent is not None and self._arrived(document, sent, deadline, producer)
            except KafkaError as error:
                failed = FeedError(_not_confirmed(document, error))
                break
            self.summary.last = document.origin
            if document.position.file is not None:
                positions[document.position.file.path] = document.position
        self._on_confirmed(positions, self.summary)
        if failed is not None:
            raise failed

    def _arrived(self, document: Document, sent: Sent, deadline: float, producer: Producer) -> bool:
        """Wait for a record that `producer` has taken; return False when the broker refuses its size.

        Raises KafkaError.
        """
        try:
            sent.get(max(0.0, deadline - time.monotonic()))
            return True
        except _SIZES:
            # This one, or one before it that has taken it down.
            if self._producer is producer:
                self._renew()
        try:
            alone = self._take(document)
            self._flush()
            alone.get(self._timeout_s)
            return True
        except _SIZES:
            self._renew()
            self._reject(document.origin, REFUSED_SIZE, f"{document.size:,} bytes")
            return False

    def _flush(self) -> None:
        # Each record tells for itself what became of it. (kafka-python's flush raises, too, when it has cut a batch
        # in two that was too large for the broker.)
        with contextlib.suppress(KafkaError):
            self._producer.flush(timeout=self._timeout_s)

    def _renew(self) -> None:
        self._close()
        self._producer = self._make_producer()

    def _close(self) -> None:
        # What is not confirmed by now has been said to be so.
        with contextlib.suppress(KafkaError):
            self._producer.close(timeout=_CLOSE_S)

    def _take(self, document: Document) -> Sent:
        return self._producer.send(self._topic, key=document.key, value=document.value, headers=list(document.headers))

    def _on_input_error(self, source: Input, error: InputError) -> None:
        last = self._window[-1][0].origin if self._window else self.summary.last
        behind = f" (behind {last})" if last.rpartition(":")[0] == source.name else ""
        self._reject(source.name, UNREADABLE, str(error).removeprefix(f"{source.name}: ") + behind)

    def _reject(self, origin: str, reason: str, detail: str) -> None:
        self.summary.rejected[reason] += 1
        self._on_rejected(Rejection(origin, reason, detail))


def _not_confirmed(document: Document, error: KafkaError) -> str:
    return f"{document.origin}: not confirmed by the broker ({error or type(error).__name__})"
