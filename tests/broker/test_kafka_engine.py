"""The kafka engine on a real Apache Kafka: exactly once, whatever fails.

What every engine owes is in tests/contract; here is what only this engine can get wrong."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka.structs import TopicPartition

from newsmill.engines.broker.required import MissingTopicsError
from newsmill.engines.kafka.engine import KafkaEngine
from newsmill.engines.kafka.transaction import FencedError, TransactionError
from schemas import headers as h
from schemas import topics
from tests.support.driver import Killed
from tests.support.kafka import Place, Running, die_at, each_once
from tests.support.stages import CountingStage, EchoStage

pytestmark = pytest.mark.broker
MakePlace = Callable[..., Place]


def values(count: int) -> list[bytes]:
    return [b"v%d" % i for i in range(count)]


def upper(count: int) -> list[bytes]:
    return [b"V%d" % i for i in range(count)]


def test_records_flow_over_all_partitions_with_their_headers(place: MakePlace) -> None:
    p = place(raw=4)
    p.feed(topics.RAW, values(300))
    engine = Running(EchoStage(), p.settings)
    found = p.wait_for(topics.ARTICLES, 300)
    engine.stop()
    each_once(found, upper(300))
    origins = {h.get(r.headers, h.ORIGIN) for r in found}
    assert len(origins) == 300
    assert {(o or b"").split(b"/")[1] for o in origins} == {b"0", b"1", b"2", b"3"}
    assert engine.sample("newsmill_records_total", outcome="article") == 300


@pytest.mark.parametrize("step", ["flushed", "offsets", "committed"])
def test_a_death_while_a_start_is_marked_changes_nothing(place: MakePlace, step: str) -> None:
    p = place()
    p.feed(topics.ARTICLES, values(20))
    first = Running(CountingStage(), p.settings, on_step=die_at(step, 1))
    assert isinstance(first.ended(), Killed)
    second = Running(CountingStage(), p.settings)
    each_once(p.wait_for(topics.UNIQUE, 20), [b'{"value": "v%d", "count": 0}' % i for i in range(20)])
    second.stop()


def test_a_record_that_could_not_be_sent_is_not_lost_with_the_rest_committed(place: MakePlace) -> None:
    p = place()
    p.feed(topics.RAW, values(10))

    def set_up(engine: KafkaEngine) -> None:
        from kafka.errors import KafkaTimeoutError

        from newsmill.engines.kafka import producer as transactional
        from newsmill.engines.kafka import transaction

        class Forgetful(transactional.KafkaProducer):  # type: ignore[misc]
            """The fourth record outlives its delivery timeout; the others arrive."""

            sent = 0

            def send(self, *args, **kwargs):  # type: ignore[no-untyped-def]
                future = super().send(*args, **kwargs)
                Forgetful.sent += 1
                if Forgetful.sent == 4:
                    future.is_done = True
                    future.exception = KafkaTimeoutError("the batch expired")
                return future

        real, transactional.KafkaProducer = transactional.KafkaProducer, Forgetful
        start = transaction.Transactor.start

        def restore(self: transaction.Transactor) -> None:
            transactional.KafkaProducer = real
            transaction.Transactor.start = start
            start(self)

        transaction.Transactor.start = restore

    first = Running(EchoStage(), p.settings, set_up=set_up)
    error = first.ended()
    assert isinstance(error, TransactionError)
    assert "the batch expired" in str(error)
    second = Running(EchoStage(), p.settings)
    each_once(p.wait_for(topics.ARTICLES, 10), upper(10))
    second.stop()


def test_an_epoch_bump_during_the_commit_is_noticed(place: MakePlace) -> None:
    """kafka-python's commit_transaction returns success here, though the broker has aborted the transaction."""
    p = place()
    p.feed(topics.RAW, values(10))
    offsets_sent = 0
    engine: Running

    def bump(step: str) -> None:
        nonlocal offsets_sent
        offsets_sent += step == "offsets"
        if step == "offsets" and offsets_sent == 2:
            manager = engine.engine._transactor.producer._transaction_manager
            begin_commit = manager.begin_commit

            def bumped_on_the_way() -> object:
                with manager._lock:
                    result = begin_commit()
                    manager.bump_producer_id_and_epoch()
                return result

            manager.begin_commit = bumped_on_the_way

    engine = Running(EchoStage(), p.settings, on_step=bump)
    error = engine.ended()
    assert isinstance(error, TransactionError)
    assert "did not arrive" in str(error)
    assert p.values(topics.ARTICLES) == []
    second = Running(EchoStage(), p.settings)
    each_once(p.wait_for(topics.ARTICLES, 10), upper(10))
    second.stop()


def test_a_commit_that_never_answers_ends_the_worker(place: MakePlace) -> None:
    p = place()
    p.feed(topics.RAW, values(3))
    settings = dataclasses.replace(p.settings, commit_timeout_s=3.0)

    def hang(step: str) -> None:
        if step == "flushed":
            time.sleep(60)

    engine = Running(EchoStage(), settings, on_step=hang)
    error = engine.ended()
    assert isinstance(error, TransactionError)
    assert "took longer than 3 s" in str(error)


