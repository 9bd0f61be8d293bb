"""Dates: what scrapers and pages write, read without a clock, a locale or a guess.

Read are: RFC 3339 and other ISO 8601, RFC 2822, seconds, milliseconds and microseconds since 1970 (numbers or digits),
dates with the month's name in English, German, Spanish, French, Italian, Portuguese or Dutch, and Chinese, Japanese and
Korean dates. `03/04/2022` is not read: it is one day in Boston and another in Berlin. `23/04/2022` is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Before this no news page was on the web: an earlier date is a default (1970) or a mistake."""

TOLERANCE: Final = timedelta(days=1)
"""How far a date may lie after the fetch: clocks differ, and so do time zones that nobody wrote down."""

Precision = Literal["zone", "time", "day"]

_LONGEST: Final = 80
_LAST_YEAR: Final = 9999
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner janvier janv enero ene gennaio gen janeiro januari",
            "february feb februar février févr fevrier febrero febbraio fevereiro fev februari",
            "march mar märz mär maerz mars marzo março maart mrt",
            "april apr avril avr abril abr aprile",
            "may mai mayo maggio mag maio mei",
            "june jun juni juin junio giugno giu junho",
            "july jul juli juillet juil julio luglio lug julho",
            "august aug août aout agosto ago augustus",
            "september sep sept septembre septiembre settembre set setembro",
            "october oct oktober okt octobre octubre ottobre ott outubro out",
            "november nov novembre noviembre novembro",
            "december dec dezember dez décembre déc decembre diciembre dic dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}

_MAIL: Final = re.compile(r"\d\d:\d\d\s(?:[+-]\d{4}|(?![AP]M)[A-Z]{1,5})$")
_CLOCK: Final = re.compile(r"\b(\d{1,2})[:.h](\d{2})(?:[:.](\d{2}))?\s{0,3}([ap]\.?m\b)?", re.IGNORECASE)
_ZONES: Final = {
    "utc": 0, "gmt": 0, "wet": 0, "cet": 1, "mez": 1, "cest": 2, "mesz": 2, "eet": 2, "eest": 3, "msk": 3,
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "akst": -9,
    "akdt": -8, "hst": -10, "jst": 9, "kst": 9, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13,
}  # fmt: skip
"""Names that stand for one time zone in news, with hours ahead of UTC. Those of several (`IST`, `BST`) and those that
go by the season (`ET`) are not read: the time stays without a zone."""

_ZONE: Final = re.compile(
    rf"(?:\b(?:utc|gmt|z)\b\s?)?([+-])(\d{{2}}):?(\d{{2}})\b|\b({'|'.join(_ZONES)})\b", re.IGNORECASE
)
_DAY_MONTH: Final = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th|\.|er|º)?\s{1,3}(?:de\s|of\s)?([^\W\d_]{3,10})\.?,?\s{1,3}(?:de\s)?(\d{4})\b"
)
_MONTH_DAY: Final = re.compile(r"\b([^\W\d_]{3,10})\.?\s{1,3}(\d{1,2})(?:st|nd|rd|th)?,?\s{1,3}(\d{4})\b")
_YEAR_FIRST: Final = re.compile(r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})\b")
_DOTTED: Final = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})\b")
_SLASHED: Final = re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4})\b")
_EAST_ASIAN: Final = re.compile(r"^(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]")
_COMPACT_DAY: Final = re.compile(r"^(\d{4})(\d{2})(\d{2})$")
_SECONDS: Final = re.compile(r"\d{10}\.\d{1,9}", re.ASCII)
_ZONE_ID: Final = re.compile(r"(?<=[0-9Zz])\[[A-Za-z0-9/_+-]{1,40}\]$")
"""As Java writes it: `2026-03-01T10:00:00+01:00[Europe/Berlin]`."""

_URL_DAY: Final = re.compile(r"/((?:19|20)\d{2})[/-](\d{1,2})[/-](\d{1,2})(?=[/_-]|$)")


@dataclass(frozen=True, slots=True)
class When:
    """An instant with a time zone, and how much of it was written down: all, all but the zone (read as UTC), or the
    day alone (read as its first moment in UTC)."""

    at: datetime
    precision: Precision


