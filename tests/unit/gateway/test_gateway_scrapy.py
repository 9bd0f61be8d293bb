"""The item pipeline for Scrapy: a real crawl of a local site, in a project that has packages of the names of ours."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from newsmill.scrapy import Options, Outcome, Sender
from tests.support.gateway import FakeKafka, served_in_thread

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "a-token-of-the-harbour"
PAGES = 25

FILES = {
    "scrapy.cfg": "[settings]\ndefault = gazette.settings\n",
    "schemas/__init__.py": "OWNER = 'the project'\n",
    "schemas/items.py": """
        from dataclasses import dataclass
        from datetime import datetime

        @dataclass
        class Page:
            url: str
            title: str
            text: str
            fetched_at: datetime
        """,
    "workers/__init__.py": "OWNER = 'the project'\n",
    "gazette/__init__.py": "",
    "gazette/settings.py": """
        import json
        import os

        BOT_NAME = "gazette"
        SPIDER_MODULES = ["gazette.spiders"]
        ROBOTSTXT_OBEY = False
        TELNETCONSOLE_ENABLED = False
        LOG_LEVEL = "INFO"
        DOWNLOAD_DELAY = 0
        ITEM_PIPELINES = {"newsmill.scrapy.GatewayPipeline": 900}
        NEWSMILL = json.loads(os.environ["TEST_NEWSMILL"])
        """,
    "gazette/spiders/__init__.py": "",
    "gazette/spiders/site.py": """
        import os
        import sys
        from datetime import datetime, timezone

        import scrapy
        import schemas
        import workers
        from schemas.items import Page

        class Site(scrapy.Spider):
            name = "site"
            start_urls = [os.environ["TEST_SITE"]]

            def parse(self, response):
                yield from response.follow_all(css="a", callback=self.page)

            def page(self, response):
                title = response.css("h1::text").get()
                text = "\\n\\n".join(response.css("p::text").getall())
                if response.url.endswith("/7"):
                    yield {"url": response.url, "title": "No text"}
                    return
                yield Page(response.url, title, text, datetime(2026, 11, 2, 8, tzinfo=timezone.utc))

            def closed(self, reason):
                ours = [name for name in sys.modules if name.split(".")[0] == "newsmill"]
                assert sorted(ours) == ["newsmill", "newsmill.scrapy"], ours
                assert schemas.OWNER == workers.OWNER == "the project"
                assert "schemas.limits" not in sys.modules and "workers.stage" not in sys.modules
                self.logger.info("imports are clean")
        """,
}


@pytest.fixture
def site() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                body = "".join(f"<a href='/{n}'>{n}</a>" for n in range(PAGES))
            else:
                body = f"<h1>Report {self.path[1:]}</h1><p>Die Fähre {self.path[1:]} fuhr spät.</p><p>So war es.</p>"
            data = body.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path


def crawl(project: Path, site: str, **options: Any) -> str:
    """Run the spider, and return its log."""
    more = {"TEST_SITE": site, "TEST_NEWSMILL": json.dumps(options), "PYTHONPATH": str(ROOT), "no_proxy": "*"}
    done = subprocess.run(
        [sys.executable, "-m", "scrapy", "crawl", "site"],
        cwd=project,
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_crawl_sends_its_items_and_again_what_was_not_acknowledged(project: Path, site: str) -> None:
    kafka = FakeKafka()
    refused: list[bytes] = []

    def outcome(value: bytes) -> Exception | None:
        if b"Report 3" in value and value not in refused:
            refused.append(value)
            return KafkaTimeoutError("not this time")
        return None

    kafka.outcome = outcome
    with served_in_thread(kafka, gateway_tokens=f"scrapers:{TOKEN}") as gateway:
        log = crawl(project, site, url=gateway.url, token=TOKEN, batch_items=10, linger_s=0.2)
    assert "imports are clean" in log
    found = {json.loads(value)["url"]: json.loads(value) for value in kafka.values}
    assert set(found) == {f"{site}{n}" for n in range(PAGES) if n != 7}
    assert found[f"{site}4"] == {
        "url": f"{site}4",
        "title": "Report 4",
        "text": "Die Fähre 4 fuhr spät.\n\nSo war es.",
        "fetched_at": "2026-11-02T08:00:00+00:00",
    }
    assert refused
    twice = [value for value in kafka.values if kafka.values.count(value) > 1]
    assert set(twice) == set(refused)
    assert "'newsmill/accepted': 24" in log
    assert "'newsmill/rejected/no_content': 1" in log
    assert "newsmill/unsent" not in log
    assert TOKEN not in log


def test_what_can_not_be_sent_is_kept_for_later(project: Path, site: str) -> None:
    spool = project / "unsent.ndjson"
    with served_in_thread(FakeKafka(), gateway_tokens=f"scrapers:{TOKEN}") as gateway:
        log = crawl(project, site, url=gateway.url, token="x" * 20, spool=str(spool))
    assert f"'newsmill/unsent': {PAGES}" in log
    assert "HTTP 401" in log
    assert len([json.loads(line) for line in spool.read_bytes().splitlines()]) == PAGES


def test_the_module_imports_nothing_else_of_newsmill() -> None:
    tree = ast.parse((ROOT / "newsmill" / "scrapy.py").read_text())
    modules = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert modules <= set(sys.stdlib_module_names) | {"scrapy", "itemadapter", "twisted"}
    package = ast.parse((ROOT / "newsmill" / "__init__.py").read_text())
    assert [type(node) for node in package.body] == [ast.Expr]


# -- the sender by itself


class Time:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def send(answers: list[Any], documents: list[bytes], **options: Any) -> tuple[Outcome, list[bytes], Time]:
    """Send against scripted answers; return the outcome, the bodies sent, and the time that it took."""
    time = Time()
    sender = Sender(Options(**options), sleep=time.sleep, clock=time, chance=lambda: 0.5)
    bodies: list[bytes] = []

    def post(body: bytes) -> tuple[int, float, bytes]:
        bodies.append(body)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    sender._post = post  # type: ignore[method-assign]
    return sender.send(documents), bodies, time


def told(*statuses: str) -> bytes:
    results = [{"number": n, "status": status, "reason": "bad_json"} for n, status in enumerate(statuses, 1)]
    return json.dumps({"documents": results}).encode()


def test_waiting_grows_and_retry_after_is_kept() -> None:
    answers = [
        ConnectionRefusedError("x"),
        (503, 0.0, b""),
        (429, 7.0, b""),
        (502, 0.0, b""),
        (202, 0.0, told("accepted")),
    ]
    outcome, bodies, time = send(answers, [b"{}"])
    assert (outcome.accepted, outcome.unsent) == (1, [])
    assert bodies == [b"{}"] * 5
    assert time.slept == [0.5, 1.0, 7.0, 4.0]


def test_only_what_is_unconfirmed_is_sent_again() -> None:
    answers = [(503, 1.0, told("accepted", "unconfirmed", "rejected")), (202, 0.0, told("accepted"))]
    outcome, bodies, _ = send(answers, [b"1", b"2", b"3"])
    assert bodies == [b"1\n2\n3", b"2"]
    assert (outcome.accepted, outcome.rejected) == (2, [("bad_json", "")])


def test_an_answer_that_is_none_of_the_gateways_settles_nothing() -> None:
    outcome, bodies, _ = send([(202, 0.0, b"<html>"), (202, 0.0, told("accepted"))], [b"1"], give_up_s=10)
    assert outcome.unsent == [b"1"]
    assert bodies == [b"1"]


def test_what_is_too_large_together_goes_in_halves() -> None:
    big = (413, 0.0, b"")
    answers = [big, (202, 0.0, told("accepted", "accepted")), big, big, (202, 0.0, told("accepted"))]
    outcome, bodies, _ = send(answers, [b"1", b"2", b"333", b"4"])
    assert bodies == [b"1\n2\n333\n4", b"1\n2", b"333\n4", b"333", b"4"]
    assert outcome.accepted == 3
    assert outcome.rejected == [("too_large", "3 bytes")]


def test_time_runs_out() -> None:
    outcome, bodies, time = send([OSError("away")] * 50, [b"1", b"2"], give_up_s=60)
    assert outcome.unsent == [b"1", b"2"]
    assert "away" in outcome.problem
    assert time.now <= 60
    assert len(bodies) < 12


@pytest.mark.parametrize("url", ["", "gateway:8480", "ftp://x", "http://"])
def test_an_address_that_can_not_be_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="NEWSMILL"):
        Sender(Options(url=url))


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(Options(token=TOKEN))
