"""The console's HTTP service: what it answers, whom it refuses, what it bounds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from kafka.errors import KafkaTimeoutError

from newsmill.console import app as console_app
from newsmill.console import lookup
from newsmill.console.app import STATIC, Console
from newsmill.console.board import Board, Item
from newsmill.settings import Settings
from newsmill.trace import Found, Wanted
from schemas import headers as h
from schemas import topics
from workers.stage import Record

ID = "a" * 32
Client = TestClient[Any, Any]

PATHS = (
    *("/", "/static/console.css", "/static/no.js", "/nowhere", "/api/events", "/healthz"),
    *("/api/articles/2-7", "/api/articles/9-9", "/api/dead-letters/0-5", f"/api/trace?q={ID}", "/api/trace?q="),
)


def nothing(settings: Settings, wanted: Wanted, **_: Any) -> Found:
    return Found(wanted)


@contextlib.asynccontextmanager
async def served(board: Board | None = None, find: Any = nothing) -> AsyncIterator[Client]:
    console = Console(Settings(), board or Board(), find)
    client = TestClient(TestServer(console.app()))  # with handler_cancellation, as `run_console` serves it
    try:
        await client.start_server()
        yield client
    finally:
        console.stop()
        await client.close()


def run(test: Callable[[Client], Awaitable[None]], board: Board | None = None, find: Any = nothing) -> None:
    async def main() -> None:
        async with served(board, find) as client:
            await asyncio.wait_for(test(client), 30)

    asyncio.run(main())


async def event(response: ClientResponse) -> dict[str, Any]:
    """The next update of the stream."""
    while True:
        line = await response.content.readline()
        assert line, "the stream has ended"
        if line.startswith(b"data: ") and len(line) > 12:
            found: dict[str, Any] = json.loads(line[6:])
            return found


def a_board() -> Board:
    board = Board()
    full = json.dumps({"cluster": "c", "headline": [["Harbour", -1]]}).encode()
    board.add_article(Item(1_000, "2-7", {"place": "2-7", "at": 1_000, "cluster": "c"}, full))
    board.add_duplicate(Item(2_000, "0-1", {"place": "0-1", "at": 2_000, "cluster": "c", "verdict": "exact_copy"}))
    board.add_dead_letter(Item(3_000, "0-5", {"place": "0-5", "at": 3_000}, b'{"reason": "bad_json"}'))
    return board


# -- whom it refuses


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/events", "/api/trace?q=" + ID, "/healthz"])
def test_a_name_that_is_not_ours_is_refused_everywhere(path: str) -> None:
    async def test(client: Client) -> None:
        for name in ("rebind.example", "rebind.example:8490", "localhost.rebind.example", "127.0.0.1.rebind.example"):
            answer = await client.get(path, headers={"Host": name})
            assert answer.status == 421
            assert "newsmill" not in await answer.text()

    run(test)


def test_loopback_may_be_called_by_any_of_its_names_and_on_any_port() -> None:
    async def test(client: Client) -> None:
        for name in ("localhost:9000", "127.0.0.1", "[::1]:8490"):
            assert (await client.get("/", headers={"Host": name})).status == 200

    run(test)


def test_other_pages_may_not_ask() -> None:
    async def test(client: Client) -> None:
        for site in ("cross-site", "same-site"):
            answer = await client.get("/api/trace", params={"q": ID}, headers={"Sec-Fetch-Site": site})
            assert answer.status == 403
        assert (await client.get("/api/articles/0-0", headers={"Sec-Fetch-Site": "same-origin"})).status == 404

    run(test)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_it_only_reads(method: str) -> None:
    async def test(client: Client) -> None:
        for path in ("/", "/api/events", "/api/articles/2-7", "/api/trace"):
            answer = await client.request(method, path, headers={"Origin": "https://rebind.example"})
            assert answer.status == 405
            assert not any(name.lower().startswith("access-control") for name in answer.headers)

    run(test, a_board())


def test_every_answer_has_the_headers_that_keep_a_page_to_itself() -> None:
    async def test(client: Client) -> None:
        for path in PATHS:
            answer = await client.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "trusted-types 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            answer.close()

    run(test, a_board())


def test_files_are_those_of_the_page_and_no_others() -> None:
    async def test(client: Client) -> None:
        for path in ("/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/app.py"):
            assert (await client.get(path)).status == 404
        answer = await client.get("/static/main.js")
        assert answer.content_type == "text/javascript"

    run(test)


def test_the_page_asks_for_nothing_that_is_not_served_here() -> None:
    page = (STATIC / "index.html").read_text()
    for address in re.findall(r"""(?:src|href)="([^"#]+)""", page):
        assert (STATIC / address.removeprefix("/static/")).exists(), address
    everything = "".join(path.read_text() for path in STATIC.iterdir())
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", everything))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_no_script_of_the_page_makes_markup_of_a_text() -> None:
    for path in STATIC.glob("*.js"):
        text = path.read_text()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "srcdoc",
        ):
            assert way not in text, f"{path.name}: {way}"
    assert not re.search(r"\son[a-z]+=|<script(?![^>]*\ssrc=)|style=", (STATIC / "index.html").read_text())


# -- what it shows


def test_a_watcher_is_told_all_at_first_and_then_what_comes() -> None:
    board = a_board()

    async def test(client: Client) -> None:
        async with client.get("/api/events") as response:
            first = await event(response)
            assert first["first"]
            assert [brief["place"] for brief in first["articles"]] == ["2-7"]
            board.add_article(Item(4_000, "2-8", {"place": "2-8"}))
            second = await event(response)
            assert not second["first"]
            assert [brief["place"] for brief in second["articles"]] == ["2-8"]
            assert second["duplicates"] == []

    run(test, board)


