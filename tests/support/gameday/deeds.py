"""What goes wrong on a game day, what must warn of it, and what puts it right."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from kafka import KafkaProducer

from newsmill import clients
from schemas import topics
from tests.support.chaos.hung import abort_forgotten
from tests.support.chaos.news import Raw
from tests.support.gameday.day import Day
from tests.support.gameday.load import as_it_is
from tests.support.gameday.rules import ROOT

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that goes wrong.

    Args:
        name: what is done, for the table.
        do: does it, and returns what puts it right.
        remedy: what puts it right, for the table.
        expected: alerts that must fire; with none, no alert may.
        seconds: longest until they fire, of production time. With no alert expected: how long is waited.
        linger: how long it is left so after that, seconds of production time.
    """

    name: str
    do: Callable[[Day], Undo]
    remedy: str
    expected: tuple[str, ...]
    seconds: float
    linger: float = 60.0


def kill_a_worker(day: Day) -> Undo:
    """SIGKILL, and nobody starts it again."""
    slot = day.supervisor.slots["entities-0"]
    day.supervisor.kill(slot, again=False)
    return lambda: day.supervisor.release(slot)


def kill_over_and_over(day: Day) -> Undo:
    """A worker that ends some seconds after each start, and is started again each time."""
    slot = day.supervisor.slots["entities-0"]
    for _ in range(6):
        starts = slot.starts
        day.supervisor.kill(slot)
        day.until(lambda starts=starts: slot.starts > starts, "it is started again")
        day.until(lambda: day.healthy(slot.name) is not None, "it answers")
        # Longer than between two scrapes: Prometheus sees each start.
        time.sleep(2.5)
    return lambda: None


def freeze_a_worker(day: Day) -> Undo:
    """SIGSTOP: the process is there and does nothing, as on a machine that swaps."""
    slot = day.supervisor.slots["dedup-0"]
    day.supervisor.send(slot, signal.SIGSTOP)

    def undo() -> None:
        day.supervisor.send(slot, signal.SIGCONT)

    return undo


def hold_a_partition_back(day: Day) -> Undo:
    """A transaction that somebody has left open on one partition of news.raw: no reader gets past it."""
    producer: Any = KafkaProducer(
        **clients.producer(day.settings), transactional_id="gameday", transaction_timeout_ms=600_000
    )
    producer.init_transactions()
    producer.begin_transaction()
    topic = clients.physical(day.settings, topics.RAW)
    producer.send(topic, key=b"gameday", value=b"{}", partition=0).get(timeout=10)

    def undo() -> None:
        producer.abort_transaction()
        producer.close()

    return undo


def stop_the_broker(day: Day) -> Undo:
    """The one broker is stopped in good order."""
    day.kafka.stop()

    def undo() -> None:
        day.kafka.start()
        day.kafka.wait_ready()
        # As the runbook says ("Nothing moves"); else one worker may never be ready again.
        abort_forgotten(day.settings)

    return undo


def break_a_layout(day: Day) -> Undo:
    """One source of eight sends pages without an article in them."""

    def twist(document: Raw) -> Raw:
        if document.key != b"alder times" or b'"title"' not in document.value:
            return document
        page = "<html><head><title>Alder Times</title></head><body><div id='app'></div></body></html>"
        whole = orjson.loads(document.value)
        return Raw(document.key, orjson.dumps({"url": whole["url"], "html": page}))

    return _twisted(day, twist)


def feed_bad_bytes(day: Day) -> Undo:
    """A fifth of the input is no JSON, from many sources."""
    count = iter(range(10**9))

    def twist(document: Raw) -> Raw:
        return document if next(count) % 5 else Raw(document.key, b"\x1f\x8b\x00\xff" + document.value[:200])

    return _twisted(day, twist)


def feed_what_a_stage_raises_on(day: Day) -> Undo:
    """One document on which entities raises."""
    return _once(day, "raise in entities")


