"""How sources do: what breaks one, what is a quiet day, what ends it, and what is held for it. Invented outlets."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import pytest
from msgspec import Struct, structs

from workers.ingest import health
from workers.ingest.health import MISSED, MOST_WATCHED, Change, Watch
from workers.ingest.watched import DAYS, EMPTY, LATEST, NO_AUTHOR, NO_DATE, REFUSED, WATCHED_BYTES

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
MONDAY = 20_402 * DAY  # 2025-11-10, a Monday
SUNDAY = 6


class Seen(NamedTuple):
    """A document as the watch sees it."""

    source: str
    time_us: int
    marks: int = 0
    chars: int = 3_000


def daily(
    source: str,
    days: Iterable[int],
    each: int | Callable[[int], int] = 24,
    *,
    marks: Callable[[int], int] = lambda number: 0,
    chars: Callable[[int], int] = lambda number: 2_400 + number * 7 % 1_200,
) -> list[Seen]:
    """Documents of a source, spread evenly over each of `days`, counted from a Monday."""
    found: list[Seen] = []
    for day in days:
        count = each if isinstance(each, int) else each(day)
        for number in range(count):
            at = MONDAY + day * DAY + (2 * number + 1) * DAY // (2 * count)
            found.append(Seen(source, at, marks(len(found)), chars(len(found))))
    return found


def merged(*streams: Sequence[Seen]) -> list[Seen]:
    return sorted((seen for stream in streams for seen in stream), key=lambda seen: (seen.time_us, seen.source))


def watched(stream: Iterable[Seen], watch: Watch | None = None) -> list[Change]:
    watch = watch or Watch()
    changes = [change for seen in stream for change in watch.observe(*seen)]
    watch.commit()
    return changes


def told(changes: Iterable[Change]) -> list[tuple[str, str, str]]:
    return [(change.source, change.status, change.problem) for change in changes]


def others(days: Iterable[int], each: int | Callable[[int], int] = 20) -> list[Seen]:
    days = list(days)
    return merged(daily("tarn echo", days, each), daily("brackwater times", days, each))


# ---- what breaks a source -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "marks", "chars"),
    [
        ("refused", REFUSED, 0),
        ("empty_bodies", EMPTY, 0),
        ("short_bodies", 0, 180),
        ("no_dates", NO_DATE, 3_000),
        ("no_authors", NO_AUTHOR, 3_000),
    ],
)
def test_it_breaks_with_the_fourteenth_of_twenty_and_recovers_when_five_are_left(
    problem: str, marks: int, chars: int
) -> None:
    watch = Watch()
    assert watched(daily("ellery post", range(7)), watch) == []
    bad = daily("ellery post", [7], 24, marks=lambda _: marks, chars=lambda _: chars)
    found = [len(watched([seen], watch)) for seen in bad]
    assert found == [0] * 13 + [1] + [0] * 10
    good = daily("ellery post", [8], 24)
    found = [len(watched([seen], watch)) for seen in good]
    assert found == [0] * (LATEST - 6) + [1] + [0] * (24 - LATEST + 5)


def test_the_record_says_what_was_usual_and_what_is_now() -> None:
    watch = Watch()
    usual = daily("ellery post", range(7), chars=lambda n: 3_000, marks=lambda n: NO_AUTHOR if n % 10 == 0 else 0)
    watched(usual, watch)
    bad = daily("ellery post", [7], 24, chars=lambda n: 200)
    (change,) = watched(bad[:14], watch)
    assert change == Change(
        "ellery post",
        "broken",
        "short_bodies",
        share=0.7,
        usual_share=0.0,
        body_chars=(6 * 3_000 + 14 * 200) // 20,
        usual_body_chars=3_000,
        day_documents=24,
        usual_day_documents=24,
        last_us=bad[13].time_us,
    )
    (state,) = watch.states()
    assert (state.source, state.broken, state.body_chars) == ("ellery post", ("short_bodies",), 1_040)
    assert state.usual_body_chars == 3_000
    assert state.without_author == pytest.approx(0.05, abs=0.051)
    (change,) = watched(daily("ellery post", [8], 24, chars=lambda n: 3_000), watch)
    assert (change.status, change.usual_body_chars) == ("recovered", 3_000)
    assert [state.broken for state in watch.states()] == [()]


def test_a_new_layout_is_told_by_all_that_it_takes_away() -> None:
    broken = daily("ellery post", [7], marks=lambda n: NO_DATE | NO_AUTHOR, chars=lambda n: 90)
    changes = watched([*daily("ellery post", range(7)), *broken])
    assert told(changes) == [
        ("ellery post", "broken", problem) for problem in ("short_bodies", "no_dates", "no_authors")
    ]


def test_one_bad_page_or_ten_are_no_alarm() -> None:
    odd = daily("ellery post", range(14), marks=lambda n: REFUSED if n % 9 == 0 else NO_DATE if n % 7 == 0 else 0)
    assert watched(odd) == []
    ten = [*daily("ellery post", range(7)), *daily("ellery post", [7], marks=lambda n: REFUSED * (n < 10))]
    assert watched(ten) == []


@pytest.mark.parametrize("share", [0.3, 0.4, 0.5, 0.7, 1.0])
def test_what_a_source_often_lacks_is_no_alarm_by_chance(share: float) -> None:
    """Thirty thousand documents of a source of which a share never has a date, nor more than two lines."""
    draw = random.Random(7)
    stream = daily(
        "ellery post",
        range(30),
        1_000,
        marks=lambda n: NO_DATE if draw.random() < share else 0,
        chars=lambda n: 150 if draw.random() < share else 3_000,
    )
    assert watched(stream) == []


def test_one_that_half_lacks_it_breaks_when_all_lack_it_or_never() -> None:
    usual = daily("ellery post", range(7), marks=lambda n: NO_DATE * (n % 5 < 2))
    all_lack = daily("ellery post", [7], 30, marks=lambda n: NO_DATE)
    assert told(watched([*usual, *all_lack])) == [("ellery post", "broken", "no_dates")]
    usual = daily("ellery post", range(7), marks=lambda n: NO_DATE * (n % 5 < 3))
    assert watched([*usual, *all_lack]) == []


def test_a_new_source_is_given_time() -> None:
    """Nothing is known from before, so nothing has changed: it may always have been like that."""
    assert watched(daily("ellery post", range(3), 60, marks=lambda n: NO_DATE | NO_AUTHOR)) == []
    young = [*daily("ellery post", [0], 19), *daily("ellery post", [1], 20, marks=lambda n: REFUSED)]
    assert watched(young) == [], "nineteen documents are not known well enough"
    grown = [*daily("ellery post", [0], 40), *daily("ellery post", [1], 20, marks=lambda n: REFUSED)]
    assert told(watched(grown)) == [("ellery post", "broken", "refused")]


def test_refused_documents_say_nothing_of_what_articles_lack() -> None:
    """Dates vanish, then all is refused: no date has come back with that."""
    stream = [
        *daily("ellery post", range(7)),
        *daily("ellery post", [7], 20, marks=lambda n: NO_DATE),
        *daily("ellery post", [8], 30, marks=lambda n: REFUSED),
    ]
    assert told(watched(stream)) == [("ellery post", "broken", "no_dates"), ("ellery post", "broken", "refused")]


# ---- a quiet day --------------------------------------------------------------------------------------------------


def test_a_quiet_sunday_is_no_record() -> None:
    def each(day: int) -> int:
        return 3 if day % 7 == SUNDAY else 40

    assert watched(merged(*(daily(name, range(28), each) for name in ("ellery post", "tarn echo")))) == []


def test_a_paper_without_a_sunday_edition_is_not_missed_on_sundays() -> None:
    paper = daily("ellery post", range(28), lambda day: 0 if day % 7 == SUNDAY else 40)
    assert watched(merged(paper, others(range(28)))) == []


def test_a_day_with_a_tenth_of_the_articles_is_quiet() -> None:
    paper = daily("ellery post", range(21), lambda day: 4 if day > 14 else 40)
    assert watched(merged(paper, others(range(21)))) == []


def test_one_that_delivers_once_a_day_is_not_missed_in_between() -> None:
    bulk = [seen._replace(time_us=seen.time_us // DAY * DAY + 3 * HOUR) for seen in daily("ellery post", range(28), 30)]
    assert watched(merged(bulk, others(range(28)))) == []


def test_a_scraper_that_dies_is_missed_by_what_it_had_a_week_ago_and_is_well_when_it_comes_back() -> None:
    watch = Watch()
    changes = watched(merged(daily("ellery post", range(10), 40), others(range(12))), watch)
    assert told(changes) == [("ellery post", "broken", "silent")]
    (silent,) = changes
    assert silent.share is None
    assert silent.last_us < MONDAY + 10 * DAY
    assert (silent.day_documents, silent.usual_day_documents) == (20, 40)
    (change,) = watched(daily("ellery post", [12], 1), watch)
    assert told([change]) == [("ellery post", "recovered", "silent")]
    assert [state.broken for state in watch.states()] == [()] * 3


def test_a_small_source_is_missed_later_than_a_large_one() -> None:
    def missed_after(each: int) -> float:
        watch = Watch()
        watched(merged(daily("ellery post", range(10), each), others(range(10))), watch)
        for seen in others(range(10, 17)):
            if watched([seen], watch):
                return (seen.time_us - MONDAY) / DAY - 10
        return float("inf")

    assert 0.5 <= missed_after(40) < 0.6, "two slots"
    assert 2.9 < missed_after(MISSED // 3) < 3.3
    assert missed_after(1) == float("inf")


@pytest.mark.parametrize("rest", [0, 2])
def test_when_all_are_silent_it_is_not_the_source(rest: int) -> None:
    """A holiday, or our own line is down: two sources that write a little tell the time."""
    paper = daily("ellery post", range(10), 40)
    assert watched(merged(paper, others(range(12), lambda day: 20 if day < 10 else rest))) == []


def test_after_a_stop_of_everything_nobody_is_missed() -> None:
    """Nothing reaches us for three days; then the sources come back, one an hour after the other."""
    before = merged(daily("ellery post", range(10), 40), others(range(10)))
    after = merged(daily("ellery post", range(13, 20), 40)[1:], others(range(13, 20)))
    assert watched([*before, *after]) == []


def test_the_only_source_of_a_partition_is_never_silent() -> None:
    assert watched([*daily("ellery post", range(10), 40), *daily("ellery post", range(14, 20), 40)]) == []


def test_one_busy_hour_of_last_week_is_not_missed() -> None:
    usual = daily("ellery post", range(20), 1)
    flood = [Seen("ellery post", MONDAY + 9 * DAY + 13 * HOUR)] * 300
    assert watched(merged(usual, flood, others(range(20)))) == []


# ---- how it ends --------------------------------------------------------------------------------------------------


def test_what_stays_broken_for_two_weeks_is_how_it_is_now() -> None:
    watch = Watch()
    changes = watched(
        [*daily("ellery post", range(10)), *daily("ellery post", range(10, 40), chars=lambda n: 500)], watch
    )
    assert told(changes) == [("ellery post", "broken", "short_bodies"), ("ellery post", "usual", "short_bodies")]
    (state,) = watch.states()
    assert (state.broken, state.usual_body_chars) == ((), 500)
    again = daily("ellery post", [40], chars=lambda n: 80)
    assert told(watched(again, watch)) == [("ellery post", "broken", "short_bodies")], "against what it is now"


def test_it_does_not_recover_by_getting_used_to_it() -> None:
    """Bodies a fifth as long: the mean of all falls, what it is compared with does not."""
    stream = [*daily("ellery post", range(5), 8), *daily("ellery post", range(5, 18), 8, chars=lambda n: 600)]
    assert told(watched(stream)) == [("ellery post", "broken", "short_bodies")]


def test_it_breaks_again_after_a_recovery() -> None:
    stream = [
        seen
        for day in range(7, 20)
        for seen in daily("ellery post", [day], 40, marks=lambda n: NO_DATE * (day % 2))  # noqa: B023
    ]
    changes = watched([*daily("ellery post", range(7), 40), *stream])
    assert [change.status for change in changes] == ["broken", "recovered"] * 6 + ["broken"]


def test_one_that_is_silent_for_two_weeks_is_forgotten() -> None:
    watch = Watch()
    changes = watched(merged(daily("ellery post", range(10), 40), others(range(26))), watch)
    assert told(changes) == [("ellery post", "broken", "silent"), ("ellery post", "dropped", "silent")]
    assert "ellery post" not in watch.sources


# ---- time ---------------------------------------------------------------------------------------------------------


def test_what_is_brought_in_late_says_nothing() -> None:
    """Old pages without dates, fetched long ago and sent today, in the middle of the day's articles."""
    old = daily("ellery post", [1], 500, marks=lambda n: NO_DATE)
    stream = daily("ellery post", range(10), 40)
    assert watched([*stream[:390], *old, *stream[390:]]) == []


