"""Trains the weights: `python -m workers.classify.train --huffpost FILE --media-topics FILE --out FILE`.

One logistic regression a subject over words and pairs of words (binary counts times inverse document frequency, unit
length), fitted by liblinear in one thread from fixed data in fixed order, so that the same files give the same bytes.
Needs scikit-learn (the extra `train`), which the stage does not.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression

from workers.classify import corpus, weights
from workers.classify.corpus import Example
from workers.classify.features import stem, words
from workers.classify.model import LOGIT_UNIT

OWN_WEIGHT: Final = 3.0
LEXICON_WEIGHT: Final = 0.3
DEFINITION_WEIGHT: Final = 0.6
HEADLINE_WEIGHT: Final = 0.06

MIN_TEXTS: Final = 2
"""Texts in which a word must stand to be a term (an own text or lexicon counts at once)."""
MIN_PAIR_TEXTS: Final = 3
IDF_UNIT: Final = 16
SCALE: Final = 8
POSITIVE_SHARE: Final = 0.18
"""Share of the total weight that a subject's positive examples are given, however few they are."""
STRENGTH: Final = 2.0
"""Inverse of the regularisation (C of liblinear)."""


def _stems(text: str, ignored: frozenset[str]) -> list[str]:
    # An ignored word leaves a gap, so that no pair spans it: the model sees it in the same way.
    return ["" if word in ignored else stem(word) for word in words(text)]


def _vocabulary(texts: Sequence[list[str]], examples: Sequence[Example]) -> tuple[list[str], list[tuple[str, str]]]:
    single: Counter[str] = Counter()
    double: Counter[tuple[str, str]] = Counter()
    for text, example in zip(texts, examples, strict=True):
        worth = 1 if example.source == "headline" else MIN_TEXTS
        for word in {word for word in text if word}:
            single[word] += worth
        for pair in {pair for pair in pairwise(text) if all(pair)}:
            double[pair] += worth
    kept = {word for word, count in single.items() if count >= MIN_TEXTS}
    pairs = [p for p, count in double.items() if count >= MIN_PAIR_TEXTS and p[0] in kept and p[1] in kept]
    return sorted(kept), sorted(pairs)


def _term_ids(text: list[str], terms: dict[str, int], pairs: dict[tuple[str, str], int]) -> list[int]:
    ids = {terms[word] for word in text if word in terms}
    ids |= {pairs[pair] for pair in pairwise(text) if pair in pairs}
    return sorted(ids)


def train(examples: Sequence[Example]) -> weights.Weights:
    """Return the quantised weights of a model fitted to `examples`."""
    ignored = corpus.word_list("stopwords.txt") | corpus.word_list("places.txt")
    ignored = frozenset(ignored | {stem(word) for word in ignored})
    texts = [_stems(example.text, ignored) for example in examples]
    vocabulary, pair_list = _vocabulary(texts, examples)
    terms = {word: number for number, word in enumerate(vocabulary)}
    pairs = {pair: number + len(terms) for number, pair in enumerate(pair_list)}
    rows = [_term_ids(text, terms, pairs) for text in texts]

    size = len(terms) + len(pairs)
    documents = Counter(id for row in rows for id in row)
    idf = np.array([round(IDF_UNIT * (1 + math.log(len(rows) / (1 + documents[id])))) for id in range(size)], np.int64)
    norm = [math.sqrt(sum(int(idf[id]) ** 2 for id in row)) or 1.0 for row in rows]
    data = [int(idf[id]) / length for row, length in zip(rows, norm, strict=True) for id in row]
    indices = [id for row in rows for id in row]
    indptr = np.cumsum([0] + [len(row) for row in rows])
    matrix = csr_matrix((np.array(data), np.array(indices, np.int32), indptr), shape=(len(rows), size))

    subjects = tuple(sorted(corpus.SHORT_NAMES.values()))
    weight = np.zeros((size, len(subjects)), np.int64)
    bias = np.zeros(len(subjects), np.int64)
    for column, subject in enumerate(subjects):
        coefficients, intercept = _fit(matrix, examples, subject)
        weight[:, column] = np.clip(np.rint(coefficients * idf * SCALE), -32767, 32767).astype(np.int64)
        bias[column] = round(intercept * LOGIT_UNIT)
    pair_ids = np.array([[terms[first], terms[second]] for first, second in pair_list], np.int32).reshape(-1, 2)
    return weights.Weights(
        subjects=subjects,
        terms=tuple(vocabulary),
        pairs=pair_ids,
        idf=idf.astype(np.int16),
        weight=weight.astype(np.int16),
        bias=bias.astype(np.int32),
        scale=SCALE,
    )


def _fit(matrix: Any, examples: Sequence[Example], subject: str) -> tuple[Any, float]:
    known = [number for number, example in enumerate(examples) if subject not in example.unknown]
    wanted = np.array([subject in examples[number].subjects for number in known])
    share = np.array([examples[number].weight for number in known])
    positive, negative = share[wanted].sum(), share[~wanted].sum()
    share[wanted] *= max(1.0, POSITIVE_SHARE / (1 - POSITIVE_SHARE) * negative / positive)
    fit = LogisticRegression(C=STRENGTH, solver="liblinear", max_iter=200, random_state=0, intercept_scaling=5.0)
    fit.fit(matrix[known], wanted, sample_weight=share)
    return fit.coef_[0], float(fit.intercept_[0])


def gather(huffpost: Path | None, media_topics: Path) -> list[Example]:
    """Return all training examples, in a fixed order."""
    examples = list(corpus.own_examples(OWN_WEIGHT))
    examples += corpus.lexicon_texts(LEXICON_WEIGHT)
    examples += corpus.definitions(media_topics, DEFINITION_WEIGHT)
    if huffpost is not None:
        examples += corpus.headlines(huffpost, HEADLINE_WEIGHT)
    return examples


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workers.classify.train", description=__doc__.split("\n")[0])
    parser.add_argument("--huffpost", type=Path, help="NDJSON of weakly labelled headlines")
    parser.add_argument("--media-topics", type=Path, required=True, help="JSON of the IPTC Media Topics")
    parser.add_argument("--out", type=Path, required=True, help="file of weights to write")
    options = parser.parse_args(arguments)
    examples = gather(options.huffpost, options.media_topics)
    data = weights.dump(train(examples))
    options.out.write_bytes(data)
    counts = Counter(example.source for example in examples)
    sys.stdout.write(f"{len(data):,} bytes from {', '.join(f'{n:,} {s}' for s, n in sorted(counts.items()))}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
