"""The HTTP service: one request after the other from its first byte to its answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from newsmill.gateway import documents, openapi, problems
from newsmill.gateway.body import READ_SECONDS, read_body
from newsmill.gateway.budget import Budget, Full
from newsmill.gateway.documents import Bad, Good
from newsmill.gateway.link import Outgoing
from newsmill.gateway.outbox import STOPPING, Outbox
from newsmill.gateway.problems import Problem
from newsmill.gateway.rate import Bucket
from newsmill.gateway.receipts import ACCEPTED, REJECTED, UNCONFIRMED, Receipt, Result, receipt
from newsmill.gateway.tokens import Tokens
from newsmill.health import Health
from newsmill.metrics import GatewayMetrics
from newsmill.settings import Settings
from schemas import headers as h

log = logging.getLogger(__name__)

ARTICLES: Final = "/v1/articles"
OPENAPI: Final = "/v1/openapi.json"

_PATHS: Final = frozenset({ARTICLES, OPENAPI, "/healthz", "/readyz", "/metrics"})

RETRY_SECONDS: Final = 5
"""What senders are told to wait while Kafka is away."""

_LARGE: Final = 256 * 1024
"""Bodies above this are read on a thread, so that they don't hold up the small ones; bytes."""

_GRACE_SECONDS: Final = 2.0
_JSON: Final = "application/json"
_TEXT: Final = "text/plain"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """What the requests of one gateway share.

    Args:
        settings: limits and tokens.
        outbox: where documents go.
        metrics, health: told of all that happens.
        now_ms: milliseconds since the Unix epoch, for the header `ingested-at`.

    Raises SettingsError.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        metrics: GatewayMetrics,
        health: Health,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._metrics = metrics
        self._health = health
        self._now_ms = now_ms
        self._tokens = Tokens(settings.gateway_tokens)
        self._buckets = {name: Bucket(settings.gateway_rate, settings.gateway_burst) for name in self._tokens.names}
        self._documents = Budget(settings.gateway_in_flight_documents)
        self._bytes = Budget(settings.gateway_in_flight_bytes)
        for status in (HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            # There from the start, with 0: a rate needs a value before the first event.
            metrics.requests.labels(ARTICLES, status)
        metrics.in_flight_documents.set_function(lambda: self._documents.taken)
        metrics.in_flight_bytes.set_function(lambda: self._bytes.taken)
        self._active = 0
        self._idle = asyncio.Event()
        self._draining = False
        self._openapi = msgspec.json.encode(
            openapi.document(request_documents=settings.gateway_request_documents, tokens=bool(self._tokens))
        )

    def app(self) -> web.Application:
        """Return the application to serve. Serve it with `auto_decompress=False`: the gateway bounds what comes out."""
        app = web.Application(middlewares=[self._around])
        app.router.add_post(ARTICLES, self._articles)
        for path, handler in (
            (OPENAPI, self._describe),
            ("/healthz", self._healthz),
            ("/readyz", self._readyz),
            ("/metrics", self._show_metrics),
        ):
            app.router.add_get(path, handler)
        return app

    async def drain(self, seconds: float) -> None:
        """Begin nothing new, and return when all that has begun is answered; at the latest after `seconds`.

        aiohttp's own shutdown would drop what is still to come of a body.
        """
        self._draining = True
        if self._active:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), seconds)

    # -- around every request

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        self._active += 1
        try:
            response = await self._answered(request, handler)
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()
        if self._draining:
            response.force_close()
        path = request.path if request.path in _PATHS else "other"
        self._metrics.requests.labels(path, response.status).inc()
        if path == ARTICLES:
            self._metrics.seconds.observe(time.perf_counter() - started)
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return _answer(problem.status, problem.body(), problems.CONTENT_TYPE, problem.headers)
        except web.HTTPException as error:
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            status = HTTPStatus(error.status)
            return _answer(status, problems.details(status, error.reason), problems.CONTENT_TYPE, allow)
        except Exception:
            # The text of a document must not be in the log, so neither is what was sent.
            log.exception("a request failed: a bug of the gateway's")
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            return _answer(
                status, problems.details(status, "a bug of the gateway's; its log says more"), problems.CONTENT_TYPE
            )

    def _sender(self, request: web.Request) -> str:
        name = self._tokens.owner(request.headers.get("Authorization"))
        if name is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "send a known token: Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": 'Bearer realm="newsmill"'},
            )
        if not self._tokens and "Origin" in request.headers:
            # Any page that a browser on this machine shows could send to loopback.
            raise Problem(HTTPStatus.FORBIDDEN, "pages in browsers can't send while no tokens are set")
        return name

    # -- documents

    async def _articles(self, request: web.Request) -> web.StreamResponse:
        sender = self._sender(request)
        bucket = self._buckets[sender]
        self._check_rate(bucket, 1)
        self._check_open()
        # A hold on the bytes is kept until Kafka has answered, also when the sender has not waited for that.
        bytes_held = self._bytes.hold()
        documents_held = self._documents.hold()
        try:
            body = await read_body(
                request.content,
                encoding=request.headers.get("Content-Encoding", ""),
                length=request.content_length,
                most=self._settings.gateway_request_bytes,
                hold=bytes_held,
                seconds=READ_SECONDS,
            )
            self._metrics.received.labels(sender).inc(len(body))
            found = await self._read(body, request)
            del body
            self._check_rate(bucket, len(found))
            bucket.take(len(found))
            good = [document for document in found if isinstance(document, Good)]
            try:
                documents_held.grow(len(good))
            except Full:
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "as many documents wait for Kafka as may; send again later",
                    retry_after=1,
                ) from None
            self._check_kafka()
            parcel = self._outbox.send([self._record(document) for document in good]) if good else None
        except BaseException:
            bytes_held.release()
            documents_held.release()
            raise

        def release(_: object = None) -> None:
            bytes_held.release()
            documents_held.release()
            self._health.progress()
            self._health.waiting(self._documents.taken > 0)

        errors: Sequence[str | None] = ()
        if parcel is None:
            release()
        else:
            self._health.waiting(True)
            parcel.done.add_done_callback(release)
            with self._metrics.confirming.time():
                await asyncio.wait((parcel.done,), timeout=self._settings.gateway_timeout_s + _GRACE_SECONDS)
            errors = parcel.errors
        return self._tell(sender, _receipt(found, errors))

    async def _read(self, body: bytes, request: web.Request) -> list[Good | Bad]:
        # aiohttp's own `content_type` makes one up where there is none.
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        limits = {"most": self._settings.gateway_request_documents, "record_bytes": self._outbox.record_bytes}
        if len(body) <= _LARGE:
            return documents.read(body, content_type, **limits)
        return await asyncio.to_thread(documents.read, body, content_type, **limits)

    def _check_rate(self, bucket: Bucket, count: int) -> None:
        if (wait := bucket.wait(count)) > 0:
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "this token sends too fast", retry_after=wait)

    def _check_open(self) -> None:
        if self._draining:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, STOPPING, retry_after=1)
        self._check_kafka()

    def _check_kafka(self) -> None:
        if self._outbox.problem:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, self._outbox.problem, retry_after=RETRY_SECONDS)

    def _record(self, document: Good) -> Outgoing:
        headers = (
            (h.DOCUMENT_ID, document.id.encode()),
            (h.INGESTED_AT, str(self._now_ms()).encode()),
        )
        return Outgoing(document.key, document.value, headers)

    def _tell(self, sender: str, told: Receipt) -> web.Response:
        for result in told.documents:
            self._metrics.documents.labels(sender, result.reason or result.status).inc()
        retry = {"Retry-After": str(RETRY_SECONDS)} if told.unconfirmed else {}
        return _answer(told.status, msgspec.json.encode(told), _JSON, retry)

    # -- everything else

    async def _describe(self, request: web.Request) -> web.StreamResponse:
        return _answer(HTTPStatus.OK, self._openapi, _JSON)

    async def _healthz(self, request: web.Request) -> web.StreamResponse:
        return _state(self._health.problem())

    async def _readyz(self, request: web.Request) -> web.StreamResponse:
        return _state(self._health.problem() or self._health.not_ready())

    async def _show_metrics(self, request: web.Request) -> web.StreamResponse:
        if self._tokens:
            self._sender(request)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        response = web.Response(body=encode(self._metrics.registry))
        response.headers["Content-Type"] = content_type
        return response


def _receipt(found: Sequence[Good | Bad], errors: Sequence[str | None]) -> Receipt:
    results = []
    sent = iter(errors)
    for document in found:
        if isinstance(document, Bad):
            results.append(
                Result(number=document.number, status=REJECTED, reason=document.reason, detail=document.detail)
            )
            continue
        error = next(sent)
        if error == "":
            results.append(Result(number=document.number, status=ACCEPTED, id=document.id))
        else:
            results.append(
                Result(
                    number=document.number,
                    status=UNCONFIRMED,
                    id=document.id,
                    detail=error or "Kafka has not answered in time",
                )
            )
    return receipt(results)


def _state(problem: str) -> web.Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
    return _answer(status, f"{problem or 'ok'}\n".encode(), _TEXT)


def _answer(status: HTTPStatus, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> web.Response:
    response = web.Response(status=status, body=body, content_type=content_type, headers=headers)
    if content_type == _TEXT:
        response.charset = "utf-8"
    return response