def test_time_goes_on_by_any_source_and_never_back() -> None:
    watch = Watch()
    watched([Seen("ellery post", MONDAY + DAY), Seen("tarn echo", MONDAY + DAY - HOUR)], watch)
    assert watch.clock_us == MONDAY + DAY
    assert watch.sources["tarn echo"].last_us == MONDAY + DAY
    watched([Seen("a", MONDAY + 40 * DAY)], watch)
    assert set(watch.sources) == {"a"}


def test_refused_documents_do_not_move_time_and_may_be_late() -> None:
    """An archive is read: what is refused of it has but the time of today."""
    watch = Watch()
    watched(daily("ellery post", range(7)), watch)
    clock_us = watch.clock_us
    watched([Seen("ellery post", MONDAY + 300 * DAY, REFUSED, 0)] * 13, watch)
    assert watch.clock_us == clock_us
    put_back_from_the_dead_letters = [Seen("ellery post", MONDAY, REFUSED, 0)] * 20
    assert watched(put_back_from_the_dead_letters, watch) == []
    assert told(watched([Seen("ellery post", MONDAY + 8 * DAY, REFUSED, 0)], watch)) == [
        ("ellery post", "broken", "refused")
    ]


def test_a_document_of_an_unknown_source_moves_time_alone() -> None:
    watch = Watch()
    assert watch.observe(None, MONDAY, REFUSED, 0) == []
    assert (watch.sources, watch.clock_us) == ({}, MONDAY)


