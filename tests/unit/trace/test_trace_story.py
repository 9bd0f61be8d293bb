"""Records of an article become a story with an end."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pytest
from rich.console import Console

from newsmill.cli.trace import tree
from newsmill.trace import Found, Wanted, stories
from schemas import headers as h
from schemas import topics
from schemas.keys import digest
from workers.stage import Record

ID = "a" * 32
ORIGIN = "x.news.raw/2/7"


def record(topic: str, value: dict[str, Any], at: int, *headers: tuple[str, bytes], origin: str = ORIGIN) -> Record:
    all_headers = ((h.ORIGIN, origin.encode()), *headers)
    return Record(f"x.{topic}", 0, at, ID.encode(), orjson.dumps(value), all_headers, at * 1000)


RAW = Record("x.news.raw", 2, 7, b"alder", b'{"url": "https://alder.example/a", "text": "abc"}', (), 1_000)
ARTICLE = record(topics.ARTICLES, {"id": ID, "headline": "Port opens", "processing": {"ingest": "1.0.0"}}, 2)
MATCH = {
    "article_id": "b" * 32,
    "similarity": 0.9,
    "containment": 1.0,
    "rule": "near",
    "first_seen": "2026-01-01T00:00:00Z",
}
COPY = record(topics.DUPLICATES, {"verdict": "near_copy", "cluster_id": "b" * 32, "match": MATCH}, 3)


def found(*records: Record, **more: Any) -> Found:
    return Found(Wanted(ID), list(records), **more)


def test_a_copy_ends_at_dedup_with_its_evidence() -> None:
    (story,) = stories(found(COPY, ARTICLE, raw={ORIGIN: RAW}))
    assert [step.topic for step in story.steps] == [topics.RAW, topics.ARTICLES, topics.DUPLICATES]
    assert story.outcome == "not passed on: near copy"
    assert (story.steps[1].stage, story.steps[1].version) == ("ingest", "1.0.0")
    assert any("b" * 32 in detail for detail in story.steps[2].details)
    assert any("similarity 0.9, containment 1.0, rule near" in detail for detail in story.steps[2].details)


def test_a_dead_letter_ends_with_its_reason() -> None:
    dead = record(
        topics.DEAD_LETTERS,
        {},
        3,
        (h.DEAD_STAGE, b"classify"),
        (h.DEAD_REASON, b"stage_raised"),
        (h.DEAD_DETAIL, b"Traceback\nValueError: x"),
    )
    (story,) = stories(found(ARTICLE, dead=[dead]))
    assert story.outcome == "stopped at classify: stage_raised"
    assert story.steps[-1].details == ("Traceback", "ValueError: x")


def test_what_came_out_and_what_waits_are_told_apart() -> None:
    out = record(topics.CLASSIFIED, {"subjects": {"status": "ok", "items": [{"name": "sport", "probability": 0.9}]}}, 9)
    assert stories(found(ARTICLE, out))[0].outcome == "came out"
    assert "is between news.articles and the next stage" in stories(found(ARTICLE))[0].outcome


def test_each_time_that_it_was_brought_in_is_a_story_of_its_own_and_so_is_each_run() -> None:
    again = record(topics.ARTICLES, {"headline": "Port opens"}, 5, origin="x.news.raw/2/9")
    replayed = record(topics.ARTICLES, {"headline": "Port opens"}, 8, (h.RUN, b"r1"))
    told = stories(found(replayed, again, ARTICLE))
    assert [(story.origin, story.run) for story in told] == [
        (ORIGIN, "live"),
        ("x.news.raw/2/9", "live"),
        (ORIGIN, "r1"),
    ]


def test_a_raw_document_that_no_stage_has_seen_is_told() -> None:
    (story,) = stories(found(waiting=[RAW]))
    assert story.origin == ORIGIN
    assert "https://alder.example/a" in story.steps[0].text


def test_damaged_values_are_shown_and_control_characters_are_not() -> None:
    bad = Record("x.news.raw", 2, 7, b"alder", b"\xff\x1b[31m{", (), 1_000)
    (story,) = stories(found(waiting=[bad]))
    console = Console(record=True, file=io.StringIO())
    console.print(tree(story))
    assert "\x1b[31m{" not in console.export_text()


def test_an_id_or_a_url_is_wanted() -> None:
    assert Wanted.parse(ID) == Wanted(ID)
    url = "https://www.alder.example/a?utm_source=x"
    assert Wanted.parse(url) == Wanted(digest("https://www.alder.example/a"), url)
    for wrong in ("A" * 32, "a" * 31, "harbour", ""):
        with pytest.raises(ValueError, match="neither"):
            Wanted.parse(wrong)
