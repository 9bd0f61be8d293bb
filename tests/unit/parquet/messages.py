"""Messages with something in every field."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.messages import (
    ClassifiedArticle,
    CustomSubject,
    Duplicate,
    Entities,
    Entity,
    EntityLink,
    Match,
    Mention,
    Published,
    RemovedText,
    Subject,
    Subjects,
)

AT = datetime(2026, 3, 2, 6, 0, 0, 250_000, tzinfo=UTC)
ID, OTHER = "0" * 31 + "1", "0" * 31 + "2"
MATCH = Match(article_id=OTHER, similarity=0.5, containment=1.0, first_seen=AT, rule="near", contained=0.75)


def classified(*, headline: str = "Ferry is late", plain: bool = False) -> ClassifiedArticle:
    """Return an article; with `plain` what may be missing is missing."""
    needed = {
        "id": ID,
        "source": "alder.example",
        "headline": headline,
        "body": "One.\n\nTwo.",
        "language": "en",
        "language_confidence": 0.9,
        "word_count": 2,
        "content_hash": OTHER,
        "ingested_at": AT,
        "processing": {"ingest": "1.2.0", "dedup": "2.1.0"},
        "verdict": "unique",
        "revision": 1,
        "cluster_id": ID,
    }
    if plain:
        return ClassifiedArticle(
            **needed,  # type: ignore[arg-type]
            entities=Entities(status="unsupported_language"),
            subjects=Subjects(status="unclassified", taxonomy="2026"),
        )
    entity = Entity(
        name="Port Alder",
        type="LOC",
        salience=0.5,
        confidence=1.0,
        mentions=(Mention(field="body", start=0, end=3), Mention(field="headline", start=1, end=2)),
        links=(EntityLink(id="geonames:1", confidence=0.25),),
    )
    return ClassifiedArticle(
        **needed,  # type: ignore[arg-type]
        url="https://alder.example/1",
        authors=("Ada Brandt", "Tomas Ferro"),
        published=Published(at=AT, origin="field", confidence=1.0),
        fetched_at=AT,
        extra={"section": {"name": "Sea", "rank": 1}, "tags": ["a", None]},
        removed=(RemovedText(text="Read more", reason="teaser"),),
        match=MATCH,
        origins=("reuters",),
        independent_sources=3,
        joins=(OTHER,),
        entities=Entities(status="ok", items=(entity,)),
        subjects=Subjects(
            status="ok",
            taxonomy="2026",
            items=(Subject(id="medtop:01000000", name="arts", level=1, probability=0.5),),
            custom=(CustomSubject(id="team:boats", name="Boats"),),
        ),
    )


def duplicate() -> Duplicate:
    """Return a copy."""
    return Duplicate(
        id=ID,
        source="birch.example",
        headline="Ferry is late",
        verdict="exact_copy",
        cluster_id=OTHER,
        match=MATCH,
        content_hash=OTHER,
        language="en",
        ingested_at=AT,
        processing={"ingest": "1.2.0"},
    )
