"""Pair attributes looked up by number are those that `features.pairs` names."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.entities import weights
from workers.entities.casing import NORMAL
from workers.entities.features import EDGE, Key, pair_parts, pairs
from workers.entities.pairs import PairTable
from workers.entities.sentences import read_sentence

_EDGE: Key = (EDGE, NORMAL, "", "")
_WORDS = st.sampled_from(["the", "The", "Bank", "bank", "of", "<", ">", "^", "G7", "3-0", "’s", "é", "McCain", "U.S."])
_SENTENCES = st.lists(st.lists(_WORDS, min_size=1, max_size=8), min_size=1, max_size=4)


def _keys(words: list[str]) -> list[Key]:
    return [(word, NORMAL, "", "") for word in words]


@pytest.fixture(scope="module")
def english() -> dict[str, int]:
    file = Path(weights.__file__).parent / "data" / "english.npz"
    return weights.load(file.read_bytes()).pair


@settings(max_examples=200, deadline=None)
@given(_SENTENCES, st.randoms(use_true_random=False))
def test_rows_are_those_of_the_names(sentences: list[list[str]], draw: Random) -> None:
    named = [pairs(_keys(words)) for words in sentences]
    every = sorted({name for sentence in named for token in sentence for name in token})
    # Some attributes have no weights.
    names = {name: row for row, name in enumerate(draw.sample(every, len(every) // 2))}
    table = PairTable(names)
    flat, wanted = [_EDGE], []
    for words, sentence in zip(sentences, named, strict=True):
        flat += [*_keys(words), _EDGE]
        wanted += [[names.get(name, len(names)) for name in token] for token in sentence]
        wanted.append([len(names)] * 5)
    found = np.array(table.rows(np.array([table.numbers(*pair_parts(key)) for key in flat], dtype=np.int32))).T
    assert found.tolist() == wanted[:-1]


def test_the_weights_of_the_package_have_a_row_for_each_name(english: dict[str, int]) -> None:
    table = PairTable(english)
    text = "The central bank of Kenya said on Monday that the World Bank had lent it $ 3 million ."
    words = text.split()
    flat = [_EDGE, *_keys(words), _EDGE]
    found = np.array(table.rows(np.array([table.numbers(*pair_parts(key)) for key in flat], dtype=np.int32))).T
    wanted = [[english.get(name, len(english)) for name in token] for token in pairs(_keys(words))]
    assert found.tolist() == wanted
    assert (found < len(english)).sum() > len(words), "hardly any pair has weights: the test shows little"


@pytest.mark.parametrize("name", ["", "<", "<one", "one two", "^a b", "<a b c", "^a b c d"])
def test_what_is_no_pair_attribute_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no pair attribute"):
        PairTable({name: 0})


def test_a_sentence_is_read_once() -> None:
    sentence = read_sentence(["In", "New", "York", ",", "the", "US", "said"])
    assert sentence.lowered == ["in", "new", "york", ",", "the", "us", "said"]
    assert sentence.marks[1:3] == ["B-place", "I-place"] or sentence.marks[1:3] == ["B-city", "I-city"]
    assert sentence.marks[5] == "B-country"
