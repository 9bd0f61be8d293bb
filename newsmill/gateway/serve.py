"""The gateway as a process: it listens, works until it is told to stop, and answers what it has begun."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiohttp import web

from newsmill.gateway.app import Gateway
from newsmill.gateway.body import READ_SECONDS
from newsmill.gateway.link import KafkaLink, Link
from newsmill.gateway.outbox import STOPPING, Outbox
from newsmill.gateway.tokens import Tokens, check_address
from newsmill.health import Health
from newsmill.listening import listen, stop_on_signals
from newsmill.metrics import GatewayMetrics
from newsmill.settings import GATEWAY_METRICS_PORT, PREFIX, Settings, SettingsError
from newsmill.worker import serving

log = logging.getLogger(__name__)

_KEEPALIVE_SECONDS: Final = 75.0
_GRACE_SECONDS: Final = 5.0


def run_gateway(settings: Settings, connect: Callable[[], Link] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then answer what has begun, and return.

    Args:
        settings: where to listen, who may send, how much.
        connect: makes the connection to Kafka; None: to the cluster of the settings.

    Raises SettingsError, newsmill.listening.AddressTakenError, newsmill.worker.PortTakenError.
    """
    check_address(settings.gateway_host, Tokens(settings.gateway_tokens))
    if settings.gateway_in_flight_bytes < settings.gateway_request_bytes:
        raise SettingsError(
            f"{PREFIX}GATEWAY_IN_FLIGHT_BYTES is {settings.gateway_in_flight_bytes}: it must hold at least one request "
            f"({PREFIX}GATEWAY_REQUEST_BYTES, {settings.gateway_request_bytes})"
        )
    asyncio.run(_serve(settings, connect or (lambda: KafkaLink(settings))))


async def _serve(settings: Settings, connect: Callable[[], Link]) -> None:
    health = Health(settings.stall_s)
    metrics = GatewayMetrics()
    metrics.watch(health)
    outbox = Outbox(connect, health.ready)
    gateway = Gateway(settings, outbox, metrics, health)
    runner = web.AppRunner(
        gateway.app(),
        access_log=None,
        # The body is decompressed by the gateway, which bounds it; a sender that has gone away is no reason to stop.
        auto_decompress=False,
        handler_cancellation=False,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        shutdown_timeout=_GRACE_SECONDS,
    )
    port = GATEWAY_METRICS_PORT if settings.metrics_port < 0 else settings.metrics_port
    with serving(settings.metrics_host, port, metrics.registry, health):
        stop = stop_on_signals()
        try:
            await runner.setup()
            site = await listen(runner, settings.gateway_host, settings.gateway_port, "gateway")
            log.info(
                "the gateway takes documents at http://%s:%d/v1/articles", settings.gateway_host, settings.gateway_port
            )
            outbox.start()
            await stop.wait()
            log.info("stopping: nothing new is taken, what has begun is answered")
            health.ready(STOPPING)
            await site.stop()
            await gateway.drain(READ_SECONDS + settings.gateway_timeout_s + _GRACE_SECONDS)
        finally:
            await runner.cleanup()
            await asyncio.to_thread(outbox.close)
    log.info("the gateway has stopped")
