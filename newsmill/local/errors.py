"""What can go wrong with a local Kafka, in words that say what to do."""

from __future__ import annotations


class LocalKafkaError(Exception):
    """The local Kafka can't be started, reached or stopped. The text says why, and what to do about it."""
