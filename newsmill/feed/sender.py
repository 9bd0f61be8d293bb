"""Documents to a topic, in windows: each is confirmed by the broker before the next one begins.

A window bounds the memory, and how much is sent twice when a feed dies and is started again: what was sent since the
last confirmed window, so at most one window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

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
"""Reason of a rejection: the input, or the rest of it, can't be read."""


class Sent(Protocol):
    """What a producer gives for a record that it was given; a `kafka.producer.future.FutureRecordMetadata`."""

    exception: BaseException | None

    def succeeded(self) -> bool:
        """Whether the broker has confirmed the record."""


class Producer(Protocol):
    """What is needed of a `kafka.KafkaProducer`."""

    def send(self, topic: str, *, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> Sent:
        """Take a record. Raises KafkaError."""

    def flush(self, timeout: float) -> None:
        """Wait until all records have been confirmed or given up. Raises KafkaTimeoutError."""


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


def _ignore(_: object) -> None:
    pass


class Sender:
    """Sends the documents of inputs to a topic, each confirmed.

    Args:
        producer: idempotent, with acks of all replicas.
        topic: name on the cluster.
        timeout_s: longest to wait for the confirmation of a window, seconds.
        window_documents, window_bytes: most of each that is sent before all of it must be confirmed; one document may
            be larger than `window_bytes`.
        on_confirmed: called with the positions behind a confirmed window, by path. Streams have none.
        on_rejected: called for each rejection, when it is known.
    """

    def __init__(
        self,
        producer: Producer,
        topic: str,
        *,
        timeout_s: float,
        window_documents: int = WINDOW_DOCUMENTS,
        window_bytes: int = WINDOW_BYTES,
        on_confirmed: Callable[[Mapping[str, Position]], None] = _ignore,
        on_rejected: Callable[[Rejection], None] = _ignore,
    ) -> None:
        self.summary = FeedSummary()
        self._producer = producer
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

    def run(self, inputs: Sequence[Input], read: Callable[[Input], Iterable[Document | None]]) -> FeedSummary:
        """Send what `read` gives for each input, and return when all of it is confirmed, or after `stop`.

        None among the documents says that no more has come for now. An input that can't be read (on) counts as
        rejected, and the next one is taken. Raises FeedError when the broker does not confirm, ChangedInputError, and
        what `on_confirmed` raises; `summary` then says what was confirmed.
        """
        for source in inputs:
            try:
                self._input(read(source))
            except ChangedInputError:
                self._confirm()
                raise
            except InputError as error:
                self._on_input_error(source, error)
            if self._stopping:
                self.summary.stopped = True
                break
        self._confirm()
        return self.summary

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
        else:
            try:
                sent = self._producer.send(
                    self._topic, key=document.key, value=document.value, headers=list(document.headers)
                )
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
        late: KafkaTimeoutError | None = None
        try:
            self._producer.flush(timeout=self._timeout_s)
        except KafkaTimeoutError as error:
            late = error
        positions: dict[str, Position] = {}
        failed: FeedError | None = None
        for document, sent in window:
            if sent is not None and not sent.succeeded():
                if not isinstance(sent.exception, (MessageSizeTooLargeError, RecordListTooLargeError)):
                    failed = FeedError(_not_confirmed(document, sent.exception or late))
                    break
                self._reject(document.origin, REFUSED_SIZE, f"{document.size:,} bytes")
            elif sent is not None:
                self.summary.sent += 1
            self.summary.last = document.origin
            if document.position.file is not None:
                positions[document.position.file.path] = document.position
        self._on_confirmed(positions)
        if failed is not None:
            raise failed

    def _on_input_error(self, source: Input, error: InputError) -> None:
        last = self._window[-1][0].origin if self._window else self.summary.last
        behind = f" (behind {last})" if last.rpartition(":")[0] == source.name else ""
        self._reject(source.name, UNREADABLE, str(error).removeprefix(f"{source.name}: ") + behind)

    def _reject(self, origin: str, reason: str, detail: str) -> None:
        self.summary.rejected[reason] += 1
        self._on_rejected(Rejection(origin, reason, detail))


def _not_confirmed(document: Document, error: BaseException | None) -> str:
    reason = f"{type(error).__name__}: {error}" if error is not None and str(error) else type(error).__name__
    return f"{document.origin}: not confirmed by the broker ({reason})"
