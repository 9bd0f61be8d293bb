"""From a headline and a body to the probability of each subject, in integers until the last step.

Each window of the text gets a logit for each subject: the sum of the weights of its distinct terms over the Euclidean
norm of their rarities (TF-IDF with binary counts), in 1/256. A few numbers about those logits (headline, lead, mean,
strongest windows) then make the article's logit, which the logistic function turns into a probability.

Sums of integers do not depend on their order, the square root is correctly rounded (IEEE 754), and the logistic
function is read from a table of thousandths: so scores are bit-identical on any machine and with any number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from workers.classify.calibration import Calibration
from workers.classify.features import stem, windows, words
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


def _thousandths(logit: int) -> int:
    return round(1000 / (1 + math.exp(-logit / LOGIT_UNIT)))


_SIGMOID: Final[Int64] = np.array([_thousandths(logit) for logit in range(-_TABLE_LIMIT, _TABLE_LIMIT + 1)], np.int64)


def sigmoid(logits: Int64) -> Int64:
    """Return the logistic function of `logits` (in 1/256) in thousandths."""
    return _SIGMOID[np.clip(logits, -_TABLE_LIMIT, _TABLE_LIMIT) + _TABLE_LIMIT]


@dataclass(frozen=True, slots=True)
class Scores:
    """`probability`: thousandths, one a subject of either level. `evidence`: known terms, each counted once."""

    probability: Int64
    evidence: int


class Model:
    """A linear model over words and pairs of words, with its calibration. Immutable; safe to share."""

    def __init__(self, weights: Weights, calibration: Calibration) -> None:
        """Raises ValueError when the calibration does not fit the weights (other subjects)."""
        if calibration.subjects != weights.subjects:
            raise ValueError("weights and calibration are not of the same subjects")
        self.subjects = weights.subjects
        self.calibration = calibration
        self.scale = weights.scale
        self._ids = {term: number for number, term in enumerate(weights.terms)}
        self._words = len(weights.terms)
        pairs = weights.pairs.astype(np.int64)
        self._pairs = pairs[:, 0] * self._words + pairs[:, 1]
        # A row of zeros at the end stands for every term that is not known.
        self._weight = np.vstack([weights.weight, np.zeros((1, len(weights.subjects)), np.int16)])
        self._square = np.append(weights.idf.astype(np.int64) ** 2, 0)
        self.bias = weights.bias.astype(np.int64)

    def score(self, headline: str, body: str) -> Scores:
        """Return the probability of each subject for an article. Either text may be empty."""
        logits, known, evidence = self._read(headline, body)
        numbers = self._summarise(logits, known)
        total = (numbers * self.calibration.coefficients).sum(axis=1) // LOGIT_UNIT + self.calibration.bias
        own, parent = sigmoid(total), self.calibration.parent
        below = parent != np.arange(len(parent))
        return Scores(np.where(below, own * own[parent] // 1000, own), evidence)

    def numbers(self, headline: str, body: str) -> Int64:
        """Return what the calibration combines (subjects x numbers, in 1/256 of a logit)."""
        logits, known, _ = self._read(headline, body)
        return self._summarise(logits, known)

    def window_logits(self, headline: str, body: str) -> tuple[Int64, Int64]:
        """Return the logits of an article's windows (windows x subjects, in 1/256), and the known terms in each.

        The first window is the headline.
        """
        logits, known, _ = self._read(headline, body)
        return logits, known

    def number(self, word: str) -> int:
        """Return the number of the stem `word` among the terms, -1 when it is none."""
        return self._ids.get(word, -1)

    def pair_number(self, first: int, second: int) -> int:
        """Return the number of a pair of words among the terms, -1 when it is none."""
        key = first * self._words + second
        found = int(np.searchsorted(self._pairs, key))
        return found + self._words if found < len(self._pairs) and self._pairs[found] == key else -1

    def term_weights(self, term: int) -> npt.NDArray[np.int16]:
        """Return the weight of a term for each subject, in 1/`scale`."""
        found: npt.NDArray[np.int16] = self._weight[term]
        return found

    def square(self, term: int) -> int:
        """Return the square of a term's rarity, in 1/256."""
        return int(self._square[term])

    def _summarise(self, logits: Int64, known: Int64) -> Int64:
        """Return headline, lead, mean and strongest windows (subjects x 4, in 1/256) of an article's windows.

        `logits` is windows x subjects, `known` the number of known terms in each; the first window is the headline.
        A missing headline is stood in for by the lead, and the other way round.
        """
        heard = known > 0
        if not heard.any():
            return np.zeros((len(self.subjects), 4), np.int64)
        body = logits[1:][heard[1:]]
        if not len(body):
            body = logits[:1]
        head = logits[0] if heard[0] else body[0]
        mean = body.sum(axis=0) // len(body)
        strongest = np.sort(body, axis=0)[-STRONGEST:]
        return np.stack([head, body[0], mean, strongest.sum(axis=0) // len(strongest)], axis=1)

    def _read(self, headline: str, body: str) -> tuple[Int64, Int64, int]:
        """Return logits (windows x subjects, in 1/256), the known terms in each window, and the distinct ones in all.

        The first window is the headline.
        """
        head, rest = words(headline, HEADLINE_WORDS), words(body)
        text = head + rest
        ranges = [(0, len(head))] + [(start + len(head), end + len(head)) for start, end in windows(len(rest))]
        lookup, unknown = self._ids.get, -1
        ids = np.array([lookup(stem(word), unknown) for word in text], np.int64)
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
            total[filled] = np.add.reduceat(self._weight[term], starts, axis=0, dtype=np.int64)
            square[filled] = np.add.reduceat(self._square[term], starts)
        norm = np.maximum(np.floor(np.sqrt(square * 256.0)).astype(np.int64), 1)
        logits = total * (LOGIT_UNIT * 16) // (self.scale * norm[:, None]) + self.bias
        return np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT), count, len(np.unique(term))
