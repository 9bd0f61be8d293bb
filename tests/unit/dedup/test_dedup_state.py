from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from schemas import headers
from schemas.codec import encode
from workers.dedup import DedupOptions, DedupStage
from workers.stage import Record, StateVersionError

DAY = 1440


def urls(count: int) -> list[str]:
    return [f"https://outlet{n}.example/story" for n in range(count)]


def test_copies_are_found_within_the_window_only(box):
    a, b, c = urls(3)
    bench = box.Bench(window=timedelta(days=2))
    emits = bench.feed(
        box.article(url=a), box.article(url=b, minutes=2 * DAY), box.article("flood", url=c, minutes=4 * DAY + 1)
    )
    assert [e.kind for e in emits] == ["unique", "exact_copy", "unique"]
    late = box.Bench(window=timedelta(days=2))
    emits = late.feed(box.article(url=a), box.article(url=b, minutes=2 * DAY + 1), box.article(url=a, minutes=3 * DAY))
    assert [e.kind for e in emits] == ["unique", "unique", "exact_copy"]
    assert late.stage.state_size()[0] == 2


def test_what_is_seen_again_stays(box):
    a, b = urls(2)
    trimmed = box.stories["bridge"]["paragraphs"][:3]
    bench = box.Bench(window=timedelta(days=2))
    emits = bench.feed(
        box.article(url=a),
        box.article(url=a, minutes=1.5 * DAY),
        box.article(url=b, minutes=3 * DAY, paragraphs=trimmed),
        box.article(url=a, minutes=4.9 * DAY),
    )
    assert [e.kind for e in emits] == ["unique", "recrawl", "near_copy", "recrawl"]


def test_late_input_meets_what_is_in_the_window(box):
    a, b, c = urls(3)
    bench = box.Bench(window=timedelta(days=2))
    emits = bench.feed(
        box.article(url=a, minutes=2 * DAY),
        box.article(url=b, minutes=DAY),
        box.article("flood", url=c, minutes=0.5 * DAY),
        box.article("flood", url=b + "2", minutes=2 * DAY),
    )
    assert [e.kind for e in emits] == ["unique", "exact_copy", "unique", "exact_copy"]
    assert box.duplicate(emits[3]).match.first_seen == box.start + timedelta(days=0.5)


def test_input_from_before_the_window_is_decided_but_not_kept(box):
    a, b, c = urls(3)
    bench = box.Bench(window=timedelta(days=1))
    emits = bench.feed(box.article(url=a, minutes=5 * DAY), box.article(url=b), box.article("flood", url=c))
    assert [e.kind for e in emits] == ["unique", "exact_copy", "unique"]
    assert bench.stage.state_size()[0] == 1
    (again,) = bench.stage.process([bench.record(box.article("flood", url=c), offset=2)])
    assert (again.messages, again.log) == (emits[2].messages, None)


def test_the_longest_unseen_leave_when_there_are_too_many(box):
    a, b, c, d = urls(4)
    names = list(box.stories)
    bench = box.Bench(max_entries=3)
    bench.feed(
        box.article(names[0], url=a, minutes=10),
        box.article(names[1], url=b, minutes=0),
        box.article(names[2], url=c, minutes=20),
        box.article(names[0], url=a, minutes=30),
        box.article(names[3], url=d, minutes=5),
    )
    assert bench.stage.state_size()[0] == 3
    kinds = [e.kind for e in bench.feed(box.article(names[0], url=a, minutes=31), box.article(names[3], url=d))]
    assert kinds == ["recrawl", "recrawl"]
    assert bench.feed(box.article(names[1], url=b, minutes=31))[0].kind == "unique"
    assert bench.stage.state_size()[0] == 3


def test_later_records_of_a_batch_see_earlier_ones(bench, box):
    a, b = urls(2)
    batch = [
        bench.record(box.article(url=a)),
        bench.record(box.article(url=b)),
        bench.record(box.article(url=a, minutes=1)),
        bench.record(box.article(url=a, headline="New")),
    ]
    assert [e.kind for e in bench.run(batch)] == ["unique", "exact_copy", "recrawl", "revision"]


