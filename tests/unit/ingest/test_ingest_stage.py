from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from schemas.raw import ALIASES
from workers import ingest
from workers.ingest import IngestStage
from workers.ingest.language import FastTextIdentifier, identify, language_code
from workers.stage import Record, Reject

Make = Callable[..., dict[str, Any]]

TEXT = (
    "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March.\n\n"
    "Fishermen had asked for a longer breakwater instead, since boats still lie open to the swell from the east."
)


def test_unknown_fields_are_kept_and_known_ones_are_not(article: Make) -> None:
    found = article(text=TEXT, title="Pier", section="News", tags=["pier", {"a": None}], url=None)
    assert found["extra"] == {"section": "News", "tags": ["pier", {"a": None}]}


@pytest.mark.parametrize(("name", "alias"), [(name, alias) for name, aliases in ALIASES.items() for alias in aliases])
def test_aliases_stand_for_fields(article: Make, name: str, alias: str) -> None:
    values = {
        "url": "https://ellery.example/pier",
        "source": "Ellery Post",
        "title": "A pier",
        "html": f"<p>{TEXT}</p>",
        "text": TEXT,
        "published_at": "2026-03-01",
        "fetched_at": "2026-03-02",
        "authors": ["Ada Green"],
        "language": "en",
    }
    fields = {"text": TEXT, name: values[name]} if name != "html" else {"html": values["html"]}
    renamed = {alias if key == name else key: value for key, value in fields.items()}
    assert article(**renamed) == article(**fields)


def test_a_field_comes_before_its_alias_which_is_kept(article: Make) -> None:
    found = article(text=TEXT, content="Something else.", title="A pier", headline="Another pier")
    assert found["headline"] == "A pier"
    assert found["extra"] == {"content": "Something else.", "headline": "Another pier"}
    assert article(text=None, content=TEXT)["body"] == TEXT


def test_dates_that_are_not_trusted_are_kept_as_they_came(article: Make) -> None:
    found = article(text=TEXT, published_at="1970-01-01", fetched_at="2031-01-01")
    assert "published" not in found
    assert "fetched_at" not in found
    assert found["extra"] == {"published_at": "1970-01-01", "fetched_at": "2031-01-01"}
    assert article(text=TEXT, pubDate=[1])["extra"] == {"pubDate": [1]}


def test_a_date_is_bounded_by_the_fetch(article: Make) -> None:
    found = article(text=TEXT, published_at="2026-03-04", fetched_at="2026-03-01T12:00:00Z")
    assert found["fetched_at"] == "2026-03-01T12:00:00Z"
    assert "published" not in found


def test_dates_of_the_url_are_a_last_resort(article: Make) -> None:
    found = article(text=TEXT, url="https://ellery.example/2026/03/01/pier")
    assert found["published"] == {"at": "2026-03-01T00:00:00Z", "origin": "url", "confidence": 0.5}
    found = article(text=TEXT, url="https://ellery.example/2026/03/01/pier", published_at="2026-02-28T10:00:00+02:00")
    assert found["published"] == {"at": "2026-02-28T10:00:00+02:00", "origin": "field", "confidence": 0.9}


def test_ingested_time_is_the_header_else_the_broker(article: Make) -> None:
    assert article(text=TEXT)["ingested_at"] == "2026-11-24T06:00:00Z"
    value = json.dumps({"text": TEXT}).encode()
    assert article(value, (("ingested-at", b"1772353800000"),))["ingested_at"] == "2026-03-01T08:30:00Z"
    assert article(value, (("ingested-at", b"soon"),))["ingested_at"] == "2026-11-24T06:00:00Z"


