"""POST /v1/articles: every way to send documents, and every answer."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError

from newsmill.gateway.documents import document_id
from schemas import headers as h
from tests.support.gateway import FakeKafka, Served, served

A = b'{"url": "https://www.Alder.example/a", "text": "The ferry was late."}'
B = b'{"url": "https://alder.example/b", "text": "The ferry was early."}'
TOKEN = "a-token-of-the-harbour"


def on(kafka: FakeKafka, test: Callable[[Served], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with served(kafka, **settings) as gateway:
            await test(gateway)

    asyncio.run(run())


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


# -- what is accepted


@pytest.mark.parametrize(
    ("data", "content_type", "numbers"),
    [
        (A, "application/json", [1]),
        (A, "application/json; charset=utf-8", [1]),
        (A, "application/ld+json", [1]),
        (A, None, [1]),
        (A, "application/x-www-form-urlencoded", [1]),
        (b"[" + A + b"," + B + b"]", "application/json", [1, 2]),
        (b"\n [ " + A + b" ,\n" + B + b" ]\n", None, [1, 2]),
        (A + b"\n\n" + B + b"\n", "application/x-ndjson", [1, 3]),
        (b"\xef\xbb\xbf" + A + b"\r\n" + B, "application/jsonl", [1, 2]),
        (A + b"\n" + B, "application/json", [1, 2]),
        (A + b"\n" + B, "text/plain", [1, 2]),
    ],
)
def test_documents_are_accepted_with_their_own_bytes(
    kafka: FakeKafka, data: bytes, content_type: str | None, numbers: list[int]
) -> None:
    async def test(gateway: Served) -> None:
        answer = await gateway.post(data, content_type)
        assert answer.status == 202
        assert answer.headers["Content-Type"] == "application/json"
        values = [A, B][: len(numbers)]
        assert answer.json() == {
            "accepted": len(values),
            "rejected": 0,
            "unconfirmed": 0,
            "documents": [
                {"number": number, "status": "accepted", "id": document_id(value)}
                for number, value in zip(numbers, values, strict=True)
            ],
        }
        assert kafka.values == values
        assert kafka.taken[0].key == b"alder.example"
        assert kafka.taken[0].headers == ((h.DOCUMENT_ID, document_id(A).encode()), (h.INGESTED_AT, b"1234"))
        assert gateway.sample("newsmill_gateway_documents_total", sender="anybody", outcome="accepted") == len(values)
        assert gateway.sample("newsmill_gateway_requests_total", path="/v1/articles", status="202") == 1
        assert gateway.sample("newsmill_gateway_received_bytes_total", sender="anybody") == len(data)

    on(kafka, test)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_gzip_is_read_also_in_several_members(kafka: FakeKafka, encoding: str) -> None:
    async def test(gateway: Served) -> None:
        data = gzip.compress(A + b"\n") + gzip.compress(B * 1000 + b"\n" + B)
        answer = await gateway.post(data, "application/x-ndjson", Content_Encoding=encoding)
        assert answer.status == 207
        assert kafka.values == [A, B]

    on(kafka, test)


def test_a_large_body_is_read_as_a_small_one(kafka: FakeKafka) -> None:
    async def test(gateway: Served) -> None:
        values = [json.dumps({"text": f"{n} " + "The ferry was late. " * 500}).encode() for n in range(100)]
        answer = await gateway.post(b"\n".join(values), "application/x-ndjson")
        assert answer.status == 202
        assert kafka.values == values

    on(kafka, test)


def test_what_ingest_reads_tolerantly_is_let_through(kafka: FakeKafka) -> None:
    odd = [b'{"text": "\\ud800 x"}', b'{"text": "x", "n": NaN}', b'{"text": "a\tb", "published_at": 1e400}']

    async def test(gateway: Served) -> None:
        assert (await gateway.post(b"\n".join(odd), "application/x-ndjson")).status == 202
        assert kafka.values == odd

    on(kafka, test)


# -- what is rejected, document by document


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (b"nothing", "bad_json", "malformed"),
        (b'{"text": "x"', "bad_json", "truncated"),
        (b'{"text": "x"} {}', "bad_json", "trailing"),
        (b'{"text": "\xff"}', "bad_encoding", "not UTF-8"),
        (b"[1]", "not_an_object", "array"),
        (b"null", "not_an_object", "null"),
        (b'{"text": "x", "url": 5}', "bad_field", "$.url"),
        (b'{"text": 5}', "bad_field", "$.text"),
        (b'{"text": "x", "authors": [{"name": 5}]}', "bad_field", "$.authors"),
        (b"{}", "no_content", "neither"),
        (b'{"text": " \\n", "html": null}', "no_content", "neither"),
        (b'{"text": []}', "no_content", "neither"),
        (b'{"text": "x", "n": ' + b"[" * 2_000 + b"]" * 2_000 + b"}", "too_deep", "nested"),
        (b'{"text": "' + b"x" * 8 * 1024 * 1024 + b'"}', "too_large", "8388620 bytes"),
        (b'{"text": "' + b"x" * 200_000 + b'"}', "too_large_for_broker", "at most 100000"),
    ],
)
def test_a_bad_document_is_told_with_its_line_and_reason_and_the_others_are_accepted(
    kafka: FakeKafka, value: bytes, reason: str, detail: str
) -> None:
    if reason == "too_large_for_broker":
        kafka.record_bytes = 100_000

    async def test(gateway: Served) -> None:
        answer = await gateway.post(A + b"\n" + value + b"\n" + B, "application/x-ndjson")
        assert answer.status == 207
        told = answer.json()
        assert (told["accepted"], told["rejected"], told["unconfirmed"]) == (2, 1, 0)
        bad = told["documents"][1]
        assert (bad["number"], bad["status"], bad["reason"]) == (2, "rejected", reason)
        assert detail in bad["detail"]
        assert "id" not in bad
        assert kafka.values == [A, B]
        assert gateway.sample("newsmill_gateway_documents_total", sender="anybody", outcome=reason) == 1
        answer = await gateway.post(value, "application/x-ndjson")
        assert answer.status == 422
        assert answer.json()["documents"][0]["reason"] == reason
        assert len(kafka.taken) == 2

    on(kafka, test)


def test_a_bad_item_of_an_array_does_not_spoil_the_others(kafka: FakeKafka) -> None:
    async def test(gateway: Served) -> None:
        told = (await gateway.post(b"[" + A + b', {"text": "x" "y"}, 7, ' + B + b"]")).json()
        assert [d.get("reason") for d in told["documents"]] == [None, "bad_json", "not_an_object", None]
        assert kafka.values == [A, B]

    on(kafka, test)


# -- what is refused as a whole


# Names of tests hold these bytes: without the time of day, they are the same in each process.
@pytest.mark.parametrize(
    ("data", "headers", "status", "detail"),
    [
        (b"", {}, 400, "no document"),
        (b" \n ", {}, 400, "no document"),
        (b"[]", {}, 400, "no document"),
        (b"[" + A, {}, 400, "does not come to an end"),
        (b"[" + A + b"]]", {}, 400, "in the middle"),
        (b"[" + A + b"}", {}, 400, "in the middle"),
        (b'[{"a": [' + b"{}," * 200_000 + b"{}]}]", {}, 400, "brackets"),
        (A, {"Content_Encoding": "gzip"}, 400, "not gzip"),
        (gzip.compress(A, mtime=0)[:-4], {"Content_Encoding": "gzip"}, 400, "too early"),
        (gzip.compress(b"", mtime=0) * 1_001, {"Content_Encoding": "gzip"}, 400, "members"),
        (A, {"Content_Encoding": "br"}, 415, "gzip"),
        (A, {"content_type": "image/png"}, 415, "application/x-ndjson"),
        (b"[" + b"1," * 20 + b"1]", {}, 413, "at most 20 documents"),
        (A + b"x" * 1_000_000, {}, 413, "at most 1000000 bytes"),
        (gzip.compress(b"x" * 1_000_001, mtime=0), {"Content_Encoding": "gzip"}, 413, "at most 1000000 bytes"),
    ],
)
def test_a_body_that_can_not_be_read_is_refused_as_a_whole(
    kafka: FakeKafka, data: bytes, headers: dict[str, str], status: int, detail: str
) -> None:
    async def test(gateway: Served) -> None:
        answer = await gateway.post(data, **headers)
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        told = answer.json()
        assert told["status"] == status
        assert detail in told["detail"]
        assert kafka.taken == []
        assert gateway.sample("newsmill_gateway_in_flight_bytes") == 0
        assert gateway.sample("newsmill_gateway_in_flight_documents") == 0

    on(kafka, test, gateway_request_documents=20, gateway_request_bytes=1_000_000)


def test_a_bomb_is_given_up_as_soon_as_it_is_too_large(kafka: FakeKafka) -> None:
    import tracemalloc

    bomb = gzip.compress(b"\0" * 200_000_000)

    async def test(gateway: Served) -> None:
        tracemalloc.start()
        answer = await gateway.post(bomb, Content_Encoding="gzip")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert answer.status == 413
        assert peak < 8_000_000

    on(kafka, test, gateway_request_bytes=1_000_000)


def test_a_body_without_a_length_is_bounded_too(kafka: FakeKafka) -> None:
    async def endless() -> Any:
        while True:
            yield b"x" * 65_536

    async def test(gateway: Served) -> None:
        try:
            answer = await gateway.post(endless())
        except OSError:
            return  # refused while it was still being sent
        assert answer.status == 413

    on(kafka, test, gateway_request_bytes=1_000_000)


def test_a_body_that_does_not_arrive_is_not_waited_for(kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsmill.gateway.app.READ_SECONDS", 0.1)

    async def test(gateway: Served) -> None:
        reader, writer = await asyncio.open_connection(*gateway.url.removeprefix("http://").split(":"))
        writer.write(b"POST /v1/articles HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert b" 408 " in await reader.readline()
        writer.close()

    on(kafka, test)


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/v1/articles", 405), ("/v1/nothing?x=1", 404)])
def test_what_is_not_served_is_told_as_a_problem(kafka: FakeKafka, path: str, status: int) -> None:
    async def test(gateway: Served) -> None:
        answer = await gateway.get(path)
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers.get("Allow") == ("POST" if status == 405 else None)
        where = "/v1/articles" if status == 405 else "other"
        assert gateway.sample("newsmill_gateway_requests_total", path=where, status=str(status)) == 1

    on(kafka, test)


def test_a_bug_is_a_500_and_no_document_is_logged(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("newsmill.gateway.documents.read", broken)

    async def test(gateway: Served) -> None:
        answer = await gateway.post(A)
        assert answer.status == 500
        assert "a bug of the gateway's" in answer.json()["detail"]
        assert gateway.sample("newsmill_gateway_in_flight_bytes") == 0

    on(kafka, test)
    assert "ferry" not in caplog.text
    assert "RuntimeError" in caplog.text


# -- who may send, and how fast


def test_with_tokens_only_those_who_have_one_may_send(kafka: FakeKafka) -> None:
    async def test(gateway: Served) -> None:
        for wrong in ({}, {"Authorization": "Bearer nothing"}, {"Authorization": f"Basic {TOKEN}"}, {"X": TOKEN}):
            answer = await gateway.post(A, **wrong)
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await gateway.get("/metrics")).status == 401
        assert (await gateway.post(A, Authorization=f"bearer {TOKEN}", Origin="https://alder.example")).status == 202
        assert (await gateway.get("/metrics", Authorization=f"Bearer {TOKEN}")).status == 200
        assert gateway.sample("newsmill_gateway_documents_total", sender="harbour", outcome="accepted") == 1
        for path in ("/healthz", "/readyz", "/v1/openapi.json"):
            assert (await gateway.get(path)).status == 200

    on(kafka, test, gateway_tokens=f"other:ffffffffffffffffffff, harbour:{TOKEN}")
    assert kafka.values == [A]


def test_without_tokens_pages_in_browsers_may_not_send(kafka: FakeKafka) -> None:
    async def test(gateway: Served) -> None:
        assert (await gateway.post(A, "text/plain", Origin="https://evil.example")).status == 403

    on(kafka, test)
    assert kafka.taken == []


def test_who_sends_too_fast_is_told_when_to_go_on_and_the_others_are_not_held_up(kafka: FakeKafka) -> None:
    async def test(gateway: Served) -> None:
        one, two = f"Bearer {TOKEN}", "Bearer ffffffffffffffffffff"
        assert (await gateway.post(b"\n".join([A] * 8), "application/x-ndjson", Authorization=one)).status == 202
        answer = await gateway.post(b"\n".join([A] * 8), "application/x-ndjson", Authorization=one)
        assert answer.status == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 6
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (await gateway.post(A, Authorization=two)).status == 202

    on(
        kafka,
        test,
        gateway_tokens=f"one:{TOKEN},two:ffffffffffffffffffff",
        gateway_rate=1.0,
        gateway_burst=10,
    )
    assert len(kafka.taken) == 9


# -- when Kafka does not keep up, or is away


def test_an_answer_waits_for_kafka(kafka: FakeKafka) -> None:
    kafka.silent = True

    async def test(gateway: Served) -> None:
        sending = asyncio.create_task(gateway.post(A))
        while not kafka.taken:
            await asyncio.sleep(0.01)
        assert gateway.sample("newsmill_gateway_in_flight_documents") == 1
        assert gateway.sample("newsmill_gateway_in_flight_bytes") == len(A)
        done, _ = await asyncio.wait((sending,), timeout=0.1)
        assert not done
        kafka.answer_all()
        assert (await sending).status == 202
        assert gateway.sample("newsmill_gateway_in_flight_documents") == 0

    on(kafka, test)


@pytest.mark.parametrize("limit", [{"gateway_in_flight_documents": 2}, {"gateway_in_flight_bytes": 2 * len(A) + 2}])
def test_more_than_may_be_in_flight_is_to_be_sent_later(kafka: FakeKafka, limit: dict[str, int]) -> None:
    kafka.silent = True

    async def test(gateway: Served) -> None:
        sending = asyncio.create_task(gateway.post(A + b"\n" + A, "application/x-ndjson"))
        while len(kafka.taken) < 2:
            await asyncio.sleep(0.01)
        answer = await gateway.post(A)
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        kafka.answer_all()
        assert (await sending).status == 202
        assert (await gateway.post(A)).status == 202

    on(kafka, test, **limit)
    assert kafka.values == [A, A, A]


def test_what_kafka_has_not_acknowledged_is_to_be_sent_again(kafka: FakeKafka) -> None:
    kafka.outcome = lambda value: KafkaTimeoutError("too late") if value == B else None

    async def test(gateway: Served) -> None:
        answer = await gateway.post(A + b"\n" + B + b"\nbad", "application/x-ndjson")
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        told = answer.json()
        assert [d["status"] for d in told["documents"]] == ["accepted", "unconfirmed", "rejected"]
        assert told["documents"][1]["id"] == document_id(B)
        assert "too late" in told["documents"][1]["detail"]
        assert gateway.sample("newsmill_gateway_documents_total", sender="anybody", outcome="unconfirmed") == 1
        kafka.outcome = lambda value: None
        while gateway.outbox.problem:
            await asyncio.sleep(0.01)
        assert kafka.connections == 2
        assert (await gateway.post(B)).status == 202

    on(kafka, test)


def test_an_answer_does_not_wait_for_ever(kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka.silent = True
    monkeypatch.setattr("newsmill.gateway.app._GRACE_SECONDS", -0.9)

    async def test(gateway: Served) -> None:
        answer = await gateway.post(A)
        assert answer.status == 503
        assert "not answered in time" in answer.json()["documents"][0]["detail"]
        # It still takes room: Kafka's client holds it.
        assert gateway.sample("newsmill_gateway_in_flight_documents") == 1

    on(kafka, test, gateway_timeout_s=1.0)


def test_while_kafka_is_away_nothing_is_taken_and_when_it_is_back_all_is_well(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsmill.gateway.outbox.BACKOFF_SECONDS", (0.01,))
    kafka.away = KafkaConnectionError("nobody answers")

    async def test(gateway: Served) -> None:
        answer = await gateway.post(A)
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "Kafka can't be reached" in answer.json()["detail"]
        ready = await gateway.get("/readyz")
        assert (ready.status, b"can't be reached" in ready.body) == (503, True)
        assert (await gateway.get("/healthz")).status == 200
        assert gateway.sample("newsmill_ready", stage="gateway") == 0
        kafka.away = None
        while (await gateway.get("/readyz")).status != 200:
            await asyncio.sleep(0.01)
        assert (await gateway.post(A)).status == 202
        assert gateway.sample("newsmill_ready", stage="gateway") == 1

    on(kafka, test)
    assert kafka.values == [A]


def test_a_client_of_kafka_that_raises_what_nobody_expects_is_replaced(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("newsmill.gateway.outbox.BACKOFF_SECONDS", (0.01,))
    kafka.away = ZeroDivisionError("a bug of the client's")

    def raises(value: bytes) -> None:
        raise ZeroDivisionError("another")

    async def test(gateway: Served) -> None:
        answer = await gateway.post(A)
        assert answer.status == 503
        assert "a bug of the client's" in answer.json()["detail"]
        kafka.away = None
        while gateway.outbox.problem:
            await asyncio.sleep(0.01)
        kafka.outcome = raises
        answer = await gateway.post(A)
        assert answer.status == 503
        assert answer.json()["documents"][0]["status"] == "unconfirmed"
        kafka.outcome = lambda value: None
        while gateway.outbox.problem:
            await asyncio.sleep(0.01)
        assert (await gateway.post(A)).status == 202

    on(kafka, test)
    assert "Traceback" in caplog.text


def test_a_kafka_that_goes_away_while_nothing_is_sent_is_noticed(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsmill.gateway.outbox.CHECK_SECONDS", 0.01)

    async def test(gateway: Served) -> None:
        assert (await gateway.get("/readyz")).status == 200
        kafka.away = KafkaConnectionError("nobody answers")
        while (await gateway.get("/readyz")).status != 503:
            await asyncio.sleep(0.01)
        assert kafka.closed == 1

    on(kafka, test)


def test_metrics_and_health_are_served(kafka: FakeKafka) -> None:
    async def test(gateway: Served) -> None:
        await gateway.post(A)
        metrics = await gateway.get("/metrics")
        assert metrics.status == 200
        assert metrics.headers["Content-Type"].startswith("text/plain")
        assert b'newsmill_gateway_documents_total{outcome="accepted",sender="anybody"} 1.0' in metrics.body
        assert b'newsmill_gateway_requests_total{path="/v1/articles",status="202"} 1.0' in metrics.body
        health = await gateway.get("/healthz")
        assert (health.status, health.body) == (200, b"ok\n")

    on(kafka, test)
