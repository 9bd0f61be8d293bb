"""A producer without a broker: keeps what it was sent, confirms at a flush, and fails when told to."""

from __future__ import annotations

from collections.abc import Callable

from kafka.errors import KafkaTimeoutError


class FakeSent:
    """The future of a record."""

    def __init__(self) -> None:
        self.exception: BaseException | None = None
        self.confirmed = False

    def succeeded(self) -> bool:
        return self.confirmed


class FakeProducer:
    """Args:
    before_send: called with a record's value before it is taken; may raise, as `send` of the real one does.
    outcome: returns why a record fails, or None.
    away: no record is confirmed any more, and flushing takes too long.
    """

    def __init__(
        self,
        *,
        before_send: Callable[[bytes], None] = lambda value: None,
        outcome: Callable[[bytes], BaseException | None] = lambda value: None,
        away: Callable[[bytes], bool] = lambda value: False,
    ) -> None:
        self.taken: list[tuple[str, bytes, bytes, list[tuple[str, bytes]]]] = []
        self.confirmed: list[bytes] = []
        self.in_flight: list[tuple[bytes, FakeSent]] = []
        self.most_in_flight = 0
        self.most_bytes_in_flight = 0
        self.flushes: list[float] = []
        self._before_send = before_send
        self._outcome = outcome
        self._away = away

    def send(self, topic: str, *, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> FakeSent:
        self._before_send(value)
        self.taken.append((topic, key, value, headers))
        sent = FakeSent()
        self.in_flight.append((value, sent))
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        self.most_bytes_in_flight = max(self.most_bytes_in_flight, sum(len(v) for v, _ in self.in_flight))
        return sent

    def flush(self, timeout: float) -> None:
        self.flushes.append(timeout)
        waiting, self.in_flight = self.in_flight, []
        late = False
        for value, sent in waiting:
            if late or self._away(value):
                late = True
            elif (error := self._outcome(value)) is not None:
                sent.exception = error
            else:
                sent.confirmed = True
                self.confirmed.append(value)
        if late:
            raise KafkaTimeoutError("no answer within the timeout")