def test_rollback_leaves_no_trace(box):
    a, b, c = urls(3)
    bench = box.Bench(window=timedelta(days=2), max_entries=2)
    bench.feed(box.article(url=a), box.article(url=b, minutes=DAY))
    before = bench.stage.snapshot(0)
    offset = bench.offset
    batch = [
        bench.record(box.article(url=a, minutes=DAY)),
        bench.record(box.article(url=a, minutes=DAY, headline="New")),
        bench.record(box.article("flood", url=c, minutes=9 * DAY)),
        bench.record(box.article("strike", url=b, minutes=9 * DAY)),
    ]
    first = bench.stage.process(batch)
    bench.stage.rollback()
    assert bench.stage.snapshot(0) == before
    bench.offset = offset
    assert bench.stage.process(batch) == first
    bench.stage.rollback()
    assert bench.stage.snapshot(0) == before
    assert bench.run(batch) == list(first)
    assert bench.stage.snapshot(0) != before


def test_staged_changes_cannot_be_snapshotted(bench, box):
    bench.stage.process([bench.record(box.article())])
    with pytest.raises(RuntimeError, match="committed"):
        bench.stage.snapshot(0)


def test_redelivered_records_get_the_logged_decision_and_log_nothing(box):
    a, b, c = urls(3)
    text = box.stories["bridge"]["paragraphs"]
    bench = box.Bench()
    articles = [
        box.article(url=a),
        box.article(url=b, minutes=1),
        box.article(url=c, minutes=2, paragraphs=text[:4]),
        box.article(url=a, minutes=3),
        box.article(url=a, minutes=4, headline="New"),
        box.article(url=a, minutes=5),
    ]
    records = [bench.record(article) for article in articles]
    first = bench.run(records)
    assert [e.kind for e in first] == ["unique", "exact_copy", "near_copy", "recrawl", "revision", "recrawl"]
    before = bench.stage.snapshot(0)
    restored = DedupStage(bench.stage.options)
    restored.restore(0, bench.log)
    for stage in (bench.stage, restored):
        again = stage.process(records)
        stage.commit()
        assert [e.messages for e in again] == [e.messages for e in first]
        assert {e.log for e in again} == {None}
        assert stage.snapshot(0) == before


def test_replayed_records_read_and_never_write(bench, box):
    a, b, c, d = urls(4)
    text = box.stories["bridge"]["paragraphs"]
    known = [box.article(url=a), box.article(url=b, paragraphs=text[:4]), box.article(url=a, headline="New", minutes=1)]
    first = bench.feed(*known)
    before = bench.stage.snapshot(0)
    strange = [box.article("flood", url=c, minutes=99 * DAY), box.article(url=a, headline="Newer"), box.article(url=d)]
    records = [bench.record(article, offset=1000 + n, replay=True) for n, article in enumerate([*known, *strange])]
    emits = bench.stage.process(records)
    assert bench.stage.snapshot(0) == before
    assert [e.messages for e in emits[:3]] == [e.messages for e in first]
    assert [e.kind for e in emits] == ["unique", "near_copy", "revision", *["not_checked"] * 3]
    assert {e.log for e in emits} == {None}
    unchecked = [box.unique(e) for e in emits[3:]]
    assert [(u.verdict, u.revision, u.match) for u in unchecked] == [
        ("not_checked", 1, None),
        ("not_checked", 2, None),
        ("not_checked", 1, None),
    ]
    assert [u.cluster_id for u in unchecked] == [u.id for u in unchecked]


def test_replay_below_the_last_offset_is_a_replay_all_the_same(bench, box):
    a, b = urls(2)
    bench.feed(box.article(url=a), box.article("flood", url=b))
    (emit,) = bench.stage.process([bench.record(box.article("strike", url=b), offset=0, replay=True)])
    assert emit.kind == "not_checked"


@pytest.mark.parametrize(("kept", "kind"), [(10, "recrawl"), (1, "not_checked")])
def test_redelivery_of_what_has_left_the_window(box, monkeypatch, kept, kind):
    """The latest decisions stay whatever their event time; older ones go with the window."""
    monkeypatch.setattr("workers.dedup.decisions.ALWAYS_KEPT", kept)
    a, b = urls(2)
    bench = box.Bench(window=timedelta(days=1))
    bench.feed(box.article(url=a), box.article(url=a), box.article("flood", url=b, minutes=9 * DAY))
    (emit,) = bench.stage.process([bench.record(box.article(url=a), offset=1)])
    assert (emit.kind, emit.log) == (kind, None)


