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
    r"|_hsmi|_ga|_gl|ref_src|ref_url|_{0,2}twitter_impression|wprov|sr_share|xtor|wt_mc|wtmc|ito|ns_campaign|ns_mchannel|ns_source|cmpid|ocid|smid|spm|s_cid|ftcamp|guccounter"
    r"|guce_referrer|guce_referrer_sig|jsessionid|phpsessid|sessionid|session_id|sessid|aspsessionid[a-z]*|cfid|cftoken"
    r"|amp_js_v|amp_gsa|amp_r|usqp",
    re.IGNORECASE,
)
_SESSION_IN_PATH: Final = re.compile(
    r";(?:jsessionid|phpsessid|sid)=[^/?;]*|(?<=/)\(S\([a-z0-9]{24}\)\)/", re.IGNORECASE
)
_SESSION_VALUE: Final = re.compile(r"sid=[0-9a-f]{26,40}", re.IGNORECASE)
"""A short `sid` is a story or a section, one as long as a hash a session."""

# The same page, made for telephones or for paper.
_VARIANT: Final = re.compile(
    r"(?:amp|print|printable|printview|print_view|printer_friendly|printerfriendly)(?:=(?:1|true|yes|y|on)?)?"
    r"|(?:outputtype|output|view|format|mode)=(?:amp|print|printable|printerfriendly)",
    re.IGNORECASE,
)
_AMP_CACHE: Final = re.compile(
    r"(?:[a-z0-9-]+\.cdn\.ampproject\.org|[a-z0-9-]+\.bing-amp\.com|(?:www\.)?google(?:\.[a-z]{2,3}){1,2})"
)
_AMP_CACHE_PATH: Final = re.compile(r"/(?:amp/)?(?:[acirv]/)?(s/)?([^/]+\.[^/]+/.*)")
_VARIANT_HOST: Final = re.compile(r"(https?://)(?:m|mobile|amp)\.([^/]+)(.*)")
_USERINFO: Final = re.compile(r"//[^/?#\s]*@")
_DOMAIN: Final = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:[^\W\d_]{2,63}|xn--[a-z0-9-]{1,58}[a-z0-9])\.?", re.IGNORECASE
)
_UNSAFE_IN_HOST: Final = re.compile(r"[\s<>\"'\\^`{|}%@/?#\[\]:]")

_PATH_SAFE: Final = "/%:@!$&'()*+,;=~-._"
_QUERY_SAFE: Final = _PATH_SAFE + "?"
_PERCENT: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_BARE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

# What most URLs are: canonical as they come. Nothing in it is AMP's, a session's or encoded.
_CANONICAL: Final = re.compile(
    r"(?!.*(?i:amp))https?://(?=[a-z0-9.-]{1,253}/)(?:[a-z0-9-]+\.)+[a-z0-9-]+(?:/(?!\.)[A-Za-z0-9:@!$&'*+,=~._-]*)+"
)

# The Public Suffix List that the package brings; never a download, never a cache on disk. Private suffixes count,
# since two blogs of one host are two sources.
_extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


def canonical_url(raw: str) -> str | None:
    """Return the canonical form of an absolute http or https URL, or None when `raw` is none.

    Scheme and host in lower case, the host in punycode, no credentials, no default port, no fragment, no tracking
    parameters, no session ids, the others sorted by name, percent-encoding normalised (RFC 3986, section 6.2.2), dot
    segments resolved. A page for telephones (AMP, also in a cache of Google's or Bing's) or for paper has the form of
    the page itself, where its URL tells that it is one.

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
    behind: str | None = text
    while behind is not None:
        try:
            parts = urlsplit(behind)
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        scheme = parts.scheme.lower()
        if scheme not in _DEFAULT_PORTS or not host:
            return None
        host = _host(host)
        if host is None:
            return None
        behind = _behind_cache(host, parts)
    netloc = host if port is None or port == _DEFAULT_PORTS[scheme] else f"{host}:{port}"
    path = _without_amp(_without_dots(_normalise(_SESSION_IN_PATH.sub("", parts.path), _PATH_SAFE))) or "/"
    url = f"{scheme}://{netloc}{path}"
    query = _query(parts)
    if query:
        url = f"{url}?{query}"
    return url if len(url) <= MAX_URL_CHARS else None


def same_page(url: str) -> str:
    """Return what stands for the page of a canonical URL: hosts for telephones (`m.`, `mobile.`, `amp.`) are taken for
    `www.`. It is for comparing: whether there is such a host nobody has asked."""
    found = _VARIANT_HOST.fullmatch(url)
    if found is None or registrable_domain(url) == url[len(found[1]) :].partition("/")[0]:
        return url
    return f"{found[1]}www.{found[2]}{found[3]}"


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


def is_public_suffix(host: str) -> bool:
    """Return whether a host in lower case and punycode is a suffix under which anybody may register (`co.uk`)."""
    found = _extract(host)
    return not found.domain and bool(found.suffix) and not found.is_private


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
        if pair and not (_TRACKING.fullmatch(name) or _SESSION_VALUE.fullmatch(pair) or _VARIANT.fullmatch(pair)):
            kept.append((name, _normalise(pair, _QUERY_SAFE)))
    kept.sort(key=lambda item: item[0])  # stable: repeated names keep their order
    return "&".join(pair for _name, pair in kept)


def _behind_cache(host: str, parts: SplitResult) -> str | None:
    """Return the URL of the page behind one in a cache of AMP pages; None for any other. Always shorter."""
    if not _AMP_CACHE.fullmatch(host) or ("google" in host.split(".") and not parts.path.startswith("/amp/")):
        return None
    found = _AMP_CACHE_PATH.fullmatch(parts.path)
    return f"http{'s' if found[1] else ''}://{found[2]}?{parts.query}" if found else None


def _without_amp(path: str) -> str:
    """Return a path without `/amp` at its end and `.amp` before `.html`."""
    tail = "/" if path.endswith("/") else ""
    body = path.removesuffix("/")
    while body[-4:].lower() == "/amp" and body[-5:-4] not in ("", "/"):
        body = body[:-4]
    while body[-9:].lower() == ".amp.html" and body[-10:-9] not in ("", "/"):
        body = f"{body[:-9]}{body[-5:]}"
    return body + tail


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
