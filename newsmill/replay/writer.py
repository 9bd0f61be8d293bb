"""Outputs and the record that says so, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from kafka import KafkaConsumer

from newsmill import clients
from newsmill.engines.kafka.producer import TransactionalProducer, TransactionError
from newsmill.engines.result import Output
from newsmill.replay import journal
from newsmill.settings import Settings
from schemas import codec, topics
from schemas.replays import ReplayRecord

FETCH_WAIT_MS = 100


class ReplayWriter(TransactionalProducer):
    """Writes what a run puts out, each batch in one transaction with a record on news.replays.

    A process that starts with the same run shuts out the one before. All redrives have one name here, whatever their
    runs are called: two at once could put the same dead letter back twice.

    Args:
        settings: where the broker is, and timeouts.
        run: name of the run.
        redrive: whether it puts dead letters back.
        on_step: called between the steps of a transaction (`begun`, `sent`, `flushed`, `committed`, `confirmed`).
            Tests use it to die there.
    """

    def __init__(
        self, settings: Settings, run: str, on_step: Callable[[str], None] = lambda _: None, *, redrive: bool = False
    ) -> None:
        other = "another redrive has been started" if redrive else f"another process has taken up the run {run}"
        super().__init__(
            settings,
            f"{settings.namespace}newsmill.redrive" if redrive else f"{settings.namespace}newsmill.replay.{run}",
            f"{other}, or a batch took longer than NEWSMILL_TRANSACTION_TIMEOUT_S. What was committed stays; the same "
            "command goes on from there",
            on_step,
        )
        self._place = journal.place(settings)
        self._lookup: Any = None

    def write(self, outputs: Sequence[Output], record: ReplayRecord) -> None:
        """Write `outputs` and `record`, all or nothing; return when the broker is known to have committed them.

        Topics are named without a namespace. Raises FencedError, TransactionError: the process must then end, and the
        next one reads from news.replays how far the run is.
        """
        self._within("writing a batch", lambda: self._write(outputs, record))

    def _write(self, outputs: Sequence[Output], record: ReplayRecord) -> None:
        own = Output(topics.REPLAYS, record.run.encode(), codec.encode(record), (), journal.PARTITION)
        self._begin()
        *_, sent = self._send([*outputs, own])
        self._commit()
        if not self._arrived(sent.offset, own.value):
            raise TransactionError(
                f"the commit was acknowledged but the record at offset {sent.offset} of {self._place.topic} did not "
                "arrive; start again: the same command goes on from the last checkpoint"
            )
        self._on_step("confirmed")

    def _arrived(self, offset: int, value: bytes | None) -> bool:
        """Whether readers of committed records see `value` at `offset` of news.replays."""
        if self._lookup is None:
            self._lookup = KafkaConsumer(**clients.consumer(self._settings) | {"fetch_max_wait_ms": FETCH_WAIT_MS})
            self._lookup.assign([self._place])
            self._lookup.seek(self._place, offset)
        # It reads on from the last one: after a seek it would wait for the answer to what it has asked for before.
        until = time.monotonic() + self._timeout
        while time.monotonic() < until:
            for found in self._lookup.poll(timeout_ms=FETCH_WAIT_MS).get(self._place, ()):
                if found.offset >= offset:
                    return bool(found.offset == offset and found.value == value)
            if self._lookup.position(self._place) > offset:
                return False
        raise TransactionError(f"whether offset {offset} of {self._place.topic} is committed can't be read")

    def close(self) -> None:
        """Close the clients. Call it after a clean stop; after a failure the process just ends."""
        super().close()
        if self._lookup is not None:
            self._lookup.close()
