"""A team's own table of outlets: which outlet a document is of, by where it comes from.

The file is UTF-8 text, one row a line: a place and the outlet, apart by a tab or by two spaces or more:

    # a domain stands for all hosts below it; what follows it is the beginning of a path, in whole segments
    bbc.co.uk           bbc
    bbc.com             bbc
    theguardian.com     guardian
    theguardian.com/us  guardian-us
    blogs.alder.example alder-blogs
    BBC News            bbc

A place with a dot before its first slash is a domain; anything else is a name, as scrapers give it in `source`. Case
does not count, `www.` neither; of a name letters and digits alone do. Of the rows that fit a URL the one with the
longest domain decides, of these the one with the longest path. Empty lines and lines that begin with `#` are passed
over.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from functools import lru_cache
from typing import Final, NamedTuple

from workers.ingest.characters import clean_line, folded
from workers.ingest.urls import canonical_url, is_domain, is_public_suffix, registrable_domain

MAX_ROWS: Final = 100_000
MAX_CHARS: Final = 10_000_000
MAX_PLACE_CHARS: Final = 500
MAX_OUTLET_CHARS: Final = 100
MAX_SEGMENTS: Final = 8
"""Most segments of a row's path."""

_MAX_ERRORS: Final = 20
_MAX_GIVEN_CHARS: Final = 2_000
_APART: Final = re.compile(r"\t[\t ]*| {2,}[\t ]*")
_PORT: Final = re.compile(r"(.+):[0-9]+")


