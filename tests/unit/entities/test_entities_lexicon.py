from __future__ import annotations

import zipfile

import pytest

from workers.entities.casing import LOWER, NORMAL, TITLE, UPPER, case_of
from workers.entities.features import unary
from workers.entities.lexicon import cluster_attributes, cluster_of, dump, lexicon, lists_of, read


def test_the_lexicon_survives_its_file() -> None:
    words = {"Ulm": (0b1011, 16), "ulm": (0, 1), "Ägäis": (7, 0)}
    data = dump(words)
    assert data == dump(dict(reversed(words.items())))
    found = read(data)
    assert {word: (found.clusters[row], found.lists[row]) for word, row in found.rows.items()} == words
    assert len(found.digest) == 64


def test_a_damaged_lexicon_is_refused() -> None:
    with pytest.raises(zipfile.BadZipFile):
        read(dump({"Ulm": (1, 1)})[:-30])


def test_words_used_alike_share_the_upper_part_of_their_path() -> None:
    cities = [cluster_attributes(cluster_of(word, NORMAL))[:2] for word in ("London", "Paris", "Lagos", "Nairobi")]
    assert cities.count(cities[0]) == 4
    assert cluster_attributes(cluster_of("Monday", NORMAL))[1] != cities[0][1]
    assert cluster_of("Zzyzxqw", NORMAL) == 0


def test_the_form_as_written_counts_first_but_in_capitals() -> None:
    assert cluster_of("LONDON", UPPER) == cluster_of("London", NORMAL)
    assert cluster_of("london", LOWER) == cluster_of("London", NORMAL)
    assert cluster_of("ministry", NORMAL) != cluster_of("Ministry", NORMAL)


def test_lists_of_names() -> None:
    assert "f" in lists_of("maria")
    assert "s" in lists_of("smith")
    assert "c" in lists_of("lagos")
    assert "e" in lists_of("janeiro")
    assert lists_of("the") == ""
    assert len(lexicon().rows) > 200_000


def test_attributes_of_an_unseen_word_come_from_the_lexicon() -> None:
    seen = unary(("Nairobi", NORMAL, "", ""))
    assert [name for name in seen.wide if name.startswith("b")] == cluster_attributes(cluster_of("Nairobi", NORMAL))[1:]
    assert any(name.startswith("i=") for name in seen.near)
    unknown = unary(("Zzyzxqw", NORMAL, "", ""))
    assert not [name for name in unknown.every() if name.startswith(("b4=", "b6=", "i=", "j="))]


@pytest.mark.parametrize(
    ("words", "case"),
    [
        ("Rebels closed in on the town", NORMAL),
        ("Rebels Close In on the Town", TITLE),
        ("REBELS CLOSE IN ON THE TOWN", UPPER),
        ("rebels close in on the town after heavy fighting", LOWER),
        ("AP NEWS", NORMAL),
    ],
)
def test_how_sentences_are_cased(words: str, case: str) -> None:
    assert case_of(words.split(), words.lower().split()) == case
