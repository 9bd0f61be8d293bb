"""Records as the page shows them: in pieces, cut to size, nothing hostile left to work out."""

from __future__ import annotations

import base64
import math
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from newsmill.console import views
from schemas import headers as h
from schemas import topics
from schemas.codec import InvalidMessage, encode
from schemas.messages import (
    ClassifiedArticle,
    Duplicate,
    Entities,
    Entity,
    Match,
    Mention,
    Subject,
    Subjects,
)
from workers.stage import Record

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def entity(name: str, *mentions: tuple[str, int, int], kind: str = "LOC") -> Entity:
    return Entity(
        name=name,
        type=kind,  # type: ignore[arg-type]
        salience=0.5,
        confidence=0.9,
        mentions=tuple(Mention(field=field, start=start, end=end) for field, start, end in mentions),  # type: ignore[arg-type]
    )


def article(**fields: Any) -> ClassifiedArticle:
    given: dict[str, Any] = {
        "id": "a" * 32,
        "source": "alder.example",
        "headline": "Harbour of Port Alder reopens",
        "body": "One.",
        "language": "en",
        "language_confidence": 1.0,
        "word_count": 1,
        "content_hash": "b" * 32,
        "ingested_at": NOW,
        "processing": {"ingest": "1"},
        "verdict": "unique",
        "revision": 1,
        "cluster_id": "a" * 32,
        "entities": Entities(status="ok"),
        "subjects": Subjects(status="ok", taxonomy="x"),
    }
    return ClassifiedArticle(**given | fields)


def record(value: bytes | None, *headers: tuple[str, bytes], topic: str = topics.CLASSIFIED) -> Record:
    return Record(topic, 2, 7, b"key", value, headers, timestamp_ms=1_000)


def full(one: ClassifiedArticle) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(views.article_item(record(encode(one))).full)
    return found


def test_mentions_are_counted_in_code_points_also_behind_an_emoji() -> None:
    body = "🌊🌊 Port Alder\n\nThen Lakin, and Port Alder."
    places = [("body", 3, 13), ("body", 31, 41)]
    shown = full(article(body=body, entities=Entities(status="ok", items=(entity("Port Alder", *places),))))
    assert shown["paragraphs"] == [
        [["🌊🌊 ", -1], ["Port Alder", 0]],
        [["Then Lakin, and ", -1], ["Port Alder", 0], [".", -1]],
    ]


def test_a_headline_has_its_own_mentions() -> None:
    shown = full(article(entities=Entities(status="ok", items=(entity("Port Alder", ("headline", 11, 21)),))))
    assert shown["headline"] == [["Harbour of ", -1], ["Port Alder", 0], [" reopens", -1]]
    assert shown["paragraphs"] == [[["One.", -1]]]


@pytest.mark.parametrize(
    "mentions",
    [
        [("body", 0, 99)],  # beyond the end
        [("body", 90, 99)],
        [("body", 3, 3)],
        [("body", 3, 2)],
    ],
)
def test_mentions_that_fit_nowhere_are_left_out(mentions: list[tuple[str, int, int]]) -> None:
    shown = full(article(body="Port Alder", entities=Entities(status="ok", items=(entity("X", *mentions),))))
    assert shown["paragraphs"] == [[["Port Alder", -1]]]


def test_of_mentions_that_overlap_the_first_is_marked() -> None:
    items = (entity("A", ("body", 0, 6)), entity("B", ("body", 5, 10)), entity("C", ("body", 6, 8)))
    shown = full(article(body="abcdefghij", entities=Entities(status="ok", items=items)))
    assert shown["paragraphs"] == [[["abcdef", 0], ["gh", 2], ["ij", -1]]]


def test_a_mention_over_two_paragraphs_is_left_out_and_the_next_is_not() -> None:
    body = "ab\n\ncd ef"
    items = (entity("A", ("body", 1, 5)), entity("B", ("body", 7, 9)))
    shown = full(article(body=body, entities=Entities(status="ok", items=items)))
    assert shown["paragraphs"] == [[["ab", -1]], [["cd ", -1], ["ef", 1]]]


