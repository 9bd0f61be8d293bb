"""What reads bytes from outside, each as a function of bytes alone. Anything but its own refusals is a finding."""

from __future__ import annotations

import contextlib
import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
TYPES = (b"application/json", b"text/plain", b"text/html", b"text/html; charset=utf-16", b"\xff")

Check = Callable[[bytes], object]


class Target(NamedTuple):
    """`make` imports what is fuzzed (instrumented, where the caller sees to that) and returns the function."""

    make: Callable[[], Check]
    seeds: Callable[[], Iterator[bytes]]


def _ingest() -> Check:
    from workers.ingest import IngestStage
    from workers.stage import Record, Reject, StatefulStage

    stage: Any = IngestStage.load()

    def check(data: bytes) -> None:
        media_type = TYPES[data[0] % len(TYPES)] if data else TYPES[0]
        record = Record("news.raw", 0, 0, b"key", data[1:], (("content-type", media_type),), 1_795_500_000_000)
        (outcome,) = stage.process([record])
        if isinstance(outcome, Reject) and outcome.reason not in stage.reasons:
            raise AssertionError(outcome)
        if isinstance(stage, StatefulStage):
            stage.rollback()

    return check


def _documents() -> Iterator[bytes]:
    for path in sorted(SAMPLES.iterdir()):
        kind = {".txt": b"\x01", ".html": b"\x02"}.get(path.suffix, b"\x00")
        for line in path.read_bytes().splitlines() if path.suffix == ".ndjson" else [path.read_bytes()]:
            yield kind + line


def _reader(read: Callable[[Any], Iterator[Any]], *, refusals: tuple[type[Exception], ...] = ()) -> Check:
    def check(data: bytes) -> None:
        try:
            for piece in read(io.BufferedReader(io.BytesIO(data))):
                assert piece is not None
        except refusals:
            pass

    return check


def _warc() -> Check:
    from newsmill.feed import warc

    return _reader(lambda stream: warc.pages(stream, "fuzz.warc.gz"))


def _archives() -> Iterator[bytes]:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>The ferry was late.</p>"
    fields = b"WARC-Type: response\r\nWARC-Target-URI: https://ellery.example/1\r\nWARC-Date: 2026-11-01T08:00:00Z\r\n"
    record = b"WARC/1.0\r\n%sContent-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n"
    whole = record % (fields, len(page), page)
    yield whole * 2
    yield gzip.compress(whole, mtime=0) * 2


def _webfeed() -> Check:
    from newsmill.feed import webfeed

    return _reader(webfeed.entries)


def _feeds() -> Iterator[bytes]:
    yield (
        b'<?xml version="1.0"?><rss version="2.0"><channel><title>Ellery</title><item><title>Ferry</title>'
        b"<link>https://ellery.example/1</link><pubDate>Mon, 02 Nov 2026 08:15:00 GMT</pubDate>"
        b"<description>Late again.</description></item></channel></rss>"
    )
    yield (
        b'<feed xmlns="http://www.w3.org/2005/Atom"><title>N</title><entry><title type="html">&lt;b&gt;</title>'
        b'<link href="1"/><updated>2026-11-02T09:00:00+01:00</updated><content>Late.</content></entry></feed>'
    )


def _json_items() -> Check:
    from newsmill.feed import readers
    from newsmill.feed.errors import InputError

    return _reader(lambda stream: readers.json_items(stream, "fuzz.json"), refusals=(InputError,))


def _gateway() -> Check:
    from newsmill.gateway.documents import read
    from newsmill.gateway.problems import Problem

    types = ("application/json", "application/x-ndjson", "", "application/ld+json")

    def check(data: bytes) -> None:
        with contextlib.suppress(Problem):
            read(data[1:], types[data[0] % len(types)] if data else "", most=20)

    return check


def _bodies() -> Iterator[bytes]:
    for kind in (b"\x00", b"\x01"):
        yield kind + b'{"url": "https://ellery.example/1", "text": "The ferry was late."}'
        yield kind + b'[{"text": "a", "url": null}, {"html": "<p>b</p>"}]'
        yield kind + b'{"text": "a"}\n{"text": "b\\ud800"}\n'


def _dedup_log() -> Check:
    from workers.dedup import DedupStage
    from workers.stage import Record, StateVersionError

    def check(data: bytes) -> None:
        with contextlib.suppress(StateVersionError):
            DedupStage().restore(0, [Record("news.dedup-log", 0, 0, b"key", data, (("input-offset", b"7"),), 1)])

    return check


def _entries() -> Iterator[bytes]:
    yield from (message.value for message in _articles_through_dedup()[1])


def _snapshot() -> Check:
    from workers.dedup import DedupStage
    from workers.stage import StateVersionError

    def check(data: bytes) -> None:
        with contextlib.suppress(StateVersionError):
            DedupStage().load_snapshot(0, data)

    return check


def _snapshots() -> Iterator[bytes]:
    yield _articles_through_dedup()[0].snapshot(0)


def _articles_through_dedup() -> tuple[Any, list[Any]]:
    """A dedup stage that has seen two articles, and what it logged."""
    from workers.dedup import DedupStage
    from workers.ingest import IngestStage
    from workers.stage import Record

    value = b'{"url": "https://ellery.example/%d", "text": "The ferry to Port Alder was late on day %d, they said."}'
    records = [Record("news.raw", 0, n, b"key", value % (n, n), (), 1_795_500_000_000 + n) for n in range(2)]
    articles = [outcome.messages[0] for outcome in IngestStage.load().process(records)]
    dedup = DedupStage()
    outcomes = dedup.process([Record("news.articles", 0, n, m.key, m.value) for n, m in enumerate(articles)])
    dedup.commit()
    return dedup, [outcome.log for outcome in outcomes]


def _planted() -> Check:
    def check(data: bytes) -> None:
        if data[:1] == b"f" and data[1:2] == b"a" and data[2:3] == b"t":
            raise ValueError("planted, to see that it is found")

    return check


TARGETS: dict[str, Target] = {
    "ingest": Target(_ingest, _documents),
    "warc": Target(_warc, _archives),
    "webfeed": Target(_webfeed, _feeds),
    "json": Target(_json_items, _bodies),
    "gateway": Target(_gateway, _bodies),
    "dedup-log": Target(_dedup_log, _entries),
    "snapshot": Target(_snapshot, _snapshots),
    "planted": Target(_planted, lambda: iter([b"fx"])),
}
"""By name. `planted` holds an error: a fuzzer that does not find it finds nothing."""
