"""A broker of a few lists, and its producers, which behave as kafka-python's idempotent ones.

Once the broker has refused a record for its size, a producer is of no use any more: all that comes after that fails
with the same error, until another producer is made.
"""

from __future__ import annotations

from collections.abc import Callable

from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

Taken = tuple[str, bytes, bytes, list[tuple[str, bytes]]]


class FakeBroker:
    """What was sent and confirmed by all producers; `make` makes one.

    Args:
        before_send: called with a record's value before it is taken; may raise, as `send` of the real one does.
        outcome: returns why a record fails, or None.
        away: whether the broker has gone away over this record: nothing is confirmed from there on.
    """

    def __init__(
        self,
        *,
        before_send: Callable[[bytes], None] = lambda value: None,
        outcome: Callable[[bytes], BaseException | None] = lambda value: None,
        away: Callable[[bytes], bool] = lambda value: False,
    ) -> None:
        self.taken: list[Taken] = []
        self.confirmed: list[bytes] = []
        self.most_in_flight = 0
        self.most_bytes_in_flight = 0
        self.flushes: list[float] = []
        self.made: list[FakeProducer] = []
        self.before_send = before_send
        self.outcome = outcome
        self.away = away

    def make(self) -> FakeProducer:
        self.made.append(FakeProducer(self))
        return self.made[-1]


class FakeProducer:
    def __init__(self, broker: FakeBroker) -> None:
        self.closed = False
        self._broker = broker
        self._in_flight: list[tuple[bytes, FakeSent]] = []
        self._fatal: BaseException | None = None

    def send(self, topic: str, *, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> FakeSent:
        assert not self.closed
        broker = self._broker
        broker.before_send(value)
        broker.taken.append((topic, key, value, headers))
        sent = FakeSent(self)
        self._in_flight.append((value, sent))
        broker.most_in_flight = max(broker.most_in_flight, len(self._in_flight))
        size = sum(len(value) for value, _ in self._in_flight)
        broker.most_bytes_in_flight = max(broker.most_bytes_in_flight, size)
        return sent

    def flush(self, timeout: float) -> None:
        self._broker.flushes.append(timeout)
        if not self.settle():
            raise KafkaTimeoutError("no answer within the timeout")

    def close(self, timeout: float) -> None:
        self.closed = True

    def settle(self) -> bool:
        """Decide what becomes of the records in flight; False when the broker has gone away over them."""
        waiting, self._in_flight = self._in_flight, []
        for index, (value, sent) in enumerate(waiting):
            if self._broker.away(value):
                self._in_flight = waiting[index:]
                return False
            error = self._fatal or self._broker.outcome(value)
            if error is None:
                sent.confirmed = True
                self._broker.confirmed.append(value)
            else:
                sent.exception = error
                if isinstance(error, MessageSizeTooLargeError):
                    self._fatal = error
        return True


class FakeSent:
    """The future of a record."""

    def __init__(self, producer: FakeProducer) -> None:
        self.exception: BaseException | None = None
        self.confirmed = False
        self._producer = producer

    def get(self, timeout: float) -> None:
        assert timeout >= 0
        if not self.confirmed and self.exception is None:
            self._producer.settle()
        if self.exception is not None:
            raise self.exception
        if not self.confirmed:
            raise KafkaTimeoutError("no answer within the timeout")
