from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.ingest.urls import (
    canonical_url,
    is_domain,
    is_public_suffix,
    is_site_root,
    registrable_domain,
    same_page,
    without_credentials,
)

PIECES = [
    "www.google.com", "a.cdn.ampproject.org", "/", "/amp", "/amp/s/", "/c/s/", "/s/", "ellery.example", "m.", "amp.",
    ".amp.html", "?", "&", "print=1", "amp=1", "sid=0123456789abcdef0123456789abcdef", ";jsessionid=1", "/..", "/.",
    "%61mp", "%2Famp", "x", "(S(lit3py55t21z5v55vlm25s55))/", ":443", "#", "//",
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("https://ellery.example/pier", "https://ellery.example/pier"),
        ("HTTPS://WWW.Ellery.Example:443", "https://www.ellery.example/"),
        ("http://ellery.example:80/pier#comments", "http://ellery.example/pier"),
        ("http://ellery.example:8080/pier", "http://ellery.example:8080/pier"),
        ("https://ada:secret@ellery.example/pier", "https://ellery.example/pier"),
        ("https://ellery.example/pier?utm_source=x&fbclid=1&gclid=2&ga_x=3", "https://ellery.example/pier"),
        ("https://ellery.example/?b=2&a=1&b=1", "https://ellery.example/?a=1&b=2&b=1"),
        ("https://ellery.example/?cid=7&eid=8&source=9&uid=1", "https://ellery.example/?cid=7&eid=8&source=9&uid=1"),
        ("https://ellery.example/pier;jsessionid=AB12?id=1", "https://ellery.example/pier?id=1"),
        ("https://ellery.example/pier;PHPSESSID=1", "https://ellery.example/pier"),
        ("https://ellery.example/(S(lit3py55t21z5v55vlm25s55))/pier.aspx", "https://ellery.example/pier.aspx"),
        ("https://ellery.example/pier?sid=0123456789abcdef0123456789abcdef", "https://ellery.example/pier"),
        (
            "https://ellery.example/pier?sid=4711&s=0123456789abcdef0123456789abcdef",
            "https://ellery.example/pier?s=0123456789abcdef0123456789abcdef&sid=4711",
        ),
        ("https://ellery.example/pier?CFID=1&CFTOKEN=2&session_id=3&sessid=4", "https://ellery.example/pier"),
        ("https://ellery.example/pier?ref_src=x&__twitter_impression=true&ref=a", "https://ellery.example/pier?ref=a"),
        ("https://ellery.example/pier/amp", "https://ellery.example/pier"),
        ("https://ellery.example/pier/amp/", "https://ellery.example/pier/"),
        ("https://ellery.example/pier/AMP/amp?amp", "https://ellery.example/pier"),
        ("https://ellery.example/pier.amp.html", "https://ellery.example/pier.html"),
        ("https://ellery.example/pier?amp=1&id=2&outputType=amp", "https://ellery.example/pier?id=2"),
        ("https://ellery.example/pier?print=true&view=print", "https://ellery.example/pier"),
        ("https://ellery.example/pier?print=2&view=full", "https://ellery.example/pier?print=2&view=full"),
        ("https://ellery.example/amp", "https://ellery.example/amp"),
        ("https://ellery.example/amp/pier", "https://ellery.example/amp/pier"),
        ("https://ellery.example/pier/amplifier", "https://ellery.example/pier/amplifier"),
        (
            "https://ellery-example.cdn.ampproject.org/c/s/ellery.example/pier/amp?id=1",
            "https://ellery.example/pier?id=1",
        ),
        ("https://ellery-example.cdn.ampproject.org/v/ellery.example/pier?amp_js_v=0.1", "http://ellery.example/pier"),
        ("https://www.google.co.uk/amp/s/www.ellery.example/pier", "https://www.ellery.example/pier"),
        ("https://www.google.com/amp/s/www.google.com/amp/s/ellery.example/pier", "https://ellery.example/pier"),
        ("https://www.google.com/amp/", "https://www.google.com/amp/"),
        ("https://news.google.com/amp/s/ellery.example/pier", "https://news.google.com/amp/s/ellery.example/pier"),
        ("https://ellery.example/a/./b/../c", "https://ellery.example/a/c"),
        ("https://ellery.example/../../a/..", "https://ellery.example/"),
        ("https://ellery.example/gr%c3%b6%7ee%2Fx", "https://ellery.example/gr%C3%B6~e%2Fx"),
        ("https://ellery.example/größe", "https://ellery.example/gr%C3%B6%C3%9Fe"),
        ("https://ellery.example/100%", "https://ellery.example/100%25"),
        (" https://ellery.example/north pier\n", "https://ellery.example/north%20pier"),
        ("https://möwenhafen.example/", "https://xn--mwenhafen-07a.example/"),
        ("http://[2001:DB8:0:0::1]:80/pier", "http://[2001:db8::1]/pier"),
        ("https://ellery.example./pier", "https://ellery.example/pier"),
    ],
)
def test_canonical_form(raw: str, expected: str) -> None:
    assert canonical_url(raw) == expected
    assert canonical_url(expected) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "", "pier", "/pier", "//ellery.example/pier", "javascript:alert(1)", "data:text/html,a", "ftp://ellery.example/",
        "mailto:ada@ellery.example", "https://", "https:///pier", "http://[::1/", "https://ellery.example:port/",
        "https://ellery.example:99999/", "https://el lery.example/", "https://ellery.example/" + "x" * 3_000,
        "x" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_url(raw: str) -> None:
    assert canonical_url(raw) is None


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://news.bbc.co.uk/a", "bbc.co.uk"),
        ("www.ellery.com", "ellery.com"),
        ("https://ada.blogspot.com/", "ada.blogspot.com"),
        ("https://news.ellery.example/", "ellery.example"),
        ("https://blogspot.com/", "blogspot.com"),
        ("https://192.0.2.7/", "192.0.2.7"),
        ("https://[2001:db8::1]/", "2001:db8::1"),
        ("http://localhost:8080/", "localhost"),
        ("http://[::1", None),
    ],
)
def test_registrable_domain(url: str, domain: str | None) -> None:
    assert registrable_domain(url) == domain


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://m.ellery.example/pier?id=1", "https://www.ellery.example/pier?id=1"),
        ("http://mobile.ellery.co.uk/", "http://www.ellery.co.uk/"),
        ("https://amp.ellery.example/pier", "https://www.ellery.example/pier"),
        ("https://www.ellery.example/m.html", "https://www.ellery.example/m.html"),
        ("https://ellery.example/pier", "https://ellery.example/pier"),
        ("https://m.example/pier", "https://m.example/pier"),
        ("https://m.co.uk/pier", "https://m.co.uk/pier"),
        ("https://film.ellery.example/pier", "https://film.ellery.example/pier"),
    ],
)
def test_hosts_for_telephones_stand_for_the_page(url: str, page: str) -> None:
    assert same_page(url) == page


def test_caches_in_caches_without_end_are_not_gone_into_for_long() -> None:
    assert canonical_url("https://www.google.com" + "/amp/s/www.google.com" * 350 + "/amp/s/ellery.example/x") == (
        "https://ellery.example/x"
    )
    assert canonical_url("https://ellery.example/x" + "/amp" * 1_900) == "https://ellery.example/x"


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_canonical_form_of_a_canonical_form_is_itself(rest: str) -> None:
    url = canonical_url(f"https://{rest}")
    assert url is None or canonical_url(url) == url
    assert url is None or same_page(same_page(url)) == same_page(url)


def test_small_questions() -> None:
    assert is_public_suffix("co.uk")
    assert not is_public_suffix("blogspot.com")
    assert not is_public_suffix("ellery.co.uk")
    assert is_domain("xn--e1afmkfd.xn--p1ai")
    assert is_site_root("https://ellery.example/")
    assert not is_site_root("https://ellery.example/?p=1")
    assert is_domain("www.Ellery-Post.co.uk")
    assert not is_domain("Ellery Post")
    assert not is_domain("localhost")
    assert without_credentials("ftp://ada:secret@ellery.example/a@b") == "ftp://ellery.example/a@b"