def test_an_article_of_any_size_is_shown_small() -> None:
    many = tuple(entity(f"Name {n}", *(("body", m, m + 1) for m in range(n, 4_000, 50))) for n in range(300))
    items = tuple(Subject(id="medtop:01000000", name="s" * 500, level=1, probability=0.9) for _ in range(200))
    big = article(
        headline="h" * 1_000,
        body="x" * 1_000_000,
        source="s" * 10_000,
        authors=("a" * 9_000,) * 50,
        entities=Entities(status="ok", items=many),
        subjects=Subjects(status="ok", taxonomy="x", items=items),
    )
    item = views.article_item(record(encode(big)))
    assert len(item.full) < 400_000
    assert len(orjson.dumps(item.brief)) < 2_000
    shown = orjson.loads(item.full)
    assert shown["hidden"] == 1_000_000 - views.MAX_BODY_CHARS
    assert shown["entities_hidden"] == 300 - views.MAX_ENTITIES


def test_what_is_no_article_is_refused() -> None:
    for value in (None, b"{}", b"\xff", b'{"id": 1}'):
        with pytest.raises(InvalidMessage):
            views.article_item(record(value))


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//alder.example", "https://", "http://[", "x" * 3_000, ""]
)
def test_only_addresses_of_the_web_become_links(url: str) -> None:
    assert views.web_address(url) is None


def test_an_address_of_the_web_is_a_link() -> None:
    assert views.web_address("https://alder.example/a?b#c") == "https://alder.example/a?b#c"


def test_a_copy_tells_of_what_it_is_one_and_how_similar() -> None:
    copy = Duplicate(
        id="c" * 32,
        source="birch.example",
        headline="Harbour reopens",
        verdict="near_copy",
        cluster_id="a" * 32,
        match=Match(
            article_id="a" * 32, similarity=0.8, containment=0.9, first_seen=NOW, rule="near", url="javascript:x"
        ),
        content_hash="b" * 32,
        language="en",
        ingested_at=NOW,
        processing={},
        joins=("d" * 32,),
    )
    item, message = views.duplicate_item(record(encode(copy), topic=topics.DUPLICATES))
    assert item.brief["verdict"] == "near_copy"
    assert item.brief["match"]["similarity"] == 0.8
    assert item.brief["match"]["url"] is None
    assert message.joins == ("d" * 32,)


def test_a_dead_letter_keeps_its_first_bytes_and_says_how_many_there_were() -> None:
    value = b"\x00\xff<script>" + b"x" * 100_000
    headers = ((h.DEAD_STAGE, b"ingest"), (h.DEAD_REASON, b"bad_json"), (h.DEAD_DETAIL, b"d" * 9_000))
    item = views.dead_letter_item(record(value, *headers, topic=topics.DEAD_LETTERS))
    shown = orjson.loads(item.full)
    assert base64.b64decode(shown["raw"]) == value[: views.RAW_BYTES]
    assert shown["size"] == len(value)
    assert not shown["text"]
    assert len(item.full) < 20_000
    assert (item.brief["stage"], item.brief["reason"]) == ("ingest", "bad_json")


def test_a_dead_letter_of_nothing_can_be_shown() -> None:
    shown = orjson.loads(views.dead_letter_item(record(None, (h.DEAD_STAGE, b"\xff"))).full)
    assert shown["missing"]
    assert shown["stage"] == "\\xff"


@pytest.mark.parametrize(
    ("raw", "cut", "text"),
    [
        (b'{"a": 1}\r\n\t', False, True),
        ("Łódź".encode(), False, True),
        ("Łódź".encode()[:-1], True, True),
        ("Łódź".encode()[:-1], False, False),
        (b"\xff\xd8", True, False),
        (b"a\x00b", False, False),
        (b"", False, True),
    ],
)
def test_what_can_be_read_is_text(raw: bytes, cut: bool, text: bool) -> None:
    assert views.readable(raw, cut=cut) is text


def test_numbers_that_json_has_not() -> None:
    assert views.number(math.nan) is None
    assert views.number(None) is None
    assert views.number(math.inf) == -1
    assert views.number(1.23456) == 1.235
