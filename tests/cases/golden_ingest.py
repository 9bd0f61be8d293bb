"""Documents whose articles are on record, so that output can't change without a new version of ingest.

`python -m tests.cases.golden_ingest` writes the record anew; do that after raising `VERSION` in
workers/ingest/stage.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from schemas.headers import Headers
from workers.ingest import IngestStage
from workers.stage import Record, Reject

GOLDEN = Path(__file__).with_name("golden_ingest.json")

_INGESTED: tuple[str, bytes] = ("ingested-at", b"1795500000000")

_BARE_TEXT = """Port Ellery rebuilds its north pier

By Ada Green

“We lost eleven boats in one night, and nobody in the capital so much as wrote us a letter.”

ad-image

PORT ELLERY, March 3 — The harbour board voted on Tuesday to rebuild the north pier, which a storm tore away in \
winter. Work begins in spring and will take two years.

Image: Title: north pier

“We lost eleven boats in one night, and nobody in the capital so much as wrote us a letter,” said Ines Marlow, who has \
fished from here since she was twelve.

Read more: Gulls close school for a third day

The board promised to look at the fishermen’s own plan again in autumn, once the money for the year is known.

Sign up for the Ellery Post’s free morning newsletter

Most read

Mayor resigns over ferry

The ferry had not sailed since spring, and the...

Gulls close school for a third day

Teachers of the lower classes said they...
"""

_PAGE = """<!doctype html><html lang="de"><head><title>Möwenhafen bekommt neuen Kai - Möwenhafener Bote</title>
<meta property="og:site_name" content="Möwenhafener Bote"><link rel="canonical" href="https://bote.example/kai-neu">
<script type="application/ld+json">{"@type": "NewsArticle", "headline": "Möwenhafen bekommt neuen Kai",
"datePublished": "2026-03-03T09:15:00+01:00", "author": {"name": "Jule Sommerfeld"}}</script></head><body>
<nav><a href="/">Start</a><a href="/sport">Sport</a></nav><article><h1>Möwenhafen bekommt neuen Kai</h1>
<p>Der Hafenrat von Möwenhafen hat am Dienstag beschlossen, den Nordkai neu zu bauen, den ein Sturm im Winter zerstört
hatte. Die Arbeiten beginnen im Frühjahr und dauern zwei Jahre.</p><p>Anzeige</p>
<p>Die Fischer hatten sich eine längere Mole gewünscht, weil ihre Boote bei Ostwind noch immer ungeschützt liegen. Der
Rat will ihren Plan im Herbst noch einmal prüfen.</p><p>Lesen Sie auch: Möwen schließen Schule</p></article>
<footer>© 2026 Möwenhafener Bote. Alle Rechte vorbehalten.</footer></body></html>"""

_DOCUMENTS: dict[str, tuple[bytes, Headers]] = {
    "bare text": (_BARE_TEXT.encode(), (("content-type", b"text/plain"), ("locator", b"pier.txt"), _INGESTED)),
    "page in JSON": (
        json.dumps({"url": "https://www.bote.example/kai?utm_source=rss", "html": _PAGE}, ensure_ascii=False).encode(),
        (_INGESTED,),
    ),
    "JSON with aliases, mojibake and odd fields": (
        json.dumps(
            {
                "link": "http://Ellery.example:80/2026/03/03/gulls?id=7&fbclid=x",
                "site": "Ellery Post",
                "headline": "Gulls close school for a third day",
                "body": "The teachersâ€™ cafÃ© was shut, too.\r\n\r\nShare this article\r\n\r\n"
                "“They have taken the roof,” "
                "said the head, “and we have asked them twice for it.”",
                "pubDate": "Tue, 03 Mar 2026 08:30:00 -0500",
                "crawled_at": 1772600000,
                "author": "By Ada Green and Ines Marlow",
                "section": "Local",
                "lang": "en-GB",
            },
            ensure_ascii=False,
        ).encode(),
        (_INGESTED,),
    ),
    "Chinese": (
        json.dumps(
            {
                "source": "埃勒里晚报",
                "text": "港务局决定重建北码头\n\n港务局周二投票决定重建被风暴摧毁的北码头。"
                "工程将于春季开始，历时两年。",
            }
        ).encode(),
        (_INGESTED,),
    ),
    "refused": (b'{"title": "Nothing to say"}', (_INGESTED,)),
}  # fmt: skip


def outcomes(stage: IngestStage) -> dict[str, Any]:
    """Return what becomes of each document: the article without its version, or the reason of its rejection."""
    found: dict[str, Any] = {}
    for name, (value, headers) in _DOCUMENTS.items():
        (outcome,) = stage.process([Record("news.raw", 0, 0, None, value, headers)])
        if isinstance(outcome, Reject):
            found[name] = outcome.reason
        else:
            found[name] = json.loads(outcome.messages[0].value)
            del found[name]["processing"]
    return found


if __name__ == "__main__":
    stage = IngestStage.load()
    record = {"version": stage.version, "outcomes": outcomes(stage)}
    GOLDEN.write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