@pytest.mark.parametrize(
    ("given", "url", "source"),
    [
        ("Ellery  Post", None, "Ellery Post"),
        ("www.Ellery.Example", None, "ellery.example"),
        ("https://www.ellery.example/news", None, "ellery.example"),
        (None, "https://www.ellery.example/pier", "ellery.example"),
        ("x" * 500, "https://www.ellery.example/pier", "ellery.example"),
        ("—", None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_sources(article: Make, given: str | None, url: str | None, source: str) -> None:
    found = article(text=TEXT, source=given, url=url)
    assert found["source"] == source
    assert ("source" in found.get("extra", {})) == (given is not None and len(given) in (1, 500))


def test_ids_are_of_the_url_else_of_source_and_text(article: Make) -> None:
    one = article(text=TEXT, url="https://ellery.example/pier?utm_source=a", title="A")
    assert one["id"] == article(text="Another text.", url="https://ellery.example/pier#b", source="Other")["id"]
    bare = article(text=TEXT, source="Ellery Post")
    assert bare["id"] == article(text=TEXT.upper(), source="ELLERY POST")["id"] != one["id"]
    assert bare["id"] != article(text=TEXT, source="Ellery News")["id"]
    assert bare["content_hash"] == article(text=TEXT, source="Ellery News")["content_hash"]


def test_credentials_are_not_kept(article: Make) -> None:
    for url in ("https://ada:secret@ellery.example/pier", "ftp://ada:secret@ellery.example/", "https://ada:secret@/"):
        assert "secret" not in json.dumps(article(text=TEXT, url=url))


def test_headline_and_byline_of_bare_text(article: Make) -> None:
    value = f"Port Ellery rebuilds its pier\n\nBy Ada Green\n\n{TEXT}".encode()
    found = article(value, (("content-type", b"text/plain"), ("locator", b"pier.txt")))
    assert (found["headline"], found["authors"], found["body"]) == (
        "Port Ellery rebuilds its pier",
        ["Ada Green"],
        TEXT,
    )
    assert found["extra"] == {"locator": "pier.txt"}


def test_a_sentence_that_becomes_the_headline_stays_in_the_body(article: Make) -> None:
    found = article(text=f"ELLERY, 3 March - {TEXT}")
    assert found["body"].startswith(found["headline"])
    assert found["headline"].startswith("ELLERY, 3 March - The harbour board")


def test_a_title_repeated_above_the_text_goes_from_the_body(article: Make) -> None:
    assert article(title="A pier, rebuilt", text=f"A PIER REBUILT\n\n{TEXT}")["body"] == TEXT


def test_duplicate_keys_and_surrogates(article: Make) -> None:
    found = article(b'{"text": "The old pier.", "text": "The new pier is \\ud800 closed."}')
    assert found["body"] == "The new pier is \ufffd closed."


def test_wide_numbers_keep_their_digits(article: Make) -> None:
    found = article(b'{"text": "The pier.", "a": 123456789012345678901234567890, "b": [NaN, 1e400, 1.5]}')
    assert found["extra"] == {"a": "123456789012345678901234567890", "b": [None, "1e400", 1.5]}


def test_encodings(article: Make) -> None:
    plain = (("content-type", b"text/plain"),)
    text = "Der Kai von Möwenhafen wird größer – „endlich“, sagt Bürgermeisterin Grün."
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"):
        assert article(text.encode(encoding), plain)["body"] == text, encoding
    greek = "Η προβλήτα ξαναχτίζεται από την άνοιξη."
    header = (("content-type", b"text/plain; charset=iso-8859-7"),)
    assert article(greek.encode("iso-8859-7"), header)["body"] == greek


class Known:
    """Answers what it is told to."""

    version = "test"

    def __init__(self, *answers: tuple[str, float]) -> None:
        self.answers = answers

    def candidates(self, text: str) -> Sequence[tuple[str, float]]:
        return self.answers


def test_language_threshold_and_declaration() -> None:
    assert identify(Known(("en", 0.91234)), "x", "de").code == "en"
    assert identify(Known(("en", 0.91239)), "x", None).confidence == 0.912
    weak = Known(("en", 0.4), ("de", 0.3))
    assert identify(weak, "x", None) == identify(weak, "x", "klingon")
    assert identify(weak, "x", None).code == "und"
    assert (identify(weak, "x", "de-AT").code, identify(weak, "x", "de-AT").confidence) == ("de", 0.3)
    assert identify(Known(("arz", 0.3), ("ar", 0.4)), "x", None).code == "ar"  # a dialect counts for its language
    assert identify(Known(("ceb", 0.9)), "x", None).code == "und"
    assert identify(Known(), "x", None).confidence == 0.0
    assert [language_code(tag) for tag in ("EN_us", "zh-Hant", "english", "")] == ["en", "zh", None, None]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("THE HARBOUR BOARD VOTED TO REBUILD THE PIER", "en"),
        ("Der Hafenrat stimmte am Dienstag für den Wiederaufbau des Kais.", "de"),
        ("La junta del puerto votó el martes por reconstruir el muelle.", "es"),
        ("Le conseil du port a voté mardi la reconstruction de la jetée.", "fr"),
        ("港务局周二投票决定重建北码头。", "zh"),
    ],
)
def test_languages(text: str, code: str) -> None:
    assert identify(FastTextIdentifier(), text, None).code == code


def test_prepared_records_give_the_same_bytes(stage: IngestStage) -> None:
    records = [
        Record("news.raw", 0, offset, None, value, (), 1_795_500_000_000)
        for offset, value in enumerate((json.dumps({"text": TEXT}).encode(), b"{}", b"null"))
    ]
    prepared = [
        Record(r.topic, r.partition, r.offset, r.key, r.value, r.headers, r.timestamp_ms, pickle.loads(pickle.dumps(p)))
        for r, p in ((record, stage.prepare(record)) for record in records)
    ]
    outcomes = stage.process(records)
    assert stage.process(prepared) == outcomes
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Reject)] == ["no_content", "not_an_object"]


