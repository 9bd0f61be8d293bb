"""RSS and Atom files: which documents come out of them."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsmill.feed import Document, FileSource, Position, expand, webfeed
from workers import pipeline
from workers.stage import Emit, Record

LONG = "The ferry to Port Alder was late on Monday because of a storm, the harbour master said. " * 6

RSS = f"""<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
     xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>Ellery Gazette</title><link>https://ellery.example/</link><language>en-gb</language>
<item>
  <title>Ferry &amp; storm</title><link>https://ellery.example/ferry</link><guid>tag:1</guid>
  <description>Short.</description><content:encoded><![CDATA[<p>{LONG}</p><script>x()</script>]]></content:encoded>
  <dc:creator>Nora Blythe</dc:creator><pubDate>Mon, 02 Nov 2026 08:15:00 GMT</pubDate>
  <category>Transport</category><category>Weather</category>
</item>
<item><title>Only a title</title><link>https://ellery.example/title</link></item>
<item><description>Only a description</description></item>
</channel></rss>"""

ATOM = f"""<?xml version="1.0" encoding="iso-8859-1"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de" xml:base="https://nordhafen.example/">
<title>Nordhafen</title><id>urn:x</id><updated>2026-11-02T08:00:00Z</updated>
<entry><title type="html">Fähre &lt;b&gt;spät&lt;/b&gt;</title><link href="faehre"/><id>urn:1</id>
  <updated>2026-11-02T09:00:00+01:00</updated><author><name>Jörg Ahrens</name></author><author><name>B</name></author>
  <summary>Kurz.</summary><content type="text">{LONG}</content></entry>
</feed>"""


def documents(path: Path, data: bytes | str | None = None) -> list[Document]:
    if data is not None:
        data = data.encode() if isinstance(data, str) else data
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return list(FileSource(expand([str(path)]), ingested_ms=1_800_000_000_000))


@pytest.mark.parametrize("name", ["a.rss", "a.xml", "a.rss.gz", "a.unknown"])
def test_entries_of_rss_are_documents(tmp_path: Path, name: str) -> None:
    found = documents(tmp_path / name, RSS)
    assert json.loads(found[0].value) == {
        "url": "https://ellery.example/ferry",
        "title": "Ferry & storm",
        "html": f"<p>{LONG}</p><script>x()</script>",
        "published_at": "Mon, 02 Nov 2026 08:15:00 GMT",
        "authors": ["Nora Blythe"],
        "language": "en-gb",
        "guid": "tag:1",
        "tags": ["Transport", "Weather"],
        "feed_title": "Ellery Gazette",
    }
    assert json.loads(found[1].value)["title"] == "Only a title"
    assert json.loads(found[2].value)["html"] == "Only a description"
    assert [d.origin for d in found] == [f"{tmp_path / name}:{n}" for n in (1, 2, 3)]
    assert [d.key for d in found] == [b"ellery.example", b"ellery.example", b"unknown"]
    assert [d.position.done for d in found] == [False, False, True]


def test_entries_of_atom_are_documents_in_its_own_encoding(tmp_path: Path) -> None:
    (document,) = documents(tmp_path / "a.atom", ATOM.encode("latin-1"))
    assert json.loads(document.value) == {
        "url": "https://nordhafen.example/faehre",
        "title": "Fähre <b>spät</b>",
        "text": LONG.strip(),
        "published_at": "2026-11-02T09:00:00+01:00",
        "authors": ["Jörg Ahrens", "B"],
        "language": "de",
        "guid": "urn:1",
        "feed_title": "Nordhafen",
    }


def test_what_a_feed_has_in_full_becomes_an_article(tmp_path: Path) -> None:
    found = documents(tmp_path / "a.rss", RSS)
    (outcome,) = pipeline.load("ingest").process(
        [Record("news.raw", 0, 0, found[0].key, found[0].value, found[0].headers)]
    )
    assert isinstance(outcome, Emit)
    article = json.loads(outcome.messages[0].value)
    assert article["headline"] == "Ferry & storm"
    assert article["body"] == LONG.strip()
    assert article["published"]["at"] == "2026-11-02T08:15:00Z"
    assert article["authors"] == ["Nora Blythe"]
    assert article["extra"]["guid"] == "tag:1"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("<urlset><url><loc>https://ellery.example/</loc></url></urlset>", "no RSS or Atom"),
        ("<html><p>x</p></html>", "no RSS or Atom"),
        ("nothing at all", "no RSS or Atom"),
        (b"\x00\xff\xfe" * 50, "no RSS or Atom"),
        ("<rss>" + "x" * 1_000, "a feed of more than"),
    ],
)
def test_what_is_no_feed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str | bytes, problem: str
) -> None:
    if "more than" in problem:
        monkeypatch.setattr(webfeed, "MAX_FEED_BYTES", 500)
    (document,) = documents(tmp_path / "a.xml", data)
    assert document.problem.startswith(problem)
    assert document.refused


def test_nothing_that_a_feed_names_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of this machine")
    entity = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "file://{secret}">]>'
    bomb = '<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    for head, name in ((entity, "x"), (bomb + "]>", "j")):
        body = f"<rss version='2.0'><channel><item><title>T &{name}; T</title></item></channel></rss>"
        for document in documents(tmp_path / "a.rss", head + body):
            assert b"secret" not in document.value
            assert len(document.value) < 1_000
    (only,) = documents(tmp_path / "b.rss", str(secret))
    assert b"of this machine" not in only.value


def test_a_feed_that_is_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    found = documents(tmp_path / "a.rss", RSS[: RSS.index("Only a title")])
    assert json.loads(found[0].value)["url"] == "https://ellery.example/ferry"


def test_a_feed_without_entries_gives_nothing(tmp_path: Path) -> None:
    assert documents(tmp_path / "a.rss", "<rss version='2.0'><channel><title>x</title></channel></rss>") == []
    assert documents(tmp_path / "a.rss", " \n") == []


def test_reading_goes_on_behind_any_entry(tmp_path: Path) -> None:
    path = tmp_path / "a.rss"
    found = documents(path, RSS)
    for index, document in enumerate(found):
        position = Position.load(json.loads(json.dumps(document.position.dump())))
        again = FileSource(expand([str(path)]), ingested_ms=1, refuse_changed=True).read({str(path): position})
        assert [d.value for d in again] == [d.value for d in found[index + 1 :]]


def test_standard_input_is_known_as_a_feed(tmp_path: Path) -> None:
    for data in (
        RSS.encode(),
        ATOM.encode("latin-1"),
        b"<!-- x -->\n<feed xmlns='http://www.w3.org/2005/Atom'></feed>",
    ):
        source = FileSource(expand(["-"]), ingested_ms=1, stdin=io.BufferedReader(io.BytesIO(data)))
        assert all(json.loads(document.value) for document in source)
    page = io.BufferedReader(io.BytesIO(b"<?xml version='1.0'?><!DOCTYPE html><html><p>feed</p></html>"))
    (document,) = FileSource(expand(["-"]), ingested_ms=1, stdin=page)
    assert document.value.endswith(b"</html>")
    assert not document.problem


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([RSS.encode(), ATOM.encode("latin-1")]), st.data())
def test_any_damage_is_survived(whole: bytes, data: Any) -> None:
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 60))] = data.draw(st.binary(max_size=30))
    for piece in webfeed.entries(io.BufferedReader(io.BytesIO(bytes(content)))):
        assert piece.problem or isinstance(json.loads(piece.value), dict)
