"""Which records of a range are meant, and what can be typed as its bounds."""

from __future__ import annotations

import orjson
import pytest

from newsmill.replay.errors import RangeError
from newsmill.replay.filters import FilterError, Filters, parse_headers, parse_made_by
from newsmill.replay.ranges import parse
from schemas import topics
from workers.stage import Record

ARTICLE = {
    "url": "https://fern.example/news/7",
    "source": "Fern Gazette",
    "language": "en",
    "processing": {"ingest": "1.2.0+00ff00ff", "dedup": "2.0.0"},
}


def article(topic: str = topics.UNIQUE, **fields: object) -> Record:
    headers = (("run", b"live"), ("team", b"desk"))
    return Record(topic, 0, 0, b"key", orjson.dumps(ARTICLE | fields), headers)


@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        (Filters(), True),
        (Filters(sources=("fern  gazette",)), True),
        (Filters(sources=("Heath", "Fern Gazette")), True),
        (Filters(sources=("Heath",)), False),
        (Filters(urls=("https://fern.example/*",)), True),
        (Filters(urls=("https://fern.example/?",)), False),
        (Filters(languages=("de",)), False),
        (Filters(languages=("en",), urls=("*/7",)), True),
        (Filters(languages=("en",), urls=("*/8",)), False),
        (Filters(keys=("key",)), True),
        (Filters(keys=("other",)), False),
        (Filters(headers=(("team", "desk"),)), True),
        (Filters(headers=(("team", "sport"),)), False),
        (Filters(made_by=(parse_made_by("ingest<1.2.1"),)), True),
        (Filters(made_by=(parse_made_by("ingest<1.2"),)), False),
        (Filters(made_by=(parse_made_by("dedup=2"),)), True),
        (Filters(made_by=(parse_made_by("classify<9"),)), False),
    ],
)
def test_what_is_meant(filters: Filters, taken: bool) -> None:
    assert filters.takes(article()) is taken


def test_a_raw_document_is_known_by_its_key() -> None:
    broken = Record(topics.RAW, 0, 0, b"fern gazette", b"{cut off")
    assert Filters(sources=("Fern Gazette",)).takes(broken)
    assert not Filters(languages=("en",)).takes(broken)


def test_versions_far_apart_compare_as_numbers() -> None:
    assert Filters(made_by=(parse_made_by("ingest<1.10"),)).takes(article())


@pytest.mark.parametrize("text", ["dedup", "dedup<", "dedup<x", "nobody<1.0", "<1.0"])
def test_made_by_that_cannot_be_read(text: str) -> None:
    with pytest.raises(FilterError, match="made-by"):
        parse_made_by(text)


def test_versions_of_raw_documents_are_refused() -> None:
    with pytest.raises(FilterError, match=r"--topic news\.articles"):
        Filters(made_by=(parse_made_by("dedup<2.0"),)).check(topics.RAW)


def test_a_header_needs_a_name() -> None:
    with pytest.raises(FilterError, match="NAME=VALUE"):
        parse_headers(["=x"])


def test_bounds() -> None:
    assert parse("2026-01-31T12:00:00Z").time_ms == 1_769_860_800_000
    assert parse("last 2h", now_s=10_000.0).time_ms == 2_800_000
    assert [parse("offset:7").offset(p) for p in (0, 3)] == [7, 7]
    assert [parse("offset:0=7,2=9").offset(p) for p in (0, 1, 2)] == [7, None, 9]


@pytest.mark.parametrize("text", ["", "yesterday", "offset:", "offset:-1", "offset:a=1", "offset:1=", "last 3 weeks"])
def test_bounds_that_cannot_be_read(text: str) -> None:
    with pytest.raises(RangeError):
        parse(text)


def test_a_time_needs_a_zone() -> None:
    with pytest.raises(RangeError, match="time zone"):
        parse("2026-01-31T12:00:00")
