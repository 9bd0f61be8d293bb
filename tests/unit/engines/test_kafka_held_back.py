"""A worker whose committed offset the broker does not give."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError
from kafka.structs import TopicPartition

from newsmill.engines.kafka.engine import HeldBackError, KafkaEngine
from newsmill.metrics import Metrics
from newsmill.settings import Settings
from tests.support.stages import EchoStage


class Silent:
    """A consumer that asks in vain."""

    def committed(self, tp: TopicPartition, **_: Any) -> None:
        raise KafkaTimeoutError


def test_it_is_told_what_may_hold_the_offset_back_and_where_to_read_on() -> None:
    engine = KafkaEngine(EchoStage(), Settings(), Metrics())
    engine._consumer = Silent()
    with pytest.raises(HeldBackError, match=r"news\.raw/3 .* a transaction is open on it.*Nothing moves"):
        engine._take_on(TopicPartition("news.raw", 3))