def read_date(value: Any) -> When | None:
    """Return the instant that `value` (text, or a number since 1970) names, or None when it can't be read."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return _from_number(value)
    if not isinstance(value, str):
        return None
    text = " ".join(value.split())
    if not text or len(text) > _LONGEST:
        return None
    if text.isascii() and text.isdigit() and (len(text) in (10, 13, 16)):
        return _from_number(int(text))
    if _SECONDS.fullmatch(text):
        return _from_number(float(text))
    text = _ZONE_ID.sub("", text)
    if match := _COMPACT_DAY.match(text):
        return _day(match.group(1), match.group(2), match.group(3))
    found = _from_iso(text) or _from_mail(text)
    # Mail knows few time zones by name.
    return found if found and found.precision == "zone" else _from_words(text) or found


def read_url_date(url: str) -> When | None:
    """Return the day in the path of a URL such as `https://example.com/2022/07/23/title`, or None."""
    path = url.partition("?")[0]
    match = _URL_DAY.search(path)
    return _day(match.group(1), match.group(2), match.group(3)) if match else None


def is_plausible(at: datetime, latest: datetime) -> bool:
    """Return whether `at` lies between 1990 and one day after `latest` (when the page was fetched or brought in)."""
    # The years first: instants at either end of the calendar can't be compared across time zones.
    return EARLIEST.year <= at.year < _LAST_YEAR and EARLIEST <= at <= latest + TOLERANCE


def from_milliseconds(milliseconds: int) -> datetime | None:
    """Return the instant `milliseconds` after 1970 in UTC, or None when it is outside the years 1970 to 9998."""
    if not 0 <= milliseconds < 253_370_764_800_000:
        return None
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _from_number(number: float) -> When | None:
    if not 0 < number < 1e18:  # also refuses NaN
        return None
    # 1e11 seconds is the year 5138; 1e11 milliseconds is 1973. So the size tells the unit.
    if number < 1e11:
        milliseconds = round(number * 1000)
    elif number < 1e14:
        milliseconds = round(number)
    else:
        milliseconds = round(number / 1000)
    at = from_milliseconds(milliseconds)
    return When(at, "zone") if at else None


def _from_iso(text: str) -> When | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return _with_zone(at, "time" if len(text) > 10 else "day")


def _from_mail(text: str) -> When | None:
    if not _MAIL.search(text):
        return None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _with_zone(at, "time")


def _with_zone(at: datetime, precision: Precision) -> When | None:
    if at.tzinfo is None:
        return When(at.replace(tzinfo=UTC), precision)
    offset = at.utcoffset()
    # RFC 3339 has offsets of whole minutes below a day; what else Python accepts is a mistake.
    if offset is None or offset.total_seconds() % 60:
        return None
    return When(at, "zone")


def _day(year: str, month: str, day: str) -> When | None:
    try:
        return When(datetime(int(year), int(month), int(day), tzinfo=UTC), "day")
    except ValueError:
        return None


def _from_words(text: str) -> When | None:
    text = text.casefold()
    day, rest = _find_day(text)
    if day is None:
        return None
    clock = _CLOCK.search(rest)
    if clock is None:
        return day
    hour, minute, second = int(clock.group(1)), int(clock.group(2)), int(clock.group(3) or 0)
    half = (clock.group(4) or "").replace(".", "")
    if half:
        if not 1 <= hour <= 12:
            return day
        hour = hour % 12 + (12 if half == "pm" else 0)
    zone = _ZONE.search(rest, clock.end())
    try:
        at = day.at.replace(hour=hour, minute=minute, second=second)
        if zone is None:
            return When(at, "time")
        if zone.group(1) is None:
            zoned = at.replace(tzinfo=timezone(timedelta(hours=_ZONES[zone.group(4)])))
            return When(zoned, "zone")
        offset = timedelta(hours=int(zone.group(2)), minutes=int(zone.group(3)))
        return When(at.replace(tzinfo=timezone(-offset if zone.group(1) == "-" else offset)), "zone")
    except ValueError:
        return day


def _find_day(text: str) -> tuple[When | None, str]:
    for pattern, year, month, day in ((_DAY_MONTH, 3, 2, 1), (_MONTH_DAY, 3, 1, 2)):
        match = pattern.search(text)
        if match and (number := _MONTHS.get(match.group(month))):
            return _day(match.group(year), str(number), match.group(day)), text[: match.start()] + text[match.end() :]
    if match := _YEAR_FIRST.match(text):
        return _day(match.group(1), match.group(2), match.group(3)), text[match.end() :]
    if match := _EAST_ASIAN.match(text):
        return _day(match.group(1), match.group(2), match.group(3)), text[match.end() :]
    if (match := _SLASHED.match(text)) and (int(match.group(1)) > 12) != (int(match.group(2)) > 12):
        # Only one of them can be the month.
        day, month = (1, 2) if int(match.group(1)) > 12 else (2, 1)
        return _day(match.group(3), match.group(month), match.group(day)), text[match.end() :]
    # Dots are the German and Slavic way, always day first.
    if match := _DOTTED.match(text):
        return _day(match.group(3), match.group(2), match.group(1)), text[match.end() :]
    return None, ""