# ---- bounds -------------------------------------------------------------------------------------------------------


def test_sources_with_the_most_documents_are_watched_and_made_up_ones_come_and_go() -> None:
    watch = Watch()
    watched(merged(*(daily(f"outlet {n}", range(3), 8) for n in range(100))), watch)
    for number in range(10 * MOST_WATCHED):
        watched([Seen(f"made-up {number}", MONDAY + 3 * DAY + number)], watch)
        assert len(watch.sources) <= MOST_WATCHED * 5 // 4
    assert {f"outlet {n}" for n in range(100)} <= set(watch.sources)


def test_a_broken_source_that_loses_its_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MOST_WATCHED", 4)
    watch = Watch()
    watched(merged(*(daily(f"outlet {n}", range(3), 20 + n) for n in range(5))), watch)
    watched(merged(*(daily(f"outlet {n}", [3], 20, marks=lambda n: REFUSED) for n in range(5))), watch)
    changes = watched(daily("tarn echo", [3], 1), watch)
    assert told(changes) == [("outlet 0", "dropped", "refused")]


def test_a_source_takes_no_more_than_is_said() -> None:
    def deep(value: object, seen: set[int]) -> int:
        if id(value) in seen or (isinstance(value, int) and -6 < value < 257):
            return 0
        seen.add(id(value))
        inner = value if isinstance(value, tuple) else structs.astuple(value) if isinstance(value, Struct) else ()
        return sys.getsizeof(value) + sum(deep(one, seen) for one in inner)

    watch = Watch()
    name = "x" * 200
    watched(daily(name, range(40), 400, chars=lambda n: 100_000 + n), watch)
    watched(daily(name, [40], 100, marks=lambda n: REFUSED), watch)
    assert len(watch.sources[name].days) == DAYS - 1
    assert WATCHED_BYTES / 2 < deep(watch.sources[name], set()) + sys.getsizeof(name) <= WATCHED_BYTES


