"""`newsmill gateway` as a program against a real Kafka: killed, stopped, and with a broker that goes away."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kafka.admin import ConfigResource

from newsmill import clients
from newsmill import topics as cluster
from newsmill.gateway.documents import document_id
from newsmill.local import LocalKafka
from newsmill.local.kafka import QUICK_START
from schemas import headers as h
from schemas import topics
from tests.support.gateway_process import GatewayProcess
from tests.support.kafka import Place
from workers import pipeline
from workers.stage import Emit, Record

pytestmark = pytest.mark.broker

CLIENTS = 50
DOCUMENTS = 10_000
KILLS_AT = (2_000, 6_000)


@contextmanager
def running(place: Place, tmp_path: Path, **more: str) -> Iterator[GatewayProcess]:
    process = GatewayProcess(place.settings, tmp_path / "gateway.log", NEWSMILL_GATEWAY_RATE="0", **more)
    process.start()
    try:
        process.wait_ready()
        yield process
    finally:
        process.kill()


def articles(count: int) -> list[bytes]:
    """Articles of 50 outlets, each about something else."""
    chance = random.Random(5)
    words = ["".join(chance.choice("aeioubdfglmnprst") for _ in range(chance.randint(3, 9))) for _ in range(2_000)]
    return [
        json.dumps(
            {
                "url": f"https://outlet{n % 50}.example/story/{n}",
                "title": f"Report {n} of the day",
                "text": " ".join(chance.choices(words, k=30)).capitalize() + ".",
            }
        ).encode()
        for n in range(count)
    ]


class Sender:
    """Clients that send each its share, and again whatever they got no answer for."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/v1/articles"
        self.acknowledged: set[str] = set()
        self.again = 0

    async def client(self, session: aiohttp.ClientSession, share: list[bytes], number: int) -> None:
        chance = random.Random(number)
        while share:
            part, share = share[: (size := chance.randint(1, 8))], share[size:]
            while part:
                part = await self._send(session, part, as_array=chance.random() < 0.5)

    async def _send(self, session: aiohttp.ClientSession, part: list[bytes], *, as_array: bool) -> list[bytes]:
        """Send `part`, and return what is to be sent again."""
        data = b"[" + b",".join(part) + b"]" if as_array else b"\n".join(part)
        headers = {"Content-Type": "application/json" if as_array else "application/x-ndjson"}
        try:
            async with session.post(self.url, data=data, headers=headers) as response:
                told = await response.json() if response.content_type == "application/json" else {"documents": []}
        except aiohttp.ClientError:
            told = {"documents": []}
        done = {result["id"] for result in told["documents"] if result["status"] == "accepted"}
        self.acknowledged |= done
        left = [value for value in part if document_id(value) not in done]
        if left:
            self.again += len(left)
            await asyncio.sleep(0.1)
        return left


async def send_all(gateway: GatewayProcess, values: list[bytes]) -> Sender:
    sender = Sender(gateway.url)

    async def disturb() -> None:
        for at in KILLS_AT:
            while len(sender.acknowledged) < at:
                await asyncio.sleep(0.01)
            gateway.kill()
            gateway.start()

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        shares = [values[n::CLIENTS] for n in range(CLIENTS)]
        async with asyncio.TaskGroup() as group:
            group.create_task(disturb())
            for n, share in enumerate(shares):
                group.create_task(sender.client(session, share, n))
    return sender


def unique_articles(records: list[Record]) -> Counter[str]:
    """URL -> how often it came out of ingest and dedup as an article that goes on."""
    ingest, dedup = pipeline.load("ingest"), pipeline.load("dedup")
    articles: list[Record] = []
    for outcome in ingest.process(records):
        assert isinstance(outcome, Emit), outcome
        (message,) = outcome.messages
        articles.append(Record(topics.ARTICLES, 0, len(articles), message.key, message.value))
    outcomes = dedup.process(articles)
    kinds = Counter(outcome.kind for outcome in outcomes if isinstance(outcome, Emit))
    assert set(kinds) <= {"unique", "recrawl"}, kinds
    sent_on = [m for o in outcomes if isinstance(o, Emit) for m in o.messages if m.topic == topics.UNIQUE]
    return Counter(json.loads(message.value)["url"] for message in sent_on)


def test_killed_twice_under_fifty_clients_every_acknowledged_article_is_there_and_none_becomes_two(
    place: Callable[..., Place], tmp_path: Path
) -> None:
    here, values = place(raw=4), articles(DOCUMENTS)
    with running(here, tmp_path) as gateway:
        sender = asyncio.run(send_all(gateway, values))
        assert gateway.terminate() == 0
    assert sender.again > 0, "the kills have met nothing in flight"
    records = here.read(topics.RAW)
    copies = Counter((h.get(record.headers, h.DOCUMENT_ID) or b"").decode() for record in records)
    assert sender.acknowledged == {document_id(value) for value in values}
    assert set(copies) == sender.acknowledged
    assert {record.value for record in records} == set(values)
    assert all((h.get(record.headers, h.INGESTED_AT) or b"").isdigit() for record in records)
    # Sent again, a document is the same record: in the same partition, behind the first.
    keys = {(record.value, record.key, record.partition) for record in records}
    assert len(keys) == DOCUMENTS
    twice = {name for name, count in copies.items() if count > 1}
    looked_at = [record for n, record in enumerate(records) if document_id(record.value or b"") in twice or n % 20 == 0]
    different = {record.value for record in looked_at}
    found = unique_articles(looked_at)
    assert len(found) == len(different)
    assert set(found.values()) == {1}


