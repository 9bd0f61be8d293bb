"""One real Apache Kafka for all broker tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from newsmill.local import LocalKafka, LocalKafkaError
from newsmill.local.jars import ensure_jars
from newsmill.local.java import find_java


@pytest.fixture(scope="session")
def kafka_ready() -> None:
    """Java and Kafka's jars are there. Without them broker tests are skipped, but in CI they fail."""
    try:
        find_java()
        ensure_jars()
    except LocalKafkaError as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"CI must run the broker tests: {error}", pytrace=False)
        pytest.skip(f"no local Kafka here: {error}")


@pytest.fixture(scope="session")
def kafka(kafka_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker that all tests of the session share. Tests use topics and groups with names of their own."""
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker
