"""How fast a replay may go."""

from __future__ import annotations

import math

import pytest

from newsmill.replay.pace import SLOWEST, Pace, PaceError, parse_pace, parse_rate


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def written(pace: Pace, clock: Clock, seconds: float, batch: int = 500, most: float = math.inf) -> int:
    """Write whatever may be written in so many seconds, at most `most` records a second; return how much it was."""
    until, count = clock.now + seconds, 0
    while clock.now < until:
        if (wait := pace.wait()) > 0:
            clock.now += wait
            continue
        records = pace.most(batch)
        clock.now += max(0.001, records / most)
        pace.wrote(records)
        count += records
    return count


def test_a_rate_is_kept_without_bursts() -> None:
    clock = Clock()
    pace = Pace(rate=100.0, clock=clock)
    assert pace.most(500) == 25
    assert 2_900 <= written(pace, clock, 30) <= 3_050


def test_it_backs_off_while_live_workers_are_behind_and_speeds_up_again() -> None:
    clock = Clock()
    lag = [0]
    pace = Pace(lag=lambda: lag[0], most_lag=1_000, clock=clock)
    assert written(pace, clock, 10, most=2_000) >= 19_000
    lag[0] = 5_000
    assert written(pace, clock, 20, most=2_000) < 4_000
    assert pace.limit == SLOWEST
    assert written(pace, clock, 60, most=2_000) <= 61
    lag[0] = 10
    written(pace, clock, 60, most=2_000)
    assert written(pace, clock, 10, most=2_000) >= 19_000, "nothing holds it back any more"


def test_a_lag_that_nobody_can_tell_counts_as_too_much() -> None:
    clock = Clock()
    pace = Pace(lag=lambda: None, clock=clock)
    written(pace, clock, 20, most=2_000)
    assert pace.limit == SLOWEST


def test_it_never_grows_beyond_its_rate() -> None:
    clock = Clock()
    pace = Pace(rate=50.0, lag=lambda: 0, clock=clock)
    written(pace, clock, 30)
    assert pace.limit == 50.0


def test_records_come_as_they_once_came_and_a_pause_does_not_pile_them_up() -> None:
    clock = Clock()
    pace = Pace(factor=2.0, clock=clock)
    assert pace.until_due(10_000) == 0.0
    assert pace.until_due(14_000) == 2.0
    clock.now = 2.0
    assert pace.until_due(14_000) == 0.0
    assert pace.until_due(9_000) < 0, "what came before the first is due at once"
    clock.now = 12.0
    pace.stood_still(10.0)
    assert pace.until_due(16_000) == 1.0


@pytest.mark.parametrize("text", ["", "0", "-1/s", "fast", "inf", "nan", "10/m"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(PaceError, match="--rate"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["", "2", "x", "x0", "x-1", "xinf", "slow"])
def test_what_is_no_pace_is_refused(text: str) -> None:
    with pytest.raises(PaceError, match="--pace"):
        parse_pace(text)
