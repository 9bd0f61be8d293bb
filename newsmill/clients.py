"""Settings to Kafka client options. Every client of newsmill is made from these, so that TLS, SASL, size limits and
isolation are the same everywhere."""

from __future__ import annotations

from typing import Any

from newsmill.partitioner import KeyPartitioner
from newsmill.settings import Settings
from schemas.limits import HEADER_ROOM_BYTES, MAX_RECORD_BYTES

MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + HEADER_ROOM_BYTES
"""Limit of the topics (`max.message.bytes`), bytes."""

MAX_DEAD_LETTER_BYTES = MAX_MESSAGE_BYTES + HEADER_ROOM_BYTES
"""Limit of news.dead-letters, of the broker, of producers and of fetches, bytes: any record that a topic took fits
into dead letters, too, with the headers that say why."""


def physical(settings: Settings, topic: str) -> str:
    """Return the name of `topic` on the cluster (with the namespace in front)."""
    return settings.namespace + topic


def logical(settings: Settings, topic: str) -> str:
    """Return the name of `topic` without the namespace."""
    return topic.removeprefix(settings.namespace)


def group(settings: Settings, stage: str) -> str:
    """Return the consumer group of the workers of `stage`."""
    return f"{settings.namespace}newsmill.{stage}"


def connection(settings: Settings) -> dict[str, Any]:
    """Return the options that each kafka-python client takes: where the brokers are and how to talk to them."""
    optional = {
        "ssl_cafile": settings.ssl_cafile,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
        "ssl_password": settings.ssl_password,
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password,
    }
    return {
        "bootstrap_servers": [part.strip() for part in settings.bootstrap.split(",") if part.strip()],
        "security_protocol": settings.security_protocol,
        "reconnect_backoff_max_ms": 2_000,
    } | {option: value for option, value in optional.items() if value}


def consumer(settings: Settings) -> dict[str, Any]:
    """Return options of a KafkaConsumer: it never sees an aborted record, and never commits by itself."""
    return connection(settings) | {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "allow_auto_create_topics": False,
        "max_partition_fetch_bytes": MAX_DEAD_LETTER_BYTES,
        "fetch_max_bytes": 4 * MAX_DEAD_LETTER_BYTES,
        "metrics_enabled": False,
    }


def producer(settings: Settings) -> dict[str, Any]:
    """Return options of a KafkaProducer: idempotent, all replicas, in large batches that `flush` sends."""
    return connection(settings) | {
        "acks": "all",
        "compression_type": None if settings.compression == "none" else settings.compression,
        "max_request_size": MAX_DEAD_LETTER_BYTES,
        # All that a batch of a stage writes to a partition in one piece, below the limit of the topics. Once a second
        # piece is begun, kafka-python wakes its sender for every further record.
        "batch_size": 4 * 1024 * 1024,
        "partitioner": KeyPartitioner(),
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
    }


def confirming_producer(settings: Settings, timeout_s: float) -> dict[str, Any]:
    """Return options of a ConfirmingProducer, whose records are confirmed or given up within `timeout_s` seconds."""
    timeout_ms = int(timeout_s * 1000)
    request_ms = max(1_000, timeout_ms // 3)
    return producer(settings) | {
        "enable_idempotence": True,
        "request_timeout_ms": request_ms,
        # A record is given up before whoever waits for it gives up, so that its own error is told.
        "delivery_timeout_ms": max(request_ms, timeout_ms - request_ms // 2),
        "max_block_ms": timeout_ms,
        "bootstrap_timeout_ms": timeout_ms,
    }