async def post(gateway: GatewayProcess, data: bytes, **headers: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session:
        given = {"Content-Type": "application/x-ndjson", **headers}
        async with session.post(f"{gateway.url}/v1/articles", data=io.BytesIO(data), headers=given) as response:
            return response.status, json.loads(await response.read())


def test_a_signal_stops_it_when_all_that_was_begun_is_answered(place: Callable[..., Place], tmp_path: Path) -> None:
    here = place(raw=2)

    async def test(gateway: GatewayProcess) -> None:
        half = asyncio.Event()

        async def slowly() -> Any:
            yield b'{"text": "first"}\n'
            half.set()
            await asyncio.sleep(0.5)
            yield b'{"text": "second"}\n'

        async with aiohttp.ClientSession() as session:
            request = session.post(f"{gateway.url}/v1/articles", data=slowly())
            sending = asyncio.create_task(request.__aenter__())
            await half.wait()
            await asyncio.sleep(0.1)  # the first line is on its way
            stopping = asyncio.create_task(asyncio.to_thread(gateway.terminate))
            response = await sending
            assert response.status == 202
            response.close()
            assert await stopping == 0
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get(gateway.url)

    with running(here, tmp_path) as gateway:
        asyncio.run(test(gateway))
        assert "Traceback" not in gateway.log.read_text()
    assert sorted(here.values(topics.RAW)) == [b'{"text": "first"}', b'{"text": "second"}']


def test_a_document_too_large_for_the_topic_is_rejected_alone(place: Callable[..., Place], tmp_path: Path) -> None:
    here = place()
    with cluster.admin_client(clients.connection(here.settings)) as admin:
        admin.alter_configs([ConfigResource("topic", here.physical(topics.RAW), {"max.message.bytes": "50000"})])
    # Together they are larger than a message may be, and compression can't help.
    small = [b'{"text": "%s"}' % os.urandom(1_000).hex().encode() for _ in range(200)]
    large = b'{"text": "%s"}' % os.urandom(40_000).hex().encode()
    with running(here, tmp_path) as gateway:
        status, told = asyncio.run(post(gateway, b"\n".join([*small[:100], large, *small[100:]])))
    assert status == 207
    assert (told["accepted"], told["rejected"]) == (200, 1)
    assert told["documents"][100]["reason"] == "too_large_for_broker"
    assert here.values(topics.RAW) == small


def test_a_missing_topic_is_told_and_waited_for(kafka: LocalKafka, tmp_path: Path) -> None:
    from newsmill.settings import Settings

    settings = Settings(bootstrap=kafka.bootstrap, namespace="nowhere.")
    gateway = GatewayProcess(settings, tmp_path / "log")
    gateway.start()

    async def test() -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(600):
                try:
                    async with session.post(f"{gateway.url}/v1/articles", data=b'{"text": "x"}') as response:
                        told = await response.json(content_type=None)
                        assert response.status == 503
                except aiohttp.ClientConnectionError:
                    told = {"detail": ""}
                if "nowhere.news.raw" in told["detail"]:
                    return
                await asyncio.sleep(0.1)
            raise AssertionError(gateway.log.read_text())

    try:
        asyncio.run(test())
    finally:
        gateway.kill()


def test_while_the_broker_is_away_senders_are_told_to_wait_and_then_nothing_is_missing(
    kafka_ready: None, tmp_path: Path
) -> None:
    soon = {"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}
    broker = LocalKafka(tmp_path / "data", overrides=soon, jvm_options=[QUICK_START])

    async def test(gateway: GatewayProcess) -> None:
        assert (await post(gateway, b'{"text": "before"}'))[0] == 202
        await asyncio.to_thread(broker.kill)
        status, told = await post(gateway, b'{"text": "meanwhile"}')
        assert status == 503
        assert told["documents"][0]["status"] == "unconfirmed"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{gateway.url}/readyz") as ready:
                assert ready.status == 503
            async with session.get(f"{gateway.url}/healthz") as alive:
                assert alive.status == 200
            async with session.post(f"{gateway.url}/v1/articles", data=b'{"text": "x"}') as response:
                assert response.status == 503  # at once: it is known now
                assert int(response.headers["Retry-After"]) > 0
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(broker.wait_ready)
        while (await post(gateway, b'{"text": "meanwhile"}'))[0] != 202:
            await asyncio.sleep(0.2)

    try:
        broker.start()
        broker.wait_ready()
        here = Place(broker.bootstrap, "away", tmp_path / "state")
        with running(here, tmp_path, NEWSMILL_GATEWAY_TIMEOUT_S="3") as gateway:
            asyncio.run(asyncio.wait_for(test(gateway), 120))
            # kafka-python may show one of its own for the connection that broke.
            ours = [line for line in gateway.log.read_text().splitlines() if '"logger":"kafka.' not in line]
            assert not [line for line in ours if "Traceback" in line]
        assert set(here.values(topics.RAW)) == {b'{"text": "before"}', b'{"text": "meanwhile"}'}
    finally:
        broker.kill()
