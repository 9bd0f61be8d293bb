"""Questions about topics: which partitions there are, from where to where they go, what arrived when.

A new client waits a tenth of a second before its second question, and a run asks a dozen before it begins. Within
`sharing` one client answers all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kafka import KafkaConsumer

from newsmill import clients
from newsmill.settings import Settings

_shared: ContextVar[Any] = ContextVar("shared", default=None)


@contextmanager
def sharing(settings: Settings) -> Iterator[None]:
    """Answer all questions that this thread asks within with one client, which is closed at the end.

    Raises kafka.errors.KafkaError when no broker answers.
    """
    with asking(settings) as consumer:
        token = _shared.set(consumer)
        try:
            yield
        finally:
            _shared.reset(token)


@contextmanager
def asking(settings: Settings) -> Iterator[Any]:
    """Yield a KafkaConsumer of committed records for a question. It may be assigned and moved: whoever asks next does
    so himself. Raises kafka.errors.KafkaError when no broker answers."""
    if (shared := _shared.get()) is not None:
        yield shared
        return
    consumer: Any = KafkaConsumer(**clients.consumer(settings))
    try:
        yield consumer
    finally:
        consumer.close()
