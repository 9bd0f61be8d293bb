"""Sending in windows: what is confirmed, what is rejected, and where the next feed goes on."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from kafka.errors import (
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)

from newsmill.feed import ChangedInputError, Document, FileSource, Input, Position, expand, readers
from newsmill.feed.errors import FeedError
from newsmill.feed.sender import FeedSummary, Rejection, Sender
from schemas import headers as h
from tests.support.producer import FakeBroker


class Killed(BaseException):
    """Stands for SIGKILL."""


class Feed:
    """Feeds of the same inputs, one after the other, with what is remembered in between."""

    def __init__(self, *paths: Path, most: int = 4, most_bytes: int = 1_000_000, stdin: bytes = b"") -> None:
        self.paths = paths
        self.known: dict[str, Position] = {}
        self.rejections: list[Rejection] = []
        self.saved: list[int] = []
        self._most = most
        self._most_bytes = most_bytes
        self._stdin = io.BufferedReader(io.BytesIO(stdin))

    def sender(self, broker: FakeBroker) -> Sender:
        return Sender(
            broker.make,
            "news.raw",
            timeout_s=7.0,
            window_documents=self._most,
            window_bytes=self._most_bytes,
            on_confirmed=self._confirmed,
            on_rejected=self.rejections.append,
        )

    def run(self, broker: FakeBroker, sender: Sender | None = None) -> Sender:
        sender = sender or self.sender(broker)
        sender.run(expand([str(path) for path in self.paths]), self.read)
        return sender

    def read(self, source: Input) -> Iterable[Document]:
        return FileSource([source], ingested_ms=1234, stdin=self._stdin, refuse_changed=True).read(self.known)

    def _confirmed(self, positions: Mapping[str, Position], summary: FeedSummary) -> None:
        self.known.update(positions)
        self.saved.append(sum(position.line for position in self.known.values()))


def ndjson(path: Path, count: int, start: int = 0) -> Path:
    path.write_bytes(b"".join(b'{"n": %d}\n' % n for n in range(start, start + count)))
    return path


def test_every_window_is_confirmed_before_the_next_begins(tmp_path: Path) -> None:
    feed, broker = Feed(ndjson(tmp_path / "a.ndjson", 10)), FakeBroker()
    summary = feed.run(broker).summary
    assert broker.confirmed == [b'{"n": %d}' % n for n in range(10)]
    assert (summary.sent, summary.rejected, summary.stopped) == (10, Counter(), False)
    assert summary.last == f"{tmp_path}/a.ndjson:10"
    assert broker.most_in_flight == 4
    assert broker.flushes == [7.0] * 3
    assert feed.saved == [4, 8, 10]
    assert feed.known[str(tmp_path / "a.ndjson")].done
    assert [made.closed for made in broker.made] == [True]


def test_a_record_has_topic_key_and_headers(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"source": "The Daily", "text": "x"}\n')
    broker = FakeBroker()
    Feed(path).run(broker)
    ((topic, key, _, headers),) = broker.taken
    assert (topic, key) == ("news.raw", b"the daily")
    assert headers == [(h.ORIGIN, f"{path}:1".encode()), (h.INGESTED_AT, b"1234")]


def test_a_window_is_bounded_by_bytes_too(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"".join(b'{"t": "%s"}\n' % (b"x" * 1000) for _ in range(20)))
    broker = FakeBroker()
    assert Feed(path, most=1000, most_bytes=3000).run(broker).summary.sent == 20
    assert broker.most_bytes_in_flight < 3000 + 1100
    assert broker.most_in_flight == 3


def test_a_window_goes_over_the_ends_of_small_files(tmp_path: Path) -> None:
    for n in range(10):
        (tmp_path / f"{n}.txt").write_text(f"text {n}")
    feed, broker = Feed(tmp_path), FakeBroker()
    feed.run(broker)
    assert len(broker.flushes) == 3
    assert len(feed.known) == 10
    again = FakeBroker()
    feed.run(again)
    assert again.taken == []


# -- going on


def tree(directory: Path) -> tuple[Path, ...]:
    """Every kind of input: 26 documents."""
    lines = b"".join(b'{"n": "gz %d"}\n' % n for n in range(7))
    (directory / "b.ndjson.gz").write_bytes(gzip.compress(lines))
    (directory / "c.json").write_text(json.dumps([{"n": f"json {n}"} for n in range(6)]))
    for n in range(3):
        (directory / f"d{n}.html").write_text(f"<p>page {n}</p>")
    return (ndjson(directory / "a.ndjson", 10), directory)


@pytest.mark.parametrize("nth", range(1, 27))
def test_killed_at_any_document_it_goes_on_with_at_most_one_window_sent_twice(tmp_path: Path, nth: int) -> None:
    feed = Feed(*tree(tmp_path))
    left = [nth]

    def die(value: bytes) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    killed, after = FakeBroker(before_send=die), FakeBroker()
    with pytest.raises(Killed):
        feed.run(killed)
    # The worst case: everything that was sent has arrived, although nobody was told.
    arrived = Counter(value for _, _, value, _ in killed.taken)
    feed.run(after)
    arrived.update(after.confirmed)
    assert len(arrived) == 26
    assert sum(arrived.values()) - 26 <= 4
    assert max(arrived.values()) <= 2


def test_lines_that_were_added_are_sent_and_nothing_else(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "a.ndjson", 5)
    feed = Feed(path)
    feed.run(FakeBroker())
    with path.open("ab") as file:
        file.write(b'{"n": "new"}\n')
    broker = FakeBroker()
    feed.run(broker)
    assert broker.confirmed == [b'{"n": "new"}']


@pytest.mark.parametrize("name", ["b.ndjson", "b.ndjson.gz", "b.json", "b.txt"])
def test_a_file_that_has_changed_is_refused_and_what_came_before_it_is_confirmed(tmp_path: Path, name: str) -> None:
    first, second = ndjson(tmp_path / "a.ndjson", 2), tmp_path / name
    second.write_bytes(gzip.compress(b'{"old": 1}\n') if name.endswith("gz") else b'{"old": 1}\n')
    feed = Feed(first, second)
    feed.run(FakeBroker())
    with first.open("ab") as file:
        file.write(b'{"n": "new"}\n')
    second.write_bytes(gzip.compress(b'{"new": 1}\n') if name.endswith("gz") else b'{"new": 1}\n')
    os.utime(second, ns=(1, 1))
    broker = FakeBroker()
    with pytest.raises(ChangedInputError, match=rf"{name}: is not the file any more of which 1 lines"):
        feed.run(broker)
    assert broker.confirmed == [b'{"n": "new"}']
    assert feed.known[str(first)].line == 3
    assert feed.rejections == []


# -- rejections


def test_a_line_that_is_too_large_is_rejected_and_not_met_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MAX_RECORD_BYTES", 100)
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"n": 0}\n{"t": "%s"}\n{"n": 2}\n{"t": "%s"}\n' % (b"x" * 500, b"y" * 200))
    feed, broker = Feed(path), FakeBroker()
    summary = feed.run(broker).summary
    assert broker.confirmed == [b'{"n": 0}', b'{"n": 2}']
    assert summary.rejected == {"too_large": 2}
    assert [(r.origin, r.reason, r.detail) for r in feed.rejections] == [
        (f"{path}:2", "too_large", "510 bytes"),
        (f"{path}:4", "too_large", "210 bytes"),
    ]
    assert summary.last == f"{path}:4"
    assert feed.run(FakeBroker()).summary.rejected == {}


@pytest.mark.parametrize("at", ["send", "broker"])
def test_a_record_whose_size_is_refused_is_rejected_alone(tmp_path: Path, at: str) -> None:
    def refuse(value: bytes) -> MessageSizeTooLargeError | None:
        return MessageSizeTooLargeError() if value == b'{"n": 5}' else None

    def raise_it(value: bytes) -> None:
        if (error := refuse(value)) is not None:
            raise error

    broker = FakeBroker(before_send=raise_it) if at == "send" else FakeBroker(outcome=refuse)
    feed = Feed(ndjson(tmp_path / "a.ndjson", 10))
    summary = feed.run(broker).summary
    assert summary.sent == len(broker.confirmed) == 9
    assert summary.rejected == {"too_large" if at == "send" else "too_large_for_broker": 1}
    assert [r.origin for r in feed.rejections] == [f"{tmp_path}/a.ndjson:6"]
    assert feed.saved[-1] == 10


def test_what_a_refused_record_takes_down_is_sent_all_the_same(tmp_path: Path) -> None:
    """After such an error kafka-python fails every record with it, also those that are small enough."""
    broker = FakeBroker(
        outcome=lambda value: MessageSizeTooLargeError() if value in (b'{"n": 1}', b'{"n": 5}', b'{"n": 7}') else None
    )
    feed = Feed(ndjson(tmp_path / "a.ndjson", 10))
    summary = feed.run(broker).summary
    assert broker.confirmed == [b'{"n": %d}' % n for n in (0, 2, 3, 4, 6, 8, 9)]
    assert (summary.sent, summary.rejected) == (7, {"too_large_for_broker": 3})
    assert [r.origin for r in feed.rejections] == [f"{tmp_path}/a.ndjson:{line}" for line in (2, 6, 8)]
    assert all(made.closed for made in broker.made)


def test_the_rest_of_a_damaged_file_is_rejected_and_the_next_file_is_sent(tmp_path: Path) -> None:
    damaged = tmp_path / "a.ndjson.gz"
    whole = gzip.compress(b"".join(os.urandom(40).hex().encode() + b"\n" for _ in range(100)))
    damaged.write_bytes(whole[: len(whole) // 2])
    last = ndjson(tmp_path / "b.ndjson", 3)
    feed, broker = Feed(damaged, last, most=1000), FakeBroker()
    summary = feed.run(broker).summary
    (rejection,) = feed.rejections
    assert (rejection.origin, rejection.reason) == (str(damaged), "unreadable")
    good = feed.known[str(damaged)].line
    assert rejection.detail == (
        f"cannot be read: Compressed file ended before the end-of-stream marker was reached (behind {damaged}:{good})"
    )
    assert 10 < good < 60
    assert summary.sent == len(broker.confirmed) == good + 3
    assert not feed.known[str(damaged)].done
    assert feed.known[str(last)].done
    # It is tried again, since it may have been repaired: without sending anything twice.
    again = FakeBroker()
    assert feed.run(again).summary.rejected == {"unreadable": 1}
    assert again.taken == []


def test_a_file_that_has_gone_is_rejected(tmp_path: Path) -> None:
    paths = ndjson(tmp_path / "a.ndjson", 1), ndjson(tmp_path / "b.ndjson", 1)
    feed, broker = Feed(*paths), FakeBroker()
    inputs = expand([str(path) for path in paths])
    paths[0].unlink()
    sender = feed.sender(broker)
    sender.run(inputs, feed.read)
    assert feed.rejections == [Rejection(str(paths[0]), "unreadable", "cannot be read: No such file or directory")]
    assert sender.summary.sent == 1


# -- the broker goes away


@pytest.mark.parametrize("error", [KafkaTimeoutError("batch expired"), NotLeaderForPartitionError()])
def test_what_is_not_confirmed_is_told_and_what_came_before_it_is_kept(tmp_path: Path, error: Exception) -> None:
    feed = Feed(ndjson(tmp_path / "a.ndjson", 12))
    broker = FakeBroker(outcome=lambda value: error if value in (b'{"n": 6}', b'{"n": 7}') else None)
    sender = feed.sender(broker)
    with pytest.raises(FeedError, match=rf"a\.ndjson:7: not confirmed by the broker \(.*{type(error).__name__}"):
        feed.run(broker, sender)
    assert (sender.summary.sent, sender.summary.last) == (6, f"{tmp_path}/a.ndjson:6")
    assert feed.saved == [4, 6]
    after = FakeBroker()
    feed.run(after)
    assert after.confirmed == [b'{"n": %d}' % n for n in range(6, 12)]


def test_a_broker_that_never_answers_ends_the_wait(tmp_path: Path) -> None:
    feed = Feed(ndjson(tmp_path / "a.ndjson", 12))
    with pytest.raises(FeedError, match=r"a\.ndjson:6: not confirmed by the broker \(KafkaTimeoutError: .*no answer"):
        feed.run(FakeBroker(away=lambda value: value == b'{"n": 5}'))
    assert feed.saved == [4, 5]


@pytest.mark.parametrize("error", [KafkaTimeoutError("no metadata"), TopicAuthorizationFailedError()])
def test_a_record_that_is_not_taken_ends_the_feed_after_what_is_in_flight(tmp_path: Path, error: Exception) -> None:
    def raise_it(value: bytes) -> None:
        if value == b'{"n": 2}':
            raise error

    feed, broker = Feed(ndjson(tmp_path / "a.ndjson", 12)), FakeBroker(before_send=raise_it)
    with pytest.raises(FeedError, match=r"a\.ndjson:3: not confirmed"):
        feed.run(broker)
    assert broker.confirmed == [b'{"n": 0}', b'{"n": 1}']
    assert feed.saved == [2]


def test_a_position_that_can_not_be_saved_ends_the_feed(tmp_path: Path) -> None:
    def full(positions: Mapping[str, Position], summary: FeedSummary) -> None:
        raise OSError("disk full")

    broker = FakeBroker()
    sender = Sender(broker.make, "news.raw", timeout_s=1.0, window_documents=4, on_confirmed=full)
    feed = Feed(ndjson(tmp_path / "a.ndjson", 12))
    with pytest.raises(OSError, match="disk full"):
        feed.run(broker, sender)
    assert len(broker.taken) == 4


# -- stopping, and streams


def stopping_at(wanted: bytes, stop: list[Callable[[], None]]) -> Callable[[bytes], None]:
    def before_send(value: bytes) -> None:
        if value == wanted:
            stop[0]()

    return before_send


def test_a_stop_confirms_what_is_in_flight_and_the_next_feed_goes_on(tmp_path: Path) -> None:
    feed = Feed(ndjson(tmp_path / "a.ndjson", 10), ndjson(tmp_path / "b.ndjson", 5, start=10))
    stop: list[Callable[[], None]] = []
    broker = FakeBroker(before_send=stopping_at(b'{"n": 5}', stop))
    sender = feed.sender(broker)
    stop.append(sender.stop)
    feed.run(broker, sender)
    assert sender.summary.stopped
    assert broker.confirmed == [b'{"n": %d}' % n for n in range(6)]
    assert feed.saved == [4, 6]
    after = FakeBroker()
    assert not feed.run(after).summary.stopped
    assert after.confirmed == [b'{"n": %d}' % n for n in range(6, 15)]


def test_what_a_stream_has_brought_is_confirmed_when_it_pauses() -> None:
    feed, broker = Feed(Path("-"), stdin=b'{"n": 1}\n{"n": 2}\n{"n": 3}\n'), FakeBroker()
    flushed: list[int] = []

    def read(source: Input) -> Iterable[Document | None]:
        first, second, third = feed.read(source)
        yield from (first, second, None)
        flushed.append(len(broker.flushes))
        yield from (None, third)

    sender = feed.sender(broker)
    sender.run(expand(["-"]), read)
    assert flushed == [1]
    assert len(broker.flushes) == 2
    assert broker.confirmed == [b'{"n": 1}', b'{"n": 2}', b'{"n": 3}']
    assert sender.summary.last == "<stdin>:3"
    assert feed.known == {}
