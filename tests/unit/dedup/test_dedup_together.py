"""What is done for many articles at once is what would be done for each alone; and what the state is kept in."""

from __future__ import annotations

import gc
import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.dedup import links, verify
from workers.dedup.decisions import Decision, pack
from workers.dedup.fingerprint import EMPTY, fingerprint, fingerprints
from workers.dedup.index import Index
from workers.dedup.links import NOT_COMPARED, compare_all
from workers.dedup.options import DedupOptions
from workers.dedup.queue import Oldest
from workers.dedup.sizes import NAMES, NUMBERS, PAIRS, PARAGRAPHS
from workers.dedup.state import PartitionState
from workers.dedup.table import COLUMNS, Table
from workers.dedup.verify import LEAST_SHARED, compare, compare_many, overlap

WORDS = [
    "harbour",
    "bridge",
    "council",
    "storm",
    "Lindmouth",
    "school",
    "14",
    "vote",
    "3,500",
    "market",
    "日本",
    "Москва",
]


def text(seed: int, words: int) -> str:
    drawn = np.random.default_rng(seed).integers(0, len(WORDS), words)
    return " ".join(f"{WORDS[n]}{n % 7}{'abcde'[at % 5]}" for at, n in enumerate(drawn))


def table_of(*texts: str) -> Table:
    table = Table()
    table.grow(len(texts))
    for row, made in enumerate(fingerprints([("", one) for one in texts])):
        table.put(row, made)
    return table


