"""A producer that waits for its confirmations, and is closed when it is told to, whatever has become of the broker."""

from __future__ import annotations

from kafka import KafkaProducer
from kafka.errors import KafkaError


class ConfirmingProducer(KafkaProducer):  # type: ignore[misc]  # kafka-python ships no types
    """A KafkaProducer whose `close` ends it, even when its last records can't be sent.

    kafka-python (3.0, `KafkaProducer.close`) waits for them, raises when they do not arrive, and stays open: its thread
    goes on, and when the object is collected, a traceback follows the message that has told the user all.
    """

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        """Send what can be sent within `timeout` seconds, give up the rest, and let go of the connections."""
        try:
            super().close(timeout, null_logger)
        except KafkaError:
            self._sender.force_close()
            self._sender.join(timeout)
            super().close(timeout, null_logger)
