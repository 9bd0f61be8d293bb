"""News.articles split by language, on a real broker."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import orjson
import pytest

from newsmill.engines.faust_engine import FaustEngine
from newsmill.metrics import Metrics
from newsmill.routes import RoutesError
from newsmill.trace.find import Wanted, search
from schemas import topics
from schemas.keys import digest
from tests.support.kafka import Place, Running
from tests.support.stages import EchoStage, SpeakingStage
from workers import pipeline

pytestmark = pytest.mark.broker

LANGUAGES = [b"en", b"de", b"fr", b"pt", b"und", b"en"]
WHERE = {b"en": 2, b"de": 0, b"fr": 0, b"pt": 1, b"und": 1}


def test_articles_go_where_the_table_says(place: Callable[..., Place]) -> None:
    p = place(articles=3, dedup_log=3)
    engine = Running(SpeakingStage(), dataclasses.replace(p.settings, dedup_routes="en=2,de=0,fr=0,*=1"))
    p.feed(topics.RAW, LANGUAGES)
    found = p.wait_for(topics.ARTICLES, len(LANGUAGES))
    engine.stop()
    assert sorted((r.value, r.partition) for r in found) == sorted(
        (language, WHERE[language]) for language in LANGUAGES
    )


def test_a_table_that_does_not_fit_stops_the_worker_at_once(place: Callable[..., Place]) -> None:
    p = place(articles=2, dedup_log=2)
    settings = dataclasses.replace(p.settings, dedup_routes="en=0,*=2")
    engine = Running(EchoStage(), settings)
    assert isinstance(engine.ended(), RoutesError)
    with pytest.raises(RoutesError, match=r"news\.articles has 2"):
        FaustEngine(EchoStage(), settings, Metrics()).run()


PROSE = {
    "en": "The harbour authority of Lindmouth said on Tuesday that the eastern pier will stay closed until the spring, "
    "because inspectors found cracks in three of its concrete pillars. Ferries leave from the old quay meanwhile.",
    "de": "Die Hafenbehörde von Lindmünde teilte am Dienstag mit, dass der östliche Anleger bis zum Frühjahr gesperrt "
    "bleibt, weil Prüfer in drei der Betonpfeiler Risse gefunden haben. Die Fähren legen vom alten Kai ab.",
}


def raw(url: str, source: str, language: str) -> bytes:
    document = {"url": url, "source": source, "title": f"Pier {language}", "text": "\n\n".join([PROSE[language]] * 2)}
    return orjson.dumps(document)


def test_limits_of_the_table(place: Callable[..., Place]) -> None:
    """A copy is found within its language; a revision in another language begins anew; trace finds both."""
    p = place(articles=2, dedup_log=2)
    settings = dataclasses.replace(p.settings, dedup_routes="en=0,*=1")
    url = "https://alder.example/pier"
    workers = [Running(pipeline.load(name), settings) for name in ("ingest", "dedup")]
    p.feed(topics.RAW, [raw(url, "alder", "en"), raw("https://birch.example/pier", "birch", "en")])
    p.wait_for(topics.DUPLICATES, 1)
    p.feed(topics.RAW, [raw(url, "alder", "de")])
    found = p.wait_for(topics.UNIQUE, 2)
    p.wait_for(topics.DEDUP_LOG, 3)
    for worker in workers:
        worker.stop()
    ours = digest(url).encode()
    assert [record.key for record in found] == [ours, ours]
    assert all(b'"verdict":"unique"' in (r.value or b"") and b'"revision":1' in (r.value or b"") for r in found)
    assert {record.partition for record in p.read(topics.ARTICLES) if record.key == ours} == {0, 1}
    traced = search(settings, Wanted.parse(url)).records
    assert [record.topic for record in traced].count(p.physical(topics.ARTICLES)) == 2
    assert [record.topic for record in traced].count(p.physical(topics.DEDUP_LOG)) == 2