def test_records_of_an_aborted_transaction_are_never_processed(place: MakePlace) -> None:
    p = place()
    producer = p.producer(transactional_id=f"{p.settings.namespace}upstream")
    producer.init_transactions()
    for round_ in range(3):
        producer.begin_transaction()
        producer.send(p.physical(topics.RAW), key=b"k", value=b"aborted%d" % round_)
        producer.flush()
        producer.abort_transaction()
        producer.begin_transaction()
        producer.send(p.physical(topics.RAW), key=b"k", value=b"kept%d" % round_)
        producer.commit_transaction()
    producer.close()
    engine = Running(EchoStage(), p.settings)
    found = p.wait_for(topics.ARTICLES, 3)
    engine.stop()
    assert [r.value for r in found] == [b"KEPT0", b"KEPT1", b"KEPT2"]


def test_log_records_of_an_aborted_transaction_are_not_restored(place: MakePlace) -> None:
    p = place()
    producer = p.producer(transactional_id=f"{p.settings.namespace}log")
    producer.init_transactions()
    entry = b'{"value": "x", "count": 0}'
    for commit in (True, False):
        producer.begin_transaction()
        offset = [(h.INPUT_OFFSET, b"0" if commit else b"1")]
        producer.send(
            p.physical(topics.DEDUP_LOG),
            key=b"k",
            value=entry if commit else b'{"value": "x", "count": 7}',
            headers=offset,
        )
        producer.flush()
        producer.commit_transaction() if commit else producer.abort_transaction()
    producer.close()
    p.feed(topics.ARTICLES, [b"ignored", b"x"])
    # The first input is behind the log already: it is a redelivery.
    engine = Running(CountingStage(), p.settings)
    found = p.wait_for(topics.UNIQUE, 2)
    engine.stop()
    assert found[1].value == b'{"value": "x", "count": 1}'


