"""The board holds the newest, and tells those who watch what has come since they were told."""

from __future__ import annotations

from newsmill.console import board
from newsmill.console.board import Board, Item


def item(at_ms: int, place: str = "", **brief: str) -> Item:
    return Item(at_ms, place or f"0-{at_ms}", {"at": at_ms, **brief}, b"full")


def test_a_watcher_is_told_everything_once() -> None:
    on = Board()
    on.add_article(item(1))
    first = on.since(0)
    assert first is not None
    assert [brief["at"] for brief in first.articles] == [1]
    assert on.since(first.number) is None
    on.add_article(item(2))
    on.add_dead_letter(item(3))
    second = on.since(first.number)
    assert second is not None
    assert [brief["at"] for brief in second.articles] == [2]
    assert [brief["at"] for brief in second.dead_letters] == [3]
    assert second.status is None


def test_a_board_on_which_nothing_is_yet_says_so() -> None:
    empty = Board().since(0)
    assert empty is not None
    assert (empty.articles, empty.status, empty.troubles) == ([], None, {})


def test_the_newest_by_arrival_stay_whatever_the_order_they_are_read_in() -> None:
    on = Board()
    for at in range(board.ARTICLES + 50, 0, -1):  # partitions are read one after the other
        on.add_article(item(at))
    told = on.since(0)
    assert told is not None
    assert [brief["at"] for brief in told.articles] == list(range(51, board.ARTICLES + 51))
    assert on.article("0-50") is None
    assert on.article("0-51") == b"full"


def test_a_record_that_is_read_twice_is_there_once() -> None:
    on = Board()
    for _ in range(3):
        on.add_dead_letter(item(5))
    told = on.since(0)
    assert told is not None
    assert len(told.dead_letters) == 1


def test_everything_is_bounded() -> None:
    on = Board()
    for n in range(2_000):
        on.add_article(item(n))
        on.add_duplicate(item(n, cluster="a"))
        on.add_dead_letter(item(n))
        on.picture({}, {"n": n})
    on.join("root", [str(n) for n in range(20_000)])
    told = on.since(0)
    assert told is not None
    assert len(told.articles) == board.ARTICLES
    assert len(told.duplicates) == board.DUPLICATES
    assert len(told.dead_letters) == board.DEAD_LETTERS
    assert len(told.samples) == board.SAMPLES
    assert len(on._joined) <= 5_000


def test_copies_are_those_of_the_story_also_when_two_were_found_to_be_one() -> None:
    on = Board()
    for at, cluster in enumerate(("a", "b", "c")):
        on.add_duplicate(item(at, cluster=cluster))
    assert [copy["cluster"] for copy in on.copies("a")] == ["a"]
    on.join("a", ("b",))
    assert [copy["cluster"] for copy in on.copies("a")] == ["a", "b"]
    assert [copy["cluster"] for copy in on.copies("b")] == ["a", "b"]


def test_joins_in_a_ring_come_to_an_end() -> None:
    on = Board()
    on.join("a", ("b", "a"))
    on.join("b", ("a",))
    on.add_duplicate(item(1, cluster="a"))
    on.copies("b")


def test_troubles_are_told_while_they_last() -> None:
    on = Board()
    on.trouble("stages", "away")
    first = on.since(0)
    assert first is not None
    assert first.troubles == {"stages": "away"}
    on.trouble("stages", "away")
    assert on.since(first.number) is None
    on.trouble("stages", "")
    second = on.since(first.number)
    assert second is not None
    assert second.troubles == {}
