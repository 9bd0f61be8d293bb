"""From a headline and a body to the probability of each subject, in integers until the last step.

Each window of the text gets a logit for each subject: the sum of the weights of its distinct terms over the Euclidean
norm of their rarities (TF-IDF with binary counts), in 1/256. Another logit comes from the window's meaning: the sum of
its words' vectors. A few numbers about those logits (headline, lead, mean, strongest windows) then make the article's
logit, which the logistic function turns into a probability.

Sums of integers do not depend on their order, the square root is correctly rounded (IEEE 754), and the logistic
function is read from a table of thousandths: so scores are bit-identical on any machine and with any number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from workers.classify.calibration import NUMBERS, Calibration
from workers.classify.features import PLACE, stem, windows, words
from workers.classify.vectors import Vectors, length
from workers.classify.weights import Weights

Int64 = npt.NDArray[np.int64]

LOGIT_UNIT: Final = 256
"""Logits are integers in 1/256."""

LOGIT_LIMIT: Final = 6 * LOGIT_UNIT
"""A window's logit is cut off here, so that one window can't speak for the whole article."""

STRONGEST: Final = 3
"""How many of the windows that speak most for a subject are looked at together."""

HEADLINE_WORDS: Final = 60

_TABLE_LIMIT: Final = 8 * LOGIT_UNIT
_KEPT_WORDS: Final = 65_536


def _thousandths(logit: int) -> int:
    return round(1000 / (1 + math.exp(-logit / LOGIT_UNIT)))


_SIGMOID: Final[Int64] = np.array([_thousandths(logit) for logit in range(-_TABLE_LIMIT, _TABLE_LIMIT + 1)], np.int64)


def sigmoid(logits: Int64) -> Int64:
    """Return the logistic function of `logits` (in 1/256) in thousandths."""
    return _SIGMOID[np.clip(logits, -_TABLE_LIMIT, _TABLE_LIMIT) + _TABLE_LIMIT]


class _Numbers(dict[str, int]):
    """Words as they stand in texts -> the numbers of term and vector, kept for the commonest look-up of all.

    A value is (term + 1) * 2**32 + vector + 1: -1 for none becomes 0.
    """

    def __init__(self, terms: dict[str, int], vectors: dict[str, int]) -> None:
        super().__init__()
        self._terms, self._vectors = terms, vectors

    def __missing__(self, word: str) -> int:
        if len(self) >= _KEPT_WORDS:
            self.clear()
        root = stem(word)
        found = self[word] = (self._terms.get(root, -1) + 1 << 32) + self._vectors.get(root, -1) + 1
        return found


@dataclass(frozen=True, slots=True)
class Scores:
    """`probability`: thousandths, one a subject of either level. `evidence`: known terms, each counted once."""

    probability: Int64
    evidence: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The windows of an article, the first of which is its headline.

    `logits` and `meanings`: windows x subjects, in 1/256, from the words and from their vectors. `known`: terms known
    in each window. `evidence`: distinct terms known in all that say what the article is about.
    """

    logits: Int64
    meanings: Int64
    known: Int64
    evidence: int


