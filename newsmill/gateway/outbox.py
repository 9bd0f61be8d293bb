"""From the event loop to Kafka and back: a thread owns the connection, and makes a new one when one has failed."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from kafka.errors import KafkaError

from newsmill.errors import NewsmillError
from newsmill.gateway.link import Link, Outgoing
from schemas.limits import MAX_RECORD_BYTES

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 5.0
"""How often a connection on which nothing is sent is looked at."""

BACKOFF_SECONDS: Final = (0.5, 1.0, 2.0, 5.0)
"""How long to wait after the first, second, ... failure to connect."""

STARTING: Final = "not connected to Kafka yet"
STOPPING: Final = "the gateway stops"


class Parcel:
    """The records of one request on their way.

    `errors` says of each record why it was given up: None while nothing is known, empty when it was acknowledged.
    `done` is set, on the event loop, when all are known.
    """

    def __init__(self, records: Sequence[Outgoing], loop: asyncio.AbstractEventLoop) -> None:
        self.records = records
        self.errors: list[str | None] = [None] * len(records)
        self.done: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._left = len(records)
        self._lock = threading.Lock()

    def settle(self, index: int, error: str) -> None:
        """Say what became of a record. From any thread; what is said first counts."""
        with self._lock:
            if self.errors[index] is not None:
                return
            self.errors[index] = error
            self._left -= 1
            if self._left:
                return
        # The loop is gone when a process ends without waiting for its records.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish)

    def give_up(self, error: str) -> None:
        """Say of each record of which nothing is known that it was given up."""
        for index in range(len(self.records)):
            self.settle(index, error)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Outbox:
    """Sends parcels, one after the other; their records are confirmed together.

    When a record is given up, the connection is closed (what else was taken may still arrive, and says so) and a new
    one is made: an idempotent producer that has lost a record can't be trusted with the next. Until there is one,
    `problem` says why, and parcels are given up at once.

    Args:
        connect: makes a connection; whatever it raises, it is called again.
        on_change: called from the thread with `problem` whenever it changes.
    """

    def __init__(self, connect: Callable[[], Link], on_change: Callable[[str], None] = lambda problem: None) -> None:
        self.problem = STARTING
        self.record_bytes = MAX_RECORD_BYTES
        self._connect = connect
        self._on_change = on_change
        self._queue: queue.SimpleQueue[Parcel | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def send(self, records: Sequence[Outgoing]) -> Parcel:
        """Return a parcel of `records` that is on its way. Call it on the event loop."""
        parcel = Parcel(records, asyncio.get_running_loop())
        self._queue.put(parcel)
        return parcel

    def close(self) -> None:
        """Send what waits, wait until it is confirmed or given up, and end."""
        self._closing.set()
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()

    # -- the thread

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                link = self._connect()
            except Exception as error:  # noqa: BLE001  (this thread must live: nobody else would tell)
                self._say(f"Kafka can't be reached: {_text(error)}", error)
                self._give_up_waiting()
                self._closing.wait(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1
                continue
            failures = 0
            self.record_bytes = link.record_bytes
            self._say("")
            self._say(self._serve(link, _Failure(self._queue)))
            link.close()
        self._say(STOPPING)
        self._give_up_waiting()

    def _serve(self, link: Link, failure: _Failure) -> str:
        """Send parcels until the connection fails or `close`; return why it ended."""
        while True:
            try:
                parcel = self._queue.get(timeout=CHECK_SECONDS)
                if parcel is not None:
                    _send(link, parcel, failure)
            except queue.Empty:
                try:
                    link.check()
                except Exception as error:  # noqa: BLE001  (as above)
                    return f"Kafka does not answer: {_text(error)}"
            if failure.text:
                return f"Kafka has not acknowledged a document: {failure.text}"
            if self._closing.is_set() and self._queue.empty():
                return STOPPING

    def _give_up_waiting(self) -> None:
        while not self._queue.empty():
            parcel = self._queue.get()
            if parcel is not None:
                parcel.give_up(self.problem)

    def _say(self, problem: str, cause: BaseException | None = None) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        if not problem:
            log.info("connected to Kafka")
        elif problem != STOPPING:
            expected = cause is None or isinstance(cause, (KafkaError, NewsmillError, OSError))
            log.warning("%s", problem, exc_info=None if expected else cause)
        self._on_change(problem)


class _Failure:
    """Why a connection is of no use any more; each connection has its own, so that none speaks for the next."""

    def __init__(self, wake: queue.SimpleQueue[Parcel | None]) -> None:
        self.text = ""
        self._wake = wake

    def note(self, error: BaseException) -> str:
        """Remember the first error, let the thread hear of it at once, and return its text."""
        if not self.text:
            self.text = _text(error)
            self._wake.put(None)
        return _text(error)


def _send(link: Link, parcel: Parcel, failure: _Failure) -> None:
    for index, record in enumerate(parcel.records):
        if not failure.text:
            try:
                link.send(record, partial(_tell, parcel, index, failure))
                continue
            except Exception as error:  # noqa: BLE001  (the thread must live, and the sender be told)
                failure.note(error)
        parcel.settle(index, failure.text)


def _tell(parcel: Parcel, index: int, failure: _Failure, error: BaseException | None) -> None:
    parcel.settle(index, "" if error is None else failure.note(error))


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
