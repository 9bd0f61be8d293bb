"""The records of an article as a story: each step with its time, decision and evidence, or where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from newsmill.trace.find import Found
from schemas import headers as h
from schemas import topics
from workers.stage import Record

STAGE_OF: Final = {
    topics.ARTICLES: "ingest",
    topics.UNIQUE: "dedup",
    topics.DUPLICATES: "dedup",
    topics.TAGGED: "entities",
    topics.CLASSIFIED: "classify",
}
"""The stage that writes each topic."""

ENDS: Final = (topics.DUPLICATES, topics.CLASSIFIED, topics.DEAD_LETTERS)
"""Topics after which nothing more happens to an article."""

_ORDER: Final = (topics.RAW, *STAGE_OF, topics.DEAD_LETTERS)


@dataclass(frozen=True, slots=True)
class Step:
    """One record of the story. `at_ms` is when it arrived, milliseconds since the Unix epoch."""

    topic: str
    place: str
    at_ms: int
    stage: str
    version: str
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """What became of the article one of the times that it was brought in. `outcome` says in words where it is now."""

    origin: str
    run: str
    steps: tuple[Step, ...]
    outcome: str


def stories(found: Found) -> list[Story]:
    """Return the stories in `found`, the oldest first."""
    by_origin: dict[tuple[str, str], list[Step]] = {}
    brought_in = [*found.raw.items(), *((_place(record), record) for record in found.waiting)]
    passed_on = [(_header(record, h.ORIGIN), record) for record in (*found.records, *found.dead)]
    for origin, record in (*brought_in, *passed_on):
        # The log of dedup repeats what its outputs say.
        if not record.topic.endswith(topics.DEDUP_LOG):
            by_origin.setdefault((origin, _header(record, h.RUN) or "live"), []).append(_step(record))
    told = []
    for (origin, run), steps in by_origin.items():
        steps.sort(key=lambda step: (_ORDER.index(step.topic), step.at_ms))
        told.append(Story(origin, run, tuple(steps), _outcome(steps)))
    return sorted(told, key=lambda story: (story.steps[0].at_ms, story.origin))


def _outcome(steps: list[Step]) -> str:
    last = steps[-1]
    if last.topic == topics.DEAD_LETTERS:
        return f"stopped at {last.stage}: {last.text}"
    if last.topic == topics.DUPLICATES:
        return f"not passed on: {last.text}"
    if last.topic == topics.CLASSIFIED:
        return "came out"
    return f"is between {last.topic} and the next stage: it waits, or retention has taken what came of it"


def _step(record: Record) -> Step:
    topic = next(name for name in _ORDER if record.topic.endswith(name))
    place = _place(record)
    if topic == topics.DEAD_LETTERS:
        stage, version = _header(record, h.DEAD_STAGE), _header(record, h.DEAD_VERSION)
        detail = _header(record, h.DEAD_DETAIL).strip()
        reason = _header(record, h.DEAD_REASON)
        return Step(topic, place, record.timestamp_ms, stage, version, reason, tuple(detail.splitlines()))
    value = _value(record)
    stage = STAGE_OF.get(topic, "")
    version = str((value.get("processing") or {}).get(stage, ""))
    text, details = _TELL[topic](value) if topic in _TELL else (_raw(value), ())
    return Step(topic, place, record.timestamp_ms, stage, version, text, details)


def _raw(value: Mapping[str, Any]) -> str:
    kind = "HTML" if value.get("html") else "text"
    size = len(str(value.get("html") or value.get("text") or ""))
    return f"{kind} of {size:,} characters, {value.get('url') or value.get('source') or 'without URL'}"


def _article(value: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    published = value.get("published") or {}
    when = f"published {published['at']} ({published['origin']})" if published else "no date"
    words = f"{value.get('word_count', 0):,} words in {value.get('language')}"
    return str(value.get("headline")), (f"id {value.get('id')}", f"{value.get('source')}, {words}, {when}")


def _verdict(value: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    text = str(value.get("verdict", "")).replace("_", " ")
    if revision := value.get("revision"):
        text += f", revision {revision}"
    details = [f"cluster {value.get('cluster_id')}"]
    if match := value.get("match"):
        details.append(f"matched {match.get('article_id')} {match.get('url') or ''}".rstrip())
        details.append(
            f"similarity {match.get('similarity')}, containment {match.get('containment')}, rule {match.get('rule')}, "
            f"first seen {match.get('first_seen')}"
        )
    return text, tuple(details)


def _entities(value: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    entities = value.get("entities") or {}
    items = entities.get("items") or []
    names = ", ".join(f"{item['name']} ({item['type']})" for item in items[:8])
    return f"{len(items)} entities ({entities.get('status')})", (names,) if names else ()


def _subjects(value: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    subjects = value.get("subjects") or {}
    items = subjects.get("items") or []
    names = ", ".join(f"{item['name']} {item['probability']:.2f}" for item in items)
    return names or str(subjects.get("status")), (f"taxonomy {subjects.get('taxonomy')}",)


_TELL: Final = {
    topics.ARTICLES: _article,
    topics.UNIQUE: _verdict,
    topics.DUPLICATES: _verdict,
    topics.TAGGED: _entities,
    topics.CLASSIFIED: _subjects,
}


def _value(record: Record) -> Mapping[str, Any]:
    try:
        value = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return {"text": (record.value or b"").decode("utf-8", "replace")}
    return value if isinstance(value, dict) else {"text": str(value)}


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"


def _header(record: Record, name: str) -> str:
    return (h.get(record.headers, name) or b"").decode("utf-8", "replace")
