"""What ingest tells of its sources: the records, the log that they are restored from, redelivery and replays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import headers, topics
from schemas.codec import decode, encode
from schemas.messages import IngestLogEntry, SourceHealth
from tests.support.stages import outcomes_of
from workers.ingest import IngestStage, health
from workers.ingest.language import FastTextIdentifier
from workers.stage import Emit, Outcome, Record, Reject

LANGUAGES = FastTextIdentifier()
START = datetime(2026, 10, 5, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


def body(number: int, sentences: int = 6) -> str:
    return "\n\n".join(
        f"The ferry of ward {number * 37 + n} was held at the pier, for its {number + n} crates of pears had "
        "not been paid for by the cannery on the hill."
        for n in range(sentences)
    )


def article(number: int, at: datetime, source: str = "ellery.example", **fields: Any) -> tuple[bytes, bytes]:
    """Key and value of a whole article."""
    value = {
        "url": f"https://www.{source}/{number}",
        "title": f"Pears held in ward {number}",
        "text": body(number),
        "published_at": at.isoformat(),
        "authors": ["Ada Green"],
        "fetched_at": at.isoformat(),
    } | fields
    return source.encode(), json.dumps(value).encode()


def records(rows: Iterable[tuple[bytes | None, bytes, datetime]], start: int = 0) -> list[Record]:
    return [
        Record(topics.RAW, 0, offset, key, value, (), int(at.timestamp() * 1_000) + 5_000)
        for offset, (key, value, at) in enumerate(rows, start)
    ]


def week(days: int = 5, source: str = "ellery.example") -> list[tuple[bytes, bytes, datetime]]:
    """Ten articles a day."""
    times = [START + n * timedelta(days=1) / 10 for n in range(10 * days)]
    return [(*article(n, at, source), at) for n, at in enumerate(times)]


def after(hours: int, count: int, **fields: Any) -> list[tuple[bytes, bytes, datetime]]:
    """Articles with other fields, one a minute, after the first five days."""
    times = [START + timedelta(days=5) + hours * HOUR + n * timedelta(minutes=1) for n in range(count)]
    return [(*article(1_000 * (hours + 1) + n, at, **fields), at) for n, at in enumerate(times)]


def fresh() -> IngestStage:
    return IngestStage(LANGUAGES)


def told(outcomes: Iterable[Outcome]) -> list[SourceHealth]:
    return [
        decode(message.value, SourceHealth)
        for outcome in outcomes
        for message in outcome.messages
        if message.topic == topics.SOURCE_HEALTH
    ]


def short(messages: Iterable[SourceHealth]) -> list[tuple[str, str]]:
    return [(message.status, message.problem) for message in messages]


def log_of(batch: Sequence[Record], outcomes: Sequence[Outcome]) -> list[Record]:
    """The records of the log, as an engine writes them."""
    found: list[Record] = []
    for record, outcome in zip(batch, outcomes, strict=True):
        if (entry := outcome.log) is not None:
            header = (headers.INPUT_OFFSET, str(record.offset).encode())
            found.append(Record(entry.topic, 0, len(found), entry.key, entry.value, (header,)))
    return found


def test_a_layout_change_is_told_once_and_so_is_the_recovery() -> None:
    new_layout = after(1, 20, text="Cookies make this page work.", published_at=None, authors=None)
    batch = records([*week(), *new_layout, *after(3, 20)])
    outcomes = outcomes_of(fresh(), batch)
    found = told(outcomes)
    assert short(found) == [
        *(("broken", problem) for problem in ("short_bodies", "no_dates", "no_authors")),
        *(("recovered", problem) for problem in ("short_bodies", "no_dates", "no_authors")),
    ]
    first = found[0]
    assert first.source == "ellery.example"
    assert first.at == new_layout[13][2] == first.last_at
    assert (first.share, first.usual_share) == (0.7, 0.0)
    assert first.usual_body_chars > 4 * len("Cookies make this page work.")
    assert first.processing == {"ingest": fresh().version}
    (carrier,) = [outcome for outcome in outcomes if len(outcome.messages) == 4 and not outcomes.index(outcome) > 70]
    assert [message.key for message in carrier.messages[1:]] == [b"ellery.example"] * 3


@pytest.mark.parametrize(
    ("value", "problem"),
    [(b'{"text": "  "}', "empty_bodies"), (b"", "empty_bodies"), (b'{"text": 5}', "refused"), (b"<<", "refused")],
)
def test_refused_documents_carry_the_record_themselves(value: bytes, problem: str) -> None:
    at = START + timedelta(days=5)
    bad = [(b"ellery.example", value, at + n * HOUR) for n in range(20)]
    outcomes = outcomes_of(fresh(), records([*week(), *bad]))
    assert short(told(outcomes)) == [("broken", problem)]
    carrier = next(outcome for outcome in outcomes if isinstance(outcome, Reject) and outcome.messages)
    assert outcomes.index(carrier) == 50 + 13


def test_a_scraper_that_dies_is_noticed_by_the_time_of_the_others() -> None:
    def stream(source: str, days: int) -> list[tuple[bytes, bytes, datetime]]:
        times = [START + n * timedelta(days=1) / 24 for n in range(24 * days)]
        return [(*article(n, at, source), at) for n, at in enumerate(times)]

    rows = sorted([*stream("ellery.example", 9), *stream("tarn.example", 11)], key=lambda row: row[2])
    found = told(outcomes_of(fresh(), records(rows)))
    assert [(message.source, message.status, message.problem) for message in found] == [
        ("ellery.example", "broken", "silent")
    ]
    assert found[0].share is None


def test_documents_that_nobody_can_be_asked_about_are_not_watched() -> None:
    at = START + timedelta(days=5)
    stage = fresh()
    refused = outcomes_of(stage, records([(None, b"x", at), (b"unknown", b"x", at)]))
    assert all(isinstance(outcome, Reject) and outcome.log is None for outcome in refused)
    text = json.dumps({"text": body(1)}).encode()
    (outcome,) = outcomes_of(stage, records([(b"unknown", text, at)], 2))
    assert outcome.log is not None
    assert stage.source_states() == []


def test_a_source_goes_by_its_key_and_without_one_by_its_domain() -> None:
    """Two hosts of one domain are two layouts."""
    at = START
    stage = fresh()
    rows = [(key, article(n, at)[1], at) for n, key in enumerate((b"sport.ellery.example", b"ellery.example", None))]
    outcomes = outcomes_of(stage, records(rows))
    assert [state.source for state in stage.source_states()] == ["ellery.example", "sport.ellery.example"]
    entries = [decode(outcome.log.value, IngestLogEntry) for outcome in outcomes if outcome.log]
    assert [entry.keyed for entry in entries] == ["sport.ellery.example", None, None]
    assert {entry.source for entry in entries} == {"ellery.example"}


def test_nothing_was_fetched_after_it_arrived() -> None:
    """One document from next week does not make the others late."""
    at = START + timedelta(days=5)
    ahead = (*article(900, at, fetched_at=(at + timedelta(days=20)).isoformat()), at)
    bad = [(b"ellery.example", b"x", at + n * HOUR) for n in range(20)]
    assert short(told(outcomes_of(fresh(), records([*week(), ahead, *bad])))) == [("broken", "refused")]


def test_replayed_documents_tell_nothing_and_change_nothing() -> None:
    stage = fresh()
    outcomes_of(stage, records(week()))
    before = stage.snapshot(0)
    replay = ((headers.REPLAY, b"r1"),)
    again = [
        Record(topics.RAW, 0, 500 + n, b"ellery.example", b"x" if n % 2 else article(n, START)[1], replay)
        for n in range(60)
    ]
    outcomes = outcomes_of(stage, again)
    assert told(outcomes) == []
    assert all(outcome.log is None for outcome in outcomes)
    assert stage.snapshot(0) == before


def test_older_versions_fold_the_log_and_their_entries_say_nothing_of_sources() -> None:
    """What an older version reads of each entry, and what it wrote, is the same: all but what is for health."""
    bad = [(b"ellery.example", b"x", START + timedelta(days=5, hours=n)) for n in range(5)]
    batch = records([*week(), *bad])
    log = log_of(batch, outcomes_of(fresh(), batch))
    fields = ("source", "event_time", "lines", "story", "cut", "form")
    old = []
    for record in log:
        entry = decode(record.value, IngestLogEntry)
        value = encode(IngestLogEntry(**{name: getattr(entry, name) for name in fields}))
        assert b"marks" not in value
        old.append(Record(record.topic, 0, record.offset, record.key, value, record.headers))
    stage = fresh()
    stage.restore(0, old)
    assert stage.source_states() == []
    bad = [(b"ellery.example", b"x", START + timedelta(days=6) + n * HOUR) for n in range(30)]
    assert told(outcomes_of(stage, records(bad, len(batch)))) == []


def test_what_was_told_comes_from_the_log_not_from_todays_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = records([*week(), *after(1, 20, authors=None)])
    log = log_of(batch, outcomes_of(fresh(), batch))
    monkeypatch.setattr(health, "NEEDED", ((1, 0, 21),))
    stage = fresh()
    stage.restore(0, log)
    assert [state.broken for state in stage.source_states()] == [("no_authors",)]
    assert short(told(stage.process(batch))) == [("broken", "no_authors")], "redelivered, it is told again"
    assert told(outcomes_of(stage, records(after(3, 4), len(batch)))) == []
    recovered = told(outcomes_of(stage, records(after(4, 20), len(batch) + 4)))
    assert short(recovered) == [("recovered", "no_authors")]


def test_a_log_in_another_form_keeps_what_it_says_of_sources() -> None:
    batch = records([*week(), *[(b"ellery.example", b"x", START + timedelta(days=5) + n * HOUR) for n in range(14)]])
    live = fresh()
    log = log_of(batch, outcomes_of(live, batch))
    other = []
    for record in log:
        entry = decode(record.value, IngestLogEntry)
        fields = {name: getattr(entry, name) for name in IngestLogEntry.__struct_fields__}
        value = encode(IngestLogEntry(**fields | {"form": 9, "lines": ""}))
        other.append(Record(record.topic, 0, record.offset, record.key, value, record.headers))
    stage = fresh()
    kept = {record.offset: record for record in batch[20:]}
    assert stage.rebuild(0, other, kept.get) == (30, 20)
    assert stage.source_states() == live.source_states()
    assert [state.broken for state in stage.source_states()] == [("refused",)]


streams = st.lists(
    st.tuples(
        st.sampled_from(["ellery.example", "tarn.example", "alder.example"]),
        st.integers(1, 30),
        st.sampled_from(["whole", "whole", "undated", "short", "broken", "empty"]),
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=12,
)
thorough = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
FIELDS: dict[str, dict[str, Any]] = {
    "whole": {},
    "undated": {"published_at": None, "authors": None},
    "short": {"text": "Cookies make this page work."},
    "broken": {"text": 5},
    "empty": {"text": None},
}


def made(rows: Sequence[tuple[str, int, str, int]]) -> list[Record]:
    """Runs of documents of a source that are alike, with hours between them."""
    found, at = week(3), START + timedelta(days=3)
    for number, (source, count, kind, hours) in enumerate(rows):
        at += hours * HOUR
        for n in range(count):
            at += timedelta(minutes=3)
            found.append((*article(100 * (number + 1) + n, at, source, **FIELDS[kind]), at))
    return records(found)


@thorough
@given(streams, st.integers(1, 17), st.data())
def test_restored_state_tells_what_the_live_one_would(rows: list[Any], cut: int, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Fewer places than sources, so that some are dropped.
        patch.setattr(health, "MOST_WATCHED", 1)
        patch.setattr(health, "_SLACK", 1)
        _restores(made(rows), cut, data)


def _restores(batch: Sequence[Record], cut: int, data: st.DataObject) -> None:
    live, restored, loaded = fresh(), fresh(), fresh()
    outcomes = outcomes_of(live, batch, cut)
    log = log_of(batch, outcomes)
    at = data.draw(st.integers(0, len(batch)))
    restored.restore(0, log[:at])
    loaded.restore(0, log)
    loaded.load_snapshot(0, loaded.snapshot(0))
    # From anywhere on: redelivered what is known, and told anew what is not.
    behind = max(0, at - data.draw(st.integers(0, 20)))
    again = list(restored.process(batch[behind:]))
    restored.rollback()
    assert again == outcomes_of(restored, batch[behind:], cut)
    assert [outcome.messages for outcome in again] == [outcome.messages for outcome in outcomes[behind:]]
    assert restored.snapshot(0) == live.snapshot(0) == loaded.snapshot(0)
    assert restored.source_states() == live.source_states()


def test_there_is_something_to_restore() -> None:
    """The streams of the property above do hold changes."""
    rows = [
        ("ellery.example", 20, "undated", 3),
        ("ellery.example", 20, "whole", 1),
        ("ellery.example", 20, "empty", 1),
    ]
    outcomes = outcomes_of(fresh(), made(rows))
    assert {message.status for message in told(outcomes)} == {"broken", "recovered"}
    assert {type(outcome) for outcome in outcomes if len(outcome.messages) > isinstance(outcome, Emit)} == {
        Emit,
        Reject,
    }
