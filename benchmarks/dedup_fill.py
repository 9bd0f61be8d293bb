"""A full window in seconds: the state that a log of made-up articles folds to, written at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from schemas.keys import digest
from schemas.messages import Match
from workers.dedup import DedupOptions, sizes
from workers.dedup.decisions import Decision, Decisions, pack, to_us
from workers.dedup.fingerprint import END
from workers.dedup.state import PartitionState
from workers.dedup.table import words

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(milliseconds=200)
NAMES, NUMBERS, PARAGRAPHS = 28, 16, 12
"""Names, numbers and paragraphs of an article."""

_CHUNK = 100_000


def url(number: int) -> str:
    """Return the URL of a made-up article."""
    return f"https://news{number % 997}.example/2026/01/01/{number:09d}-some-words-of-the-headline-of-this-article"


def match(number: int, version: str) -> Match:
    """Return the evidence for a copy of the made-up article `number`."""
    return Match(
        article_id=digest(f"made up {number}"),
        similarity=0.6123,
        containment=0.9123,
        first_seen=BEGIN + STEP * number,
        rule="near_copy.similarity",
        url=url(number),
        contained=0.9123,
        covers=0.7123,
        version=version,
    )


def filled(count: int, options: DedupOptions, version: str) -> PartitionState:
    """Return a state with `count` articles of 500 words, every fourth a near copy, with the hashes drawn at random."""
    state, draw = PartitionState(options), np.random.default_rng(2)
    state.occupy(count)
    table, begin, step = state.table, to_us(BEGIN), STEP // timedelta(microseconds=1)
    keys = np.zeros((count, sizes.KEYS), np.uint32)
    for column in (table.pairs, table.names, table.contexts):
        column[:] = END
    for start in range(0, count, _CHUNK):
        some, rows = slice(start, min(count, start + _CHUNK)), min(count - start, _CHUNK)
        table.pairs[some] = np.sort(draw.integers(0, 60_000, (rows, sizes.PAIRS), np.uint16), axis=1)
        table.places[some] = draw.integers(0, 256, (rows, sizes.PAIRS), np.uint8)
        table.names[some, :NAMES] = np.sort(draw.integers(0, 60_000, (rows, NAMES), np.uint16), axis=1)
        table.contexts[some, :NUMBERS] = np.sort(draw.integers(0, 60_000, (rows, NUMBERS), np.uint16), axis=1)
        table.values[some, :NUMBERS] = draw.integers(0, 256, (rows, NUMBERS), np.uint8)
        table.paragraphs[some, :PARAGRAPHS] = table.names[some, :PARAGRAPHS]
        keys[some] = np.sort(draw.integers(0, 2**28, (rows, sizes.KEYS), np.uint32), axis=1)
        table.hash[some] = draw.integers(0, 2**63, (rows, 2), np.uint64)
    decided: list[bytes | None] = []
    for number in range(count):
        identity, packed = words(digest(f"made up {number}")), None
        table.id[number] = table.cluster[number] = identity
        if number % 4 == 3:
            table.cluster[number] = table.cluster[number - 3]
            origin = digest(f"made up {number - 3}")
            packed = pack(Decision("near_copy", 1, origin, match(number - 3, version), ("AP",)))
        table.urls[number] = url(number)
        table.decisions[number] = packed
        decided.append(packed)
    table.seq[:] = np.arange(count)
    table.first_us[:] = table.last_us[:] = begin + step * np.arange(count)
    table.revision[:], table.length[:] = 1, 500
    table.sizes[:] = sizes.PAIRS, NAMES, NUMBERS, PARAGRAPHS
    table.whole[:] = False, True, True
    table.alive[:] = True
    for index, column in ((state.by_id, table.id), (state.by_text, table.hash)):
        index.chains.rebuild(column[:, 1:].astype(np.uint32), np.ones((count, 1), bool))
    state.by_key.chains.rebuild(keys, np.ones(keys.shape, bool))
    state.decisions = Decisions.of(list(range(count)), table.last_us.tolist(), decided)
    state.last_offset, state.watermark_us = count - 1, int(table.last_us[-1])
    state.next_seq = state.entries = count
    state.queue_all(count)
    return state
