"""Archives and feeds through the commands: what is damaged in them is refused with its reason, and the rest goes on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from click.testing import CliRunner

from newsmill.cli import group
from newsmill.feed import Document, FileSource, Input, expand
from newsmill.feed.sender import Rejection, Sender
from tests.support.producer import FakeBroker

STORY = "The ferry to Port Alder was late on Monday because of a storm, the harbour master said. " * 4


def record(n: int) -> bytes:
    page = f"<html><head><title>Report {n} of the day</title></head><body><p>{STORY} {n}</p></body></html>".encode()
    content = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\n"
        f"WARC-Target-URI: https://ellery.example/{n}\r\nWARC-Date: 2026-11-02T08:00:00Z\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + content + b"\r\n\r\n")


def damaged(path: Path) -> Path:
    second = bytearray(record(2))
    second[30:60] = b"\x00" * 30
    path.write_bytes(record(1) + bytes(second) + record(3))
    return path


def test_a_run_makes_articles_of_what_is_whole_and_a_dead_letter_of_what_is_not(tmp_path: Path) -> None:
    archive = damaged(tmp_path / "a.warc.gz")
    sitemap = tmp_path / "sitemap.xml"
    sitemap.write_text("<urlset></urlset>")
    out, dead = tmp_path / "out.ndjson", tmp_path / "dead.ndjson"
    result = CliRunner().invoke(
        group,
        ["run", str(archive), str(sitemap), "--until", "ingest", "--out", str(out), "--dead-letters", str(dead)],
        env={"NEWSMILL_SHARED": None},
    )
    assert result.exit_code in (0, 1), result.output
    articles = [json.loads(line) for line in out.read_text().splitlines()]
    assert [article["url"] for article in articles] == ["https://ellery.example/1", "https://ellery.example/3"]
    letters = [json.loads(line) for line in dead.read_text().splitlines()]
    assert [(letter["reason"], letter["origin"]) for letter in letters] == [
        ("unreadable", f"{archive}:2"),
        ("unreadable", f"{sitemap}:1"),
    ]


def test_a_feed_names_what_it_could_not_read_and_sends_the_rest(tmp_path: Path) -> None:
    archive = damaged(tmp_path / "a.warc.gz")
    broker = FakeBroker()
    rejected: list[Rejection] = []
    sender = Sender(broker.make, "news.raw", timeout_s=1, on_rejected=rejected.append)

    def read(source: Input) -> list[Document]:
        return list(FileSource([source], ingested_ms=1))

    summary = sender.run(expand([str(archive)]), read)
    assert summary.sent == 2
    assert [json.loads(value)["url"] for value in broker.confirmed] == [
        "https://ellery.example/1",
        "https://ellery.example/3",
    ]
    ((origin, reason),) = [(one.origin, one.reason) for one in rejected]
    assert (origin, reason) == (f"{archive}:2", "unreadable")
