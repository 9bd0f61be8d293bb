"""The engines that the contract is tested on, and what one of them lacks by design."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from newsmill.local import LocalKafka
from tests.support.broker_driver import FaustDriver, KafkaDriver
from tests.support.driver import EngineDriver
from tests.support.embedded_driver import EmbeddedDriver

BROKER_DRIVERS: Final = {"kafka": KafkaDriver, "faust": FaustDriver}
ENGINES: Final = [
    pytest.param("embedded"),
    *(pytest.param(name, marks=pytest.mark.broker) for name in BROKER_DRIVERS),
]

BY_DESIGN: Final = {
    ("embedded", "missing key or value"): "a document has bytes, if only none, and a key is made from them",
    ("embedded", "snapshot"): "it folds its local log at each start; only a log that is elsewhere needs shortening",
    ("embedded", "two partitions"): "each of its topics has one partition: one process does everything",
}
"""(engine, what it lacks) -> why. The one place where the suite leaves something out."""


def needs(engine: str, what: str) -> None:
    """Skip the test when `engine` lacks `what` by design."""
    if (engine, what) in BY_DESIGN:
        pytest.skip(f"{engine} has no {what} by design: {BY_DESIGN[engine, what]}")


MakeDriver = Callable[..., EngineDriver]


@pytest.fixture(scope="session")
def make_driver(request: pytest.FixtureRequest) -> Iterator[MakeDriver]:
    """Make a driver with a directory of its own: `make_driver("kafka", directory, partitions=2)`."""
    with ExitStack() as stack:

        def make(engine: str, directory: Path, partitions: int = 1) -> EngineDriver:
            driver: EngineDriver
            if engine == "embedded":
                driver = EmbeddedDriver(directory)
            else:
                broker: LocalKafka = request.getfixturevalue("kafka")
                name = f"c{zlib.crc32(bytes(directory)):08x}"
                driver = BROKER_DRIVERS[engine](broker.bootstrap, name, directory, partitions)
            stack.callback(driver.close)
            return driver

        yield make


@pytest.fixture(params=ENGINES)
def driver(request: pytest.FixtureRequest, make_driver: MakeDriver, tmp_path: Path) -> Iterator[EngineDriver]:
    """Each of the engines in turn, with topics for this test alone."""
    made = make_driver(request.param, tmp_path)
    yield made
    made.close()