def test_partitions_are_apart_and_can_be_forgotten(bench, box):
    article = box.article()
    record = bench.record(article)
    other = Record(record.topic, 1, 0, record.key, record.value)
    assert [e.kind for e in bench.stage.process([record, other])] == ["unique", "unique"]
    bench.stage.commit()
    assert bench.stage.state_size()[0] == 2
    bench.stage.forget(0)
    assert bench.stage.state_size()[0] == 1
    assert bench.stage.process([record])[0].kind == "unique"


def test_restore_takes_chunks_and_ignores_what_it_has(bench, box):
    articles = [box.article(name, url=url) for name, url in zip(box.stories, urls(4), strict=True)]
    bench.feed(*articles, *articles)
    restored = DedupStage()
    restored.restore(0, bench.log[:3])
    restored.restore(0, bench.log[3:5])
    restored.restore(0, bench.log[2:])
    restored.restore(0, [])
    assert restored.snapshot(0) == bench.stage.snapshot(0)


def test_a_log_that_was_cut_still_names_recrawls_and_revisions(bench, box):
    a, b, c = urls(3)
    article = box.article(url=a)
    bench.feed(article, box.article(url=a, minutes=5), box.article("flood", url=b, minutes=6))
    restored = DedupStage()
    restored.restore(0, bench.log[1:])
    batch = [
        bench.record(box.article(url=a, minutes=7)),
        bench.record(box.article(url=c, minutes=7)),
        bench.record(box.article(url=a, minutes=8, headline="New")),
    ]
    assert [e.kind for e in restored.process(batch)] == ["recrawl", "exact_copy", "revision"]


@pytest.mark.parametrize("what", ["fingerprint version", "not json", "no offset", "bad fingerprint", "no value"])
def test_entries_that_cannot_be_folded_are_refused(bench, box, what):
    bench.feed(box.article())
    record = bench.log[0]
    entry = box.entry(bench.stage.process([bench.record(box.article("flood", url="https://x.example/1"))])[0])
    if what == "fingerprint version":
        entry = msgspec.structs.replace(entry, fingerprint_version="kmv0")
    if what == "bad fingerprint":
        entry = msgspec.structs.replace(entry, fingerprint="AAAA" + entry.fingerprint)
    value = {"not json": b"{", "no value": None}.get(what, encode(entry))
    marks = () if what == "no offset" else ((headers.INPUT_OFFSET, b"1"),)
    with pytest.raises(StateVersionError) as error:
        DedupStage().restore(0, [record, Record(record.topic, 0, 1, b"", value, marks)])
    if what == "fingerprint version":
        assert "kmv0" in str(error.value)
        assert "kmv2" in str(error.value)


def test_times_keep_their_microseconds_and_become_utc(bench, box):
    zone = datetime.fromisoformat("2026-03-02T10:00:00.123456+02:00")
    article = msgspec.structs.replace(box.article(), fetched_at=zone)
    _, emit = bench.feed(article, box.article(url="https://b.example/1"))
    assert box.duplicate(emit).match.first_seen == zone.astimezone(UTC)
    assert json.loads(emit.messages[0].value)["match"]["first_seen"] == "2026-03-02T08:00:00.123456Z"


def test_one_key_is_shared_by_a_bounded_number_of_articles(bench, box):
    text = box.stories["bridge"]["paragraphs"]
    count = 60
    copies = [
        box.article(url=url, minutes=n, paragraphs=[*text, f"Edition {n} of the day."])
        for n, url in enumerate(urls(count))
    ]
    emits = bench.feed(*copies)
    assert [e.kind for e in emits] == ["unique"] + ["near_copy"] * (count - 1)
    assert {box.duplicate(e).cluster_id for e in emits[1:]} == {copies[0].id}


def test_state_size_is_bounded_by_the_options(box):
    options = DedupOptions(max_entries=50)
    bench = box.Bench(max_entries=50)
    bench.feed(*(box.article(url=url, minutes=n, headline=f"Take {n}") for n, url in enumerate(urls(120))))
    entries, size = bench.stage.state_size()
    assert entries == options.max_entries
    assert size < 500_000
