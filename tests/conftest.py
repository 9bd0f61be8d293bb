"""What tests of several kinds share: one real Apache Kafka, and the data to measure on."""

from __future__ import annotations

import gc
import itertools
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka.cluster import ClusterMetadata

from newsmill.local import LocalKafka, LocalKafkaError
from newsmill.local.jars import ensure_jars
from newsmill.local.java import find_java
from tests.support.kafka import Place, Running

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a broker forgive unclosed sockets: kafka-python leaves those of a broker that goes away behind."""
    for item in items:
        if item.get_closest_marker("broker"):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture(autouse=True)
def _collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have what such a test leaves behind collected before it ends: in the next one it would be an error."""
    yield
    if request.node.get_closest_marker("broker"):
        gc.collect()


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
    # kafka-python has no setting that reaches this: each new client waits so long before it asks for metadata a second
    # time, and tests make hundreds of clients.
    ClusterMetadata.DEFAULT_CONFIG["retry_backoff_ms"] = 5
    # A killed worker's partitions are given away soon, where a test asks for it.
    with LocalKafka(tmp_path_factory.mktemp("kafka"), overrides={"group.min.session.timeout.ms": "500"}) as broker:
        yield broker


@pytest.fixture
def place(kafka: LocalKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Place]]:
    """Make topics for this test alone: `place(raw=4)` gives news.raw four partitions."""
    made = itertools.count()

    def make(**partitions: int) -> Place:
        name = f"t{zlib.crc32(request.node.nodeid.encode()):08x}{next(made)}"
        return Place(kafka.bootstrap, name, tmp_path / "state", **partitions)

    yield make
    Running.bury_all()


def shared_data() -> Path:
    """Return where the data is that is measured on and not part of the repository. It need not be there."""
    return Path(os.environ.get("NEWSMILL_SHARED", REPOSITORY.parent / "shared"))
