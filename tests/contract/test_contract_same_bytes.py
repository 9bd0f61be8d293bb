"""The same documents through the real stages: the same key and value on every topic, whatever runs them."""

from __future__ import annotations

import gzip
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from newsmill.engines.embedded import EmbeddedEngine, ListSink, logfile
from newsmill.feed import Document, FileSource, expand
from schemas import topics
from tests.conftest import shared_data
from tests.contract.conftest import BROKER_DRIVERS, MakeDriver
from tests.support import broken_outlets
from tests.support.driver import Item, Pair
from workers import pipeline
from workers.stage import Stage, StatefulStage

REPOSITORY = Path(__file__).resolve().parents[2]
INGESTED_MS: Final = 1_795_500_000_000  # 2026-11-24T06:00:00Z
MEASURED: Final = 300
"""Documents that are taken of the measurement data."""

LOGS: Final = (topics.INGEST_LOG, topics.DEDUP_LOG)

Topics = dict[str, list[Pair]]


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    """The real stages. Those with state are made anew for each engine, see `own`."""
    return [pipeline.load(name) for name in pipeline.STAGES]


def own(stages: Sequence[Stage]) -> list[Stage]:
    return [pipeline.load(stage.name) if isinstance(stage, StatefulStage) else stage for stage in stages]


class Tap:
    """Notes the key and value of each record that a stage is given, on the way."""

    def __init__(self, stage: Stage) -> None:
        self.pairs: list[Pair] = []
        self._stage = stage
        self._process = stage.process
        stage.process = self  # type: ignore[method-assign]

    def remove(self) -> None:
        del self._stage.process

    def __call__(self, batch):  # type: ignore[no-untyped-def]
        self.pairs += [(record.key, record.value) for record in batch]
        return self._process(batch)


@pytest.fixture(scope="module")
def paths() -> list[Path]:
    """The samples, and the measurement data where it is at hand."""
    measured = shared_data() / "data/articles.ndjson.gz"
    return [REPOSITORY / "samples", *([measured] if measured.exists() else [])]


@pytest.fixture(scope="module")
def documents(paths: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """Of all paths, and of two outlets that break and recover."""
    outlets = tmp_path_factory.mktemp("outlets") / "broken.ndjson"
    outlets.write_bytes(b"\n".join(broken_outlets.lines(INGESTED_MS)))
    found: list[Document] = []
    for path in (*paths, outlets):
        found += itertools.islice(FileSource(expand([str(path)]), ingested_ms=INGESTED_MS), MEASURED)
    return found


@pytest.fixture(scope="module")
def embedded(documents: list[Document], stages: list[Stage], tmp_path_factory: pytest.TempPathFactory) -> Topics:
    """What is on each topic when all stages run in one process."""
    ends = (topics.SOURCE_HEALTH, topics.DUPLICATES, topics.CLASSIFIED, topics.DEAD_LETTERS)
    sinks = {topic: ListSink() for topic in ends}
    chain = own(stages)
    taps = {stage.source: Tap(stage) for stage in chain[1:]}
    state = tmp_path_factory.mktemp("state")
    EmbeddedEngine(chain, documents, {topic: [sink] for topic, sink in sinks.items()}, state).run()
    for tap in taps.values():
        tap.remove()
    return {
        **{topic: tap.pairs for topic, tap in taps.items()},
        **{topic: [(output.key, output.value) for output in sink.outputs] for topic, sink in sinks.items()},
        **{topic: _logged(state, topic) for topic in LOGS},
    }


def _logged(state: Path, topic: str) -> list[Pair]:
    log = state / f"{topic}.log"
    return [(record.key, record.value) for record in logfile.records(log, topic, log.stat().st_size)]


@pytest.mark.broker
@pytest.mark.parametrize("engine", BROKER_DRIVERS)
def test_the_engines_give_the_same_bytes(
    engine: str,
    documents: list[Document],
    embedded: Topics,
    stages: list[Stage],
    make_driver: MakeDriver,
    tmp_path: Path,
) -> None:
    driver = make_driver(engine, tmp_path)
    driver.feed(topics.RAW, [Item(document.key, document.value, document.headers) for document in documents])
    inputs, counted = len(documents), {}
    for stage in own(stages):
        life = driver.live(stage, batch_records=100)
        assert life.error is None
        counted[stage.name] = life.counted().total()
    found = {topic: driver.pairs(topic) for topic in embedded}
    driver.close()
    assert set(embedded) == {topic.name for topic in topics.TOPICS} - {topics.RAW, topics.REPLAYS}
    assert len(found[topics.SOURCE_HEALTH]) >= broken_outlets.TOLD
    for topic in embedded:
        if topic == topics.DEAD_LETTERS:
            # Stage by stage here, in the order of the input there.
            assert sorted(found[topic], key=repr) == sorted(embedded[topic], key=repr)
        else:
            assert found[topic] == embedded[topic], topic
    assert counted["ingest"] == inputs
    ended = (topics.DUPLICATES, topics.CLASSIFIED, topics.DEAD_LETTERS)
    assert sum(len(found[topic]) for topic in ended) == inputs


PROGRAM: Final = """
import sys
from newsmill.cli import main
if clock := sys.argv.pop(1):
    import time_machine
    time_machine.travel(clock, tick=False).start()
main()
"""


class Run:
    """`newsmill run` as a process of its own, started when it is made."""

    def __init__(self, paths: Sequence[Path], out: Path, *options: str, clock: str = "", **environment: str) -> None:
        out.mkdir()
        self._out = out
        own = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", PROGRAM, clock, "run", *map(str, paths), *options),
                *("--out", str(out / "articles"), "--duplicates", str(out / "duplicates")),
                *("--dead-letters", str(out / "dead-letters"), "--state", str(out / "state")),
                *("--ingested-at", "2026-11-24T06:00:00Z", "--quiet"),
            ],
            env=own | {"PYTHONPATH": str(REPOSITORY)} | environment,
        )

    def files(self) -> dict[str, bytes]:
        """Wait for its end; return what it wrote, by name of the file."""
        assert self._process.wait(120) == 0
        written = [*self._out.iterdir(), *(self._out / "state").glob("*.log")]
        return {path.name: path.read_bytes() for path in written if path.is_file()}


def test_the_bytes_depend_on_no_hash_seed_no_clock_no_threads_and_no_processes(
    paths: list[Path], tmp_path: Path
) -> None:
    """Everything that may differ between two machines differs at once; what breaks this is found by taking it apart."""
    # The documents are many enough to be spread over two processes, and few enough for a second or two.
    if len(paths) > 1:
        with gzip.open(paths[1], "rb") as lines:
            (tmp_path / "measured.ndjson").write_bytes(b"".join(itertools.islice(lines, 100)))
        paths = [paths[0], tmp_path / "measured.ndjson"]
    runs = [
        Run(paths, tmp_path / "1", PYTHONHASHSEED="0", OMP_NUM_THREADS="1", clock="1999-12-31 23:59:59"),
        Run(paths, tmp_path / "2", "--batch", "17", PYTHONHASHSEED="1", OMP_NUM_THREADS="2", clock="2041-06-01 12:00"),
        Run(paths, tmp_path / "3", "--jobs", "2", PYTHONHASHSEED="4242", TZ="Pacific/Kiritimati", LC_ALL="C"),
    ]
    one, two, three = (run.files() for run in runs)
    assert set(one) == {"articles", "duplicates", "dead-letters", *(f"{topic}.log" for topic in LOGS)}
    assert all(one.values())
    for name in one:
        assert one[name] == two[name] == three[name], name
