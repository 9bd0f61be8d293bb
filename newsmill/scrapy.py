"""A Scrapy item pipeline that sends items to the gateway.

    # settings.py of the Scrapy project
    ITEM_PIPELINES = {"newsmill.scrapy.GatewayPipeline": 900}
    NEWSMILL = {"url": "http://127.0.0.1:8480", "token": "..."}

This file imports nothing else of newsmill: a Scrapy project may have packages of its own that are called `schemas` or
`workers`. It needs the standard library and Scrapy alone, so it may also be copied.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from itemadapter import ItemAdapter
from scrapy.utils.defer import maybe_deferred_to_future
from twisted.internet.defer import DeferredLock
from twisted.internet.threads import deferToThread

log = logging.getLogger(__name__)

_LATER: Final = frozenset({408, 429, 500, 502, 503, 504})
_TOLD: Final = frozenset({202, 207, 422, 503})
"""Statuses of answers that tell of each document what became of it."""

_MOST_ANSWER_BYTES: Final = 16 * 1024 * 1024
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the setting NEWSMILL of a Scrapy project may say.

    `batch_items`, `batch_bytes`: items that go together. `linger_s`: longest that an item waits for company, seconds.
    `timeout_s`: longest to wait for an answer. `give_up_s`: longest to try. `spool`: file to which items are appended
    that could not be sent, one JSON object a line (`newsmill feed` reads it); None: they are lost, and counted.
    """

    url: str = "http://127.0.0.1:8480"
    token: str = field(default="", repr=False)
    batch_items: int = 100
    batch_bytes: int = 4 * 1024 * 1024
    linger_s: float = 2.0
    timeout_s: float = 60.0
    give_up_s: float = 300.0
    spool: str | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a batch: how many were accepted, why others were rejected, and what could not be sent."""

    accepted: int = 0
    rejected: list[tuple[str, str]] = field(default_factory=list)
    unsent: list[bytes] = field(default_factory=list)
    problem: str = ""


class Sender:
    """Sends batches to the gateway, again and again until it has answered or time is up. It blocks: use a thread.

    Sending again is safe: a document with the same bytes is recognised further down as the same article.

    Args:
        options: where to, and how long.
        sleep, clock, chance: time and chance, for tests.
    """

    def __init__(
        self,
        options: Options,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        address = urlsplit(options.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"NEWSMILL['url'] is {options.url!r}: write http://HOST:PORT")
        self._options = options
        self._secure = address.scheme == "https"
        self._host = address.hostname
        self._port = address.port
        self._path = f"{address.path.rstrip('/')}/v1/articles"
        self._sleep = sleep
        self._clock = clock
        self._chance = chance

    def send(self, documents: Sequence[bytes]) -> Outcome:
        """Send JSON documents, and return what became of them."""
        outcome = Outcome()
        parts = [list(documents)]
        deadline = self._clock() + self._options.give_up_s
        while parts:
            part = parts.pop()
            left = self._send_until(part, deadline, outcome)
            if left is not None and len(left) > 1:
                middle = len(left) // 2
                parts += [left[middle:], left[:middle]]
            elif left:
                outcome.rejected.append(("too_large", f"{len(left[0])} bytes"))
        return outcome

    def _send_until(self, part: list[bytes], deadline: float, outcome: Outcome) -> list[bytes] | None:
        """Send `part` until all of it is settled in `outcome`; return what is too large to go together, else None."""
        wait = _FIRST_WAIT_S
        while True:
            try:
                status, retry_after, answer = self._post(b"\n".join(part))
            except (OSError, http.client.HTTPException) as error:
                status, retry_after, answer = 0, 0.0, b""
                problem = f"{type(error).__name__}: {error}"
            else:
                problem = f"HTTP {status}: {answer[:300].decode('utf-8', 'replace')}"
            if status == 413:
                return part
            if status in _TOLD:
                part = _settle(part, answer, outcome)
            if not part:
                return None
            pause = max(retry_after, wait * (0.5 + self._chance()))
            if (status and status not in _LATER) or self._clock() + pause > deadline:
                outcome.unsent += part
                outcome.problem = problem
                return None
            log.info("the gateway did not take %d items (%s); again in %.1f s", len(part), problem, pause)
            self._sleep(pause)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def _post(self, body: bytes) -> tuple[int, float, bytes]:
        """Return status, seconds of Retry-After, and the answer. Raises OSError, HTTPException."""
        timeout = self._options.timeout_s
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        headers = {"Content-Type": "application/x-ndjson"}
        if self._options.token:
            headers["Authorization"] = f"Bearer {self._options.token}"
        try:
            connection.request("POST", self._path, body, headers)
            response = connection.getresponse()
            after = response.headers.get("Retry-After", "")
            return response.status, float(after) if after.isdigit() else 0.0, response.read(_MOST_ANSWER_BYTES)
        finally:
            connection.close()


def _settle(part: list[bytes], answer: bytes, outcome: Outcome) -> list[bytes]:
    """Note what an answer says of each document; return those that are to be sent again."""
    try:
        results = {result["number"]: result for result in json.loads(answer)["documents"]}
    except (ValueError, KeyError, TypeError):
        return part  # not an answer of the gateway's own: nothing is known
    again = []
    for number, document in enumerate(part, 1):
        result = results.get(number, {})
        if result.get("status") == "accepted":
            outcome.accepted += 1
        elif result.get("status") == "rejected":
            outcome.rejected.append((result.get("reason", ""), result.get("detail", "")))
        else:
            again.append(document)
    return again


class GatewayPipeline:
    """Sends items in batches. An item waits here only when its batch is full, until the gateway has answered: so a
    gateway that is slow or away slows the crawl down, and memory stays bounded.

    Statistics of the crawl: `newsmill/accepted`, `newsmill/rejected` and `newsmill/rejected/REASON`, `newsmill/unsent`.
    """

    def __init__(self, options: Options, stats: Any) -> None:
        self._options = options
        self._stats = stats
        self._sender = Sender(options)
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._lock = DeferredLock()
        self._timer: Any = None

    @classmethod
    def from_crawler(cls, crawler: Any) -> GatewayPipeline:
        """Return the pipeline as the settings of the crawler's project say.

        Raises ValueError for wrong ones: a crawl whose items go nowhere had better not start.
        """
        given = crawler.settings.getdict("NEWSMILL")
        if unknown := sorted(set(given) - set(Options.__slots__)):
            raise ValueError(f"NEWSMILL has no {', '.join(unknown)}; it has {', '.join(Options.__slots__)}")
        return cls(Options(**given), crawler.stats)

    async def process_item(self, item: Any, spider: Any = None) -> Any:
        """Take an item and return it unchanged."""
        document = json.dumps(ItemAdapter(item).asdict(), default=_plain, ensure_ascii=False).encode("utf-8", "replace")
        self._waiting.append(document)
        self._bytes += len(document) + 1
        if len(self._waiting) >= self._options.batch_items or self._bytes >= self._options.batch_bytes:
            await self._flush()
        elif self._timer is None:
            self._start_timer()
        return item

    async def close_spider(self, spider: Any = None) -> None:
        """Send what waits."""
        await self._flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_timer(self) -> None:
        # Here, not at the top: Scrapy has installed the reactor of the project's choice by now.
        from scrapy.utils.defer import deferred_from_coro
        from twisted.internet import reactor

        def linger() -> None:
            self._timer = None
            deferred_from_coro(self._flush()).addErrback(
                lambda failure: log.error("items were not sent", exc_info=failure.value)
            )

        later: Any = reactor
        self._timer = later.callLater(self._options.linger_s, linger)

    async def _flush(self) -> None:
        # One batch after the other: whoever finds the lock taken waits, and with them the crawl.
        await maybe_deferred_to_future(self._lock.acquire())
        try:
            while self._waiting:
                batch = self._take()
                self._note(await maybe_deferred_to_future(deferToThread(self._sender.send, batch)))
        finally:
            self._lock.release()

    def _take(self) -> list[bytes]:
        count = size = 0
        for document in self._waiting[: self._options.batch_items]:
            size += len(document) + 1
            if count and size > self._options.batch_bytes:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._bytes = sum(len(document) + 1 for document in self._waiting)
        return batch

    def _note(self, outcome: Outcome) -> None:
        self._stats.inc_value("newsmill/accepted", outcome.accepted)
        for reason, detail in outcome.rejected:
            self._stats.inc_value("newsmill/rejected")
            self._stats.inc_value(f"newsmill/rejected/{reason}")
            log.warning("the gateway rejects an item: %s: %s", reason, detail)
        if not outcome.unsent:
            return
        self._stats.inc_value("newsmill/unsent", len(outcome.unsent))
        where = "they are lost"
        if self._options.spool is not None:
            with Path(self._options.spool).open("ab") as spool:
                spool.write(b"".join(document + b"\n" for document in outcome.unsent))
            where = f"they are in {self._options.spool}"
        log.error("%d items could not be sent (%s); %s", len(outcome.unsent), outcome.problem, where)


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return str(value)
