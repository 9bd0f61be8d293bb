"""Real records against the JSON Schemas: what the stages make of the samples, and what scrapers may send."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from newsmill.engines.embedded import EmbeddedEngine, ListSink, logfile
from newsmill.feed import FileSource, expand
from schemas import headers as h
from schemas import jsonschema, topics
from tests.cases.bad_input import CASES, Case
from tests.support import broken_outlets
from workers import pipeline
from workers.stage import StatefulStage

ROOT = Path(__file__).resolve().parents[3]
FORMATS = FormatChecker(formats=())
INGESTED_MS = 1_790_000_000_000


@FORMATS.checks("date-time", raises=ValueError)
def is_instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def validator(topic: str) -> Draft202012Validator:
    schema = json.loads((jsonschema.DIRECTORY / f"{topic}{jsonschema.SUFFIX}").read_bytes())
    return Draft202012Validator(schema, format_checker=FORMATS)


def problems(topic: str, value: bytes | None) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(topic).iter_errors(json.loads(value or b""))]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """topic -> values, of all samples and of two outlets that break. The chain shows the records of its last stage, so
    it is run to each of them."""
    found: dict[str, list[bytes]] = {}
    stages = [pipeline.load(name) for name in pipeline.STAGES]
    state = tmp_path_factory.mktemp("state")
    outlets = tmp_path_factory.mktemp("outlets") / "broken.ndjson"
    outlets.write_bytes(b"\n".join(broken_outlets.lines(INGESTED_MS)))
    for number in range(1, len(stages) + 1):
        sinks = {topic: ListSink() for topic in stages[number - 1].sinks}
        # What a stage has learnt in one run must not be known in the next.
        chain = [pipeline.load(s.name) if isinstance(s, StatefulStage) else s for s in stages[:number]]
        source = FileSource(expand([str(ROOT / "samples"), str(outlets)]), ingested_ms=INGESTED_MS)
        last = number == len(stages)
        EmbeddedEngine(
            chain,
            source,
            {topic: [sink] for topic, sink in sinks.items()},
            state if last else None,
            ingested_ms=INGESTED_MS,
        ).run()
        found |= {topic: [output.value or b"" for output in sink.outputs] for topic, sink in sinks.items()}
    for topic in (topics.INGEST_LOG, topics.DEDUP_LOG):
        log = state / f"{topic}.log"
        found[topic] = [record.value or b"" for record in logfile.records(log, topic, log.stat().st_size)]
    return found


WRITTEN = [topic.name for topic in topics.TOPICS if topic.name not in (topics.RAW, topics.DEAD_LETTERS, topics.REPLAYS)]


@pytest.mark.parametrize("topic", WRITTEN)
def test_what_the_stages_write_fits_the_schema(records: dict[str, list[bytes]], topic: str) -> None:
    assert len(records[topic]) >= 7
    assert [problem for value in records[topic] for problem in problems(topic, value)] == []


@pytest.mark.parametrize(
    ("topic", "change", "problem"),
    [
        (topics.ARTICLES, {"id": "x"}, "$.id: 'x' does not match"),
        (topics.CLASSIFIED, {"verdict": "maybe"}, "$.verdict: 'maybe' is not one of"),
        (topics.CLASSIFIED, {"ingested_at": "2026-01-01T00:00:00"}, "$.ingested_at: "),
        (topics.TAGGED, {"entities": {"status": "ok", "items": [{"name": "UN"}]}}, "$.entities.items[0]: "),
        (topics.DUPLICATES, {"match": None}, "$.match: None is not of type 'object'"),
    ],
)
def test_what_does_not_fit_is_found(
    records: dict[str, list[bytes]], topic: str, change: dict[str, Any], problem: str
) -> None:
    damaged = json.dumps({**json.loads(records[topic][0]), **change}).encode()
    assert problems(topic, damaged)[0].startswith(problem)


# -- news.raw

TAKEN = [
    {"text": "The pier is closed."},
    {"html": "<p>The pier is closed.</p>"},
    {"html": None, "text": "The pier is closed.", "url": None, "authors": None, "language": None},
    {"headline": "Pier", "body": "The pier is closed.", "link": "https://ellery.example/pier", "pubDate": "today"},
    {"text": ["The pier is closed.", "It opens in spring."]},
    {"text": "x", "source": {"id": None, "name": "Ellery Post"}, "authors": [{"name": "Ada Green"}, "Bo Lind", None]},
    {"text": "x", "authors": {"@type": "Person", "name": "Ada Green"}, "published_at": 1790000000},
    {"text": "x", "published_at": {"$date": "2026-03-01"}, "fetched_at": [2026, 3, 1]},
    {"text": "x", "section": "local", "tags": ["pier"], "depth": {"a": {"b": 1}}},
]


@pytest.mark.parametrize("document", TAKEN, ids=lambda document: "-".join(document))
def test_every_form_that_the_readme_names_fits(document: dict[str, Any]) -> None:
    assert problems(topics.RAW, json.dumps(document).encode()) == []


def is_json(case: Case) -> bool:
    """Others are read more tolerantly than RFC 8259 has it; a schema is about JSON."""
    try:
        json.loads(case.read() or b"")
    except ValueError:
        return False
    return h.CONTENT_TYPE not in dict(case.headers)


JSON_TAKEN = [case for case in CASES if case.expected == "article" and is_json(case)]


@pytest.mark.parametrize("case", JSON_TAKEN, ids=lambda case: case.name)
def test_what_becomes_an_article_fits(case: Case) -> None:
    assert problems(topics.RAW, case.read()) == []


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.expected in ("bad_field", "not_an_object")], ids=lambda case: case.name
)
def test_a_wrong_type_does_not_fit(case: Case) -> None:
    assert problems(topics.RAW, case.read()) != []


@pytest.mark.parametrize("document", [{}, {"title": "Pier"}, {"text": None}, {"text": " \n "}, {"text": []}])
def test_a_document_with_nothing_to_read_does_not_fit(document: dict[str, Any]) -> None:
    assert problems(topics.RAW, json.dumps(document).encode()) != []
