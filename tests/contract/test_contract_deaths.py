"""Deaths: between any two steps of a batch, on a record that kills, and in good order when asked to stop."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from newsmill.engines.limit import DeadLetterLimitExceeded
from newsmill.engines.result import KILLED, RAISED
from schemas import headers as h
from schemas import topics
from tests.support.driver import EngineDriver, Item, Killed, Life, Pair, die_at, go_on, stop_at
from tests.support.stages import CountingStage, EchoStage


def counted(number: int) -> tuple[list[Item], list[Pair]]:
    """Return records with few values, and the outputs of a stage that counts them."""
    seen = Counter[str]()
    items, outputs = [], []
    for index in range(number):
        value, key = "abc"[index % 7 % 3], b"k%d" % index
        items.append(Item(key, value.encode()))
        outputs.append((key, json.dumps({"value": value, "count": seen[value]}).encode()))
        seen[value] += 1
    return items, outputs


def without_repeats(pairs: list[Pair]) -> list[Pair]:
    return list(dict.fromkeys(pairs))


class Story:
    """Deaths are items of the story: each life finishes a batch and dies in its second one, each at another step.

    What a death has left is looked at in the next life, when it has begun: with the kafka engine, that is what ends
    the transaction that was open.
    """

    def __init__(self, driver: EngineDriver) -> None:
        self.driver = driver
        self.left: list[tuple[list[Pair], list[Pair], int]] = []

    def life(self, step: str | None, batch_records: int) -> Life:
        death = die_at(step, 2) if step else go_on
        seen = 0

        def on_step(name: str, stop: Callable[[], None]) -> None:
            nonlocal seen
            if name == "processed":
                seen += 1
                if seen == 1:
                    self.look()
            death(name, stop)

        return self.driver.live(CountingStage(), batch_records=batch_records, on_step=on_step)

    def look(self) -> None:
        driver = self.driver
        self.left.append((driver.pairs(topics.DEDUP_LOG), driver.pairs(topics.UNIQUE), driver.done(CountingStage())))


def test_a_life_that_ends_at_each_step_and_the_next_one_goes_on(driver: EngineDriver) -> None:
    batch = 4
    items, outputs = counted(batch * (2 * len(driver.steps) + 2))
    driver.feed(topics.ARTICLES, items)
    story = Story(driver)
    for step in driver.steps:
        life = story.life(step, batch)
        assert isinstance(life.error, Killed), (step, life.error)
    assert story.life(None, batch).error is None
    story.look()

    for step, before, (log, found, done) in zip(driver.steps, story.left, story.left[1:], strict=False):
        assert log == outputs[: len(log)], f"a death at {step}: the log is not what was decided so far"
        assert done > before[2], f"the life that died at {step} has finished no batch"
        if driver.exactly_once:
            assert found == log, f"a death at {step}: outputs and log are one"
            assert done == len(found), f"a death at {step}: and so are they and the place in the input"
        else:
            assert without_repeats(found) == outputs[: len({*found})], f"a death at {step}: outputs in another order"
            # The log comes first, so there is no output that a next life could contradict.
            assert done <= len({*found}) <= len(log), f"a death at {step}"

    log, found, done = story.left[-1]
    assert done == len(items)
    assert log == outputs, "each decision is logged once"
    assert without_repeats(found) == outputs
    repeats = len(found) - len(outputs)
    # At least once: what a death between writing and committing leaves is written again, with the same bytes.
    assert repeats == 0 if driver.exactly_once else 1 <= repeats <= batch


def test_a_stop_finishes_the_batch_and_loses_nothing(driver: EngineDriver) -> None:
    processed: list[bytes | None] = []

    class Noting(CountingStage):
        def process(self, batch):  # type: ignore[no-untyped-def]
            processed.extend(record.key for record in batch)
            return super().process(batch)

    items, outputs = counted(40)
    driver.feed(topics.ARTICLES, items)
    first = driver.live(Noting(), batch_records=5, on_step=stop_at("processed", 2))
    assert first.error is None
    assert 5 < len(processed) <= 10, "it stopped after its second batch"
    assert driver.pairs(topics.UNIQUE) == outputs[: len(processed)], "and the second batch is there"
    assert driver.done(CountingStage()) == len(processed)
    assert first.counted() == {"unique": len(processed)}
    second = driver.live(CountingStage(), batch_records=5)
    assert second.error is None
    assert second.counted() == {"unique": 40 - len(processed)}
    assert driver.pairs(topics.UNIQUE) == driver.pairs(topics.DEDUP_LOG) == outputs


def test_a_record_on_which_lives_end_is_tried_alone_and_becomes_a_dead_letter(driver: EngineDriver) -> None:
    def die() -> None:
        raise Killed

    poison = Item(b"key", b"die \xff", (("x", b"1"),))
    driver.feed(topics.RAW, [Item(b"1", b"a"), Item(b"2", b"b"), poison, Item(b"3", b"c"), Item(b"4", b"d")])
    lives = 0
    while (life := driver.live(EchoStage(die))).error is not None:
        assert isinstance(life.error, Killed)
        lives += 1
        assert lives <= 4, "three that died on the batch, one that died on the record alone"
    assert lives == 4
    assert driver.pairs(topics.ARTICLES) == [(b"1", b"A"), (b"2", b"B"), (b"3", b"C"), (b"4", b"D")]
    (dead,) = driver.read(topics.DEAD_LETTERS)
    assert dead.pair == poison.pair
    assert dead.headers[:1] == poison.headers
    assert h.get(dead.headers, h.DEAD_REASON) == KILLED.encode()
    assert life.reasons() == {KILLED: 1}


def test_past_the_dead_letter_limit_it_stops_loudly_and_again_at_each_start(driver: EngineDriver) -> None:
    items = [Item(b"%d" % n, b"raise %d" % n) for n in range(8)]
    driver.feed(topics.RAW, [Item(b"good", b"a"), *items])
    lengths = []
    for _ in range(2):
        life = driver.live(EchoStage(), batch_records=3, dead_letter_limit=4)
        assert isinstance(life.error, DeadLetterLimitExceeded)
        assert "more than 4 of the last 1000" in str(life.error)
        assert "NEWSMILL_DEAD_LETTER_LIMIT" in str(life.error)
        lengths.append(len(driver.read(topics.DEAD_LETTERS)))
    # The window is kept over starts, so they don't add up past it.
    assert 1 <= lengths[0] <= lengths[-1] <= 4
    life = driver.live(EchoStage(), batch_records=3, dead_letter_limit=100)
    assert life.error is None
    assert driver.pairs(topics.DEAD_LETTERS) == [item.pair for item in items]
    assert {h.get(row.headers, h.DEAD_REASON) for row in driver.read(topics.DEAD_LETTERS)} == {RAISED.encode()}
    assert driver.pairs(topics.ARTICLES) == [(b"good", b"A")]
