"""20,000 documents while workers and the broker are killed over and over: `make chaos`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import pytest

from newsmill.local import LocalKafka
from schemas import headers as h
from schemas import topics
from tests.support.chaos import undisturbed
from tests.support.chaos.news import Raw, invented, shared_articles
from tests.support.chaos.run import Chaos, Plan

pytestmark = [
    pytest.mark.broker,
    pytest.mark.chaos,
    # A client of kafka-python whose connection is refused leaves the socket to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

DOCUMENTS = 20_000
KILLS = 6


def run(engine: Literal["kafka", "faust"], broker: LocalKafka, where: Path, documents: list[Raw], seed: int) -> Chaos:
    plan = Plan(engine, documents, 4, batch_records=100, ahead=1_500, times=KILLS, seed=seed)
    chaos = Chaos(plan, broker, where)
    first, second = ("killed", "stopped") if seed % 2 else ("stopped", "killed")
    with chaos.running():
        chaos.at(0.12)
        chaos.restart_broker(first)
        chaos.at(0.25)
        chaos.seconds_join()
        chaos.second_dedup_takes_over()
        chaos.at(0.4)
        chaos.seconds_leave("asked")
        chaos.at(0.5)
        chaos.seconds_join()
        chaos.at(0.6)
        chaos.seconds_leave("killed")
        chaos.at(0.75)
        chaos.restart_broker(second)
        chaos.finish()
    killed = chaos.killer.by_slot()
    for stage in ("ingest", "dedup", "entities", "classify"):
        assert killed[f"{stage}-0"] + killed[f"{stage}-1"] >= KILLS, killed
    return chaos


@pytest.fixture
def documents(seed: int, articles: Path) -> list[Raw]:
    real = shared_articles(articles)
    return [*invented(DOCUMENTS - len(real), seed), *real]


def origins(chaos: Chaos, topic: str) -> list[bytes | None]:
    return [h.get(record.headers, h.ORIGIN) for record in chaos.read(topic)]


def test_kafka_loses_and_doubles_nothing(
    broker: LocalKafka, tmp_path: Path, documents: list[Raw], seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chaos = run("kafka", broker, tmp_path, documents, seed)
    with capsys.disabled():
        print("\n" + chaos.report())
    chaos.count.each_exactly_once(chaos.feeder.origins)
    for topic in (topics.ARTICLES, topics.UNIQUE, topics.TAGGED, topics.DEDUP_LOG):
        doubled = [origin for origin, count in Counter(origins(chaos, topic)).items() if count > 1]
        assert not doubled, (topic, len(doubled), doubled[:5])
    same_as_undisturbed(chaos)


def same_as_undisturbed(chaos: Chaos) -> None:
    """Dedup has decided as one that was never killed decides on the same articles in the same order."""
    expected = undisturbed.dedup(chaos.read(topics.ARTICLES))
    found = {topic: [(r.key, r.value) for r in chaos.read(topic)] for topic in expected}
    assert found[topics.DEDUP_LOG] == expected[topics.DEDUP_LOG]
    assert found[topics.DUPLICATES] == expected[topics.DUPLICATES]
    # Four partitions: the order between them is not kept.
    assert Counter(found[topics.UNIQUE]) == Counter(expected[topics.UNIQUE])


def test_faust_loses_nothing_and_repeats_the_same_bytes(
    broker: LocalKafka, tmp_path: Path, documents: list[Raw], seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chaos = run("faust", broker, tmp_path, documents, seed)
    chaos.count.each_at_least_once(chaos.feeder.origins)
    repeats = chaos.count.repeats()
    with capsys.disabled():
        print("\n" + chaos.report() + f"\nrepeated: {dict(repeats)}")
    expected = undisturbed.dedup(chaos.read(topics.ARTICLES))
    found = {topic: [(r.key, r.value) for r in chaos.read(topic)] for topic in expected}
    assert found[topics.DEDUP_LOG] == expected[topics.DEDUP_LOG], "one decision for each article, as undisturbed"
    for topic in (topics.UNIQUE, topics.DUPLICATES):
        assert set(found[topic]) == set(expected[topic])


def test_kafka_shuts_out_a_dedup_worker_that_stood_still(
    broker: LocalKafka, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan("kafka", invented(15_000, seed), 4, batch_records=100, ahead=600, times=0, seed=seed)
    chaos = Chaos(plan, broker, tmp_path)
    with chaos.running():
        chaos.at(0.05)
        chaos.seconds_join()
        for share in (0.1, 0.3, 0.5, 0.7):
            chaos.at(share)
            chaos.freeze_dedup()
        chaos.at(0.9)
        chaos.seconds_leave("asked")
        chaos.finish()
    with capsys.disabled():
        print("\n" + chaos.report())
    chaos.count.each_exactly_once(chaos.feeder.origins)
    same_as_undisturbed(chaos)
