"""Sets of offsets, and what the journal makes of records."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime

import pytest

from newsmill.replay.journal import Journal, JournalError, check_name, new_name
from newsmill.replay.spans import SpanSet, spans
from schemas.replays import Operation, Plan, ReplayRecord, Span


@pytest.mark.parametrize("seed", range(20))
def test_spans_hold_what_a_set_holds(seed: int) -> None:
    rng = random.Random(seed)
    ours, plain = SpanSet(), set[int]()
    for _ in range(60):
        start = rng.randint(0, 200)
        end = start + rng.randint(0, 12)
        ours.add(start, end)
        plain.update(range(start, end))
        assert {n for n in range(220) if n in ours} == plain
        assert len(ours) == len(plain)
        found = list(ours)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(found)), "spans that touch are one"


def test_offsets_as_spans() -> None:
    assert [(s.start, s.end) for s in spans(3, [9, 4, 5, 6, 20])] == [(4, 7), (9, 10), (20, 21)]


def note(event: str, run: str = "r1", operation: Operation = "redrive", **fields: object) -> ReplayRecord:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return ReplayRecord(run=run, operation=operation, event=event, at=at, who="a@b", **fields)  # type: ignore[arg-type]


def started(options: dict[str, str], run: str = "r1", operation: Operation = "redrive") -> ReplayRecord:
    return note("started", run, operation, plan=Plan(topic="news.dead-letters", options=options))


def folded(*records: ReplayRecord) -> Journal:
    journal = Journal()
    for record in records:
        journal.add(record)
    return journal


def test_the_last_checkpoint_counts_and_a_pause_ends_with_the_next_process() -> None:
    journal = folded(
        started({"reason": "x"}),
        note("checkpoint", positions={"t/0": 5}, counts={"written": 2}, offsets=(Span(partition=0, start=1, end=3),)),
        note("checkpoint", positions={"t/0": 9}, counts={"written": 4}, offsets=(Span(partition=0, start=7, end=9),)),
        note("pause"),
    )
    work = journal.work("r1", "redrive")
    assert work is not None
    assert (work.positions, work.counts, work.status, work.processes) == ({"t/0": 9}, {"written": 4}, "paused", 1)
    assert list(journal.redriven[0]) == [(1, 3), (7, 9)]
    journal.add(note("continued"))
    assert (work.status, work.processes) == ("unfinished", 2)
    journal.add(note("finished", counts={"written": 6}))
    assert (work.status, work.counts) == ("finished", {"written": 6})


def test_an_unfinished_run_is_found_by_its_options() -> None:
    journal = folded(
        started({"reason": "x"}, "old"), started({"reason": "x"}, "new"), started({"reason": "y"}, "other")
    )
    found = journal.unfinished("redrive", {"reason": "x"})
    assert found is not None
    assert found.name == "new"
    assert journal.unfinished("in_place", {"reason": "x"}) is None
    journal.add(note("finished", "new"))
    journal.add(note("dropped", "old"))
    assert journal.unfinished("redrive", {"reason": "x"}) is None


def test_a_name_may_be_used_again_after_it_was_dropped_and_what_was_put_back_stays_so() -> None:
    journal = folded(
        started({}),
        note("checkpoint", positions={"t/0": 5}, offsets=(Span(partition=0, start=1, end=3),)),
        note("dropped"),
    )
    assert journal.work("r1", "redrive") is None
    journal.add(started({}))
    work = journal.work("r1", "redrive")
    assert work is not None
    assert work.positions == {}
    assert 2 in journal.redriven[0]


def test_records_whose_beginning_retention_has_taken_are_passed_over() -> None:
    journal = folded(note("checkpoint", positions={"t/0": 5}), note("finished"), note("dropped"))
    assert journal.runs == {}


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a/b", "a.b", "x" * 65, "ä"])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(JournalError, match="name of a run"):
        check_name(name)


@pytest.mark.parametrize("operation", ["run", "in_place", "promote", "redrive"])
def test_new_names_are_names(operation: Operation) -> None:
    assert check_name(new_name(operation)) != new_name(operation)
