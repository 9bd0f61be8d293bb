"""What compares runs with live topics notices what differs."""

from __future__ import annotations

from benchmarks.live_comparison import _of, _rows
from schemas import topics

A, B, C = (_of(b"o", b"k", value) for value in (b"a", b"b", b"c"))


def differing(expected: list[bytes], found: list[bytes], topic: str = topics.UNIQUE) -> tuple[int, int]:
    rows = {row.topic: row for row in _rows({(topic, 0): expected}, {(topic, 0): found})}
    assert sum(row.differing for row in rows.values()) == rows[topic].differing
    return rows[topic].records, rows[topic].differing


def test_what_differs_is_counted() -> None:
    assert differing([A, B, C], [A, B, C]) == (3, 0)
    assert differing([A, B, C], [A, C, B]) == (3, 2), "order"
    assert differing([A, B, C], [A, B]) == (3, 1), "missing"
    assert differing([A, B], [A, B, C]) == (2, 1), "too much"
    assert differing([], [A]) == (0, 1)
    assert differing([A, B, C], [C, B, A], topics.DEAD_LETTERS) == (3, 0), "written by several workers"
    assert differing([A, A, B], [A, B, B], topics.DEAD_LETTERS) == (3, 1)


def test_partitions_are_apart() -> None:
    (row,) = [row for row in _rows({(topics.UNIQUE, 0): [A]}, {(topics.UNIQUE, 1): [A]}) if row.topic == topics.UNIQUE]
    assert row.differing == 2


def test_origin_key_and_value_count() -> None:
    digests = {_of(b"o", b"k", b"v"), _of(b"p", b"k", b"v"), _of(b"o", b"l", b"v"), _of(b"o", None, b"v")}
    assert len(digests) == 4
    assert _of(b"o", b"", b"kv") != _of(b"o", b"k", b"v")
