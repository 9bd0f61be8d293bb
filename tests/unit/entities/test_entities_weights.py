from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from workers.entities.corpus import as_articles, read_conll, read_marked, recased
from workers.entities.features import DISTANCES, document_keys, pairs, unary
from workers.entities.sentences import read_sentence
from workers.entities.tagger import CrfTagger
from workers.entities.train import attributes, with_confidences
from workers.entities.weights import LABELS, Weights, WeightsError, dump, load

WORDS = ["Ana", "Ruiz", "left", "Quito", "."]


def random_weights(seed: int) -> Weights:
    """Small random weights for the attributes of WORDS."""
    numbers = np.random.default_rng(seed)
    (keys,) = document_keys([read_sentence(WORDS)])
    names = sorted({name for key in keys for name in unary(key).every()})
    pair_names = sorted({name for row in pairs(keys) for name in row})
    size = len(LABELS)
    zero = np.zeros((1, 5, size), dtype=np.int16)
    wide = numbers.integers(-200, 200, (len(names), 5, size)).astype(np.int16)
    for row, name in enumerate(names):
        # As after training: no weight at a distance from which an attribute is never seen.
        for column, distance in enumerate(DISTANCES):
            if not any(name in unary(key).at(distance) for key in keys):
                wide[row, column] = 0
    pair = numbers.integers(-200, 200, (len(pair_names), size)).astype(np.int16)
    return Weights(
        {name: row for row, name in enumerate(names)},
        np.concatenate([wide, zero]),
        {name: row for row, name in enumerate(pair_names)},
        np.concatenate([pair, zero[:, 0]]),
        numbers.integers(-300, 300, (size, size)).astype(np.int32),
        np.array([400], dtype=np.int32),
        np.array([300, 900], dtype=np.int16),
        "",
    )


def score(weights: Weights, labels: tuple[int, ...], seen: list[list[str]]) -> int:
    """The score of one path, added up from the attributes that the trainer is given."""
    total = 0
    for at, (label, names) in enumerate(zip(labels, seen, strict=True)):
        for name in names:
            if name[0] in "<>^":
                total += int(weights.pair_weights[weights.pair[name], label])
            else:
                distance, _, bare = name.partition(" ")
                row = weights.unary.get(bare)
                total += int(weights.unary_weights[row, int(distance) + 2, label]) if row is not None else 0
        if at:
            total += int(weights.transitions[labels[at - 1], label])
    return total


def allowed(labels: tuple[int, ...]) -> bool:
    """BIO2: an I follows a B or an I of its type."""
    names = ["O", *(LABELS[label] for label in labels)]
    return all(not here.startswith("I-") or before[1:] == here[1:] for before, here in pairwise(names))


@pytest.mark.parametrize("seed", range(4))
def test_the_best_path_is_the_best_of_all_paths(seed: int) -> None:
    weights = random_weights(seed)
    (keys,) = document_keys([read_sentence(WORDS)])
    seen = attributes(keys)
    paths = {
        path: score(weights, path, seen) for path in product(range(len(LABELS)), repeat=len(WORDS)) if allowed(path)
    }
    best = max(paths, key=lambda path: paths[path])
    (spans,) = CrfTagger(weights).tag([WORDS])
    expected = []
    for at, label in enumerate(best):
        name = LABELS[label]
        if name.startswith("B-"):
            expected.append([at, at + 1, name[2:]])
        elif name.startswith("I-"):
            expected[-1][1] = at + 1
    assert [list(span[:3]) for span in spans] == expected
    for span in spans:
        margin = min(
            paths[best] - max(total for path, total in paths.items() if path[at] != best[at])
            for at in range(span.start, min(span.end + 1, len(WORDS)))
        )
        assert span.confidence == (0.9 if margin >= 400 else 0.3)


def test_sentences_are_tagged_alike_alone_and_in_a_large_document() -> None:
    tagger = CrfTagger(random_weights(1))
    (alone,) = tagger.tag([WORDS])
    many = tagger.tag([WORDS, WORDS[:2], *([WORDS] * 200), ["."]])
    assert many[0] == many[150] == alone
    assert len(many) == 203


def test_weights_survive_the_file() -> None:
    weights = random_weights(2)
    data = dump(weights)
    read = load(data)
    assert dump(read) == data
    assert read.unary == weights.unary
    assert read.pair == weights.pair
    assert np.array_equal(read.unary_weights, weights.unary_weights)
    assert len(read.digest) == 64


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"x" * 100, dump(random_weights(0))[:-50]])
def test_damaged_weights_are_refused(data: bytes) -> None:
    with pytest.raises(WeightsError):
        load(data)


def test_weights_of_other_shapes_are_refused() -> None:
    weights = random_weights(0)
    weights.unary["another"] = len(weights.unary)
    with pytest.raises(WeightsError, match="fit together"):
        load(dump(weights))


def test_confidences_rise_with_the_margin() -> None:
    document = [(WORDS, ["B-PER", "I-PER", "O", "B-LOC", "O"])] * 300
    measured = with_confidences(random_weights(3), [document])
    assert len(measured.confidences) == len(measured.margins) + 1
    assert sorted(measured.confidences.tolist()) == measured.confidences.tolist()


def test_marked_text_is_read_as_articles_are() -> None:
    documents = read_marked("# a comment\n[PER Ana Ruiz-Paz]’s [ORG AP] note.\n\n[LOC Lima]\n")
    assert documents == [
        [(["Ana", "Ruiz", "-", "Paz", "’s", "AP", "note", "."], ["B-PER", *["I-PER"] * 3, "O", "B-ORG", "O", "O"])],
        [(["Lima"], ["B-LOC"])],
    ]


def test_conll_is_read(tmp_path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(
        "-DOCSTART-\tO\n\nAna\tB-PER\nspoke\tO\n\nLima\tB-LOC\n\n-DOCSTART-\tO\n\nYes\tO\n", encoding="utf-8"
    )
    assert read_conll(path) == [
        [(["Ana", "spoke"], ["B-PER", "O"]), (["Lima"], ["B-LOC"])],
        [(["Yes"], ["O"])],
    ]


def test_what_corpora_split_is_joined_as_the_tokenizer_has_it() -> None:
    tokens = ["Mr", ".", "Ruiz", "’", "s", "U", ".", "S", ".", "trip", "with", "J", ".", "Paz", "."]
    tags = ["O", "O", "B-PER", "O", "O", "B-LOC", "I-LOC", "I-LOC", "I-LOC", "O", "O", "B-PER", "I-PER", "I-PER", "O"]
    assert as_articles([(tokens, tags)]) == [
        (
            ["Mr.", "Ruiz", "’s", "U.S.", "trip", "with", "J.", "Paz", "."],
            ["O", "B-PER", "O", "B-LOC", "O", "O", "B-PER", "I-PER", "O"],
        )
    ]


def test_copies_in_headline_case_keep_the_tags() -> None:
    tokens = ["president", "Ana", "Ruiz", "flew", "to", "Lima", "on", "the", "same", "day"]
    tags = ["O", "B-PER", "I-PER", "O", "O", "B-LOC", "O", "O", "O", "O"]
    copies = recased([([*tokens, "."], [*tags, "O"])] * 5, 1)
    assert [words[0] for words, _ in copies] == ["President", "President", "PRESIDENT", "President", "president"]
    assert copies[0][0] == ["President", "Ana", "Ruiz", "Flew", "to", "Lima", "on", "the", "Same", "Day"]
    assert all(kept == tags for _, kept in copies)
