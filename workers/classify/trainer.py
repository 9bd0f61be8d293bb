"""The training of the weights: one logistic regression a subject, the same bytes from the same texts.

It is over words and pairs of words (binary counts times inverse document frequency, unit length), fitted by liblinear
in one thread from fixed data in fixed order. A second one learns from the meanings of the texts (vectors.py), for words
that no text has. Both learn from short texts, from short articles written for it, and from labelled articles. A subject
of level 2 is learnt among the texts about its parent. Needs scikit-learn (the extra `train`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression

from workers.classify import corpus, taxonomy, weights
from workers.classify.articles import Labelled
from workers.classify.corpus import Example
from workers.classify.features import PLACE, stem, windows, words
from workers.classify.model import HEADLINE_WORDS, LOGIT_UNIT
from workers.classify.resemblance import alike
from workers.classify.vectors import Vectors

OWN_WEIGHT: Final = 1.0
ARTICLE_WEIGHT: Final = 2.0

MIN_TEXTS: Final = 2
"""Texts in which a word must stand to be a term (all but headlines count twice)."""
MIN_PAIR_TEXTS: Final = 4
MIN_SECOND: Final = 6
"""Own examples and articles that a subject of level 2 must have to be learnt."""
IDF_UNIT: Final = 16
SCALE: Final = 8
POSITIVE_SHARE: Final = 0.3
"""Share of the total weight that a subject's positive examples are given, however few they are."""
STRENGTH: Final = 8.0
"""Inverse of the regularisation (C of liblinear)."""
MEANING_STRENGTH: Final = 10.0
"""The same for the meanings."""
RATIO_SHARE: Final = 0.3
RATIO_PRIOR: Final = 0.2
"""Features that tell a subject's texts from the others are stretched: by 1 - share + share x |log ratio| / its mean,
the ratio being that of a term's smoothed frequencies in both (after Wang and Manning, 2012, "Baselines and bigrams").
So they are held down less by the regularisation. Weights stay weights of words: the model sees nothing of this."""
ARTICLE_MIX: Final = (0.3, 0.2, 0.5)
"""How much headline, lead and mean of the windows make up the one row that an article is in training."""