def test_a_board_that_is_empty_is_told_too() -> None:
    async def test(client: Client) -> None:
        async with client.get("/api/events") as response:
            assert (await event(response))["articles"] == []

    run(test)


def test_an_article_comes_with_its_copies() -> None:
    async def test(client: Client) -> None:
        found = await (await client.get("/api/articles/2-7")).json()
        assert [copy["verdict"] for copy in found["copies"]] == ["exact_copy"]
        assert (await (await client.get("/api/dead-letters/0-5")).json()) == {"reason": "bad_json"}
        for path in ("/api/articles/2-8", "/api/dead-letters/x", "/api/articles/" + "9" * 5_000):
            assert (await client.get(path)).status == 404

    run(test, a_board())


def test_only_so_many_may_watch_and_a_place_is_free_again_when_one_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_app, "MAX_WATCHERS", 2)
    monkeypatch.setattr(console_app, "SEND_SECONDS", 0.02)
    board = Board()

    async def test(client: Client) -> None:
        watching = [await client.get("/api/events") for _ in range(2)]
        for response in watching:
            await event(response)
        assert (await client.get("/api/events")).status == 503
        watching.pop().close()
        while (again := await client.get("/api/events")).status == 503:
            board.trouble("x", str(id(again)))  # who has gone away is noticed when something is to be told
            await asyncio.sleep(0.02)
        assert again.status == 200
        again.close()
        watching.pop().close()

    run(test, board)


# -- search


def _dead(wanted: Wanted) -> Found:
    headers = (
        (h.ORIGIN, b"x/0/0"),
        (h.DEAD_STAGE, b"ingest"),
        (h.DEAD_REASON, b"bad_field"),
        (h.DEAD_DETAIL, b"y" * 9_000),
    )
    found = Found(wanted)
    for offset in range(200):
        found.dead.append(Record(topics.DEAD_LETTERS, 0, offset, b"k", b"{}", headers, timestamp_ms=offset))
    return found


async def answers(response: ClientResponse) -> list[dict[str, Any]]:
    return [json.loads(line) async for line in response.content]


def test_a_search_tells_how_far_it_is_and_then_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int | None]] = []
    monkeypatch.setattr(lookup, "TELL_SECONDS", 0.0)

    def find(settings: Settings, wanted: Wanted, *, since_ms: int | None, on_progress: Any) -> Found:
        asked.append((wanted.id, since_ms))
        on_progress("news.articles", 500)
        return _dead(wanted)

    async def test(client: Client) -> None:
        progress, last = await answers(await client.get("/api/trace", params={"q": f" {ID} ", "since": "60"}))
        assert progress == {"topic": "news.articles", "read": 500}
        (story,) = last["stories"]
        assert story["outcome"] == "stopped at ingest: bad_field"
        # Bounded, whatever there is.
        assert len(story["steps"]) == lookup.MOST_STEPS
        assert len(story["steps"][0]["details"][0]) <= 400

    run(test, find=find)
    ((wanted, since),) = asked
    assert wanted == ID
    assert since is not None


@pytest.mark.parametrize("query", ["", "   ", "no id", "javascript:alert(1)", "g" * 32, "x" * 5_000])
def test_what_is_no_id_and_no_url_is_refused(query: str) -> None:
    async def test(client: Client) -> None:
        assert (await client.get("/api/trace", params={"q": query})).status == 400

    run(test)


@pytest.mark.parametrize("since", ["x", "-1", "0", "9" * 30])
def test_a_span_that_is_none_is_refused(since: str) -> None:
    async def test(client: Client) -> None:
        assert (await client.get("/api/trace", params={"q": ID, "since": since})).status == 400

    run(test)


def test_a_search_ends_when_who_asked_has_gone_away_and_then_others_may() -> None:
    begun = threading.Semaphore(0)
    ended: list[str] = []

    def find(settings: Settings, wanted: Wanted, *, since_ms: int | None, on_progress: Any) -> Found:
        begun.release()
        try:
            while True:
                on_progress("news.articles", 1)
                threading.Event().wait(0.01)
        finally:
            ended.append(wanted.id)

    async def test(client: Client) -> None:
        going = [await client.get("/api/trace", params={"q": ID}) for _ in range(console_app.MAX_LOOKUPS)]
        for _ in going:
            begun.acquire()
        refused = await client.get("/api/trace", params={"q": ID})
        assert refused.status == 503
        assert "others search" in (await refused.json())["detail"]
        for response in going:
            response.close()
        while len(ended) < len(going):
            await asyncio.sleep(0.01)
        while (again := await client.get("/api/trace", params={"q": ID})).status == 503:
            await asyncio.sleep(0.01)
        again.close()

    run(test, find=find)


def test_a_search_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "MOST_SECONDS", 0.0)

    def find(settings: Settings, wanted: Wanted, *, since_ms: int | None, on_progress: Any) -> Found:
        threading.Event().wait(0.01)
        on_progress("news.articles", 1)
        return Found(wanted)

    async def test(client: Client) -> None:
        (answer,) = await answers(await client.get("/api/trace", params={"q": ID}))
        assert "given up" in answer["problem"]

    run(test, find=find)


@pytest.mark.parametrize(
    ("error", "said"), [(KafkaTimeoutError(), "Kafka does not answer"), (ZeroDivisionError(), "a bug")]
)
def test_a_search_that_fails_says_so(error: Exception, said: str) -> None:
    def find(settings: Settings, wanted: Wanted, **_: Any) -> Found:
        raise error

    async def test(client: Client) -> None:
        (answer,) = await answers(await client.get("/api/trace", params={"q": ID}))
        assert said in answer["problem"]

    run(test, find=find)
