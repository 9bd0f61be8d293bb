"""A Faust app for one stage: what is switched off in Faust, and settings to Faust's settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from aiokafka.helpers import create_ssl_context
from faust.app.base import BootStrategy

from newsmill import clients
from newsmill.engines.faust_engine.compression import use_fast_lz4
from newsmill.engines.faust_engine.transport import Transport
from newsmill.partitioner import partition_of
from newsmill.settings import Settings


class _Raw(faust.Schema):  # type: ignore[misc]  # Faust has no usable types
    """Keys and values as bytes. Faust's own `raw` decodes, and drops a record that it can't decode."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class _Boot(BootStrategy):  # type: ignore[misc]  # Faust has no usable types
    # The command `faust worker` switches the web server on, whatever the settings say.
    enable_web = False


class App(faust.App):  # type: ignore[misc]  # Faust has no usable types
    """A Faust app that writes nothing to disk, creates no topics, serves no web pages and has no tables.

    `before_start` is called before anything of it starts. `before_stop` is awaited first when the app stops, while its
    consumer and producer still run. `admit` is awaited before a fetched message goes into Faust's queues; it does not
    wait while `has_room`.
    """

    BootStrategy = _Boot
    before_start: Callable[[], None] | None = None
    before_stop: Callable[[], Awaitable[None]]
    admit: Callable[[Any], Awaitable[None]]
    has_room: Callable[[], bool]

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)

    def worker_init_post_autodiscover(self) -> None:
        """Faust would set up its web server here, even if it is off."""

    def _new_consumer(self) -> Any:
        return self.transport.create_consumer(
            callback=self._on_message,
            on_partitions_revoked=self._on_partitions_revoked,
            on_partitions_assigned=self._on_partitions_assigned,
            beacon=self.beacon,
        )

    async def _on_message(self, message: Any) -> None:
        await self.admit(message)
        await self.topics.on_message(message)

    async def on_first_start(self) -> None:
        """Faust would make `<app>-data` in the working directory here, for tables."""
        if self.before_start is not None:
            self.before_start()

    async def on_stop(self) -> None:
        """Let the batch in flight end, then stop as Faust does."""
        await self.before_stop()
        await super().on_stop()


def make_app(settings: Settings, stage_name: str) -> App:
    """Return the app for the workers of a stage: no agents yet, nothing connected."""
    use_fast_lz4()
    return App(
        clients.group(settings, stage_name),
        broker=";".join(f"kafka://{server}" for server in clients.connection(settings)["bootstrap_servers"]),
        broker_credentials=credentials(settings),
        broker_client_id=f"{stage_name}-{settings.instance}",
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        # Faust refuses a session that is longer than a request may take.
        broker_request_timeout=max(settings.session_timeout_s, settings.commit_timeout_s),
        broker_max_poll_interval=settings.max_batch_s,
        # How long the group waits for a member to finish its batch and give up its partitions.
        broker_rebalance_timeout=settings.max_batch_s,
        broker_max_poll_records=settings.batch_records,
        consumer_max_fetch_size=clients.MAX_DEAD_LETTER_BYTES,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_partitioner=partition_of,
        producer_compression_type=None if settings.compression == "none" else settings.compression,
        producer_max_request_size=clients.MAX_DEAD_LETTER_BYTES,
        producer_max_batch_size=1024 * 1024,
        producer_request_timeout=settings.commit_timeout_s,
        # Never full: once it is, Faust fetches nothing for a second. The inbox bounds what is let in.
        stream_buffer_maxsize=8 * settings.batch_records + 100,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        reply_create_topic=False,
        autodiscover=False,
        web_enabled=False,
        web_bind="127.0.0.1",
        store="memory://",
        datadir=settings.path("faust"),
        worker_redirect_stdouts=False,
        # In Faust the environment wins over what is given here: a BROKER_URL that is meant for another program, say.
        env={},
    )


def raw_topic(app: App, settings: Settings, topic: str) -> Any:
    """Return `topic` for reading, with keys and values as bytes."""
    return app.topic(clients.physical(settings, topic), schema=_Raw(), allow_empty=True)


def credentials(settings: Settings) -> Any:
    """Return Faust's credentials for the settings of TLS and SASL; None for plain text without a password."""
    context = None
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        context = create_ssl_context(
            cafile=settings.ssl_cafile or None,
            certfile=settings.ssl_certfile or None,
            keyfile=settings.ssl_keyfile or None,
            password=settings.ssl_password or None,
        )
    if not settings.security_protocol.startswith("SASL_"):
        return faust.SSLCredentials(context) if context else None
    if settings.sasl_mechanism == "GSSAPI":
        return faust.GSSAPICredentials(ssl_context=context, mechanism="GSSAPI")
    return faust.SASLCredentials(
        username=settings.sasl_username,
        password=settings.sasl_password,
        ssl_context=context,
        mechanism=settings.sasl_mechanism or "PLAIN",
    )
