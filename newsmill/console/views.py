"""Records as the page shows them: plain, cut to size, and with nothing that a browser would have to work out.

Whatever is in a record may be hostile. Here it is bounded; the page writes it as text and never as markup.
"""

from __future__ import annotations

import base64
import codecs
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from newsmill.console.board import Item
from schemas import headers as h
from schemas.codec import decode
from schemas.messages import ClassifiedArticle, Duplicate, Entity, Match, UniqueArticle
from workers.stage import Record

MAX_BODY_CHARS: Final = 8_000
MAX_LINE_CHARS: Final = 400
MAX_URL_CHARS: Final = 2_000
MAX_ENTITIES: Final = 40
MAX_SUBJECTS: Final = 20
MAX_HEADERS: Final = 30
RAW_BYTES: Final = 4_096
"""Of a dead letter's bytes; the record may have 8 MiB."""

Piece = tuple[str, int]
"""Text, and the entity (its place in the list) that it names; -1: none."""


def place(record: Record) -> str:
    """Return `PARTITION-OFFSET`, which names a record of a topic."""
    return f"{record.partition}-{record.offset}"


def clip(text: str, most: int = MAX_LINE_CHARS) -> str:
    """Return `text`, cut to `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def article_item(record: Record) -> Item:
    """Return an article of news.classified as it is shown. Raises schemas.codec.InvalidMessage."""
    article = decode(record.value, ClassifiedArticle)
    brief = {
        "place": place(record),
        "at": record.timestamp_ms,
        "id": article.id,
        "headline": clip(article.headline),
        "language": article.language,
        "source": clip(article.source, 80),
        "cluster": article.cluster_id,
        "verdict": article.verdict,
        "revision": article.revision,
        "replay": h.get(record.headers, h.REPLAY) is not None,
        "subjects": [
            {"name": clip(subject.name, 80), "probability": subject.probability}
            for subject in article.subjects.items
            if subject.level == 1
        ][:3],
    }
    entities = article.entities.items[:MAX_ENTITIES]
    body = article.body[:MAX_BODY_CHARS]
    full = brief | {
        "headline": marked(article.headline[:MAX_LINE_CHARS], entities, "headline"),
        "paragraphs": paragraphs(body, entities),
        "hidden": len(article.body) - len(body),
        "words": article.word_count,
        "url": web_address(article.url),
        "authors": [clip(author, 80) for author in article.authors[:8]],
        "published": article.published.at if article.published else None,
        "entities": [
            {
                "name": clip(entity.name, 120),
                "type": entity.type,
                "salience": entity.salience,
                "confidence": entity.confidence,
                "mentions": len(entity.mentions),
                "links": [clip(link.id, 80) for link in entity.links[:4]],
            }
            for entity in entities
        ],
        "entities_status": article.entities.status,
        "entities_hidden": len(article.entities.items) - len(entities),
        "subjects": [
            {"name": clip(s.name, 80), "id": s.id, "level": s.level, "probability": s.probability}
            for s in article.subjects.items[:MAX_SUBJECTS]
        ],
        "custom": [clip(s.name, 80) for s in article.subjects.custom[:MAX_SUBJECTS]],
        "subjects_status": article.subjects.status,
        "match": match_view(article.match),
        "changes": changes_view(article),
        "origins": [clip(origin, 80) for origin in article.origins[:8]],
        "independent_sources": article.independent_sources,
        "processing": {clip(k, 40): clip(v, 40) for k, v in list(article.processing.items())[:12]},
    }
    return Item(record.timestamp_ms, place(record), brief, orjson.dumps(full))


def duplicate_item(record: Record) -> tuple[Item, Duplicate]:
    """Return a copy of news.duplicates as it is shown. Raises schemas.codec.InvalidMessage."""
    copy = decode(record.value, Duplicate)
    brief = {
        "place": place(record),
        "at": record.timestamp_ms,
        "id": copy.id,
        "headline": clip(copy.headline),
        "language": copy.language,
        "source": clip(copy.source, 80),
        "cluster": copy.cluster_id,
        "verdict": copy.verdict,
        "url": web_address(copy.url),
        "match": match_view(copy.match),
    }
    return Item(record.timestamp_ms, place(record), brief), copy


def dead_letter_item(record: Record) -> Item:
    """Return a record of news.dead-letters as it is shown: any bytes at all."""

    def header(name: str, most: int = MAX_LINE_CHARS) -> str:
        return clip((h.get(record.headers, name) or b"").decode("utf-8", "backslashreplace"), most)

    value = record.value or b""
    brief = {
        "place": place(record),
        "at": record.timestamp_ms,
        "stage": header(h.DEAD_STAGE, 80),
        "version": header(h.DEAD_VERSION, 80),
        "reason": header(h.DEAD_REASON, 80),
        "origin": header(h.ORIGIN),
        "size": len(value),
    }
    raw = value[:RAW_BYTES]
    full = brief | {
        "detail": header(h.DEAD_DETAIL, 4_000),
        "from": f"{header(h.DEAD_TOPIC, 80)}/{header(h.DEAD_PARTITION, 20)}/{header(h.DEAD_OFFSET, 20)}",
        "key": clip((record.key or b"").decode("utf-8", "backslashreplace")),
        "headers": [
            [clip(name, 80), clip(text.decode("utf-8", "backslashreplace"))]
            for name, text in record.headers[:MAX_HEADERS]
            if name != h.DEAD_DETAIL
        ],
        "missing": record.value is None,
        "raw": base64.b64encode(raw).decode(),
        "text": readable(raw, cut=len(value) > RAW_BYTES),
    }
    return Item(record.timestamp_ms, place(record), brief, orjson.dumps(full))


def readable(raw: bytes, *, cut: bool) -> bool:
    """Return whether `raw` is text (UTF-8 without control characters but those of lines), which may be `cut` off."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(raw, final=not cut)
    except UnicodeDecodeError:
        return False
    return not any(ord(c) < 32 and c not in "\t\n\r" for c in text)


