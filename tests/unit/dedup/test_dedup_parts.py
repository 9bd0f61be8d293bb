"""The parts under the stage: fingerprints, chains, the ring of decisions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.dedup.chains import Chains
from workers.dedup.decisions import PLAIN, Decision, Decisions, pack, unpack
from workers.dedup.fingerprint import EMPTY, FACTS, KEYS, PAIRS, PROBES, Fingerprint, fingerprint
from workers.dedup.options import DedupOptions
from workers.dedup.table import Table
from workers.dedup.verify import compare, is_copy


def same(left: Fingerprint, right: Fingerprint) -> bool:
    return left.encode() == right.encode()


def like(left: str, right: str):
    table = Table()
    table.grow(1)
    table.set_fingerprint(0, fingerprint(right)[0])
    return compare(fingerprint(left)[0], table, np.array([0]))[0]


@settings(max_examples=150)
@given(st.text(max_size=400))
def test_any_text_has_a_fingerprint_that_survives_the_log(text):
    made, probes = fingerprint(text)
    assert same(Fingerprint.decode(made.encode()), made)
    for part, most in ((made.pairs, PAIRS), (made.keys, KEYS), (made.facts, FACTS), (probes, PROBES)):
        assert len(part) <= most
        assert (np.diff(part.astype(np.int64)) > 0).all()


@pytest.mark.parametrize("text", ["", " ", "...", "\ud800", "a", "\x00", "é" * 9])
def test_texts_without_content(text):
    assert len(fingerprint(text)[0].pairs) == 0


def test_bounded_for_hostile_text():
    for text in ("word " * 200_000, "x" * 1_000_000, "1,1," * 250_000, "\u0301" * 1_000_000, "漢" * 300_000):
        made, _ = fingerprint(text)
        assert len(made.encode()) < 1500


def test_numbers_and_case_are_normalised():
    assert same(fingerprint("the sum of 5,000,000 was paid by Berta Olsen")[0],
                fingerprint("The sum of 5.000.000 was paid by Berta Olsen")[0])  # fmt: skip
    assert like("paid 4.5 million crowns to charity", "paid 45 million crowns to charity").shared_pairs > 0


def test_decode_refuses_what_is_no_fingerprint():
    good = fingerprint("Some words about the harbour bridge at Lindmouth")[0].encode()
    for wrong in ("", "AAA", "AAAAAA==", good[:-8], good + "AAAA", "/////w==", "not base64!"):
        with pytest.raises(ValueError, match="not a fingerprint"):
            Fingerprint.decode(wrong)
    assert same(Fingerprint.decode(EMPTY.encode()), EMPTY)


def test_estimates_are_near_the_truth_for_unequal_lengths():
    draw = np.random.default_rng(5)
    words = [f"word{n}" for n in range(20_000)]
    whole = [words[n] for n in draw.integers(0, 20_000, 3000)]
    found = like(" ".join(whole[:600]), " ".join(whole))
    assert found.containment == pytest.approx(1.0, abs=0.05)
    assert found.similarity == pytest.approx(0.2, abs=0.08)
    half = like(" ".join(whole[:600] + [f"other{n}" for n in range(600)]), " ".join(whole))
    assert half.containment == pytest.approx(0.5, abs=0.15)


def test_texts_without_facts_need_more(box):
    text = " ".join(f"some{chr(97 + n)} ordinary{chr(97 + n)} thing{chr(97 + n)}" for n in range(26))
    options = DedupOptions()
    assert not like(text, text).any_facts
    assert is_copy(like(text, text), options)
    assert not is_copy(like(text, text[: len(text) // 2]), options)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("link"), st.lists(st.integers(0, 9), min_size=3, max_size=3), st.integers(0, 7)),
        st.tuples(st.just("unlink"), st.integers(0, 40), st.just(0)),
        st.tuples(st.just("kill"), st.integers(0, 40), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(operations, st.sampled_from([0, 1, 977]))
def test_chains_do_what_a_dictionary_of_lists_does(steps, spread):
    chains, alive, model, free = Chains(3), np.zeros(64, bool), {}, list(range(63, -1, -1))
    chains._bits = 1  # few buckets: chains of many keys, and many doublings
    chains._heads = np.zeros(2, np.int32)
    chains.grow(64)
    for kind, what, mask in steps:
        if kind == "link":
            row = free.pop()
            keys = np.array([k * spread + n for n, k in enumerate(what)], np.uint32)
            wanted = np.array([bool(mask >> n & 1) for n in range(3)])
            chains.link(row, keys, wanted)
            alive[row] = True
            model[row] = keys[wanted].tolist()
        elif what in model:
            alive[what] = False
            if kind == "unlink":
                chains.unlink(what)
                free.append(what)
            del model[what]
        every = np.arange(0, 9 * 977 + 3, 1, dtype=np.uint32)
        places, rows = chains.find(every, alive)
        found = sorted(zip(every[places].tolist(), rows.tolist(), strict=True))
        assert found == sorted((key, row) for row, keys in model.items() for key in keys)
    for key in range(4):
        newest_first = [row for row, keys in reversed(model.items()) for k in keys if k == key]
        assert chains.rows(key, alive) == newest_first


def test_decisions_by_offset(monkeypatch):
    monkeypatch.setattr("workers.dedup.decisions.ALWAYS_KEPT", 4)
    ring = Decisions()
    other = Decision("recrawl", 3, "0" * 32, None)
    for offset in range(0, 6000, 2):
        ring.add(offset, offset * 10, pack(other if offset % 4 else PLAIN))
    assert (ring.get(10), ring.get(12), ring.get(11), ring.get(99_999)) == (other, PLAIN, None, None)
    mark = ring.mark()
    ring.add(6001, 0, None)
    ring.expire(10_000, 5000)
    assert (ring.get(998), ring.get(1000), ring.get(6001)) == (None, PLAIN, PLAIN)
    ring.back_to(mark)
    assert (ring.get(0), ring.get(6001), len(ring)) == (PLAIN, None, 3000)
    ring.expire(0, 10)
    ring.compact()
    assert len(ring) == 10
    assert ring.get(5998) == other
    assert unpack(pack(PLAIN)) == PLAIN