class Trainer:
    """The training texts as rows of features. `train` can leave articles out."""

    def __init__(
        self,
        examples: Sequence[Example],
        articles: Sequence[Labelled],
        table: taxonomy.Taxonomy,
        vectors: Vectors,
        reports: Sequence[Labelled] = (),
        collected: Sequence[Labelled] = (),
    ) -> None:
        """Build vocabulary and rows from all texts. `reports` are articles that are never left out for calibration.

        `collected` are: they are numbered after `articles`. No example was written after they had been read.
        """
        stopwords, telling, places = (
            frozenset(map(stem, corpus.word_list(f"{name}.txt"))) for name in ("stopwords", "telling", "places")
        )
        self._ignored, self._places, self._form = stopwords - telling - places, places, (telling - places) | {PLACE}
        self._examples = examples
        self.vectors = vectors
        self._articles = (*articles, *collected, *reports)
        self._real = len(articles) + len(collected)
        self._alike = alike(examples, articles)
        own = [Example(f"{report.headline} {report.body}", report.subjects, OWN_WEIGHT, "own") for report in reports]
        self._reports_alike = alike(own, articles)
        texts = [self._stems(words(example.text)) for example in examples]
        cut = [self._windows(article) for article in self._articles]
        worth = [1 if example.source == "headline" else 2 for example in examples]
        for article in cut:
            texts += article
            worth += [2] * len(article)
        self._terms, self._pairs = _vocabulary(texts, worth)
        rows = [self._term_ids(text) for text in texts]
        self._idf = _rarity(rows, len(self._terms) + len(self._pairs))
        matrix = self._matrix(rows)
        self._short = matrix[: len(examples)]
        counts = [len(article) for article in cut]
        self._long = _mix(matrix[len(examples) :], counts)
        meanings = self._meanings(texts)
        self._short_meanings = meanings[: len(examples)]
        self._long_meanings = _mean_directions(meanings[len(examples) :], counts)
        self.subjects = (*(concept.id for concept in table.top), *self._second(table))
        self.parents = tuple("" if table.concepts[id].level == 1 else table.ancestor(id).id for id in self.subjects)

    def train(self, without: frozenset[int] = frozenset()) -> weights.Weights:
        """Return the quantised weights of a model fitted to all texts but the articles numbered in `without`.

        Examples and reports that may take up the story of one of these are left out, too.
        """
        kept = [number for number in range(self._real) if number not in without]
        kept += [self._real + n for n, close in enumerate(self._reports_alike) if without.isdisjoint(close)]
        short = [number for number, close in enumerate(self._alike) if without.isdisjoint(close)]
        examples = [self._examples[number] for number in short]
        matrix = vstack([self._short[short], self._long[kept]]).tocsr()
        meanings = np.concatenate([self._short_meanings[short], self._long_meanings[kept]])
        about = [example.subjects for example in examples] + [self._articles[n].subjects for n in kept]
        unknown = [example.unknown for example in examples] + [frozenset()] * len(kept)
        share = np.array([example.weight for example in examples] + [ARTICLE_WEIGHT] * len(kept))
        weight = np.zeros((matrix.shape[1], len(self.subjects)), np.int64)
        bias = np.zeros(len(self.subjects), np.int64)
        meaning = np.zeros((meanings.shape[1], len(self.subjects)), np.int64)
        meaning_bias = np.zeros(len(self.subjects), np.int64)
        for column, (subject, parent) in enumerate(zip(self.subjects, self.parents, strict=True)):
            if parent:
                family = {id for id, above in zip(self.subjects, self.parents, strict=True) if above == parent}
                known = [row for row, ids in enumerate(about) if parent in ids and not family.isdisjoint(ids)]
            else:
                known = [row for row, ids in enumerate(unknown) if subject not in ids]
            wanted = np.array([subject in about[row] for row in known])
            balanced = _balance(wanted, share[known])
            coefficients, intercept = _fit(matrix[known], wanted, balanced)
            weight[:, column] = _quantised(coefficients * self._idf)
            bias[column] = round(intercept * LOGIT_UNIT)
            coefficients, intercept = _logistic(meanings[known], wanted, balanced, MEANING_STRENGTH)
            meaning[:, column] = _quantised(coefficients)
            meaning_bias[column] = round(intercept * LOGIT_UNIT)
        numbers = {word: number for number, word in enumerate(self._terms)}
        pairs = np.array([[numbers[a], numbers[b]] for a, b in self._pairs], np.int32).reshape(-1, 2)
        return weights.Weights(
            subjects=self.subjects,
            terms=tuple(self._terms),
            places=tuple(sorted(self._places)),
            form=tuple(sorted(self._form & self._terms.keys())),
            pairs=pairs,
            idf=self._idf.astype(np.int16),
            weight=weight.astype(np.int16),
            bias=bias.astype(np.int32),
            scale=SCALE,
            meaning=meaning.astype(np.int16),
            meaning_bias=meaning_bias.astype(np.int32),
        )

    def _second(self, table: taxonomy.Taxonomy) -> list[str]:
        counts: Counter[str] = Counter()
        for example in self._examples:
            if example.source == "own":
                counts.update(example.subjects)
        for article in self._articles:
            counts.update(article.subjects)
        # Fewer than two subjects below a parent leave nothing to tell apart.
        found = [c for c in table.concepts.values() if c.level == 2 and counts[c.id] >= MIN_SECOND]
        families = Counter(concept.parent for concept in found)
        return [concept.id for concept in found if families[concept.parent] > 1]

    def _stems(self, text: list[str]) -> list[str]:
        # An ignored word leaves a gap, so that no pair spans it: the model sees it in the same way.
        roots = [stem(word) for word in text]
        return [PLACE if root in self._places else "" if root in self._ignored else root for root in roots]

    def _windows(self, article: Labelled) -> list[list[str]]:
        body = self._stems(words(article.body))
        return [
            self._stems(words(article.headline, HEADLINE_WORDS)),
            *(body[start:end] for start, end in windows(len(body))),
        ]

    def _term_ids(self, text: list[str]) -> list[int]:
        ids = {self._terms[word] for word in text if word in self._terms}
        ids |= {self._pairs[pair] for pair in pairwise(text) if pair in self._pairs}
        return sorted(ids)

    def _matrix(self, rows: list[list[int]]) -> Any:
        norm = [math.sqrt(sum(int(self._idf[id]) ** 2 for id in row)) or 1.0 for row in rows]
        data = [int(self._idf[id]) / length for row, length in zip(rows, norm, strict=True) for id in row]
        indptr = np.cumsum([0] + [len(row) for row in rows])
        indices = np.array([id for row in rows for id in row], np.int32)
        return csr_matrix((np.array(data), indices, indptr), shape=(len(rows), len(self._idf)))

    def _meanings(self, texts: Sequence[list[str]]) -> Any:
        rows = {word: number for number, word in enumerate(self.vectors.words)}
        sums = np.zeros((len(texts), self.vectors.matrix.shape[1]), np.int64)
        for number, text in enumerate(texts):
            there = sorted({rows[word] for word in text if word in rows})
            sums[number] = self.vectors.matrix[there].sum(axis=0, dtype=np.int64)
        return sums / np.maximum(np.sqrt((sums * sums).sum(axis=1, keepdims=True)), 1.0)


