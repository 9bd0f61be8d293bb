"""URLs: one form for each page, and the site that it belongs to.

Own rules rather than courlan's: those drop parameters such as `cid`, `eid`, `uid` and `source`, by which some sites
tell their articles apart, and so would give different articles one id.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

import tldextract

MAX_URL_CHARS: Final = 2_000
"""Longest canonical URL. Longer ones carry sessions or whole documents, and no browser shares them."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_TRACKING: Final = re.compile(
    r"(?:utm|mtm|pk|piwik|matomo|itm|hsa|oly|vero|mc|ga|at)_[a-z_]+"
    r"|fbclid|gclid|gclsrc|dclid|wbraid|gbraid|msclkid|yclid|ysclid|twclid|ttclid|igshid|igsh|li_fat_id|mkt_tok|_hsenc"
    r"|_hsmi|_ga|_gl|xtor|wt_mc|wtmc|ito|ns_campaign|ns_mchannel|ns_source|cmpid|ocid|smid|spm|s_cid|ftcamp|guccounter"
    r"|guce_referrer|guce_referrer_sig|jsessionid|phpsessid|sessionid|aspsessionid[a-z]*",
    re.IGNORECASE,
)
_SESSION_IN_PATH: Final = re.compile(r";jsessionid=[^/?;]*", re.IGNORECASE)
_USERINFO: Final = re.compile(r"//[^/?#\s]*@")
_DOMAIN: Final = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,63}\.?")
_UNSAFE_IN_HOST: Final = re.compile(r"[\s<>\"'\\^`{|}%@/?#\[\]:]")

_PATH_SAFE: Final = "/%:@!$&'()*+,;=~-._"
_QUERY_SAFE: Final = _PATH_SAFE + "?"
_PERCENT: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_BARE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

# What most URLs are: canonical as they come.
_CANONICAL: Final = re.compile(
    r"https?://(?=[a-z0-9.-]{1,253}/)(?:[a-z0-9-]+\.)+[a-z0-9-]+(?:/(?!\.)[A-Za-z0-9:@!$&'()*+,=~._-]*)+"
)

# The Public Suffix List that the package brings; never a download, never a cache on disk. Private suffixes count,
# since two blogs of one host are two sources.
_extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


def canonical_url(raw: str) -> str | None:
    """Return the canonical form of an absolute http or https URL, or None when `raw` is none.

    Scheme and host in lower case, the host in punycode, no credentials, no default port, no fragment, no tracking
    parameters, the others sorted by name, percent-encoding normalised (RFC 3986, section 6.2.2), dot segments resolved.

    >>> canonical_url("HTTPS://User:pw@Example.COM:443/a/../b?utm_source=x&id=7#top")
    'https://example.com/b?id=7'
    """
    if len(raw) <= MAX_URL_CHARS and _CANONICAL.fullmatch(raw):
        return raw
    if len(raw) > 4 * MAX_URL_CHARS:
        return None
    text = raw.strip()
    if not text.isprintable() or " " in text:
        # Spaces inside are a mistake that browsers mend; line breaks and controls they drop.
        text = "".join(character for character in text if character.isprintable()).replace(" ", "%20")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host:
        return None
    host = _host(host)
    if host is None:
        return None
    netloc = host if port is None or port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"
    path = _without_dots(_normalise(_SESSION_IN_PATH.sub("", parts.path), _PATH_SAFE)) or "/"
    url = f"{scheme}://{netloc}{path}"
    query = _query(parts)
    if query:
        url = f"{url}?{query}"
    return url if len(url) <= MAX_URL_CHARS else None


def without_credentials(raw: str) -> str:
    """Return `raw` without what stands between `//` and `@`: a password has no business in an article."""
    return _USERINFO.sub("//", raw)


def is_site_root(url: str) -> bool:
    """Return whether a canonical URL is a site's front page."""
    parts = urlsplit(url)
    return parts.path in ("", "/") and not parts.query


def registrable_domain(url_or_host: str) -> str | None:
    """Return the registrable domain of a URL or host (`bbc.co.uk` of `https://www.bbc.co.uk/news`), the host itself
    where it has none (an IP address, `localhost`), or None when there is no host."""
    if "//" in url_or_host:
        try:
            host = urlsplit(url_or_host).hostname
        except ValueError:
            return None
    else:
        host = url_or_host.strip().rstrip(".").lower()
    return _registrable(host) if host else None


def is_domain(name: str) -> bool:
    """Return whether `name` is written like a domain (`example.com`)."""
    return len(name) <= 253 and _DOMAIN.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _registrable(host: str) -> str:
    found = _extract(host)
    if found.domain and found.suffix:
        return f"{found.domain}.{found.suffix}"
    if found.suffix or host.startswith("[") or ":" in host or host.replace(".", "").isdigit():
        return host
    # Under a top-level domain that the list does not know, its rule is `*`: the last two labels.
    return ".".join(host.split(".")[-2:])


def _host(host: str) -> str | None:
    if ":" in host:  # urlsplit has taken the brackets off
        try:
            return f"[{ipaddress.IPv6Address(host.partition('%')[0]).compressed}]"
        except ValueError:
            return None
    host = host.rstrip(".")
    if not host or len(host) > 253 or _UNSAFE_IN_HOST.search(host):
        return None
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return None


def _query(parts: SplitResult) -> str:
    kept = []
    for pair in parts.query.replace("&amp;", "&").split("&"):
        name = pair.partition("=")[0]
        if pair and not _TRACKING.fullmatch(name):
            kept.append((name, _normalise(pair, _QUERY_SAFE)))
    kept.sort(key=lambda item: item[0])  # stable: repeated names keep their order
    return "&".join(pair for _name, pair in kept)


def _normalise(text: str, safe: str) -> str:
    if "%" in text:
        text = _PERCENT.sub(_decode_unreserved, _BARE_PERCENT.sub("%25", text))
    return quote(text, safe=safe, errors="replace")


def _decode_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match.group(1), 16))
    return character if character in _UNRESERVED else match.group().upper()


def _without_dots(path: str) -> str:
    """Resolve `.` and `..` (RFC 3986, section 5.2.4)."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)