class Model:
    """A linear model over words, their pairs and their vectors, with its calibration. Immutable; safe to share."""

    def __init__(self, weights: Weights, calibration: Calibration, vectors: Vectors) -> None:
        """Raises ValueError when calibration or vectors do not fit the weights (other subjects or dimensions)."""
        if calibration.subjects != weights.subjects:
            raise ValueError("weights and calibration are not of the same subjects")
        if vectors.matrix.shape[1] != len(weights.meaning):
            raise ValueError("weights and vectors are not of the same dimensions")
        self.subjects = weights.subjects
        self.calibration = calibration
        self.scale = weights.scale
        self._ids = {term: number for number, term in enumerate(weights.terms)}
        if PLACE in self._ids:
            self._ids |= dict.fromkeys(weights.places, self._ids[PLACE])
        self._words = len(weights.terms)
        pairs = weights.pairs.astype(np.int64)
        self._pairs = pairs[:, 0] * self._words + pairs[:, 1]
        form = {self._ids[term] for term in weights.form if term in self._ids}
        content = [number not in form for number in range(self._words)]
        content += [not {int(first), int(second)} <= form for first, second in pairs]
        self._content = np.array([*content, False])
        # A window has at most 133 terms of 16 bits, so its sums are whole numbers below 2**24: exact in floats of 32
        # bits, in any order, and several times faster than in integers. The same holds for the vectors below.
        # A row of zeros at the end stands for every term that is not known.
        self._weight = np.vstack([weights.weight, np.zeros((1, len(weights.subjects)))]).astype(np.float32)
        self._square = np.append(weights.idf.astype(np.int64) ** 2, 0)
        self.bias = weights.bias.astype(np.int64)
        self._vector_rows = {word: number for number, word in enumerate(vectors.words)}
        self._numbers = _Numbers(self._ids, self._vector_rows)
        # Padded with zeros for every word that has no vector.
        self._vectors = np.vstack([vectors.matrix, np.zeros((1, vectors.matrix.shape[1]))]).astype(np.float32)
        # Whole numbers far below 2**53: products of floats are exact, and much faster than those of integers.
        self._meaning = weights.meaning.astype(np.float64)
        self.meaning_bias = weights.meaning_bias.astype(np.int64)

    def score(self, headline: str, body: str) -> Scores:
        """Return the probability of each subject for an article. Either text may be empty."""
        reading = self.read(headline, body)
        total = (_summarise(reading) * self.calibration.coefficients).sum(axis=1) // LOGIT_UNIT + self.calibration.bias
        own, parent = sigmoid(total), self.calibration.parent
        below = parent != np.arange(len(parent))
        own = np.where(below, own, own * self.calibration.ceiling // 1000)
        return Scores(np.where(below, own * own[parent] // 1000, own), reading.evidence)

    def numbers(self, headline: str, body: str) -> Int64:
        """Return what the calibration combines (subjects x numbers, in 1/256 of a logit)."""
        return _summarise(self.read(headline, body))

    def number(self, word: str) -> int:
        """Return the number of the stem `word` among the terms, -1 when it is none."""
        return self._ids.get(word, -1)

    def pair_number(self, first: int, second: int) -> int:
        """Return the number of a pair of words among the terms, -1 when it is none."""
        key = first * self._words + second
        found = int(np.searchsorted(self._pairs, key))
        return found + self._words if found < len(self._pairs) and self._pairs[found] == key else -1

    def term_weights(self, term: int) -> npt.NDArray[np.float32]:
        """Return the weight of a term for each subject, in 1/`scale`."""
        found: npt.NDArray[np.float32] = self._weight[term]
        return found

    def vector_row(self, word: str) -> int:
        """Return the number of the vector of the stem `word`, -1 when it has none."""
        return self._vector_rows.get(word, -1)

    def meaning_shares(self, rows: list[int]) -> npt.NDArray[np.float64]:
        """Return what each of a window's distinct vectors adds to its logits (vectors x subjects, in logits)."""
        chosen = self._vectors[rows].astype(np.int64)
        size = int(length(chosen.sum(axis=0, keepdims=True))[0])
        found: npt.NDArray[np.float64] = (chosen @ self._meaning) * 16 / (self.scale * size)
        return found

    def square(self, term: int) -> int:
        """Return the square of a term's rarity, in 1/256."""
        return int(self._square[term])

    def read(self, headline: str, body: str) -> Reading:
        """Return the logits of an article's windows. Either text may be empty."""
        head, rest = words(headline, HEADLINE_WORDS), words(body)
        text = head + rest
        ranges = [(0, len(head))] + [(start + len(head), end + len(head)) for start, end in windows(len(rest))]
        numbers = np.array(list(map(self._numbers.__getitem__, text)), np.int64)
        ids = (numbers >> 32) - 1
        window = np.repeat(np.arange(len(ranges)), [end - start for start, end in ranges])
        keys = ids[:-1] * self._words + ids[1:]
        joined = (ids[:-1] >= 0) & (ids[1:] >= 0) & (window[:-1] == window[1:])
        terms = [ids[ids >= 0]]
        places = [window[ids >= 0]]
        if len(self._pairs) and joined.any():
            keys = keys[joined]
            found = np.minimum(np.searchsorted(self._pairs, keys), len(self._pairs) - 1)
            hit = self._pairs[found] == keys
            terms.append(found[hit] + self._words)
            places.append(window[:-1][joined][hit])
        stride = len(self._weight)
        distinct = np.unique(np.concatenate(places) * stride + np.concatenate(terms))
        place, term = distinct // stride, distinct % stride
        count = np.bincount(place, minlength=len(ranges)).astype(np.int64)
        # reduceat gives an empty range its neighbour's value, so only windows that have terms are summed.
        total = np.zeros((len(ranges), len(self.subjects)), np.int64)
        square = np.zeros(len(ranges), np.int64)
        filled = np.flatnonzero(count)
        if len(filled):
            starts = np.searchsorted(place, filled)
            total[filled] = np.add.reduceat(self._weight[term], starts, axis=0)
            square[filled] = np.add.reduceat(self._square[term], starts)
        norm = np.maximum(np.floor(np.sqrt(square * 256.0)).astype(np.int64), 1)
        logits = total * (LOGIT_UNIT * 16) // (self.scale * norm[:, None]) + self.bias
        return Reading(
            np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT),
            self._meanings((numbers & 0xFFFFFFFF) - 1, window, len(ranges)),
            count,
            int(self._content[np.unique(term)].sum()),
        )

    def _meanings(self, rows: Int64, window: Int64, count: int) -> Int64:
        """Return the logits of `count` windows from the vectors of their distinct words (windows x subjects)."""
        stride = len(self._vectors)
        distinct = np.unique(window[rows >= 0] * stride + rows[rows >= 0])
        place, row = distinct // stride, distinct % stride
        sums = np.zeros((count, self._vectors.shape[1]), np.int64)
        filled = np.flatnonzero(np.bincount(place, minlength=count))
        if len(filled):
            starts = np.searchsorted(place, filled)
            sums[filled] = np.add.reduceat(self._vectors[row], starts, axis=0)
        total = (sums.astype(np.float64) @ self._meaning).astype(np.int64)
        logits = total * (LOGIT_UNIT * 16) // (self.scale * length(sums)[:, None]) + self.meaning_bias
        cut: Int64 = np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)
        return cut


def _summarise(reading: Reading) -> Int64:
    """Return headline, lead, mean and strongest windows, and the last three of the meanings (subjects x 7, in 1/256).

    A missing headline is stood in for by the lead, and the other way round.
    """
    heard = reading.known > 0
    subjects = reading.logits.shape[1]
    if not heard.any():
        return np.zeros((subjects, len(NUMBERS)), np.int64)
    body = np.flatnonzero(heard[1:]) + 1
    if not len(body):
        body = np.zeros(1, np.int64)
    head = reading.logits[0] if heard[0] else reading.logits[body[0]]
    return np.stack([head, *_three(reading.logits[body]), *_three(reading.meanings[body])], axis=1)


def _three(logits: Int64) -> tuple[Int64, Int64, Int64]:
    """Return the first row, the mean of all rows, and the mean of each column's strongest."""
    strongest = np.sort(logits, axis=0)[-STRONGEST:]
    return logits[0], logits.sum(axis=0) // len(logits), strongest.sum(axis=0) // len(strongest)
