"""Odd, broken and hostile raw documents, and what must become of each: `article` or a reason code of ingest.

Every engine must take all of them without dying; so the table is shared. `value` is bytes, or a function that makes
them where they are large.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from schemas.headers import Headers


class Case(NamedTuple):
    """One raw document. `expected` is `article` or the reason of the rejection."""

    name: str
    value: bytes | Callable[[], bytes] | None
    headers: Headers
    expected: str

    def read(self) -> bytes | None:
        """Return the bytes, made now if need be."""
        return self.value() if callable(self.value) else self.value


TEXT: Headers = (("content-type", b"text/plain"), ("locator", b"harbour.txt"))
HTML: Headers = (("content-type", b"text/html"), ("locator", b"harbour.html"))

PROSE = (
    "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March. "
    "Work begins in spring and will take two years, the engineers said."
)
MORE = (
    "Fishermen had asked for a longer breakwater instead, since boats still lie open to the swell from the east. "
    "The board promised to look at their plan again in autumn."
)
PAGE = f"<html><head><title>North pier</title></head><body><article><p>{PROSE}</p><p>{MORE}</p></article></body></html>"

BAD_JSON_LD = '<script type="application/ld+json">' + '"@type": [' * 100_000 + "</script>"


def _document(**fields: Any) -> bytes:
    return json.dumps({"title": "Port Ellery rebuilds its pier", "text": PROSE, **fields}, ensure_ascii=False).encode()


def _attributes(count: int, form: str) -> str:
    return " ".join(form.format(number) for number in range(count))


def _page(body: str) -> bytes:
    return f"<html><body>{body}</body></html>".encode()


CASES: tuple[Case, ...] = (
    # -- nothing there
    Case("no value", None, (), "empty_value"),
    Case("empty value", b"", (), "empty_value"),
    Case("white space", b" \r\n\t ", (), "empty_value"),
    Case("white space as text", b"\n\n\n", TEXT, "empty_value"),
    Case("only a byte order mark", b"\xef\xbb\xbf", TEXT, "no_article_text"),
    Case("empty object", b"{}", (), "no_content"),
    Case("neither html nor text", b'{"title": "Pier", "url": "https://ellery.example/pier"}', (), "no_content"),
    Case("null text", b'{"text": null}', (), "no_content"),
    Case("null text and html", b'{"text": null, "html": null}', (), "no_content"),
    Case("blank text", b'{"text": " \\n "}', (), "no_content"),
    Case("empty list of paragraphs", b'{"text": []}', (), "no_content"),
    Case("no-break spaces only", _document(text="\u00a0\u2003\u3000"), (), "no_content"),
    Case("invisible characters only", _document(text="\u200b\ufeff\u00ad"), (), "no_article_text"),
    Case("punctuation only", _document(text="... --- !!!"), (), "no_article_text"),
    Case("only furniture", _document(text="Advertisement\n\nShare this article\n\nRead more"), (), "no_article_text"),
    # -- not one JSON object
    Case("truncated object", _document()[:-20], (), "bad_json"),
    Case("truncated in an escape", b'{"text": "abc\\u12', (), "bad_json"),
    Case("two objects", b'{"text": "a"}\n{"text": "b"}', (), "bad_json"),
    Case("single quotes", b"{'text': 'The pier'}", (), "bad_json"),
    Case("plain text called JSON", PROSE.encode(), (), "bad_json"),
    Case("html called JSON", PAGE.encode(), (), "bad_json"),
    Case("trailing comma", b'{"text": "The pier is closed.",}', (), "bad_json"),
    Case("null", b"null", (), "not_an_object"),
    Case("true", b"true", (), "not_an_object"),
    Case("number", b"42", (), "not_an_object"),
    Case("string", b'"The pier is closed."', (), "not_an_object"),
    Case("array", b'[{"text": "The pier is closed."}]', (), "not_an_object"),
    Case("NaN alone", b"NaN", (), "not_an_object"),
    # -- nesting and size
    Case("64 levels", _document(tree=json.loads("[" * 63 + "]" * 63)), (), "article"),
    Case("65 levels", _document(tree=json.loads("[" * 64 + "]" * 64)), (), "too_deep"),
    Case("100,000 open brackets", lambda: b"[" * 100_000, (), "too_deep"),
    Case("100,000 open objects", lambda: b'{"a":' * 100_000, (), "too_deep"),
    Case("deep and not quite JSON", lambda: b'{"text": "a", "x": NaN, "y": ' + b"[" * 5_000, (), "too_deep"),
    Case("brackets in a string are no nesting", _document(text=PROSE + "[" * 5_000), (), "article"),
    Case("50 MB body", lambda: b'{"text": "' + b"pier " * 10_000_000 + b'"}', (), "too_large"),
    Case("50 MB of text", lambda: b"pier " * 10_000_000, TEXT, "too_large"),
    Case("body of 1.2 million characters", lambda: b"The pier. " * 120_000, TEXT, "too_large"),
    Case("body of 900,000 characters", lambda: b"The pier. " * 90_000, TEXT, "article"),
    Case("10^6 tiny paragraphs", lambda: b"a\n\n" * 1_000_000, TEXT, "too_many_lines"),
    Case("10^6 tiny paragraphs in HTML", lambda: _page("<p>a</p>" * 1_000_000), HTML, "html_too_complex"),
    Case("huge extra", lambda: _document(blob="x" * 300_000), (), "extra_too_large"),
    Case("500,000 unknown fields", lambda: _document(**{f"k{n}": n for n in range(300_000)}), (), "extra_too_large"),
    Case("huge unreadable date", lambda: _document(published_at="1" * 300_000), (), "extra_too_large"),
    Case("100,000 authors", lambda: _document(authors=[f"Ada Green {n}" for n in range(100_000)]), (), "article"),
    Case("title of 1 MB", lambda: _document(title="Pier " * 200_000), (), "article"),
    Case("400,000 accents on one letter", lambda: b"a" + ("\u0301\u0316" * 200_000).encode(), TEXT, "article"),
    # -- fields of the wrong type
    Case("text a number", b'{"text": 12}', (), "bad_field"),
    Case("text a boolean", b'{"text": false}', (), "bad_field"),
    Case("text an object", b'{"text": {"a": "b"}}', (), "bad_field"),
    Case("text a list of paragraphs", _document(text=[PROSE, MORE]), (), "article"),
    Case("text a list of numbers", b'{"text": [1, 2]}', (), "bad_field"),
    Case("html a list", b'{"html": ["<p>a</p>"]}', (), "bad_field"),
    Case("title a number", _document(title=7), (), "bad_field"),
    Case("title a list", _document(title=["Pier"]), (), "bad_field"),
    Case("url a number", _document(url=7), (), "bad_field"),
    Case("url a list", _document(url=["https://ellery.example/"]), (), "bad_field"),
    Case("source a list", _document(source=["Ellery Post"]), (), "bad_field"),
    Case("source an object with a name", _document(source={"id": None, "name": "Ellery Post"}), (), "article"),
    Case("authors a text", _document(authors="Ada Green"), (), "article"),
    Case("authors objects", _document(authors=[{"name": "Ada Green"}, {"name": None}]), (), "article"),
    Case("authors a number", _document(authors=3), (), "bad_field"),
    Case("authors a list of lists", _document(authors=[["Ada"]]), (), "bad_field"),
    Case("authors with a null", _document(authors=["Ada Green", None]), (), "article"),
    Case("language a number", _document(language=1), (), "bad_field"),
    Case("everything else null", _document(url=None, source=None, authors=None, language=None), (), "article"),
    # -- dates never stop an article
    Case("date an object", _document(published_at={"$date": "2026-03-01"}), (), "article"),
    Case("date a list", _document(published_at=[2026, 3, 1]), (), "article"),
    Case("date a boolean", _document(published_at=True), (), "article"),
    Case("date in words", _document(published_at="last Tuesday"), (), "article"),
    Case("date of 1970", _document(published_at=0), (), "article"),
    Case("negative date", _document(published_at=-5_000_000_000), (), "article"),
    Case("date far ahead", _document(published_at="9999-12-31T23:59:59-12:00"), (), "article"),
    Case("date far back", _document(published_at="0001-01-01T00:00:00+14:00"), (), "article"),
    Case("date beyond the calendar", _document(published_at="+292278994-08-17T07:12:55Z"), (), "article"),
    Case("date of the 31st of February", _document(published_at="2026-02-31"), (), "article"),
    Case("date 1e400", b'{"text": "The pier is closed.", "published_at": 1e400}', (), "article"),
    Case("date 10^400", lambda: b'{"text": "The pier.", "published_at": 1' + b"0" * 400 + b"}", (), "article"),
    Case("NaN and Infinity", b'{"text": "The pier.", "published_at": NaN, "x": [Infinity, -Infinity]}', (), "article"),
    Case("integer beyond 64 bits", b'{"text": "The pier.", "n": 123456789012345678901234567890}', (), "article"),
    Case("integer of 5,000 digits", lambda: b'{"text": "The pier.", "n": ' + b"9" * 5_000 + b"}", (), "article"),
    Case("ingested-at no number", _document(), (("ingested-at", b"yesterday"),), "article"),
    Case("ingested-at beyond the calendar", _document(), (("ingested-at", b"9" * 20),), "article"),
    # -- characters and encodings
    Case("NUL bytes in text", f"The pier\x00\n\n{PROSE}\x00".encode(), TEXT, "article"),
    Case("NUL escapes in JSON", b'{"text": "The pier \\u0000 is closed."}', (), "article"),
    Case("raw control characters in JSON", b'{"text": "The pier\x01\nis closed."}', (), "article"),
    Case("lone high surrogate", b'{"text": "The pier \\ud800 is closed.", "x": "\\udc00"}', (), "article"),
    Case("surrogate as a name", b'{"text": "The pier is closed.", "\\ud800": 1}', (), "article"),
    Case("duplicate keys", b'{"text": "The old pier.", "text": "The new pier."}', (), "article"),
    Case("UTF-8 with a mark", b"\xef\xbb\xbf" + _document(), (), "article"),
    Case("UTF-16 with a mark", _document().decode().encode("utf-16"), (), "article"),
    Case("UTF-16 without a mark", PROSE.encode("utf-16-le"), TEXT, "article"),
    Case("UTF-32 with a mark", PROSE.encode("utf-32"), TEXT, "article"),
    Case("UTF-16 cut in the middle", PROSE.encode("utf-16")[:-1], TEXT, "bad_encoding"),
    Case("latin-1", "Der Kai von Möwenhafen wird größer.".encode("latin-1"), TEXT, "article"),
    Case("windows-1252 in JSON", '{"text": "The “north” pier – closed."}'.encode("cp1252"), (), "article"),
    Case("overlong UTF-8", b"The pier \xc0\xaf is closed again, the board said.", TEXT, "article"),
    Case("broken UTF-8", PROSE.encode() + b" \xe2\x82 and more", TEXT, "article"),
    Case("binary", lambda: bytes(n * 7919 >> 3 & 255 for n in range(20_000)), TEXT, "bad_encoding"),
    Case("charset unknown", PROSE.encode(), (("content-type", b"text/plain; charset=klingon"),), "article"),
    Case("charset of no text", b"caf\xe9 and pier", (("content-type", b"text/plain; charset=hex"),), "article"),
    Case("carriage returns", f"The pier\r\r{PROSE}\r\r{MORE}".encode(), TEXT, "article"),
    Case("CRLF", f"The pier\r\n\r\n{PROSE}\r\n".encode(), TEXT, "article"),
    Case("NEL", f"The pier\u0085\u0085{PROSE}".encode(), TEXT, "article"),
    Case("line and paragraph separators", f"The pier\u2028{PROSE}\u2029{MORE}".encode(), TEXT, "article"),
    Case("mojibake", "The harbour master’s café stays".encode().decode("cp1252").encode(), TEXT, "article"),
    Case("emoji with joiners", "Pier party 👩‍👩‍👧‍👦🏴󠁧󠁢󠁳󠁣󠁴󠁿 tonight ❤️".encode(), TEXT, "article"),
    Case("emoji alone", "🎉🎉🎉".encode(), TEXT, "no_article_text"),
    Case("right to left", "أعلن مجلس الميناء يوم الثلاثاء أنه سيعيد بناء الرصيف الشمالي.".encode(), TEXT, "article"),
    Case("Chinese", "港务局周二投票决定重建北码头。工程将于春季开始,历时两年。".encode(), TEXT, "article"),
    Case("private use and unassigned", "The pier \ue000 \U0010fffd \u0378 is closed.".encode(), TEXT, "article"),
    Case("bidi overrides", "The pier \u202eis\u202c closed.".encode(), TEXT, "article"),
    Case("entities", b"The pier &amp; the caf&eacute; &#x110000; are closed.", TEXT, "article"),
    # -- HTML
    Case("page", PAGE.encode(), HTML, "article"),
    Case("page in JSON", json.dumps({"html": PAGE}).encode(), (), "article"),
    Case("fragment in text", json.dumps({"text": f"<p>{PROSE}</p><p>{MORE}</p>"}).encode(), (), "article"),
    Case("html empty, text there", json.dumps({"html": "<html></html>", "text": PROSE}).encode(), (), "article"),
    Case("only a script", b"<html><script>var pier = 'closed';</script></html>", HTML, "no_article_text"),
    Case("html null, text there", json.dumps({"html": None, "text": PROSE}).encode(), (), "article"),
    Case("no tags at all", PROSE.encode(), HTML, "article"),
    Case("100,000 nested elements", lambda: _page("<div>" * 100_000 + PROSE), HTML, "html_too_complex"),
    Case("300 nested elements", lambda: _page("<div>" * 300 + PROSE), HTML, "html_too_complex"),
    Case("300 nested elements, text there", lambda: _document(html="<div>" * 300 + PROSE), (), "article"),
    Case("8 MB attribute", lambda: _page(f'<p data-x="{"x" * 8_000_000}">{PROSE}</p>'), HTML, "article"),
    Case("100,000 attributes", lambda: _page(f"<p {_attributes(100_000, 'a{}=1')}>x"), HTML, "html_too_complex"),
    Case("hidden attributes", lambda: _page(f"<p ' {_attributes(50_000, 'a{}')} '>x"), HTML, "html_too_complex"),
    Case("unclosed comment", b"<html><body><p>The pier<!-- is closed", HTML, "article"),
    Case("another encoding", '<meta charset="iso-8859-1"><p>Größerer Kai</p>'.encode("latin-1"), HTML, "article"),
    Case("NUL in a page", PAGE.replace("Tuesday", "Tues\x00day").encode(), HTML, "article"),
    Case("JSON-LD that is none", lambda: _page(BAD_JSON_LD + f"<p>{PROSE}</p>"), HTML, "article"),
    Case("XML declaration", b'<?xml version="1.0" encoding="utf-16"?>' + PAGE.encode(), HTML, "article"),
    # -- content types
    Case("type with parameters", _document(), (("content-type", b"Application/JSON; charset=utf-8"),), "article"),
    Case("content type of a picture", b"\x89PNG\r\n", (("content-type", b"image/png"),), "bad_content_type"),
    Case("content type not ASCII", _document(), (("content-type", b"\xff\xfe"),), "bad_content_type"),
    # -- URLs never stop an article
    *(
        Case(f"url {name}", _document(url=url), (), "article")
        for name, url in (
            ("javascript", "javascript:alert(1)"),
            ("data", "data:text/html,<p>a</p>"),
            ("relative", "/news/pier"),
            ("empty", ""),
            ("IPv6", "http://[2001:db8::1]:8080/pier"),
            ("broken IPv6", "http://[::1/pier"),
            ("bad port", "https://ellery.example:port/pier"),
            ("credentials", "https://ada:secret@ellery.example/pier"),
            ("credentials without a host", "https://ada:secret@/pier"),
            ("spaces", " https://ellery.example/north pier "),
            ("10 kB", "https://ellery.example/" + "x" * 10_000),
            ("international", "https://möwenhafen.example/größe"),
            ("only a scheme", "https://"),
            ("control characters", "https://ellery.example/\x00\npier"),
        )
    ),
)  # fmt: skip
