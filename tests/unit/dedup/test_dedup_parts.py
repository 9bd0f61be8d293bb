"""The parts under the stage: fingerprints, the index, the ring of decisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.dedup.decisions import PLAIN, Decision, Decisions, pack, unpack
from workers.dedup.fingerprint import EMPTY, Fingerprint, fingerprint, fingerprints
from workers.dedup.index import Index
from workers.dedup.options import DedupOptions
from workers.dedup.sizes import KEYS, NAMES, NUMBERS, PAIRS
from workers.dedup.table import Table
from workers.dedup.verify import changes, compare, look, refusal

texts = st.text(max_size=400)


def same(left: Fingerprint, right: Fingerprint) -> bool:
    return left.encode() == right.encode()


def made(text: str) -> Fingerprint:
    return fingerprint("", text)


def like(left: str, right: str):
    table = Table()
    table.grow(1)
    table.put(0, made(right))
    return compare(made(left), table, np.array([0]))[0]


def why_not(left: str, right: str) -> str | None:
    overlap, options = like(left, right), DedupOptions()
    return refusal(overlap, None, options) or refusal(overlap, look(made(left), made(right)), options)


@settings(max_examples=150)
@given(st.text(max_size=40), texts)
def test_any_text_has_a_fingerprint_that_survives_the_log(headline, body):
    found = fingerprint(headline, body)
    assert same(Fingerprint.decode(found.encode()), found)
    for part, most in (
        (found.pairs, PAIRS),
        (found.keys, KEYS),
        (found.names, NAMES),
    ):
        assert len(part) <= most
        assert (np.diff(part.astype(np.int64)) > 0).all()
    assert len(found.contexts) <= NUMBERS
    assert (np.diff(found.contexts.astype(np.int64)) >= 0).all()
    assert len(found.places) == len(found.pairs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), texts), max_size=8))
def test_a_fingerprint_does_not_depend_on_those_made_with_it(articles):
    together = fingerprints(articles)
    for article, found in zip(articles, together, strict=True):
        alone = fingerprint(*article)
        assert same(found, alone)


def test_nor_does_a_long_one_or_one_in_another_script(box):
    stories = ["\n\n".join(story["paragraphs"]) for story in box.stories.values()]
    mixed = [
        *stories,
        "港口大桥因钢梁出现裂缝将于四月关闭" * 9,
        "x" * 90_000,
        "word " * 30_000,
        "5 " * 9,
        "",
        stories[0] * 20,
    ]
    for text, found in zip(mixed, fingerprints([("", text) for text in mixed]), strict=True):
        assert same(found, made(text))


@pytest.mark.parametrize("text", ["", " ", "...", "\ud800", "a", "\x00", "é" * 9])
def test_texts_without_content(text):
    assert len(made(text).pairs) == 0


def test_bounded_for_hostile_text():
    for text in ("word " * 200_000, "x" * 1_000_000, "1,1," * 250_000, "\u0301" * 1_000_000, "漢" * 300_000):
        assert len(made(text).encode()) < 1500


def test_numbers_and_case_are_normalised():
    one, other = (
        made("the sum of 5,000,000 was paid by Berta Olsen"),
        made("The sum of 5.000.000 was paid by Berta Olsen"),
    )
    assert same(replace(one, paragraphs=other.paragraphs), other)
    assert like("paid 4.5 million crowns to charity", "paid 45 million crowns to charity").shared > 0


def test_decode_refuses_what_is_no_fingerprint():
    good = made("Some words about the harbour bridge at Lindmouth, closed for 9 months").encode()
    for wrong in ("", "AAA", "AAAAAA==", good[:-8], good + "AAAA", "/////w==", "not base64!"):
        with pytest.raises(ValueError, match="not a fingerprint"):
            Fingerprint.decode(wrong)
    assert same(Fingerprint.decode(EMPTY.encode()), EMPTY)


def test_estimates_are_near_the_truth_for_unequal_lengths():
    draw = np.random.default_rng(5)
    words = [f"word{n}" for n in range(20_000)]
    whole = [words[n] for n in draw.integers(0, 20_000, 3000)]
    found = like(" ".join(whole[:600]), " ".join(whole))
    assert found.contained == pytest.approx(1.0, abs=0.05)
    assert found.covers == pytest.approx(0.2, abs=0.08)
    assert found.similarity == pytest.approx(0.2, abs=0.08)
    half = like(" ".join(whole[:600] + [f"other{n}" for n in range(600)]), " ".join(whole))
    assert half.contained == pytest.approx(0.5, abs=0.15)


def test_a_long_text_shares_nothing_with_another():
    draw = np.random.default_rng(6)
    one, other = (" ".join(f"{name}{n}" for n in draw.integers(0, 90_000, 40_000)) for name in ("left", "right"))
    assert like(one, other).similarity < 0.05


def test_numbers_beside_the_same_words():
    one = "Petrol rises by 12 cents, diesel by 40 cents; crude was 71 dollars and the levy stays at 9 cents here"
    two = one.replace("12", "13").replace("40", "41").replace("71", "78").replace("9 ", "8 ")
    assert look(made(one), made(one)).differ == 0
    assert look(made(one), made(two)).agree == 0
    assert look(made(one), made(two)).differ >= 3


def test_the_reasons_against_a_copy(box):
    bridge, museum = (box.stories[name]["paragraphs"] for name in ("bridge", "museum"))
    house = " ".join(f"syndication{n} readers{n} licence{n}" for n in range(40))
    assert why_not("\n".join(bridge), "\n".join(bridge[:3])) is None
    assert why_not("\n".join(bridge), "\n".join(museum)) == "little_shared"
    assert why_not("\n".join([*bridge[:2], house]), "\n".join([*museum[:2], house])) == "shared_passage"
    towns = ["Lindmouth", "Harrow", "Osterby", "Kelm", "Vardal", "Brink", "Tolsta", "Fenwick", "Aldgate", "Moss"]
    table = " ".join(f"On Saturday {town} measured {n * 7} millimetres, a common sight" for n, town in enumerate(towns))
    other = " ".join(
        f"On Saturday {town} measured {n * 9 + 3} millimetres, a common sight" for n, town in enumerate(towns)
    )
    table += " The wind reached 40 kilometres, the pollen count stood near 71 points, the tide came at 9 hours."
    other += " The wind reached 80 kilometres, the pollen count stood near 33 points, the tide came at 4 hours."
    assert why_not(table, other) == "other_numbers"
    assert why_not(table, table) is None


def test_what_a_revision_changed(box):
    text = box.stories["bridge"]["paragraphs"]
    old = fingerprint("Bridge closes", "\n\n".join(text))
    new = fingerprint("Bridge closed", "\n\n".join([*text, "Later the levy was raised once more, officials conceded."]))
    found = changes(
        new,
        old,
        like("\n\n".join([*text, "Later the levy was raised once more, officials conceded."]), "\n\n".join(text)),
    )
    assert found.headline
    assert found.words == 9
    assert 0 <= found.added < 0.2
    assert found.removed == 0
    assert (found.paragraphs_added, found.paragraphs_removed) == (1, 0)
    assert found.parts == ("end",)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("link"), st.lists(st.integers(0, 9), min_size=3, max_size=3), st.integers(0, 7)),
        st.tuples(st.just("rollback"), st.just(0), st.just(0)),
        st.tuples(st.just("kill"), st.integers(0, 40), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(operations, st.sampled_from([0, 1, 977]), st.integers(1, 9))
def test_an_index_does_what_a_dictionary_of_lists_does(steps, spread, every):
    index, alive, model, free = Index(3), np.zeros(64, bool), {}, list(range(63, -1, -1))
    index.chains._bits = 1  # few buckets: chains of many keys, and many doublings
    index.chains._heads = np.zeros(2, np.int32)
    index.grow(64)
    dead, looked_for = [], np.arange(0, 27 * 977 + 3, 1, dtype=np.uint32)
    before, at_commit = index.lookup([looked_for], alive)[0], {}
    for n, (kind, what, mask) in enumerate(steps):
        if kind == "link":
            row = free.pop()
            keys = np.array([3 * k * spread + n for n, k in enumerate(what)], np.uint32)
            wanted = np.array([bool(mask >> n & 1) for n in range(3)])
            index.add(row, keys, wanted)
            alive[row] = True
            model[row] = keys[wanted].tolist()
        elif kind == "rollback":
            index.rollback()
            for row in set(model) - set(at_commit):
                alive[row] = False
                free.append(row)
            alive[list(at_commit)] = True
            model, dead = dict(at_commit), []
        elif what in model:
            alive[what] = False
            dead.append(what)
            del model[what]
        if n % every == 0:
            index.commit(np.array(dead, np.int64), alive)
            free.extend(dead)
            dead, at_commit = [], dict(model)
            before = index.lookup([looked_for], alive)[0]
        places, rows = index.live(before, looked_for, alive)
        found = sorted(zip(looked_for[places].tolist(), rows.tolist(), strict=True))
        assert found == sorted((key, row) for row, keys in model.items() for key in keys)
        for key in range(4):
            newest_first = [row for row, keys in reversed(model.items()) for k in keys if k == key]
            assert index.rows(key, alive) == newest_first


def test_decisions_by_offset(monkeypatch):
    monkeypatch.setattr("workers.dedup.decisions.ALWAYS_KEPT", 4)
    ring = Decisions()
    other = Decision("recrawl", 3, "0" * 32)
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
