from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from workers.ingest.dates import from_milliseconds, is_plausible, read_date, read_url_date

DAY = "2026-03-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("value", "expected", "precision"),
    [
        ("2026-03-01T08:30:00Z", "2026-03-01T08:30:00+00:00", "zone"),
        ("2026-03-01T08:30:00.250+02:00", "2026-03-01T08:30:00.250000+02:00", "zone"),
        ("2026-03-01 08:30", "2026-03-01T08:30:00+00:00", "time"),
        ("2026-03-01", DAY, "day"),
        ("20260301", DAY, "day"),
        ("2026/03/01", DAY, "day"),
        ("01.03.2026", DAY, "day"),
        ("1.3.2026, 08:30 Uhr", "2026-03-01T08:30:00+00:00", "time"),
        ("Sun, 01 Mar 2026 08:30:00 -0500", "2026-03-01T08:30:00-05:00", "zone"),
        ("March 1, 2026", DAY, "day"),
        ("Sunday, March 1st, 2026 at 8:30 pm GMT", "2026-03-01T20:30:00+00:00", "zone"),
        ("1 March 2026 12:05 a.m.", "2026-03-01T00:05:00+00:00", "time"),
        ("Published: 1 Mar 2026, 08:30 +01:00", "2026-03-01T08:30:00+01:00", "zone"),
        ("Sun, 01 Mar 2026 08:30:00 EST", "2026-03-01T08:30:00-05:00", "zone"),
        ("March 1, 2026 8:30 AM EST", "2026-03-01T08:30:00-05:00", "zone"),
        ("1. März 2026, 08:30 Uhr MEZ", "2026-03-01T08:30:00+01:00", "zone"),
        ("1 March 2026 08:30 JST", "2026-03-01T08:30:00+09:00", "zone"),
        ("1 March 2026 08:30 IST", "2026-03-01T08:30:00+00:00", "time"),
        ("March 1, 2026 8:30 am ET", "2026-03-01T08:30:00+00:00", "time"),
        ("2026-03-01T08:30:00+01:00[Europe/Berlin]", "2026-03-01T08:30:00+01:00", "zone"),
        ("2026年3月1日 08:30", "2026-03-01T08:30:00+00:00", "time"),
        ("2026년 3월 1일", DAY, "day"),
        ("13/03/2026 08:30", "2026-03-13T08:30:00+00:00", "time"),
        ("03/13/2026", "2026-03-13T00:00:00+00:00", "day"),
        ("1772353800.25", "2026-03-01T08:30:00.250000+00:00", "zone"),
        ("1. März 2026", DAY, "day"),
        ("1 de marzo de 2026", DAY, "day"),
        ("1er mars 2026", DAY, "day"),
        (1772353800, "2026-03-01T08:30:00+00:00", "zone"),
        (1772353800000, "2026-03-01T08:30:00+00:00", "zone"),
        (1772353800000000, "2026-03-01T08:30:00+00:00", "zone"),
        (1772353800.5, "2026-03-01T08:30:00.500000+00:00", "zone"),
        ("1772353800", "2026-03-01T08:30:00+00:00", "zone"),
    ],
)
def test_dates_that_are_read(value: Any, expected: str, precision: str) -> None:
    when = read_date(value)
    assert when is not None
    assert (when.at.isoformat(), when.precision) == (expected, precision)


@pytest.mark.parametrize(
    "value",
    [
        None, True, "", " ", "yesterday", "03/04/2026", "13/13/2026", "31/02/2026", "2026年13月1日",
        "2026-02-31", "32 March 2026", "1 Smarch 2026", "12:30", -1, 0,
        1e300, float("nan"), float("inf"), "9" * 500, [2026], {"year": 2026}, "2026-03-01T08:30:00+05:53:28",
        "March 2026", "2026",
    ],
)  # fmt: skip
def test_dates_that_are_not_guessed(value: Any) -> None:
    assert read_date(value) is None


def test_days_in_urls() -> None:
    when = read_url_date("https://ellery.example/2026/03/01/pier?d=/2025/01/01/")
    assert when is not None
    assert (when.at.isoformat(), when.precision) == (DAY, "day")
    assert read_url_date("https://ellery.example/2026-03-01-pier") is not None
    assert read_url_date("https://ellery.example/2026/13/01/pier") is None
    assert read_url_date("https://ellery.example/12026/03/011") is None


def test_what_is_plausible() -> None:
    fetched = datetime(2026, 3, 1, tzinfo=UTC)
    assert is_plausible(datetime(2026, 3, 2, tzinfo=UTC), fetched)
    assert not is_plausible(datetime(2026, 3, 2, 0, 0, 1, tzinfo=UTC), fetched)
    assert is_plausible(datetime(1990, 1, 1, tzinfo=UTC), fetched)
    assert not is_plausible(datetime(1989, 12, 31, tzinfo=UTC), fetched)
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        when = read_date(text)
        assert when is not None
        assert not is_plausible(when.at, fetched)


def test_milliseconds_outside_the_calendar() -> None:
    assert from_milliseconds(-1) is None
    assert from_milliseconds(10**18) is None
    assert from_milliseconds(0) == datetime(1970, 1, 1, tzinfo=UTC)
