"""The console's HTTP service: the page, what it listens to, and what it asks for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from newsmill.console.board import Board, Changes
from newsmill.console.lookup import Lookup, Search
from newsmill.console.names import from_elsewhere, host_name, names
from newsmill.settings import Settings
from newsmill.trace import Wanted, search

log = logging.getLogger(__name__)

MAX_WATCHERS: Final = 32
MAX_LOOKUPS: Final = 2
MAX_QUERY_CHARS: Final = 2_000
MAX_SINCE_SECONDS: Final = 10 * 365 * 86_400

SEND_SECONDS: Final = 0.5
"""How often those who watch are told what has come."""

QUIET_SECONDS: Final = 10.0
"""After so long without news a sign of life is sent, so that a lost connection is seen."""

WRITE_SECONDS: Final = 20.0
"""One who takes nothing for so long is let go."""

STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".html": "text/html"}

HEADERS: Final = {
    # Nothing but our own files; no markup from a text, not even by our own code (trusted-types).
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Console:
    """What the requests of one console share. It only reads: there is no other method than GET.

    Args:
        settings: names under which it may be opened; where the topics are.
        board: what is shown.
        find: searches for an article, as `newsmill.trace.search` does.

    Raises SettingsError.
    """

    def __init__(self, settings: Settings, board: Board, find: Search = search) -> None:
        self._settings = settings
        self._board = board
        self._find = find
        self._names = names(settings)
        self._watchers = 0
        self._lookups: list[Lookup] = []
        self._stopping = asyncio.Event()
        self._files = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in _TYPES}

    def app(self) -> web.Application:
        """Return the application to serve. Serve it with `handler_cancellation`: a search ends with its asker."""
        app = web.Application(middlewares=[self._around], client_max_size=1_024)
        for path, handler in (
            ("/", self._page),
            ("/static/{name}", self._static),
            ("/api/events", self._events),
            ("/api/articles/{place}", self._article),
            ("/api/dead-letters/{place}", self._dead_letter),
            ("/api/trace", self._trace),
            ("/healthz", self._healthz),
        ):
            app.router.add_get(path, handler)
        return app

    def stop(self) -> None:
        """End what goes on: those who watch, and searches."""
        self._stopping.set()
        for lookup in self._lookups:
            lookup.cancel()

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if host_name(request.headers.get("Host")) not in self._names:
            response = _problem(HTTPStatus.MISDIRECTED_REQUEST, "this console is not known under that name")
        elif request.path.startswith("/api/") and from_elsewhere(request.headers):
            response = _problem(HTTPStatus.FORBIDDEN, "other pages may not ask")
        else:
            try:
                return await handler(request)
            except web.HTTPException as error:
                response = _problem(HTTPStatus(error.status), error.reason)
            except (ConnectionError, TimeoutError):
                raise
            except Exception:
                log.exception("a request failed: a bug of the console's")
                response = _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug of the console's; its log says more")
        response.headers.update(HEADERS)
        return response

    # -- the page

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return self._file("index.html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return self._file(request.match_info["name"])

    def _file(self, name: str) -> web.StreamResponse:
        if (body := self._files.get(name)) is None:
            return _problem(HTTPStatus.NOT_FOUND, "there is no such file")
        kind = _TYPES[Path(name).suffix]
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=HEADERS)

    async def _healthz(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n", headers=HEADERS)

    # -- what it shows

    async def _article(self, request: web.Request) -> web.StreamResponse:
        if (found := self._board.article(request.match_info["place"])) is None:
            return _problem(HTTPStatus.NOT_FOUND, "this article has left the list; search for it by its id")
        article = orjson.loads(found)
        return _json(article | {"copies": self._board.copies(article["cluster"])})

    async def _dead_letter(self, request: web.Request) -> web.StreamResponse:
        if (found := self._board.dead_letter(request.match_info["place"])) is None:
            return _problem(HTTPStatus.NOT_FOUND, "this dead letter has left the list")
        return web.Response(body=found, content_type="application/json", headers=HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._watchers >= MAX_WATCHERS:
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_WATCHERS} pages are open already; close one")
        self._watchers += 1
        try:
            response = web.StreamResponse(headers=HEADERS | {"Content-Type": "text/event-stream; charset=utf-8"})
            await response.prepare(request)
            await _write(response, b"retry: 2000\n\n")
            await self._tell(response)
        finally:
            self._watchers -= 1
        return response

    async def _tell(self, response: web.StreamResponse) -> None:
        number, first, told = 0, True, time.monotonic()
        while not self._stopping.is_set():
            changes = self._board.since(number)
            if changes is not None and (first or changes.number != number):
                number = changes.number
                await _write(response, b"data: " + orjson.dumps(self._update(changes, first)) + b"\n\n")
                first, told = False, time.monotonic()
            elif time.monotonic() - told > QUIET_SECONDS:
                await _write(response, b"event: alive\ndata: {}\n\n")
                told = time.monotonic()
            await self._pause(SEND_SECONDS)

    def _update(self, changes: Changes, first: bool) -> dict[str, Any]:
        return {
            "first": first,
            "now": time.time(),
            "kafka": self._settings.bootstrap,
            "namespace": self._settings.namespace,
            "articles": changes.articles,
            "duplicates": changes.duplicates,
            "dead_letters": changes.dead_letters,
            "samples": changes.samples,
            "status": changes.status,
            "troubles": changes.troubles,
        }

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    # -- search

    async def _trace(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("q", "").strip()
        if not text or len(text) > MAX_QUERY_CHARS:
            return _problem(HTTPStatus.BAD_REQUEST, "give an article id (32 hex digits) or a URL")
        try:
            wanted = Wanted.parse(text)
            since_ms = _since(request.query.get("since", ""))
        except ValueError:
            return _problem(HTTPStatus.BAD_REQUEST, "this is neither an article id (32 hex digits) nor a URL")
        self._lookups = [lookup for lookup in self._lookups if lookup.running]
        if len(self._lookups) >= MAX_LOOKUPS:
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "others search at the moment; try again in a while")
        lookup = Lookup(self._settings, wanted, since_ms, self._find)
        self._lookups.append(lookup)
        try:
            response = web.StreamResponse(headers=HEADERS | {"Content-Type": "application/x-ndjson; charset=utf-8"})
            await response.prepare(request)
            running = True
            while running and not self._stopping.is_set():
                running = lookup.running  # asked before the answers are taken, so that none is left behind
                for answer in lookup.take():
                    await _write(response, orjson.dumps(answer) + b"\n")
                await self._pause(0.1 if running else 0)
        finally:
            lookup.cancel()
        return response


def _since(seconds: str) -> int | None:
    if not seconds:
        return None
    span = int(seconds)
    if not 0 < span <= MAX_SINCE_SECONDS:
        raise ValueError
    return int((time.time() - span) * 1000)


async def _write(response: web.StreamResponse, data: bytes) -> None:
    await asyncio.wait_for(response.write(data), WRITE_SECONDS)


def _json(plain: Any) -> web.Response:
    return web.Response(body=orjson.dumps(plain), content_type="application/json", headers=HEADERS)


def _problem(status: HTTPStatus, detail: str) -> web.Response:
    """Return problem details (RFC 9457)."""
    body = orjson.dumps({"title": status.phrase, "status": status.value, "detail": detail})
    return web.Response(status=status, body=body, content_type="application/problem+json", headers=HEADERS)
