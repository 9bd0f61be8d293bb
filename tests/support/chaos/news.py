"""Invented news as scrapers would deliver it: articles, copies, edited copies, revisions, recrawls, broken records.

The same seed gives the same documents.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from schemas.keys import source_key

_OUTLETS = (
    "Alder Times",
    "Birch Post",
    "Cedar Echo",
    "Delta Wire",
    "Elm Courier",
    "Fern Gazette",
    "Gorse Mail",
    "Heath",
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in text.split(","))


_FIRST = _words(
    """
    Ada, Tomas, Lin, Maria, Peter, Jana, Omar, Nell, Ivo, Sana, Carl, Ruth, Emil, Dora, Hugo, Vera, Noor, Felix,
    Greta, Pavel
    """
)
_LAST = _words(
    """
    Brandt, Ferro, Okafor, Sund, Voss, Kral, Haddad, Byrne, Lund, Petrov, Moreau, Castell, Nakata, Weir, Duarte,
    Holm, Ames
    """
)
_PLACES = _words(
    """
    Paris, Lisbon, Nairobi, Lima, Osaka, Oslo, Dublin, Chicago, Toronto, Prague, Vienna, Accra, Quito, Perth,
    Leeds, Turin
    """
)
_BODIES = _words(
    """
    city council, port authority, appeal court, school board, transport union, health ministry, rowing club, film
    festival, water company, parliament, central bank, coast guard, farmers' league, university, weather service,
    housing agency
    """
)
_VERBS = _words(
    """
    approved, rejected, delayed, reviewed, announced, withdrew, funded, questioned, defended, reopened, sold,
    repaired, measured, closed, praised, published, audited, moved, promised, cancelled
    """
)
_THINGS = _words(
    """
    ferry berth, road budget, flood wall, dockers' contract, lorry ban, clinic merger, tuition fee, murder appeal,
    old brewery, wind farm, tram line, vaccine trial, grain subsidy, cup final, opera house, broadband plan,
    prison wing, solar field, election rule, fishing quota, library roof, night train, border post, heat warning,
    copper mine, savings bond
    """
)
_ADJECTIVES = _words(
    """
    long-planned, costly, disputed, modest, northern, temporary, second, historic, unpopular, shared, urgent,
    smaller
    """
)
_REASONS = _words(
    """
    after months of protest, because costs had doubled, in spite of warnings, to the surprise of residents,
    following a close vote, as winter storms drew near, when auditors found a gap, under pressure from neighbours,
    with little debate, before the summer break, once the figures were known, while talks went on
    """
)
_BROKEN = (
    b'{"url": "https://broken.example/1", "text": "cut off in the mid',
    b"[1, 2, 3]",
    b'{"url": "https://broken.example/2"}',
    b'{"text": 7, "url": 3}',
    b" \n ",
    b"\x80\x81\xfe\xff not a document",
    b"null",
)


@dataclass(frozen=True, slots=True)
class Raw:
    """A record for news.raw."""

    key: bytes
    value: bytes


def invented(count: int, seed: int) -> list[Raw]:
    """Return `count` documents: of 100 about 71 are new, 10 are copies word for word, 6 edited copies, 4 revisions, 4
    recrawls and 5 broken."""
    rng = random.Random(seed)
    now = datetime(2026, 3, 2, 6, tzinfo=UTC)
    known: list[dict[str, Any]] = []
    made: list[Raw] = []
    for number in range(count):
        now += timedelta(seconds=rng.randint(1, 20))
        kind = rng.random()
        if kind < 0.05:
            made.append(Raw(b"broken.example", rng.choice(_BROKEN) + b" " * (number % 50)))
            continue
        if kind < 0.29 and known:
            document = _again(rng, rng.choice(known), number, kind)
        else:
            document = _new(rng, number)
            known = [*known[-299:], document]
        document = document | {"fetched_at": now.isoformat()}
        made.append(Raw(source_key(document["url"], document["source"]), orjson.dumps(document)))
    return made


def shared_articles(path: Path) -> list[Raw]:
    """Return the documents of a gzipped NDJSON file; none when it is not there."""
    if not path.exists():
        return []
    with gzip.open(path, "rb") as lines:
        return [Raw(_key(line), line.rstrip()) for line in lines]


def _key(line: bytes) -> bytes:
    document = orjson.loads(line)
    return source_key(document.get("url"), document.get("source"))


def _new(rng: random.Random, number: int) -> dict[str, Any]:
    outlet = rng.choice(_OUTLETS)
    person = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    paragraphs = [" ".join(_sentences(rng, person)) for _ in range(rng.randint(2, 4))]
    return {
        "url": f"https://{outlet.lower().replace(' ', '-')}.example/news/{number}",
        "source": outlet,
        "title": f"{rng.choice(_PLACES)} {rng.choice(_BODIES)} {rng.choice(_VERBS)} {rng.choice(_THINGS)}",
        "text": "\n\n".join(paragraphs),
    }


def _sentences(rng: random.Random, person: str) -> Iterator[str]:
    for _ in range(rng.randint(2, 3)):
        who = rng.choice((person, f"The {rng.choice(_BODIES)} of {rng.choice(_PLACES)}"))
        yield (
            f"{who} {rng.choice(_VERBS)} the {rng.choice(_ADJECTIVES)} {rng.choice(_THINGS)} {rng.choice(_REASONS)}, "
            f"and {rng.choice(_FIRST)} {rng.choice(_LAST)} put the bill at {rng.randint(3, 9_999)} crowns."
        )


def _again(rng: random.Random, before: dict[str, Any], number: int, kind: float) -> dict[str, Any]:
    outlet = rng.choice(_OUTLETS)
    elsewhere = {"source": outlet, "url": f"https://{outlet.lower().replace(' ', '-')}.example/wire/{number}"}
    if kind < 0.15:
        return before | elsewhere
    if kind < 0.21:
        return before | elsewhere | {"text": f"{before['text']}\n\n{' '.join(_sentences(rng, rng.choice(_LAST)))}"}
    if kind < 0.25:
        return before | {"text": f"{before['text']} {next(_sentences(rng, rng.choice(_LAST)))}"}
    return before