def test_comparing_many_texts_at_once_counts_what_comparing_each_does(monkeypatch):
    monkeypatch.setattr(verify, "_TOGETHER", 4)
    monkeypatch.setattr(verify, "_PASS", 5)
    known = [text(seed, words) for seed, words in enumerate((0, 3, 12, 40, 150, 400, 900))]
    news = [text(seed, words) for seed, words in enumerate((400, 0, 7, 41, 149, 30, 1200, 12, 3, 500))]
    # Halves of known texts, so that there is something in common.
    news += [one[: len(one) // 2] for one in known] + [one[len(one) // 3 :] for one in known]
    table, made = table_of(*known), fingerprints([("", one) for one in news])
    of, rows = (np.repeat(np.arange(len(news)), len(known)), np.tile(np.arange(len(known)), len(news)))
    found = {(n, row): overlap(counts, False) for n, row, counts in compare_many(made, table, of, rows)}
    wanted = {
        (n, row): one
        for n, each in enumerate(made)
        for row, one in enumerate(compare(each, table, np.arange(len(known))))
        if one.shared >= LEAST_SHARED
    }
    assert len(wanted) > 15
    assert found == wanted
    assert compare_many([], table, np.zeros(0, np.int64), np.zeros(0, np.int64)) == []


def test_what_an_article_has_in_common_is_counted_before_its_turn(monkeypatch):
    """With as many candidates as are compared; with more it is left until it is known which."""
    monkeypatch.setattr(links, "MOST_CANDIDATES", 2)
    state, made = PartitionState(DedupOptions()), fingerprint("", text(1, 300))
    state.occupy(4)
    for row in range(4):
        state.table.put(row, made)
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int64)
    some, many = (np.array([0, 1, 1]), np.array([3, 1, 3])), (np.array([0, 0, 0]), np.array([0, 1, 2]))
    none, two, three = compare_all([made] * 3, [nothing, some, many], state)
    assert (none, three) == (NOT_COMPARED, NOT_COMPARED)
    assert two.rows == {1, 3}
    assert {row: counts[0] for row, counts in two.counts.items()} == {1: len(made.pairs), 3: len(made.pairs)}


def test_a_key_that_was_fetched_finds_what_it_finds_when_asked_for():
    index, alive = Index(1), np.zeros(8, bool)
    index.grow(8)
    for row, key in enumerate((5, 5, 7)):
        index.add_one(row, key)
        alive[row] = True
    index.commit(np.zeros(0, np.int64), alive)
    index.fetch([5, 6, 7], alive)
    assert [index.rows(key, alive) for key in (5, 6, 7, 8)] == [[1, 0], [], [2], []]
    # What is added or let go after that counts.
    alive[1], alive[3] = False, True
    index.add_one(3, 5)
    index.add_one(4, 6)
    assert [index.rows(key, alive) for key in (5, 6, 7)] == [[3, 0], [], [2]]
    alive[4] = True
    assert index.rows(6, alive) == [4]
    index.commit(np.array([1]), alive)
    assert [index.rows(key, alive) for key in (5, 6)] == [[3, 0], [4]]


@settings(max_examples=100)
@given(st.lists(st.one_of(st.none(), st.integers(0, 12)), max_size=80))
def test_the_oldest_leaves_first_in_whatever_order_they_came(steps):
    queue, model = Oldest(), []
    for seq, time_us in enumerate(steps):
        if time_us is not None:
            item = (time_us - 6, seq, seq % 5)
            queue.push(item)
            heapq.heappush(model, item)
        elif model:
            assert queue.pop() == heapq.heappop(model)
        assert queue.least() == (model[0] if model else None)
    while model:
        assert queue.pop() == heapq.heappop(model)
    assert queue.least() is None


def test_a_long_queue_gives_its_memory_back_and_forgets_nothing():
    queue = Oldest()
    queue.fill(range(5_000), range(5_000), range(5_000))
    assert [queue.pop()[0] for _ in range(4_000)] == list(range(4_000))
    assert len(queue._times) <= 3_000
    queue.push((10, 6_000, 1))
    assert [queue.pop() for _ in range(2)] == [(10, 6_000, 1), (4_000, 4_000, 4_000)]


def test_a_record_is_written_whole():
    made, table = fingerprint("A headline", "\n\n".join(text(seed, 60) for seed in range(5))), Table()
    table.grow(3)
    for row in range(3):
        # Whatever was there before must not show.
        table.records[row : row + 1].view(np.uint8)[:] = 0xAB
    table.put(
        1,
        made,
        identity=(1, 2**64 - 1),
        text=(3, 4),
        cluster=(5, 6),
        seq=7,
        first_us=-8,
        last_us=9,
        agencies=2**63,
        writers=10,
        revision=11,
        outlet=12,
        part=(13, 14),
    )
    assert table.fingerprint(1).encode().split("=")[0]
    columns = {name: getattr(table, name)[1].tolist() for name, _, _ in COLUMNS}
    assert (columns["id"], columns["hash"], columns["cluster"]) == ([1, 2**64 - 1], [3, 4], [5, 6])
    assert [columns[name] for name in ("seq", "first_us", "last_us")] == [7, -8, 9]
    assert [columns[name] for name in ("agencies", "writers", "revision", "outlet")] == [2**63, 10, 11, 12]
    assert columns["part"] == [13, 14]
    assert columns["sizes"] == [len(made.pairs), len(made.names), len(made.contexts), len(made.paragraphs)]
    assert tuple(columns["whole"]) == made.whole
    assert (columns["headline"], columns["length"]) == (made.headline, made.length)
    for name, width, filler in (
        ("pairs", PAIRS, 0xFFFF),
        ("places", PAIRS, 0),
        ("names", NAMES, 0xFFFF),
        ("contexts", NUMBERS, 0xFFFF),
        ("values", NUMBERS, 0),
        ("paragraphs", PARAGRAPHS, 0),
    ):
        part = getattr(made, name).tolist()
        assert columns[name] == part + [filler] * (width - len(part)), name
    table.put(2, EMPTY, outlet=15, part=(16, 17))
    table.copy_fingerprint(1, 2)
    kept = {name: getattr(table, name)[2].tolist() for name, _, _ in COLUMNS}
    assert (kept["outlet"], kept["part"], kept["id"]) == (15, [16, 17], [0, 0])
    for name in (
        "pairs",
        "places",
        "names",
        "contexts",
        "values",
        "paragraphs",
        "headline",
        "length",
        "sizes",
        "whole",
    ):
        assert kept[name] == columns[name], name


def test_the_cycle_collector_walks_through_nothing_that_grows_with_the_window(bench, box):
    """Lists of a million items would make each of its full runs take tens of milliseconds."""
    bench.feed(
        box.article(),
        box.article(sorted(box.stories)[1], url="https://b.example/"),
    )
    (state,) = bench.stage._states.values()
    state.decisions.add(10, 0, pack(Decision("recrawl")))
    columns = (state.table.urls, state.table.decisions, state.table.records, state.decisions._packed)
    assert not [column for column in columns if gc.is_tracked(column)]
    assert not state._oldest._heap
