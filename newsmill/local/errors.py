"""What can go wrong with a local Kafka, in words that say what to do."""

from __future__ import annotations

from typing import ClassVar

from newsmill.errors import NewsmillError


class LocalKafkaError(NewsmillError):
    """The local Kafka can't be started, reached or stopped. The text says why, and what to do about it."""

    exit_code: ClassVar[int] = 1
