"""The runner: bisecting, dead letters, the limit, headers, counting."""

from __future__ import annotations

import pytest

from newsmill.engines.limit import DeadLetterLimitExceeded, FailureWindow
from newsmill.engines.result import RAISED
from newsmill.engines.runner import Runner
from newsmill.metrics import Metrics
from schemas import headers as h
from schemas import topics
from tests.support.stages import CountingStage, EchoStage
from workers.stage import Record, Stage


def raw(*values: bytes, topic: str = topics.RAW, partition: int = 0, start: int = 0) -> list[Record]:
    return [
        Record(topic, partition, start + i, f"k{i}".encode(), value, ((h.INGESTED_AT, b"1000"),))
        for i, value in enumerate(values)
    ]


def runner(stage: Stage | None = None, limit: int = 100) -> Runner:
    return Runner(stage or EchoStage(), Metrics(), dead_letter_limit=limit, clock=lambda: 2.0)


def count(r: Runner, outcome: str) -> float:
    return (
        r.metrics.registry.get_sample_value("newsmill_records_total", {"stage": r.stage.name, "outcome": outcome})
        or 0.0
    )


def test_each_input_becomes_one_output_with_the_headers_passed_on() -> None:
    r = runner()
    result = r.run(raw(b"a", b"b"))
    assert [o.value for o in result.outputs] == [b"A", b"B"]
    assert h.get(result.outputs[1].headers, h.ORIGIN) == b"news.raw/0/1"
    assert h.get(result.outputs[1].headers, h.INGESTED_AT) == b"1000"
    assert h.get(result.outputs[1].headers, h.RUN) == b"live"


def test_origin_is_set_once() -> None:
    record = Record(topics.ARTICLES, 3, 9, b"k", b"v", ((h.ORIGIN, b"news.raw/0/1"), (h.RUN, b"r1")))
    headers = runner(CountingStage()).run([record]).outputs[0].headers
    assert h.get(headers, h.ORIGIN) == b"news.raw/0/1"
    assert h.get(headers, h.RUN) == b"r1"


REPLAYED = (h.REPLAY, b"r1")


def test_a_promoted_record_is_passed_over_and_counted() -> None:
    r = runner()
    records = [
        Record(topics.RAW, 0, 4, b"k", b"a", (REPLAYED, (h.PROMOTED, b"r1"))),
        Record(topics.RAW, 0, 5, b"k", b"b"),
        Record(topics.RAW, 1, 9, b"k", b"raise", (REPLAYED, (h.PROMOTED, b"r1"))),
    ]
    result = r.run(records)
    r.commit(result)
    assert [output.value for output in result.outputs] == [b"B"]
    assert sorted(result.windows) == [0, 1], "the position advances on both partitions"
    assert result.records == 3
    labels = {"stage": "ingest", "outcome": "promoted"}
    assert r.metrics.registry.get_sample_value("newsmill_replayed_records_total", labels) == 2
    assert count(r, "article") == 1


def test_the_mark_of_a_promotion_alone_does_not_hide_a_document() -> None:
    (output,) = runner().run([Record(topics.RAW, 0, 4, b"k", b"a", ((h.PROMOTED, b"x"),))]).outputs
    assert output.value == b"A"


def test_what_a_replay_brings_does_not_stop_a_live_worker() -> None:
    r = runner(limit=2)
    records = [Record(topics.RAW, 0, n, b"k", b"raise", (REPLAYED,)) for n in range(5)]
    result = r.run([*records, Record(topics.RAW, 0, 5, b"k", b"a")])
    r.commit(result)
    assert [o.topic for o in result.outputs] == [topics.DEAD_LETTERS] * 5 + [topics.ARTICLES]
    assert r.window(0).failures == 0
    emitted = r.metrics.registry.get_sample_value(
        "newsmill_emitted_records_total", {"stage": "ingest", "topic": topics.DEAD_LETTERS}
    )
    assert not emitted, "live figures don't move"


def test_a_count_of_redrives_is_passed_on() -> None:
    record = Record(topics.RAW, 0, 4, b"k", b"bad", ((h.REDRIVEN, b"2"),))
    (dead,) = runner().run([record]).outputs
    assert [value for name, value in dead.headers if name == h.REDRIVEN] == [b"2"]


def test_a_rejected_record_goes_to_dead_letters_as_it_came() -> None:
    record = Record(topics.RAW, 2, 7, b"key", b"bad \xff", (("x-own", b"1"), (h.INGESTED_AT, b"5")))
    (dead,) = runner().run([record]).outputs
    assert (dead.topic, dead.key, dead.value) == (topics.DEAD_LETTERS, b"key", b"bad \xff")
    headers = dict(dead.headers)
    assert headers["x-own"] == b"1"
    assert headers[h.DEAD_REASON] == b"bad_value"
    assert headers[h.DEAD_TOPIC] == b"news.raw"
    assert (headers[h.DEAD_PARTITION], headers[h.DEAD_OFFSET]) == (b"2", b"7")
    assert headers[h.DEAD_STAGE] == b"ingest"
    assert headers[h.DEAD_VERSION] == b"1.0.0"


