"""What the HTTP services of newsmill have in common: where they listen, and how they are told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
from typing import ClassVar

from aiohttp import web

from newsmill.errors import NewsmillError
from newsmill.settings import PREFIX


class AddressTakenError(NewsmillError):
    """A service can't listen where it should."""

    exit_code: ClassVar[int] = 2


async def listen(runner: web.AppRunner, host: str, port: int, service: str) -> web.TCPSite:
    """Listen, and return the site.

    Args:
        runner: has been set up.
        service: `gateway` or `console`; for the error, which names the settings of that name.

    Raises AddressTakenError.
    """
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        name = service.upper()
        raise AddressTakenError(
            f"the {service} can't listen on {host}:{port} ({error.strerror}). "
            f"Set {PREFIX}{name}_HOST and {PREFIX}{name}_PORT to an address that is free"
        ) from error
    return site


def stop_on_signals() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; a second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def handle(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        # Only the main thread may; elsewhere (tests) whoever runs it stops it.
        with contextlib.suppress(RuntimeError, ValueError):
            loop.add_signal_handler(number, handle, number)
    return stop


def is_loopback(host: str) -> bool:
    """Return whether `host` (an address, or `localhost`) can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may lead anywhere
