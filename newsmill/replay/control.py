"""Pause, resume and stop: by signals, and by `newsmill replay pause|resume` through news.replays."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

from kafka import KafkaConsumer
from kafka.errors import KafkaError

from newsmill import clients
from newsmill.replay import journal
from newsmill.settings import Settings
from schemas import codec
from schemas.replays import ReplayRecord

log = logging.getLogger(__name__)

POLL_MS: Final = 500
STEP_SECONDS: Final = 0.2
"""How long a wait goes on before it looks whether it is to end."""


class Control:
    """What a running replay was told. A context manager: signals are taken in it, and as before outside.

    SIGUSR1 pauses, SIGUSR2 resumes; Ctrl-C and SIGTERM stop after the batch at hand, and a second one ends the process
    at once. Pausing keeps the plan, the position and the name; nothing is read or written meanwhile.

    Args:
        settings: where the broker is; None: signals alone.
        run: name of the run, for which commands on news.replays are looked for.
    """

    def __init__(self, settings: Settings | None = None, run: str = "") -> None:
        self._settings = settings
        self._run = run.encode()
        self.say: Callable[[str], None] = lambda _: None
        """Shows a line to a person."""
        self._before: dict[int, Any] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.caught: int | None = None
        """The signal that has stopped it."""
        self._stop = threading.Event()
        self._pause = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether it is to stop after the batch at hand."""
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        """Whether it is to do nothing for now."""
        return self._pause.is_set()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
                self._before[number] = signal.signal(number, self._handle)
        if self._settings is not None:
            consumer: Any = KafkaConsumer(**clients.consumer(self._settings))
            place = journal.place(self._settings)
            consumer.assign([place])
            # What was said to an earlier process of the run was said to that one.
            consumer.seek(place, consumer.end_offsets([place])[place])
            self._thread = threading.Thread(target=self._follow, args=(consumer,), name="control", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for number, old in self._before.items():
            signal.signal(number, old)
        if self._thread is not None:
            self._thread.join(5)

    def stop(self) -> None:
        """Stop after the batch at hand."""
        self._stop.set()

    def sleep(self, seconds: float) -> None:
        """Wait so long, less where it is told to stop or pause."""
        until = time.monotonic() + seconds
        while not self._stop.is_set() and not self._pause.is_set() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, STEP_SECONDS))

    def hold(self) -> float:
        """Return after a pause, if there is one: how long it was, seconds."""
        if not self._pause.is_set():
            return 0.0
        began = time.monotonic()
        self.say("paused; SIGUSR2 or `newsmill replay resume` goes on")
        while self._pause.is_set() and not self._stop.is_set():
            time.sleep(STEP_SECONDS)
        if not self._stop.is_set():
            self.say("goes on")
        return time.monotonic() - began

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._pause.set()
        elif number == signal.SIGUSR2:
            self._pause.clear()
        elif self.caught is not None:
            raise KeyboardInterrupt
        else:
            self.caught = number
            self._stop.set()

    def _follow(self, consumer: Any) -> None:
        try:
            while not self._closing.is_set():
                try:
                    polled = consumer.poll(timeout_ms=POLL_MS)
                except KafkaError as error:
                    log.warning("commands on news.replays can't be read at the moment: %r", error)
                    self._closing.wait(POLL_MS / 1000)
                    continue
                for record in (one for records in polled.values() for one in records):
                    if record.key == self._run:
                        with contextlib.suppress(codec.InvalidMessage):
                            self._told(codec.decode(record.value, ReplayRecord))
        finally:
            consumer.close()

    def _told(self, record: ReplayRecord) -> None:
        if record.event == "pause":
            self._pause.set()
        elif record.event == "resume":
            self._pause.clear()
        elif record.event == "dropped":
            self._stop.set()