@pytest.mark.parametrize("bad", [[0], [4], [2], [0, 1, 2, 3, 4], [1, 3], [0, 4]])
def test_records_that_raise_are_found_and_the_others_pass(bad: list[int]) -> None:
    values = [b"raise %d" % i if i in bad else b"v%d" % i for i in range(5)]
    r = runner()
    result = r.run(raw(*values))
    for i, output in enumerate(result.outputs):
        if i in bad:
            assert output.topic == topics.DEAD_LETTERS
            assert output.value == values[i]
            assert dict(output.headers)[h.DEAD_REASON] == RAISED.encode()
            assert f"cannot digest {values[i]!r}".encode() in dict(output.headers)[h.DEAD_DETAIL]
        else:
            assert output.value == values[i].upper()


def test_a_bisected_batch_leaves_the_state_that_its_good_records_make() -> None:
    stage = CountingStage()
    r = runner(stage)
    result = r.run(raw(b"x", b"raise", b"x", b"x", topic=topics.ARTICLES))
    r.commit(result)
    assert stage.seen[0][0] == {"x": 3}
    assert [o.value for o in result.outputs if o.topic == topics.UNIQUE] == [
        b'{"value": "x", "count": 0}',
        b'{"value": "x", "count": 1}',
        b'{"value": "x", "count": 2}',
    ]


def test_rollback_leaves_no_trace() -> None:
    stage = CountingStage()
    r = runner(stage)
    r.run(raw(b"x", topic=topics.ARTICLES))
    r.rollback()
    r.commit(r.run(raw(b"x", topic=topics.ARTICLES)))
    assert stage.seen[0][0] == {"x": 1}


def test_log_records_go_to_the_partition_of_their_input_with_its_offset() -> None:
    outputs = runner(CountingStage()).run(raw(b"x", topic=topics.ARTICLES, partition=5, start=40)).outputs
    (entry,) = [o for o in outputs if o.topic == topics.DEDUP_LOG]
    assert entry.partition == 5
    assert h.get(entry.headers, h.INPUT_OFFSET) == b"40"


def test_nothing_is_counted_before_the_batch_is_durable_and_each_input_once() -> None:
    r = runner()
    result = r.run(raw(b"a", b"bad", b"raise", b"b"))
    assert count(r, "article") == count(r, "dead_letter") == 0
    r.commit(result)
    assert count(r, "article") == 2
    assert count(r, "dead_letter") == 2


def test_replayed_records_are_counted_apart() -> None:
    r = runner()
    r.commit(r.run([Record(topics.RAW, 0, 0, b"k", b"a", ((h.REPLAY, b"r1"),))]))
    assert count(r, "article") == 0
    assert (
        r.metrics.registry.get_sample_value(
            "newsmill_replayed_records_total", {"stage": "ingest", "outcome": "article"}
        )
        == 1
    )


def test_past_the_limit_the_runner_stops_and_writes_nothing() -> None:
    r = runner(limit=3)
    r.commit(r.run(raw(b"raise", b"raise", b"raise", b"ok")))
    with pytest.raises(DeadLetterLimitExceeded, match="more than 3"):
        r.run(raw(b"ok", b"raise"))
    assert count(r, "dead_letter") == 3


def test_rejections_never_reach_the_limit() -> None:
    r = runner(limit=1)
    for _ in range(20):
        r.commit(r.run(raw(*[b"bad"] * 50)))
    assert count(r, "dead_letter") == 1000


def test_the_limit_counts_each_partition_by_itself() -> None:
    r = runner(limit=3)
    batch = [Record(topics.RAW, p, i, b"k", b"raise") for p in range(4) for i in range(3)]
    result = r.run([*batch, Record(topics.RAW, 0, 9, b"k", b"fine")])
    assert [o.value for o in result.outputs if o.topic == topics.ARTICLES] == [b"FINE"]


def test_the_window_survives_a_restart_and_forgets_after_a_thousand() -> None:
    window = FailureWindow(100).after([True] * 100)
    again = FailureWindow.load(window.dump(), 100)
    assert again.failures == 100
    assert len(window.dump()) <= 168
    with pytest.raises(DeadLetterLimitExceeded):
        again.after([True])
    assert again.after([False] * 1000).failures == 0
    assert FailureWindow.load("not base64!", 100).failures == 0


def test_a_stage_that_loses_a_record_is_caught() -> None:
    class Lossy(EchoStage):
        def process(self, batch):  # type: ignore[no-untyped-def]
            return super().process(batch)[:-1]

    result = runner(Lossy()).run(raw(b"a"))
    assert result.outputs[0].topic == topics.DEAD_LETTERS
    assert b"returned 0 outcomes for 1 records" in dict(result.outputs[0].headers)[h.DEAD_DETAIL]


@pytest.mark.parametrize("text", [b"yesterday", b"", b"9" * 400, b"9" * 5_000, b"\xff", b"1e9", b"-5"])
def test_an_ingested_at_that_is_no_time_stops_nothing(text: bytes) -> None:
    r = runner()
    result = r.run([Record(topics.RAW, 0, 0, b"k", b"a", ((h.INGESTED_AT, text),))])
    r.commit(result)
    assert count(r, "article") == 1
    assert dict(result.outputs[0].headers)[h.INGESTED_AT] == text