def web_address(url: str | None) -> str | None:
    """Return `url` if it is one of the web that a page may link to; nothing else becomes a link."""
    if url is None or len(url) > MAX_URL_CHARS:
        return None
    try:
        parts = urlsplit(url)
        return url if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def match_view(match: Match | None) -> dict[str, Any] | None:
    """Return the evidence of dedup."""
    if match is None:
        return None
    return {
        "id": match.article_id,
        "url": web_address(match.url),
        "similarity": match.similarity,
        "containment": match.containment,
        "rule": clip(match.rule, 80),
        "first_seen": match.first_seen,
    }


def changes_view(article: UniqueArticle) -> dict[str, Any] | None:
    """Return what a revision changed."""
    changes = article.changes
    if changes is None:
        return None
    return {
        "headline": changes.headline,
        "added": changes.added,
        "removed": changes.removed,
        "words": changes.words,
    }


def marked(text: str, entities: Sequence[Entity], field: str, start: int = 0) -> list[Piece]:
    """Return `text` in pieces, with the entity that each of them names.

    Args:
        text: a part of the field, from character `start` on.
        field: `headline` or `body`.
        start: offsets of mentions count in the whole field.

    Mentions that reach beyond `text`, are empty or overlap an earlier one are left out.
    """
    return _marked(text, _spans(entities, field), start)


def _spans(entities: Sequence[Entity], field: str) -> list[tuple[int, int, int]]:
    return sorted(
        (mention.start, mention.end, index)
        for index, entity in enumerate(entities)
        for mention in entity.mentions
        if mention.field == field and mention.start < mention.end
    )


def _marked(text: str, spans: Iterable[tuple[int, int, int]], start: int) -> list[Piece]:
    pieces: list[Piece] = []
    done = 0
    for begin, end, index in ((begin - start, end - start, index) for begin, end, index in spans):
        if begin < done or end > len(text):
            continue
        if begin > done:
            pieces.append((text[done:begin], -1))
        pieces.append((text[begin:end], index))
        done = end
    if done < len(text):
        pieces.append((text[done:], -1))
    return pieces


def paragraphs(body: str, entities: Sequence[Entity]) -> list[list[Piece]]:
    """Return the paragraphs of `body`, each in pieces as `marked` gives them."""
    spans = _spans(entities, "body")
    found = []
    start = 0
    first = 0
    for text in body.split("\n\n"):
        end = start + len(text)
        while first < len(spans) and spans[first][0] < start:
            first += 1
        last = first
        while last < len(spans) and spans[last][0] < end:
            last += 1
        found.append(_marked(text, spans[first:last], start))
        first = last
        start = end + 2
    return found


def number(value: float | None) -> float | None:
    """Return `value` as JSON has it: unknown is null, endless is -1 (which no rate, lag or age is)."""
    if value is None or math.isnan(value):
        return None
    return -1.0 if math.isinf(value) else round(value, 3)
