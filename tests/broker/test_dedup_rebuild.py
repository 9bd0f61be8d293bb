"""A log of an older version of dedup on a real broker: a worker refuses it and names the command; the command helps."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from click.testing import CliRunner

from newsmill.cli import group
from newsmill.engines.broker.restore import LogTail, RestoreError
from newsmill.worker import stage_options
from schemas import headers, topics
from schemas.codec import decode, encode
from schemas.messages import Article, DedupLogEntry
from tests.support.kafka import Place
from workers import pipeline
from workers.dedup import DedupStage
from workers.stage import Emit, Record, StatefulStage

WORDS = ("harbour", "bridge", "steel", "span", "inspector", "crack", "closure", "ferry", "detour", "council", "budget")


def article(number: int) -> Article:
    """A short article whose words are its own."""
    body = "\n\n".join(
        " ".join(f"{word}{number}x{line}" for word in WORDS) + f" near Lindmouth on the {line + number} of May."
        for line in range(6)
    )
    plain = Article(
        id=f"{number:032x}",
        source=f"outlet{number}.example",
        headline=f"Bridge {number}",
        body=body,
        language="en",
        language_confidence=1.0,
        word_count=90,
        content_hash=f"{number + 1000:032x}",
        ingested_at="2026-03-02T08:00:00Z",
        processing={"ingest": "1.0.0"},
    )
    return msgspec.convert(msgspec.to_builtins(plain), Article)


def test_refused_then_rebuilt(place: Callable[..., Place]) -> None:
    where = place(articles=1, dedup_log=1)
    articles = [article(n) for n in range(5)]
    stage = DedupStage()
    records = [Record(topics.ARTICLES, 0, n, a.id.encode(), encode(a)) for n, a in enumerate(articles)]
    producer = where.producer()
    for record, outcome in zip(records, stage.process(records), strict=True):
        assert isinstance(outcome, Emit)
        assert outcome.log is not None
        entry = msgspec.structs.replace(decode(outcome.log.value, DedupLogEntry), fingerprint_version="kmv1")
        producer.send(where.physical(topics.ARTICLES), key=record.key, value=record.value, partition=0)
        producer.send(
            where.physical(topics.DEDUP_LOG),
            key=record.key,
            value=encode(entry),
            partition=0,
            headers=[(headers.INPUT_OFFSET, str(record.offset).encode())],
        )
    producer.flush()
    producer.close()
    settings = where.settings
    tail = LogTail(settings, DedupStage(), 0)
    with pytest.raises(RestoreError, match="newsmill dedup rebuild"):
        list(tail.restore())

    environment = {
        "NEWSMILL_BOOTSTRAP": settings.bootstrap,
        "NEWSMILL_NAMESPACE": settings.namespace,
        "NEWSMILL_STATE_DIR": settings.state_dir,
        "NEWSMILL_SHARED": None,
    }
    result = CliRunner().invoke(group, ["dedup", "rebuild"], env=environment)
    assert result.exit_code == 0, result.output
    assert "5 articles in the state, 5 of them read anew, 0 whose text is no longer kept" in result.output

    started = pipeline.load("dedup", stage_options(settings))
    assert isinstance(started, StatefulStage)
    assert list(LogTail(settings, started, 0).restore()) == []  # the snapshot holds the whole log
    assert started.state_size()[0] == 5
    short = msgspec.structs.replace(
        articles[3],
        id="f" * 32,
        source="x.example",
        content_hash="e" * 32,
        body="\n\n".join(articles[3].body.split("\n\n")[:3]),
    )
    (found,) = started.process([Record(topics.ARTICLES, 0, 5, b"", encode(short))])
    assert isinstance(found, Emit)
    assert found.kind == "near_copy"
