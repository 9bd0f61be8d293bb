"""What recurs in a source is learnt and cut; what is learnt is the fold of the log."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import headers, topics
from schemas.codec import decode, encode
from schemas.messages import IngestLogEntry
from tests.support.stages import outcomes_of
from workers.ingest import IngestStage, memory
from workers.ingest.characters import folded
from workers.ingest.language import FastTextIdentifier
from workers.ingest.memory import LINES_OF_SOURCE, STORIES, Memory
from workers.ingest.recurring import DOUBTED, LOOSE, MOST_LINES, PROSE, lines_of
from workers.ingest.text import RECURS
from workers.stage import Emit, Outcome, Record, StateVersionError

LANGUAGES = FastTextIdentifier()
DAY = timedelta(days=1)
START = datetime(2026, 11, 2, 6, tzinfo=UTC)
PLEA = "If you have seen something that we should know of, write to us at the old mill in Ellery."
STANDING = "The council meets in the old customs house above the market on the first Monday of each month."
THINGS = ("harbour", "library", "orchard", "tramway", "quarry", "theatre", "ferry", "bakery", "museum", "reservoir")
DEEDS = ("closed", "flooded", "reopened", "sold", "painted", "searched", "measured", "moved", "praised", "fined")


def body(story: int, sentences: int = 5) -> list[str]:
    """Paragraphs that no other story has."""
    draw = random.Random(story)
    return [
        f"The {draw.choice(THINGS)} in ward {story * 31 + n} was {draw.choice(DEEDS)} on Tuesday, and "
        f"{draw.randint(20, 999)} people came to see what the {draw.choice(THINGS)} had to do with it."
        for n in range(sentences)
    ]


def document(
    story: int, *, source: str = "Ellery Post", more: Sequence[str] = (), at: datetime = START, **fields: Any
) -> bytes:
    """An article of its own, with `more` at its end."""
    return json.dumps(
        {
            "url": f"https://ellery.example/{source}/{story}",
            "source": source,
            "title": f"What became of ward {story}",
            "text": "\n\n".join([*body(story), *more]),
            "fetched_at": at.isoformat(),
        }
        | fields
    ).encode()


def records(values: Iterable[bytes], start: int = 0, partition: int = 0) -> list[Record]:
    return [
        Record(topics.RAW, partition, n, b"key", value, (), 1_800_000_000_000) for n, value in enumerate(values, start)
    ]


def bodies(outcomes: Iterable[Outcome]) -> list[str]:
    return [json.loads(outcome.messages[0].value)["body"] for outcome in outcomes if isinstance(outcome, Emit)]


def log_of(batch: Sequence[Record], outcomes: Sequence[Outcome]) -> list[Record]:
    """The records of the log, as an engine writes them."""
    found: list[Record] = []
    for record, outcome in zip(batch, outcomes, strict=True):
        if outcome.log is not None:
            header = (headers.INPUT_OFFSET, str(record.offset).encode())
            entry = outcome.log
            found.append(Record(entry.topic, record.partition, len(found), entry.key, entry.value, (header,)))
    return found


def fresh() -> IngestStage:
    return IngestStage(LANGUAGES, keep_removed=True)


# ---- what is cut --------------------------------------------------------------------------------------------------


def test_what_a_source_adds_to_its_articles_goes_after_some_stories() -> None:
    outcomes = outcomes_of(fresh(), records(document(n, more=[PLEA]) for n in range(8)))
    assert [PLEA in text for text in bodies(outcomes)] == [n < STORIES[DOUBTED] for n in range(8)]
    last = outcomes[-1]
    assert isinstance(last, Emit)
    assert json.loads(last.messages[0].value)["removed"] == [{"text": PLEA, "reason": RECURS}]
    assert last.notes == (RECURS,)
    assert bodies([last]) == ["\n\n".join(body(7))]


def test_prose_goes_later_than_what_speaks_to_the_reader() -> None:
    assert STORIES[PROSE] > STORIES[DOUBTED] >= STORIES[LOOSE] >= 3
    texts = bodies(outcomes_of(fresh(), records(document(n, more=[STANDING]) for n in range(8))))
    assert [STANDING in text for text in texts] == [n < STORIES[PROSE] for n in range(8)]


def test_what_reporters_write_now_and_then_stays() -> None:
    """One story in thirty says it: too few for something that the page adds."""
    texts = bodies(outcomes_of(fresh(), records(document(n, more=[STANDING] * (n % 30 == 0)) for n in range(240))))
    assert sum(STANDING in text for text in texts) == 8


def test_a_refrain_across_two_stories_and_a_quote_within_one_stay() -> None:
    quote = "“We asked them twice for the key to the tower, and twice they sent us a brass band.”"
    said = "“We asked them twice for the key,” she said, “to the tower.”"
    values = [document(n, more=[quote, said, PLEA]) for n in (1, 1, 2, 2, 1, 2)]
    for text in bodies(outcomes_of(fresh(), records(values))):
        assert quote in text
        assert PLEA in text


def test_versions_and_copies_of_one_story_teach_nothing() -> None:
    """Twelve addresses, one text that grows: it is one story."""
    values = [document(1, url=f"https://ellery.example/v{n}", more=[PLEA, *body(50 + n, 1)]) for n in range(12)]
    stage = fresh()
    assert all(PLEA in text for text in bodies(outcomes_of(stage, records(values))))
    (seen,) = bodies(outcomes_of(stage, records([document(2, more=[PLEA])], 12)))
    assert PLEA in seen


def test_the_same_article_again_is_cut_as_before() -> None:
    stage = fresh()
    values = [document(n, more=[PLEA]) for n in range(6)]
    first = bodies(outcomes_of(stage, records(values)))
    assert bodies(outcomes_of(stage, records(values, 6))) == first


def test_sources_and_partitions_learn_apart() -> None:
    stage = fresh()
    outcomes_of(stage, records(document(n, more=[PLEA]) for n in range(5)))
    (other,) = bodies(outcomes_of(stage, records([document(9, source="Tarn Echo", more=[PLEA])], 5)))
    (elsewhere,) = bodies(outcomes_of(stage, records([document(9, more=[PLEA])], 5, partition=1)))
    (same,) = bodies(outcomes_of(stage, records([document(9, more=[PLEA])], 6)))
    assert [PLEA in text for text in (other, elsewhere, same)] == [True, True, False]


def test_documents_without_a_source_have_nothing_in_common() -> None:
    values = [json.dumps({"text": "\n\n".join([*body(n), PLEA])}).encode() for n in range(8)]
    assert all(PLEA in text for text in bodies(outcomes_of(fresh(), records(values))))


def test_an_article_is_never_left_empty() -> None:
    values = [
        json.dumps(
            {"url": f"https://ellery.example/{n}", "source": "Ellery Post", "title": f"Ward {n}", "text": PLEA}
        ).encode()
        for n in range(3)
    ]
    stage = fresh()
    outcomes_of(stage, records(document(n, more=[PLEA]) for n in range(5)))
    assert bodies(outcomes_of(stage, records(values, 5))) == [PLEA] * 3


def test_pages_learn_as_text_does() -> None:
    def page(story: int) -> bytes:
        inner = "".join(f"<p>{line}</p>" for line in [*body(story, 8), PLEA])
        return document(story, text=None, html=f"<html><body><article>{inner}</article></body></html>")

    texts = bodies(outcomes_of(fresh(), records(page(n) for n in range(6))))
    assert [PLEA in text for text in texts] == [n < STORIES[DOUBTED] for n in range(6)]


def test_what_is_not_seen_for_a_while_is_forgotten() -> None:
    stage = fresh()
    values = [document(n, more=[PLEA], at=START + n * timedelta(hours=5)) for n in range(6)]
    values += [document(10 + n, at=START + (n + 1) * DAY) for n in range(25)]
    values += [document(50, more=[PLEA], at=START + 26 * DAY)]
    texts = bodies(outcomes_of(stage, records(values)))
    assert PLEA not in texts[5]
    assert PLEA in texts[-1]


def test_an_article_that_comes_again_after_the_window_is_read_anew() -> None:
    """The same article: in the next week it is cut as it was, after two it is as any other."""
    stage = fresh()
    values = [document(n, more=[PLEA], at=START + n * timedelta(hours=3)) for n in range(6)]
    assert PLEA in bodies(outcomes_of(stage, records(values)))[0]
    later = [document(20 + n, more=[PLEA], at=START + n * DAY) for n in range(1, 8)]
    outcomes_of(stage, records(later, 6))
    (again,) = bodies(outcomes_of(stage, records([document(0, more=[PLEA], at=START + 8 * DAY)], 20)))
    assert PLEA in again
    later = [document(40 + n, more=[PLEA], at=START + n * DAY) for n in range(9, 23)]
    outcomes_of(stage, records(later, 21))
    (again,) = bodies(outcomes_of(stage, records([document(0, more=[PLEA], at=START + 23 * DAY)], 40)))
    assert PLEA not in again


def test_what_goes_on_recurring_goes_on_being_cut() -> None:
    texts = bodies(outcomes_of(fresh(), records(document(n, more=[PLEA], at=START + n * DAY) for n in range(60))))
    assert all(PLEA not in text for text in texts[3:])


def test_an_old_article_and_one_from_the_future_do_not_end_the_window() -> None:
    stage = fresh()
    outcomes_of(stage, records(document(n, more=[PLEA]) for n in range(5)))
    odd = [document(20, at=START - 300 * DAY), document(21, fetched_at=None)]
    ahead = Record(topics.RAW, 0, 7, b"k", odd[1], ((headers.INGESTED_AT, b"99999999999999"),), 1_793_600_000_000)
    outcomes_of(stage, [*records(odd[:1], 6), ahead])
    (text,) = bodies(outcomes_of(stage, records([document(30, more=[PLEA])], 8)))
    assert PLEA not in text


# ---- determinism and the log --------------------------------------------------------------------------------------

inputs = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.sampled_from(["Ellery Post", "Tarn Echo"]),
        st.lists(st.sampled_from([PLEA, STANDING, "Share this story", "Ada Green in Ellery"]), max_size=3, unique=True),
        st.integers(-20, 20),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip
thorough = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def made(rows: Sequence[tuple[int, str, list[str], int, bool]]) -> list[Record]:
    return records(
        b"{}" if broken else document(story, source=source, more=more, at=START + days * DAY)
        for story, source, more, days, broken in rows
    )


@thorough
@given(inputs, st.integers(1, 9), st.data())
def test_bytes_and_state_depend_on_order_alone(rows: list[Any], cut: int, data: st.DataObject) -> None:
    batch = made(rows)
    one, two = fresh(), fresh()
    whole = outcomes_of(one, batch)
    at = data.draw(st.integers(0, len(batch)))
    first = outcomes_of(two, batch[:at], cut)
    two.process(batch[at:])  # a batch that fails
    two.rollback()
    assert [*first, *outcomes_of(two, batch[at:], cut)] == whole
    assert one.snapshot(0) == two.snapshot(0)
    assert one.state_size() == two.state_size()


@thorough
@given(inputs, st.data())
def test_the_state_is_the_fold_of_the_log(rows: list[Any], data: st.DataObject) -> None:
    batch = made(rows)
    live, restored, loaded = fresh(), fresh(), fresh()
    outcomes = outcomes_of(live, batch)
    log = log_of(batch, outcomes)
    assert len(log) == len(outcomes), "what is refused is noted, too"
    at = data.draw(st.integers(0, len(log)))
    restored.restore(0, log[:at])
    restored.restore(0, log[max(0, at - 2) :])  # some of them again
    assert restored.snapshot(0) == live.snapshot(0)
    loaded.load_snapshot(0, live.snapshot(0))
    assert loaded.snapshot(0) == live.snapshot(0)
    assert loaded.state_size() == live.state_size()
    again = list(restored.process(batch))
    for outcome, before in zip(again, outcomes, strict=True):
        assert outcome.log is None
        assert type(outcome) is type(before)
        assert outcome.messages == before.messages, "redelivery repeats itself"
    restored.rollback()
    more = records([document(40, more=[PLEA, STANDING]), document(41, more=[PLEA])], len(batch))
    assert outcomes_of(restored, more) == outcomes_of(live, more) == outcomes_of(loaded, more)


def test_replayed_records_read_and_never_change() -> None:
    stage = fresh()
    first = outcomes_of(stage, records(document(n, more=[PLEA]) for n in range(5)))
    before = stage.snapshot(0)
    replayed = [
        Record(topics.RAW, 0, offset, b"k", document(story, more=[PLEA]), ((headers.REPLAY, b"r1"),))
        for offset, story in ((900, 0), (901, 4), (902, 77))
    ]
    outcomes = outcomes_of(stage, replayed)
    assert stage.snapshot(0) == before
    assert all(isinstance(outcome, Emit) and outcome.log is None for outcome in outcomes)
    texts = bodies(outcomes)
    assert texts[:2] == [bodies(first)[0], bodies(first)[4]]
    assert PLEA not in texts[2]


def test_entries_are_small_and_hold_the_decision() -> None:
    batch = records(document(n, more=[PLEA, STANDING]) for n in range(8))
    outcomes = outcomes_of(fresh(), batch)
    for outcome in outcomes:
        assert isinstance(outcome, Emit)
        assert outcome.log is not None
        assert len(outcome.log.value) < 240
    entries = [decode(record.value, IngestLogEntry) for record in log_of(batch, outcomes)]
    assert all(entry.story for entry in entries)
    assert [entry.cut.bit_count() for entry in entries] == [0, 0, 0, 1, 1, 2, 2, 2]


def test_what_was_logged_in_another_form_is_refused_or_learnt_anew() -> None:
    batch = records(document(n, more=[PLEA]) for n in range(6))
    live = fresh()
    log = log_of(batch, outcomes_of(live, batch))
    old = [
        Record(r.topic, 0, r.offset, r.key, encode(_in_form_9(decode(r.value, IngestLogEntry))), r.headers) for r in log
    ]
    stage = fresh()
    with pytest.raises(StateVersionError, match="lines of form 9"):
        stage.restore(0, old)
    stage = fresh()
    kept = {record.offset: record for record in batch[2:]}
    assert stage.rebuild(0, old, kept.get) == (4, 2)
    (text,) = bodies(outcomes_of(stage, records([document(50, more=[PLEA])], 6)))
    assert PLEA not in text


def _in_form_9(entry: IngestLogEntry) -> IngestLogEntry:
    return IngestLogEntry(source=entry.source, event_time=entry.event_time, lines="AAAA", form=9)


@pytest.mark.parametrize("value", [b"{}", None, b'{"source":"a","event_time":"2026-01-01T00:00:00Z","lines":"AAA"}'])
def test_what_is_no_entry_is_refused(value: bytes | None) -> None:
    record = Record(topics.INGEST_LOG, 0, 0, b"0" * 32, value, ((headers.INPUT_OFFSET, b"5"),))
    with pytest.raises(StateVersionError):
        fresh().restore(0, [record])


def test_snapshots_are_checked() -> None:
    stage = fresh()
    outcomes_of(stage, records(document(n, more=[PLEA]) for n in range(6)))
    good = stage.snapshot(0)
    for bad in (b"", good[:-1], good[:40] + b"x" + good[41:], b"x" + good):
        with pytest.raises(StateVersionError):
            stage.load_snapshot(0, bad)
    assert stage.snapshot(0) == good
    other = fresh()
    other.version += "x"
    with pytest.raises(StateVersionError, match="this is"):
        other.load_snapshot(0, good)


# ---- bounds -------------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_sources_of_one_line_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_SOURCES", 2_000)
    held = Memory()
    kept = lines_of([STANDING], ["standing"], [False])
    for n in range(4):
        held.apply(n, "real", n, 1_000_000, kept.hashes, story=True, cut=b"")
    for n in range(4, 100_000):
        held.apply(n, f"made-up-{n}", n, 1_000_000, (n,), story=True, cut=b"")
        if n % 500 == 0:
            held.commit()
    held.commit()
    assert len(held.sources) <= 2_250
    assert held.entries == sum(source.entries for source in held.sources.values()) <= 2 * 2_250 + 10
    assert "real" in held.sources, "made-up sources take no place from one that has several articles"


def test_entries_are_bounded_over_all_sources() -> None:
    held = Memory(1_000)
    for n in range(400):
        held.apply(n, f"s{n % 40}", n, 1_000_000, range(n * 16, n * 16 + 16), story=True, cut=b"")
        assert held.entries <= 1_200
    assert {f"s{n % 40}" for n in range(390, 400)} <= held.sources.keys(), "the longest unseen go first"


def test_lines_of_a_source_are_bounded_and_those_that_recur_stay() -> None:
    held = Memory()
    for n in range(500):
        held.apply(n, "s", n, 1_000_000, [7, *range(n * 16 + 100, n * 16 + 116)], story=True, cut=b"")
        assert len(held.sources["s"].lines) <= LINES_OF_SOURCE * 9 // 8
    assert 7 in held.sources["s"].lines
    assert held.entries == held.sources["s"].entries


def test_versions_of_a_text_are_looked_at_in_the_same_lines() -> None:
    long = [
        f"Paragraph {n} says what happened in ward {n * 7} when the bells of the old chapel rang at noon."
        for n in range(60)
    ]
    folds = [line.lower() for line in long]
    one, two = lines_of(long, folds, [False] * 60), lines_of([*long, STANDING], [*folds, "standing"], [False] * 61)
    assert len(one.hashes) == MOST_LINES
    assert len({*one.hashes} & {*two.hashes}) >= MOST_LINES - 1
    assert [place for place in one.places if place >= 0] == list(range(MOST_LINES))


def test_what_is_left_out_of_articles_is_cut_where_it_is_kept() -> None:
    appeal = "Tell us what you saw by writing to the newsroom, and your story may be in the next edition."
    held = Memory()
    for n in range(3):
        story = f"Paragraph {n} says what happened in ward {n * 7} when the bells of the old chapel rang at noon."
        seen = lines_of([story], [story.lower()], [False], [appeal])
        assert (len(seen.hashes), seen.places) == (2, (0,))
        held.apply(n, "gazette", n, 1_000_000, seen.hashes, story=True, cut=b"")
    last = "The choir of the old chapel will sing once more before the roof is taken off in spring, its master says."
    kept = lines_of([last, appeal], ["last", folded(appeal)], [False, True])
    assert held.decide("gazette", 9, kept, 1_000_000).cut == (1,)
    assert held.decide("another", 9, kept, 1_000_000).cut == ()