def feed_what_a_stage_hangs_on(day: Day) -> Undo:
    """One document on which entities never comes back. What watches /healthz starts the worker again."""
    _once(day, "hang in entities")

    def undo() -> None:
        slot = day.supervisor.slots["entities-0"]
        refused = 'sum(newsmill_dead_letters_total{stage="entities",reason="killed_worker"}) > 0'

        def over() -> bool:
            if day.healthy(slot.name) is False:
                day.supervisor.kill(slot)
            return day.holds(refused)

        day.until(over, "the document is a dead letter", 400)

    return undo


def flood_a_stage(day: Day) -> Undo:
    """Three times as much comes in as classify can do."""
    slow = day.where / "slow-classify"
    slow.write_text(f"{day.load.rate:g}")
    before, day.load.rate = day.load.rate, day.load.rate * 3

    def undo() -> None:
        day.load.rate = before
        slow.unlink()

    return undo


def restart_with_a_cold_model(day: Day) -> Undo:
    """All workers are stopped and started again, with their weights and tables out of the machine's memory."""
    slots = list(day.supervisor.slots.values())
    day.supervisor.ask_to_leave(*slots)
    for file in [path for path in (ROOT / "workers").rglob("*") if path.is_file()]:
        number = os.open(file, os.O_RDONLY)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)
    for slot in slots:
        day.supervisor.release(slot)
    return lambda: None


def _twisted(day: Day, twist: Callable[[Raw], Raw]) -> Undo:
    day.load.twist = twist

    def undo() -> None:
        day.load.twist = as_it_is

    return undo


def _once(day: Day, marker: str) -> Undo:
    waiting = [marker]

    def twist(document: Raw) -> Raw:
        if not waiting or b'"title"' not in document.value:
            return document
        whole = orjson.loads(document.value)
        title = f"{whole['title']}, {waiting.pop()}"
        # A text of its own: a copy would end in dedup.
        text = f"{time.time_ns()} crowns was the price, and {time.time_ns() + 7} was paid in {title}."
        return Raw(document.key, orjson.dumps(whole | {"title": title, "text": text, "url": f"{whole['url']}/x"}))

    return _twisted(day, twist)


KILL = Deed("a worker is killed", kill_a_worker, "it is started", ("NewsmillScrapeFails",), 300)

ALL = (
    KILL,
    Deed(
        "a worker dies again and again",
        kill_over_and_over,
        "it lives",
        ("NewsmillWorkerRestarts",),
        300,
    ),
    Deed("a worker stands still (SIGSTOP)", freeze_a_worker, "it goes on", ("NewsmillScrapeFails",), 300),
    Deed(
        "one partition of news.raw is held back by an open transaction",
        hold_a_partition_back,
        "the transaction is aborted",
        ("NewsmillInputHeldBack",),
        600,
    ),
    Deed("the broker is stopped", stop_the_broker, "it is started", ("NewsmillNobodyReady",), 900),
    Deed(
        "a source changes its layout: pages come without a text",
        break_a_layout,
        "the scraper is put right",
        ("NewsmillSourceRefused",),
        3600,
    ),
    Deed(
        "a fifth of the input is bad bytes",
        feed_bad_bytes,
        "they stop",
        ("NewsmillDeadLetters",),
        1800,
    ),
    Deed(
        "a record on which entities raises",
        feed_what_a_stage_raises_on,
        "time passes",
        ("NewsmillStageRaises",),
        300,
    ),
    Deed(
        "a record on which entities never comes back",
        feed_what_a_stage_hangs_on,
        "the probe of /healthz has it started again, until the record is a dead letter",
        ("NewsmillWorkerStalled",),
        900,
    ),
    Deed(
        "three times as much comes as classify can do",
        flood_a_stage,
        "the flood ends",
        ("NewsmillFreshnessBurnsFast", "NewsmillLagGrows"),
        3600,
    ),
    Deed("all workers restart with cold models", restart_with_a_cold_model, "-", (), 600),
)