class OutletError(ValueError):
    """A table of outlets is wrong. `problems` holds up to 20, each with line and column, both counted from 1."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Row(NamedTuple):
    """A row of the table: number of its line, the place as it is written there, and the outlet."""

    line: int
    place: str
    outlet: str


class _Place(NamedTuple):
    """Where a document comes from: host in lower case and punycode, without `www.`, and path from its slash on."""

    host: str
    path: str


class _Mistake(ValueError):
    """What is wrong with a row. `outlet`: with its second column."""

    def __init__(self, text: str, *, outlet: bool = False) -> None:
        super().__init__(text)
        self.outlet = outlet


class Outlets:
    """The rows of a table, to look up in. `digest` is the SHA-256 of the file, hex; empty for no table."""

    def __init__(self, digest: str = "") -> None:
        self.digest = digest
        self._hosts: dict[str, dict[str, Row]] = {}
        self._names: dict[str, Row] = {}
        self._spelt: dict[str, Row] = {}
        self._most_labels = 0
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def outlets(self) -> int:
        """How many different outlets there are."""
        return len(self._spelt)

    def find(self, name: str | None, url: str | None) -> Row | None:
        """Return the row that says which outlet a document is of, None when none does.

        `name` is what the scraper calls its source, `url` the canonical URL. A name that is in the table decides. One
        that is a domain or a URL is a place: of the same site as `url`, the row that says more decides; of another
        site (an aggregator has the URL), the name's. Else the URL decides. An outlet's own name is known, too.
        """
        if not self.digest:
            return None
        by_url = self._at(_of_url(url)) if url else None
        if not name or len(name) > _MAX_GIVEN_CHARS:
            return by_url
        place = _as_place(name)
        if place is None:
            return self._names.get(key := folded(name)) or self._spelt.get(key) or by_url
        by_name = self._at(place)
        if by_name is None or by_url is None:
            return by_name or by_url
        same_site = registrable_domain(place.host) == registrable_domain(url or "")
        return by_url if same_site and _extent(by_url) >= _extent(by_name) else by_name

    def add(self, row: Row) -> None:
        """Add a row. Raises ValueError with what is wrong with it."""
        place = _written_place(row.place)
        if not folded(row.outlet) or len(row.outlet) > MAX_OUTLET_CHARS:
            raise _Mistake(f"an outlet has a letter or digit, and at most {MAX_OUTLET_CHARS} characters", outlet=True)
        spelt = self._spelt.setdefault(folded(row.outlet), Row(row.line, row.outlet, row.outlet))
        if spelt.outlet != row.outlet:
            raise _Mistake(f"{row.outlet!r} is spelt {spelt.outlet!r} in line {spelt.line}", outlet=True)
        if place is None:
            known = self._names.setdefault(folded(row.place), row)
        else:
            known = self._hosts.setdefault(place.host, {}).setdefault(place.path, row)
            self._most_labels = max(self._most_labels, place.host.count(".") + 1)
        if known is not row:
            raise _Mistake(f"{row.place!r} is there already, in line {known.line}")
        self._rows += 1

    def _at(self, place: _Place) -> Row | None:
        labels = place.host.split(".")
        for start in range(max(0, len(labels) - self._most_labels), len(labels)):
            rows = self._hosts.get(".".join(labels[start:]))
            if rows is None:
                continue
            if len(rows) > 1 or "" not in rows:
                path = "/".join(place.path.split("/", MAX_SEGMENTS + 1)[: MAX_SEGMENTS + 1])
                while path:
                    if row := rows.get(path):
                        return row
                    path = path.rpartition("/")[0]
            if row := rows.get(""):
                return row
        return None


NONE: Final = Outlets()
"""No table."""


@lru_cache(maxsize=2)
def parse(text: str) -> Outlets:
    """Return the table in `text` (form: see above), an empty one when that is empty. Raises OutletError."""
    if not text:
        return NONE
    if len(text) > MAX_CHARS:
        raise OutletError([f"line 1, column 1: more than {MAX_CHARS:,} characters"])
    table = Outlets(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
    problems = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = line.rstrip()
        start = len(line) - len(line.lstrip())
        if not line or line[start] == "#":
            continue
        apart = _APART.search(line, start)
        if len(table) == MAX_ROWS:
            problems.append(f"line {number}, column 1: more than {MAX_ROWS:,} rows")
            break
        try:
            if apart is None:
                raise _Mistake("expected a place and an outlet, apart by a tab or two spaces")
            if more := _APART.search(line, apart.end()):
                raise _Mistake(f"did not expect a third column: {line[more.end() :][:40]!r}", outlet=True)
            table.add(Row(number, clean_line(line[start : apart.start()]), clean_line(line[apart.end() :])))
        except _Mistake as mistake:
            column = apart.end() if mistake.outlet and apart else start
            problems.append(f"line {number}, column {column + 1}: {mistake}")
        if len(problems) == _MAX_ERRORS:
            break
    if problems:
        raise OutletError(problems)
    return table


def _written_place(text: str) -> _Place | None:
    """Return the domain or URL in a row; None for a name. Raises ValueError."""
    if len(text) > MAX_PLACE_CHARS:
        raise _Mistake(f"a place has at most {MAX_PLACE_CHARS} characters")
    head = text.partition("//")[2] or text
    host = head.partition("/")[0]
    if is_domain(host.replace("*.", "")) and "*" in text:
        raise _Mistake("leave '*' out: a domain stands for all hosts below it, a path for all that begin with it")
    if (port := _PORT.fullmatch(host)) and is_domain(port[1]):
        raise _Mistake("leave the port out: it makes no outlet")
    place = _as_place(text)
    if place is None:
        if "://" in text:
            raise _Mistake(f"{text[:100]!r} is no URL (http or https)")
        if not folded(text):
            raise _Mistake("the place has no letter and no digit")
        return None
    if "?" in text or "#" in text:
        raise _Mistake("leave out what begins at '?' or '#': outlets are told by host and path alone")
    if is_public_suffix(place.host):
        raise _Mistake(f"{place.host} is a public suffix, under which many have their sites: name one of these")
    if place.path.count("/") > MAX_SEGMENTS:
        raise _Mistake(f"a path has at most {MAX_SEGMENTS} segments")
    return place


@lru_cache(maxsize=4096)
def _as_place(text: str) -> _Place | None:
    """Return the host and path that `text` names, None where it is a name."""
    text = clean_line(text)
    if "://" not in text:
        host = text.partition("/")[0]
        if not (is_domain(host) or _is_address(host)):
            return None
        text = f"https://{text}"
    url = canonical_url(text)
    return _of_url(url) if url else None


def _of_url(url: str) -> _Place:
    """Return host and path of a canonical URL. A path's case does not count: readers write it as they like."""
    host, _, rest = url.partition("://")[2].partition("/")
    if not host.endswith("]"):
        host = host.partition(":")[0]
    if host.startswith("www.") and is_domain(short := host.removeprefix("www.")):
        host = short
    path = rest.partition("?")[0].rstrip("/").lower()
    return _Place(host, f"/{path}" if path else "")


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _extent(row: Row) -> tuple[int, int]:
    """How much a row of a domain says: labels of its host, segments of its path."""
    place = _as_place(row.place)
    return (place.host.count("."), place.path.count("/")) if place else (0, 0)
