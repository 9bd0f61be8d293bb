"""A broker for each chaos run: it is killed and started again."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsmill.local import LocalKafka
from newsmill.local.kafka import QUICK_START
from tests.support.chaos.run import BROKER


@pytest.fixture
def quiet() -> Iterator[None]:
    """No log records of kafka-python: pytest keeps them, and with them the sockets that they are about."""
    logger = logging.getLogger("kafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.fixture
def broker(quiet: None, kafka_ready: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalKafka]:
    """A real Apache Kafka of this test's own."""
    long = request.node.get_closest_marker("chaos") is not None
    with LocalKafka(tmp_path / "kafka", overrides=BROKER, jvm_options=() if long else (QUICK_START,)) as kafka:
        yield kafka
    # Not later, when the tests' filter of warnings no longer applies.
    gc.collect()


@pytest.fixture
def seed() -> int:
    """Of all that is drawn in a run; CHAOS_SEED chooses another one."""
    return int(os.environ.get("CHAOS_SEED", "20261124"))


@pytest.fixture
def articles() -> Path:
    """Real articles, where the machine has them."""
    shared = os.environ.get("NEWSMILL_SHARED")
    return Path(shared or Path(__file__).resolve().parents[2] / "../shared") / "data" / "articles.ndjson.gz"