def test_the_version_follows_the_language_model(stage: IngestStage) -> None:
    other = IngestStage(Known(("en", 1.0)))
    assert stage.version.split("+")[0] == other.version.split("+")[0]
    assert stage.version != other.version


def test_the_package_loads_the_stage(stage: IngestStage) -> None:
    assert ingest.load().version == stage.version


# ---- where things were read ------------------------------------------------------------------------------------------

TOLD = "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March."
MORE = (
    "Fishermen had asked for a longer breakwater instead, since boats still lie open to the swell from the east. "
    "The board promised to look at their plan again in autumn, once the money for the year is known."
)
SUMMED_UP = "A storm tore the old one away, and nobody asked the fishermen about the new one"


def test_a_text_says_where_each_field_was_read(article: Callable[..., dict[str, Any]]) -> None:
    body = f"{TOLD} Work begins in spring and will take two years.\n\n{MORE}"
    text = f"Port Ellery rebuilds its north pier\n\n{SUMMED_UP}\n\nBy Ada Green\n\n{body}"
    found = article(text=text, url="https://www.ellery.example/pier?utm_source=x")
    assert found["provenance"] == {
        "headline": "text", "standfirst": "text", "authors": "text",
        "url": "field", "source": "url", "language": "model",
    }  # fmt: skip
    assert found["standfirst"] == SUMMED_UP
    assert found["body"].startswith(f"{SUMMED_UP}\n\n{TOLD}")


def test_given_fields_are_told_from_found_ones(article: Callable[..., dict[str, Any]]) -> None:
    found = article(
        text=f"{TOLD}\n\n{TOLD.replace('north', 'east')}", title="A pier", authors=["Ada Green"], source="Gazette"
    )
    assert found["provenance"] == {
        "headline": "field", "authors": "field", "source": "field", "language": "model",
    }  # fmt: skip
    assert "standfirst" not in found


def test_a_declared_language_that_is_believed_says_so(article: Callable[..., dict[str, Any]]) -> None:
    found = article(text="Xq zzw 17 4 // 8812 qqv — 3", title="Xq zzw", language="de-AT")
    assert (found["language"], found["provenance"]["language"]) == ("de", "field")


def test_a_page_that_describes_itself_with_its_first_paragraph_has_a_standfirst(
    article: Callable[..., dict[str, Any]],
) -> None:
    body = "".join(f"<p>{TOLD.replace('north', side)}</p>" for side in ("north", "east", "south", "west"))
    page = (
        "<html><head><meta property='og:title' content='Port Ellery rebuilds its pier'>"
        f"<meta name='description' content='{SUMMED_UP}.'><link rel='canonical' href='https://ellery.example/pier'>"
        f"</head><body><article><h1>Port Ellery rebuilds its pier</h1><p>{SUMMED_UP}.</p>{body}</article></body></html>"
    )
    found = article(html=page, url="https://ellery.example/pier?id=9")
    assert found["standfirst"] == f"{SUMMED_UP}."
    assert found["provenance"] == {
        "headline": "meta", "standfirst": "meta", "url": "html", "source": "url", "language": "model",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("www.ELLERY.example", "ellery.example"),
        ("Ellery.Example:8080", "ellery.example"),
        ("ellery.example/news/", "ellery.example"),
        ("möwenhafen.example", "xn--mwenhafen-07a.example"),
        ("xn--mwenhafen-07a.example", "xn--mwenhafen-07a.example"),
        ("Ellery/Alder", "Ellery/Alder"),
        ("None", "unknown"),
        (" null ", "unknown"),
        ("N/A", "unknown"),
    ],
)
def test_sources_are_named_as_urls_have_them_and_nothing_is_no_name(article: Make, given: str, source: str) -> None:
    found = article(text=TEXT, source=given)
    assert (found["source"], found.get("extra")) == (source, None)


@pytest.mark.parametrize(
    ("given", "authors"),
    [
        ("Written by Ada Green", ["Ada Green"]),
        ("Ada Green\nTom Lake", ["Ada Green", "Tom Lake"]),
        (["Ada Green", "ADA GREEN", "Tom Lake"], ["Ada Green", "Tom Lake"]),
        ("ada@ellery.example (Ada Green)", ["Ada Green"]),
        (["None", "Ada Green"], ["Ada Green"]),
        ("null", None),
    ],
)
def test_authors_are_names_each_once(article: Make, given: Any, authors: list[str] | None) -> None:
    assert article(text=TEXT, authors=given).get("authors") == authors


