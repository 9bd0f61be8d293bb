from __future__ import annotations

import pytest

from workers.ingest.urls import canonical_url, is_domain, is_site_root, registrable_domain, without_credentials


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


def test_small_questions() -> None:
    assert is_site_root("https://ellery.example/")
    assert not is_site_root("https://ellery.example/?p=1")
    assert is_domain("www.Ellery-Post.co.uk")
    assert not is_domain("Ellery Post")
    assert not is_domain("localhost")
    assert without_credentials("ftp://ada:secret@ellery.example/a@b") == "ftp://ellery.example/a@b"
