"""Workers and the broker are killed in the middle of work, and nothing is lost: about a minute."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from newsmill.local import LocalKafka
from schemas import topics
from tests.support.chaos import undisturbed
from tests.support.chaos.news import invented
from tests.support.chaos.run import Chaos, Plan

pytestmark = [
    pytest.mark.broker,
    # A client of kafka-python whose connection is refused leaves the socket to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


def test_kafka_loses_and_doubles_nothing(
    broker: LocalKafka, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(
        "kafka",
        invented(1_500, seed),
        1,
        batch_records=25,
        ahead=250,
        times=2,
        seed=seed,
        until=0.75,
        session_timeout_s=2,
    )
    chaos = Chaos(plan, broker, tmp_path)
    with chaos.running():
        chaos.at(0.4)
        chaos.restart_broker("killed")
        chaos.finish()
    with capsys.disabled():
        print("\n" + chaos.report())
    chaos.count.each_exactly_once(chaos.feeder.origins)
    assert min(chaos.killer.by_slot().values()) >= 2
    # One partition at the beginning, so the order is that of the documents, and all bytes are.
    expected = undisturbed.embedded(plan.documents)
    for topic, pairs in expected.items():
        found = [(record.key, record.value) for record in chaos.read(topic)]
        assert Counter(found) == Counter(pairs), topic
    assert [(r.key, r.value) for r in chaos.read(topics.DUPLICATES)] == expected[topics.DUPLICATES]


def test_kafka_hands_dedup_to_a_standby_and_back(
    broker: LocalKafka, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan("kafka", invented(1_500, seed), 1, batch_records=25, ahead=100, times=0, seed=seed, session_timeout_s=2)
    chaos = Chaos(plan, broker, tmp_path)
    with chaos.running():
        chaos.at(0.05)
        chaos.seconds_join(["dedup"])
        for _ in range(3):
            chaos.second_dedup_takes_over()
        chaos.seconds_leave("asked", ["dedup"])
        chaos.finish()
    with capsys.disabled():
        print("\n" + chaos.report())
    chaos.count.each_exactly_once(chaos.feeder.origins)
    expected = undisturbed.embedded(plan.documents)
    assert [(r.key, r.value) for r in chaos.read(topics.DUPLICATES)] == expected[topics.DUPLICATES]
    decided = undisturbed.dedup(chaos.read(topics.ARTICLES))
    assert [(r.key, r.value) for r in chaos.read(topics.DEDUP_LOG)] == decided[topics.DEDUP_LOG]


def test_faust_loses_nothing_and_repeats_the_same_bytes(
    broker: LocalKafka, tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(
        "faust", invented(600, seed), 1, batch_records=25, ahead=100, times=1, seed=seed, until=0.7, session_timeout_s=2
    )
    chaos = Chaos(plan, broker, tmp_path)
    with chaos.running():
        chaos.finish()
    repeats = chaos.count.repeats()
    with capsys.disabled():
        print("\n" + chaos.report() + f"\nrepeated: {dict(repeats)}")
    chaos.count.each_at_least_once(chaos.feeder.origins)
    assert min(chaos.killer.by_slot().values()) >= 1
    expected = undisturbed.embedded(plan.documents)
    for topic in (topics.CLASSIFIED, topics.DEAD_LETTERS):
        assert {(record.key, record.value) for record in chaos.read(topic)} == set(expected[topic]), topic
