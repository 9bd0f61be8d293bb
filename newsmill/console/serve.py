"""The console as a process: it listens, reads Kafka on two threads, and works until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from newsmill.console import readers
from newsmill.console.app import Console
from newsmill.console.board import Board
from newsmill.console.readers import Reader
from newsmill.listening import listen, stop_on_signals
from newsmill.settings import Settings

log = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 2.0


def run_console(settings: Settings, urls: Sequence[str] = ()) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: where to listen, where the topics are.
        urls: addresses of workers' metrics; none: those of this machine.

    Raises SettingsError, newsmill.listening.AddressTakenError.
    """
    asyncio.run(_serve(settings, urls))


async def _serve(settings: Settings, urls: Sequence[str]) -> None:
    board = Board()
    console = Console(settings, board)

    def read_records(stopping: threading.Event) -> None:
        readers.records(settings, board, stopping)

    def read_stages(stopping: threading.Event) -> None:
        readers.pictures(settings, urls, board, stopping)

    threads = [Reader("records", board, read_records), Reader("stages", board, read_stages)]
    # A search ends when whoever asked has gone away.
    runner = web.AppRunner(console.app(), access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE_SECONDS)
    stop = stop_on_signals()
    try:
        await runner.setup()
        await listen(runner, settings.console_host, settings.console_port, "console")
        for thread in threads:
            thread.start()
        log.info("the console is at http://%s:%d", settings.console_host, settings.console_port)
        await stop.wait()
    finally:
        console.stop()
        for thread in threads:
            thread.stopping.set()
        await runner.cleanup()
        # They are daemons: one that waits for a broker that is away does not hold the process up.
        for thread in threads:
            if thread.is_alive():
                await asyncio.to_thread(thread.join, _GRACE_SECONDS)
    log.info("the console has stopped")
