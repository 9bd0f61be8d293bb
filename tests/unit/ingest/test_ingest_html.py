from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trafilatura

from workers.ingest import IngestStage
from workers.stage import Record, Reject

Make = Callable[..., dict[str, Any]]

A = "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March."
B = "Fishermen had asked for a longer breakwater instead, since boats still lie open to the swell from the east."
C = "The board promised to look at the plan of the fishermen again in autumn, when the money for the year is known."


def page(head: str = "", body: str = "") -> str:
    return (
        f"<html lang='en-GB'><head>{head}</head><body><nav><a href='/'>Home</a> <a href='/sport'>Sport</a></nav>"
        f"<article><h1>Port Ellery rebuilds its pier</h1><p>{A}</p><div class='ad'>Advertisement</div><p>{B}</p>{body}"
        f"<p>{C}</p></article><footer>© 2026 Ellery Post</footer></body></html>"
    )


def test_a_page_becomes_an_article(article: Make) -> None:
    head = (
        "<title>Port Ellery rebuilds its pier | Ellery Post</title><meta property='og:site_name' content='Ellery Post'>"
        "<meta name='author' content='By Ada Green and Ines Marlow'>"
        "<meta property='article:published_time' content='2026-03-01T08:30:00+01:00'>"
    )
    found = article(html=page(head), url="https://www.ellery.example/pier?utm_source=feed")
    assert found["headline"] == "Port Ellery rebuilds its pier"
    assert found["body"] == f"{A}\n\n{B}\n\n{C}"
    assert found["authors"] == ["Ada Green", "Ines Marlow"]
    assert found["published"] == {"at": "2026-03-01T08:30:00+01:00", "origin": "meta", "confidence": 0.8}
    assert (found["source"], found["url"]) == ("ellery.example", "https://www.ellery.example/pier")
    assert found["language"] == "en"


def test_json_ld_comes_before_meta(article: Make) -> None:
    data = {
        "@graph": [
            {"@type": "WebSite", "name": "Ellery Post", "datePublished": "2001-01-01"},
            {
                "@type": ["Thing", "NewsArticle"],
                "headline": "Pier to be rebuilt in Port Ellery",
                "datePublished": "2026-03-01",
                "author": [{"@type": "Person", "name": "Ada Green"}, "Ines Marlow"],
            },
        ]
    }
    head = f"<meta name='date' content='2026-03-02'><script type='application/ld+json'>{json.dumps(data)}</script>"
    found = article(html=page(head))
    assert found["headline"] == "Pier to be rebuilt in Port Ellery"
    assert found["published"] == {"at": "2026-03-01T00:00:00Z", "origin": "json-ld", "confidence": 0.8}
    assert found["authors"] == ["Ada Green", "Ines Marlow"]


def test_what_the_scraper_says_comes_before_the_page(article: Make) -> None:
    head = "<title>Other</title><meta name='author' content='Ines Marlow'><meta name='date' content='2026-03-02'>"
    found = article(html=page(head), title="Pier: a vote", author="Ada Green", date="2026-03-01")
    assert (found["headline"], found["authors"]) == ("Pier: a vote", ["Ada Green"])
    assert found["published"]["at"] == "2026-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("canonical", "url", "extra"),
    [
        ("https://ellery.example/2/pier", "https://ellery.example/2/pier", None),
        ("https://m.ellery.example/pier#x", "https://m.ellery.example/pier", None),
        ("https://ellery.example/", "https://www.ellery.example/pier", None),
        ("/pier", "https://www.ellery.example/pier", None),
        ("https://rival.example/pier", "https://www.ellery.example/pier", "https://rival.example/pier"),
    ],
)
def test_when_a_canonical_link_is_believed(article: Make, canonical: str, url: str, extra: str | None) -> None:
    found = article(html=page(f"<link rel='canonical' href='{canonical}'>"), url="https://www.ellery.example/pier")
    assert found["url"] == url
    assert found.get("extra", {}).get("canonical_url") == extra


def test_a_canonical_link_without_a_url_names_nothing(article: Make) -> None:
    found = article(html=page("<link rel='canonical' href='https://ellery.example/pier'>"))
    assert "url" not in found
    assert found["source"] == "unknown"


def test_text_stands_in_for_a_page_without_an_article(article: Make) -> None:
    assert article(html="<html><body></body></html>", text=f"{A}\n\n{B}")["body"] == f"{A}\n\n{B}"
    assert article(html=page(), text="Something else entirely.")["body"] == f"{A}\n\n{B}\n\n{C}"


def test_the_headline_never_takes_the_last_words(article: Make) -> None:
    found = article("!!!!!¹<a>!".encode(), (("content-type", b"text/html"),))
    assert "¹" in found["body"]


def test_a_page_on_which_the_extractor_fails_is_refused(stage: IngestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(trafilatura, "bare_extraction", fail)
    record = Record("news.raw", 0, 0, None, json.dumps({"html": page()}).encode())
    assert stage.process([record]) == [Reject("html_unreadable", "RecursionError: too deep")]