def test_html_that_was_escaped_once_more_is_read(article: Make) -> None:
    first, second = TEXT.split("\n\n")
    escaped = f"&lt;p&gt;{first}&lt;/p&gt;&lt;p&gt;{second}&lt;/p&gt;"
    assert article(text=escaped, title="A pier")["body"] == TEXT
    assert article(html=escaped, title="A pier")["body"] == TEXT
    assert article(text=f"&lt;3 is a heart. {first}", title="A pier")["body"].startswith("<3 is a heart.")


def test_an_article_has_one_id_on_all_its_hosts_and_in_all_its_forms(article: Make) -> None:
    urls = [
        "https://www.ellery.example/pier",
        "https://m.ellery.example/pier",
        "https://amp.ellery.example/pier",
        "https://www.ellery.example/pier/amp?print=1",
        "https://www-ellery-example.cdn.ampproject.org/c/s/www.ellery.example/pier",
    ]
    found = [article(text=TEXT, url=url) for url in urls]
    assert len({one["id"] for one in found}) == 1
    assert [one["url"] for one in found] == [urls[0], urls[1], urls[2], urls[0], urls[0]]
    assert {one["source"] for one in found} == {"ellery.example"}


PAGE = """<!doctype html><html lang="en"><head><title>Pier</title>
<link rel="canonical" href="/pier">{head}</head>
<body><article><h1>Pier</h1><p>{first}</p><p>{second}</p></article></body>
</html>"""
JSON_LD = {
    "@type": "NewsArticle",
    "headline": "Pier",
    "datePublished": "2026-03-01T10:00:00Z",
    "dateModified": "2026-03-02T10:00:00+02:00",
    "articleSection": ["Harbour", "News"],
    "image": [{"@type": "ImageObject", "url": "/img/pier.jpg?s=0123456789abcdef0123456789abcdef&utm_x=1"}],
    "isAccessibleForFree": "False",
}
METAS = """<meta property="article:section" content="Sea"><meta property="og:image" content="https://img.example/sea.jpg">
<meta property="article:modified_time" content="2026-03-03T10:00:00Z">
<meta property="article:content_tier" content="free">"""


def page(head: str) -> str:
    first, second = TEXT.split("\n\n")
    return PAGE.format(head=head, first=first, second=second)


def test_what_a_page_says_of_itself_is_kept_with_where_it_says_so(article: Make) -> None:
    url = "https://ellery.example/pier?session=1"
    script = f'<script type="application/ld+json">{json.dumps(JSON_LD)}</script>'
    found = article(html=page(script + METAS), url=url)
    assert found["extra"] == {
        "section": "Harbour",
        "modified_at": "2026-03-02T10:00:00+02:00",
        "image": "https://ellery.example/img/pier.jpg?s=0123456789abcdef0123456789abcdef&utm_x=1",
        "is_accessible_for_free": False,
    }
    assert {found["provenance"][name] for name in found["extra"]} == {"json-ld"}
    # A canonical link may leave out what the page's address has.
    assert (found["url"], found["provenance"]["url"]) == ("https://ellery.example/pier", "html")

    found = article(html=page(METAS), url=url, section="Boats")
    assert found["extra"] == {
        "section": "Boats",
        "modified_at": "2026-03-03T10:00:00Z",
        "image": "https://img.example/sea.jpg",
        "is_accessible_for_free": True,
    }
    assert found["provenance"]["image"] == "meta"
    assert "section" not in found["provenance"]


@pytest.mark.parametrize(
    "script",
    [
        {"dateModified": "2031-01-01", "image": "javascript:alert(1)", "isAccessibleForFree": "maybe"},
        {"dateModified": 7, "image": [], "articleSection": [], "isAccessibleForFree": None},
        {"image": {"url": ["x"]}, "articleSection": {"name": "x"}},
        {"image": [[["https://ellery.example/x.jpg"]]], "articleSection": [7]},
        {"image": "http://[::1"},
    ],
)
def test_what_a_page_says_and_nobody_can_use_is_left(article: Make, script: dict[str, Any]) -> None:
    found = article(html=page(f'<script type="application/ld+json">{json.dumps(JSON_LD_BARE | script)}</script>'))
    assert "extra" not in found
    assert found["body"] == TEXT


JSON_LD_BARE = {"@type": "NewsArticle", "headline": "Pier"}
