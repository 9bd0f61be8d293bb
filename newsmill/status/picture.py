"""One picture of everything: the broker's side and the workers' side put together, stage by stage."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from newsmill.settings import Settings
from newsmill.status import groups, scrapes
from newsmill.status.groups import Group
from newsmill.status.scrapes import GatewayScrape, NoWorker, Scrape

KEPT_SECONDS: Final = 16 * 60
"""How far back a History reaches."""


@dataclass(frozen=True, slots=True)
class StageLine:
    """A stage: its consumer group (None: the topic is missing) and the workers that answered."""

    name: str
    group: Group | None
    workers: tuple[Scrape, ...]
    done: tuple[float | None, ...]
    """Records a second that its workers finished: now, over 1 minute, over 15; None: not watched for that long."""


@dataclass(frozen=True, slots=True)
class GatewayLine:
    """A gateway that answered, with documents a second that it took and requests a second that it refused (5xx): now,
    over 1 minute, over 15; None: not watched for that long."""

    scrape: GatewayScrape
    accepted: tuple[float | None, ...]
    refused: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """What was seen at `at` (seconds since the Unix epoch)."""

    at: float
    stages: tuple[StageLine, ...]
    dead_letters: tuple[int, ...]
    """Dead letters that arrived in the last 1 and 15 minutes."""
    silent: Mapping[str, str] = field(default_factory=dict)
    """Addresses that were named and did not answer, with what went wrong."""
    gateways: tuple[GatewayLine, ...] = ()

    @property
    def broken_sources(self) -> list[tuple[str, tuple[str, ...]]]:
        """Sources that are broken, by name, with what is wrong with each. Two workers may know one source."""
        found: dict[str, set[str]] = {}
        for worker in (worker for line in self.stages for worker in line.workers):
            for name, what in worker.broken_sources.items():
                found.setdefault(name, set()).update(what)
        return [(name, tuple(sorted(what))) for name, what in sorted(found.items())]


class History:
    """Records that each worker has finished, over the last minutes: counters become rates.

    A counter that falls (the worker was started again) counts from 0.
    """

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[float, float]]] = {}

    def add(self, scrape: Scrape | GatewayScrape) -> None:
        """Take one reading of a worker or of a gateway."""
        if isinstance(scrape, Scrape):
            self._add(scrape.url, scrape, sum(scrape.records.values()) + scrape.replayed)
        else:
            self._add(f"{scrape.url} accepted", scrape, scrape.documents.get("accepted", 0.0))
            self._add(f"{scrape.url} refused", scrape, scrape.refused)

    def _add(self, name: str, scrape: Scrape | GatewayScrape, total: float) -> None:
        samples = self._samples.setdefault(name, deque())
        if samples and total < samples[-1][1]:
            samples.clear()
            samples.append((scrape.started, 0.0))
        samples.append((scrape.at, total))
        while scrape.at - samples[0][0] > KEPT_SECONDS:
            samples.popleft()

    def rate(self, urls: Sequence[str], seconds: float) -> float | None:
        """Return records a second over the last `seconds` (0: between the last two readings), all `urls` together.

        None when none of them has been watched for nine tenths of that.
        """
        rates = [rate for url in urls if (rate := self._rate(self._samples.get(url, deque()), seconds)) is not None]
        return sum(rates) if rates else None

    def _rate(self, samples: deque[tuple[float, float]], seconds: float) -> float | None:
        if len(samples) < 2:
            return None
        last_at, last = samples[-1]
        at, count = samples[-2]
        for sample in reversed(samples):
            if last_at - sample[0] > seconds and seconds:
                break
            if seconds:
                at, count = sample
        if last_at <= at or (seconds and last_at - at < 0.9 * seconds):
            return None
        return (last - count) / (last_at - at)


def look(
    settings: Settings,
    sources: Mapping[str, str],
    history: History,
    urls: Sequence[str] = (),
    *,
    clock: Callable[[], float] = time.time,
) -> Picture:
    """Take a picture.

    Args:
        settings: where the broker is, and the host of local workers.
        sources: topic by stage, in the order of the pipeline.
        history: readings of before; this one is added.
        urls: addresses of workers and gateways; none: those of this machine.

    Raises kafka.errors.KafkaError when no broker answers.
    """
    found, silent = _workers(settings, urls, clock)
    for scrape in found:
        history.add(scrape)
    described, dead = groups.describe(settings, sources)
    lines = []
    for stage in sources:
        workers = tuple(scrape for scrape in found if isinstance(scrape, Scrape) and scrape.stage == stage)
        done = _rates(history, [worker.url for worker in workers])
        lines.append(StageLine(stage, described.get(stage), workers, done))
    gateways = tuple(
        GatewayLine(scrape, _rates(history, [f"{scrape.url} accepted"]), _rates(history, [f"{scrape.url} refused"]))
        for scrape in found
        if isinstance(scrape, GatewayScrape)
    )
    return Picture(clock(), tuple(lines), dead, silent, gateways)


def _rates(history: History, names: Sequence[str]) -> tuple[float | None, ...]:
    return tuple(history.rate(names, seconds) for seconds in (0, 60, 900))


def _workers(
    settings: Settings, urls: Sequence[str], clock: Callable[[], float]
) -> tuple[list[Scrape | GatewayScrape], dict[str, str]]:
    found: list[Scrape | GatewayScrape] = []
    silent: dict[str, str] = {}
    for url in urls:
        try:
            found.append(scrapes.read(url.rstrip("/"), clock()))
        except NoWorker as error:
            silent[url] = str(error)
    if not urls:
        for addresses in scrapes.local_addresses(settings.metrics_host):
            # Slots are filled from the first on; the first that does not answer ends the search, unless it is the
            # first of all: the worker of slot 0 may be the one that is down.
            for slot, url in enumerate(addresses):
                try:
                    found.append(scrapes.read(url, clock()))
                except NoWorker:
                    if slot:
                        break
    return found, silent