# ---- determinism --------------------------------------------------------------------------------------------------


def busy(seed: int, count: int) -> Iterator[Seen]:
    """A stream in which sources break, go silent and come back."""
    draw = random.Random(seed)
    names = [f"outlet {n}" for n in range(6)]
    time_us, marks = MONDAY, dict.fromkeys(names, 0)
    for _ in range(count):
        time_us += draw.randrange(HOUR // 2)
        name = draw.choice(names)
        if draw.random() < 0.01:
            marks[name] = draw.choice([0, 0, NO_DATE, NO_AUTHOR, REFUSED, EMPTY, -1])
        if marks[name] >= 0:
            yield Seen(name, time_us - draw.randrange(2 * HOUR), marks[name], draw.choice([200, 3_000, 3_000]))


@pytest.mark.parametrize("seed", range(5))
def test_rollback_leaves_no_trace_and_batches_make_no_difference(seed: int) -> None:
    stream = list(busy(seed, 4_000))
    one, two = Watch(), Watch()
    changes = watched(stream, one)
    assert {change.status for change in changes} >= {"broken", "recovered"}
    draw, again, at = random.Random(seed), [], 0
    while at < len(stream):
        batch = stream[at : at + draw.randint(1, 300)]
        found = [change for seen in batch for change in two.observe(*seen)]
        if draw.random() < 0.3:
            two.rollback()
            continue
        two.commit()
        again += found
        at += len(batch)
    assert again == changes
    assert (two.sources, two.clock_us, two.documents) == (one.sources, one.clock_us, one.documents)
    assert {change.problem for change in changes} >= {"no_dates", "no_authors"}


def test_what_was_told_is_taken_from_there_whatever_would_be_judged_now(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = list(busy(3, 4_000))
    one, two = Watch(), Watch()
    told_with = []
    for seen in stream:
        changes = one.observe(*seen)
        told_with.append([(c.source, c.status, c.problem, c.usual_body_chars) for c in changes])
    monkeypatch.setattr(health, "NEEDED", ((1, 1, 1),))
    for seen, with_it in zip(stream, told_with, strict=True):
        two.observe(*seen, told=with_it)
    assert two.sources == one.sources