def test_input_behind_a_hung_transaction_waits_and_shows(place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    from newsmill.engines.broker import positions

    monkeypatch.setattr(positions, "EVERY_SECONDS", 0.2)
    p = place()
    hung = p.producer(transactional_id=f"{p.settings.namespace}hung", transaction_timeout_ms=8_000)
    hung.init_transactions()
    hung.begin_transaction()
    hung.send(p.physical(topics.RAW), key=b"k", value=b"never")
    hung.flush()
    p.feed(topics.RAW, values(5))
    engine = Running(EchoStage(), p.settings)
    deadline = time.monotonic() + 10
    while engine.sample("newsmill_unstable_records", partition="0") != 6:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert engine.sample("newsmill_lag_records", partition="0") == 0
    # The broker aborts it after its timeout; what waited is processed.
    each_once(p.wait_for(topics.ARTICLES, 5), upper(5))
    engine.stop()
    hung.close(timeout=0)


def test_a_twin_with_the_same_name_shuts_the_first_one_out_which_says_so(place: MakePlace) -> None:
    p = place(raw=2)
    p.feed(topics.RAW, values(10))
    first = Running(EchoStage(), p.settings)
    p.wait_for(topics.ARTICLES, 10)
    second = Running(EchoStage(), p.settings)
    deadline = time.monotonic() + 30
    fed = 10
    while first.error is None:
        assert time.monotonic() < deadline
        fed += p.feed(topics.RAW, [b"w%d" % (fed + i) for i in range(20)])
        time.sleep(0.5)
    error = first.ended()
    assert isinstance(error, FencedError), error
    assert "NEWSMILL_INSTANCE" in str(error)
    assert len({r.value for r in p.wait_for(topics.ARTICLES, fed)}) == fed
    second.stop()


def test_a_rebalance_under_a_batch_aborts_it_and_both_go_on(place: MakePlace) -> None:
    p = place(articles=2, dedup_log=2)
    p.feed(topics.ARTICLES, [b"v%d" % (i % 5) for i in range(40)], key=lambda i: b"k%d" % (i % 5))
    joined = threading.Event()
    second: list[Running] = []

    def on_step(step: str) -> None:
        if step == "processed" and not joined.is_set():
            joined.set()
            second.append(Running(CountingStage(), dataclasses.replace(p.settings, instance="1")))
            # Long enough for the broker to begin a rebalance, which waits for the first one to join.
            time.sleep(4)

    first = Running(CountingStage(), dataclasses.replace(p.settings, batch_records=40), on_step=on_step)
    found = p.wait_for(topics.UNIQUE, 40)
    first.stop()
    second[0].stop()
    each_once(found, [b'{"value": "v%d", "count": %d}' % (i % 5, i // 5) for i in range(40)])


def test_two_members_share_the_partitions_and_state_moves_with_them(place: MakePlace) -> None:
    p = place(articles=4, dedup_log=4)

    def feed() -> None:
        p.feed(topics.ARTICLES, [b"v%d" % (i % 40) for i in range(80)], key=lambda i: b"k%d" % (i % 40))

    first = Running(CountingStage(), p.settings)
    feed()
    assert {r.partition for r in p.read(topics.ARTICLES)} == {0, 1, 2, 3}
    p.wait_for(topics.UNIQUE, 80)
    second = Running(CountingStage(), dataclasses.replace(p.settings, instance="1"))
    deadline = time.monotonic() + 30
    while len(second.engine._tails) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    gone = {n for n in range(4) if first.sample("newsmill_committed_offset", partition=str(n)) is None}
    assert gone == set(second.engine._tails)
    feed()
    p.wait_for(topics.UNIQUE, 160)
    first.stop()
    feed()
    found = p.wait_for(topics.UNIQUE, 240)
    second.stop()
    each_once(found, [b'{"value": "v%d", "count": %d}' % (i % 40, i // 40) for i in range(240)])


@pytest.mark.parametrize("damage", ["flipped", "empty", "foreign", "stale"])
def test_a_snapshot_shortens_the_restore_and_a_bad_one_changes_nothing(place: MakePlace, damage: str) -> None:
    p = place()
    p.feed(topics.ARTICLES, [b"v%d" % (i % 5) for i in range(50)])
    first = Running(CountingStage(), p.settings)
    p.wait_for(topics.UNIQUE, 50)
    first.stop()
    (path,) = Path(p.settings.state_dir, "snapshots").glob("*.snapshot")
    good = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(good[:-3] + bytes([good[-3] ^ 1]) + good[-2:])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        other = place()
        other.feed(topics.ARTICLES, [b"other%d" % i for i in range(50)])
        theirs = Running(CountingStage(), dataclasses.replace(other.settings, state_dir=p.settings.state_dir + "2"))
        other.wait_for(topics.UNIQUE, 50)
        theirs.stop()
        (foreign,) = Path(p.settings.state_dir + "2", "snapshots").glob("*.snapshot")
        path.write_bytes(foreign.read_bytes().replace(other.settings.namespace.encode(), p.settings.namespace.encode()))
    elif damage == "stale":
        p.feed(topics.ARTICLES, [b"v%d" % (i % 5) for i in range(50)])
        again = Running(CountingStage(), p.settings)
        p.wait_for(topics.UNIQUE, 100)
        again.stop()
        path.write_bytes(good)
    done = len(p.read(topics.UNIQUE))
    restored: list[int] = []

    class Watched(CountingStage):
        def restore(self, partition, log):  # type: ignore[no-untyped-def]
            log = list(log)
            restored.append(len(log))
            super().restore(partition, log)

    p.feed(topics.ARTICLES, [b"v%d" % i for i in range(5)])
    worker = Running(Watched(), p.settings)
    found = p.wait_for(topics.UNIQUE, done + 5)
    worker.stop()
    assert [r.value for r in found[-5:]] == [b'{"value": "v%d", "count": %d}' % (i, done // 5) for i in range(5)]
    assert sum(restored) == (50 if damage == "stale" else done)


def test_a_full_disk_under_the_state_directory_stops_nothing(place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    p = place()
    p.feed(topics.ARTICLES, values(20))
    monkeypatch.setattr("newsmill.engines.broker.snapshots.os.fsync", full)
    first = Running(CountingStage(), p.settings)
    p.wait_for(topics.UNIQUE, 20)
    first.stop()
    assert list(Path(p.settings.state_dir, "snapshots").iterdir()) == []
    p.feed(topics.ARTICLES, values(20))
    second = Running(CountingStage(), p.settings)
    found = p.wait_for(topics.UNIQUE, 40)
    second.stop()
    assert found[-1].value == b'{"value": "v19", "count": 1}'


def test_an_idle_group_shows_no_lag_behind_markers(place: MakePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    from newsmill.engines.broker import positions

    monkeypatch.setattr(positions, "EVERY_SECONDS", 0.2)
    p = place()
    producer = p.producer(transactional_id=f"{p.settings.namespace}upstream")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(p.physical(topics.RAW), key=b"k", value=b"v")
    producer.commit_transaction()
    producer.close()
    engine = Running(EchoStage(), p.settings)
    p.wait_for(topics.ARTICLES, 1)
    deadline = time.monotonic() + 20
    while engine.sample("newsmill_committed_offset", partition="0") != 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    tp = TopicPartition(p.physical(topics.RAW), 0)
    assert engine.engine._consumer.committed(tp) == 2
    assert engine.sample("newsmill_end_offset", partition="0") == 2
    assert engine.sample("newsmill_lag_records", partition="0") == 0
    engine.stop()


def test_missing_topics_are_named(place: MakePlace) -> None:
    p = place()
    engine = Running(EchoStage(), dataclasses.replace(p.settings, namespace="nowhere."))
    error = engine.ended()
    assert isinstance(error, MissingTopicsError)
    assert "nowhere.news.raw" in str(error)
    assert "newsmill topics create" in str(error)
