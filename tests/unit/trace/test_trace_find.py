"""What a search gathers is bounded in number and in bytes."""

from __future__ import annotations

import pytest

from newsmill.trace import Found, Wanted, find
from schemas import topics
from workers.stage import Record


def record(size: int) -> Record:
    return Record(topics.ARTICLES, 0, 0, b"k", b"x" * size)


def test_no_more_records_than_that() -> None:
    found = Found(Wanted("a" * 32))
    taken = [found.take(record(1), found.records) for _ in range(find.MOST + 1)]
    assert taken == [True] * find.MOST + [False]
    assert len(found.records) == find.MOST
    assert found.cut


def test_no_more_bytes_than_that_all_lists_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "MOST_BYTES", 100)
    found = Found(Wanted("a" * 32))
    assert found.take(record(60), found.records)
    assert found.take(record(40), found.dead)
    assert not found.cut
    assert not found.take(record(1), found.waiting)
    assert found.cut
