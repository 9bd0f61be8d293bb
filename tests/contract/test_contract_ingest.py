"""What ingest has learnt of a source outlives deaths, in every engine, and redelivery repeats what it cut."""

from __future__ import annotations

import json

from schemas import headers as h
from schemas import topics
from tests.support.driver import EngineDriver, Item, Killed, Pair, die_at
from workers.ingest import IngestStage
from workers.ingest.language import FastTextIdentifier
from workers.stage import Emit, Record

LANGUAGES = FastTextIdentifier()
PLEA = "If you have seen something that we should know of, write to us at the old mill in Ellery."
BATCH = 3


def documents(first: int, count: int) -> list[Item]:
    found = []
    for number in range(first, first + count):
        lines = [
            f"The council voted on Tuesday to mend the bridge in ward {number * 10 + n}, which a flood took in March."
            for n in range(4)
        ]
        value = {
            "url": f"https://ellery.example/{number}",
            "source": "Ellery Post",
            "title": f"Bridge {number} is mended",
            "text": "\n\n".join([*lines, PLEA]),
        }
        found.append(Item(b"ellery post", json.dumps(value).encode(), ((h.INGESTED_AT, b"1000"),)))
    return found


def stage() -> IngestStage:
    return IngestStage(LANGUAGES)


def keeps_plea(pairs: list[Pair]) -> list[bool]:
    return [PLEA.encode() in (value or b"") for _, value in pairs]


def once(pairs: list[Pair]) -> list[Pair]:
    return list(dict.fromkeys(pairs))


def test_what_is_learnt_outlives_a_death_at_each_step(driver: EngineDriver) -> None:
    """Each life finishes a batch and dies in its second one; what recurs is known to the last."""
    items = documents(0, BATCH * (2 * len(driver.steps) + 2))
    driver.feed(topics.RAW, items)
    for step in driver.steps:
        life = driver.live(stage(), batch_records=BATCH, on_step=die_at(step, 2))
        assert isinstance(life.error, Killed)
    assert driver.live(stage(), batch_records=BATCH).error is None
    articles, log = driver.pairs(topics.ARTICLES), driver.pairs(topics.INGEST_LOG)
    undisturbed = stage()
    outcomes = undisturbed.process([Record(topics.RAW, 0, n, i.key, i.value, i.headers) for n, i in enumerate(items)])
    expected = [
        (outcome.messages[0].key, outcome.messages[0].value) for outcome in outcomes if isinstance(outcome, Emit)
    ]
    logged = [(o.log.key, o.log.value) for o in outcomes if isinstance(o, Emit) and o.log is not None]
    assert len(expected) == len(items)
    if driver.exactly_once:
        assert articles == expected
    assert once(articles) == expected
    assert log == logged, "each article is learnt from once"
    assert keeps_plea(expected) == [True] * 3 + [False] * (len(items) - 3)


def test_redelivered_documents_are_cut_as_before(driver: EngineDriver) -> None:
    driver.feed(topics.RAW, documents(0, 6))
    assert driver.live(stage(), batch_records=2).error is None
    first, log = driver.pairs(topics.ARTICLES), driver.pairs(topics.INGEST_LOG)
    driver.rewind(stage())
    driver.feed(topics.RAW, documents(20, 1))
    assert driver.live(stage(), batch_records=4).error is None
    found = driver.pairs(topics.ARTICLES)
    assert found[:12] == [*first, *first]
    assert keeps_plea(found[12:]) == [False]
    assert driver.pairs(topics.INGEST_LOG)[:6] == log
    assert len(driver.pairs(topics.INGEST_LOG)) == 7


def test_replayed_documents_teach_nothing(driver: EngineDriver) -> None:
    driver.feed(topics.RAW, documents(0, 3))
    replay = ((h.REPLAY, b"r1"), (h.RUN, b"r1"), (h.INGESTED_AT, b"1000"))
    driver.feed(topics.RAW, [Item(item.key, item.value, replay) for item in documents(0, 5)])
    driver.feed(topics.RAW, documents(30, 1))
    assert driver.live(stage(), batch_records=2).error is None
    assert len(driver.pairs(topics.INGEST_LOG)) == 4
    # The three that are known come out as they did, the others without what recurs by now.
    assert keeps_plea(driver.pairs(topics.ARTICLES)) == [True] * 6 + [False] * 3
