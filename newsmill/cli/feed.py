"""`newsmill feed`: documents into news.raw."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import click
from kafka import KafkaProducer

from newsmill import clients
from newsmill.errors import NewsmillError
from newsmill.feed import FileSource, expand
from newsmill.settings import from_environment
from schemas import topics

WINDOW = 500
"""Documents sent before all of them must be confirmed: bounds memory."""


@click.command()
@click.argument("inputs", nargs=-1, required=True)
def command(inputs: tuple[str, ...]) -> None:
    """Send the documents in INPUTS (files, directories, patterns, or - for stdin) to news.raw.

    Ends when the broker has confirmed every one. Documents that are too large for a record are named and counted, and
    make the exit status 1.
    """
    settings = from_environment(os.environ)
    source = FileSource(expand(list(inputs)), ingested_ms=int(time.time() * 1000))
    producer: Any = KafkaProducer(**clients.producer(settings), linger_ms=20)
    topic = clients.physical(settings, topics.RAW)
    sent, rejected = 0, 0
    waiting: list[tuple[str, Any]] = []
    for document in source.read({}):
        if document.too_large:
            rejected += 1
            click.echo(f"{document.origin}: too large ({document.size:,} bytes), not sent", err=True)
            continue
        future = producer.send(topic, key=document.key, value=document.value, headers=list(document.headers))
        waiting.append((document.origin, future))
        if len(waiting) >= WINDOW:
            sent += _confirm(producer, waiting)
    sent += _confirm(producer, waiting)
    producer.close()
    click.echo(f"sent {sent:,} documents to {topic}; {rejected:,} rejected", err=True)
    if rejected:
        sys.exit(1)


def _confirm(producer: Any, waiting: list[tuple[str, Any]]) -> int:
    producer.flush(timeout=60)
    for origin, future in waiting:
        if not future.succeeded():
            raise NewsmillError(f"{origin}: not confirmed by the broker ({future.exception}); feed again from there")
    count = len(waiting)
    waiting.clear()
    return count