def _mean_directions(meanings: Any, counts: Sequence[int]) -> Any:
    """Return the direction of the mean of each article's windows, of which the first is its headline."""
    found, start = np.zeros((len(counts), meanings.shape[1])), 0
    for number, count in enumerate(counts):
        own = meanings[start + (count > 1) : start + count].mean(axis=0)
        found[number] = own / max(math.sqrt(float((own * own).sum())), 1e-9)
        start += count
    return found


def _quantised(coefficients: Any) -> Any:
    return np.clip(np.rint(coefficients * SCALE), -32767, 32767).astype(np.int64)


def _vocabulary(texts: Sequence[list[str]], worth: Sequence[int]) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    single: Counter[str] = Counter()
    double: Counter[tuple[str, str]] = Counter()
    for text, count in zip(texts, worth, strict=True):
        for word in {word for word in text if word}:
            single[word] += count
        for pair in {pair for pair in pairwise(text) if all(pair)}:
            double[pair] += count
    kept = {word for word, count in single.items() if count >= MIN_TEXTS}
    pairs = sorted(p for p, n in double.items() if n >= MIN_PAIR_TEXTS and p[0] in kept and p[1] in kept)
    terms = {word: number for number, word in enumerate(sorted(kept))}
    return terms, {pair: number + len(terms) for number, pair in enumerate(pairs)}


def _rarity(rows: list[list[int]], size: int) -> Any:
    documents = Counter(id for row in rows for id in row)
    return np.array([round(IDF_UNIT * (1 + math.log(len(rows) / (1 + documents[id])))) for id in range(size)], np.int64)


def _mix(matrix: Any, counts: Sequence[int]) -> Any:
    """Return one row of unit length for each article. `counts`: rows of each, the first of which is its headline."""
    rows, start = [], 0
    for count in counts:
        own = matrix[start : start + count]
        start += count
        body = own[1:] if count > 1 else own
        head = own[0] if own[0].nnz else body[0]
        row = ARTICLE_MIX[0] * head + ARTICLE_MIX[1] * body[0] + ARTICLE_MIX[2] * csr_matrix(body.mean(axis=0))
        rows.append(row)
    if not rows:
        return matrix[:0]
    mixed = vstack(rows).tocsr()
    norm = np.sqrt(np.asarray(mixed.multiply(mixed).sum(axis=1)).ravel())
    return (diags(1 / np.maximum(norm, 1e-9)) @ mixed).tocsr()


def _balance(wanted: Any, share: Any) -> Any:
    """Return `share` with the positive examples' raised to POSITIVE_SHARE of the whole."""
    positive, negative = share[wanted].sum(), share[~wanted].sum()
    return np.where(wanted, share * max(1.0, POSITIVE_SHARE / (1 - POSITIVE_SHARE) * negative / positive), share)


def _fit(matrix: Any, wanted: Any, share: Any) -> tuple[Any, float]:
    stretch = _stretch(matrix, wanted, share)
    coefficients, intercept = _logistic((matrix @ diags(stretch)).tocsr(), wanted, share, STRENGTH)
    return coefficients * stretch, intercept


def _logistic(rows: Any, wanted: Any, share: Any, strength: float) -> tuple[Any, float]:
    fit = LogisticRegression(C=strength, solver="liblinear", max_iter=100, random_state=0, intercept_scaling=5.0)
    fit.fit(rows, wanted, sample_weight=share)
    return fit.coef_[0], float(fit.intercept_[0])


def _stretch(matrix: Any, wanted: Any, share: Any) -> Any:
    there = matrix.copy()
    there.data = np.minimum(1.0, there.data * 4)
    counts = [RATIO_PRIOR + np.asarray(there[rows].T @ share[rows]).ravel() for rows in (wanted, ~wanted)]
    ratio = np.abs(np.log((counts[0] / counts[0].sum()) / (counts[1] / counts[1].sum())))
    return 1 - RATIO_SHARE + RATIO_SHARE * ratio / ratio.mean()
