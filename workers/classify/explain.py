"""Why an article was given its subjects: the words and the sentences that spoke for each.

An article's logit is a sum over its windows, and a window's logits are sums over its terms and over the vectors of its
words. So each term's share of the
article's logit is known, and shared out equally among the places in the window where it stands. Bias and calibration's
constants belong to no term and are left out. A window whose logit was cut off at its limit counts as it would uncut.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from workers.classify.features import MAX_CHARS, MAX_WORDS, WORD, stem, windows
from workers.classify.model import HEADLINE_WORDS, LOGIT_UNIT, STRONGEST, Int64
from workers.classify.stage import ClassifyStage

MAX_TERMS: Final = 8
MAX_SENTENCES: Final = 3

_END: Final = re.compile(r"[.!?…][”\"')\]]*\s+|\n+")


@dataclass(frozen=True, slots=True)
class TermReason:
    """A word or pair of words as it first stands in the text, and its share of the article's logit."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class SentenceReason:
    """A sentence: where it stands (characters, half open), and its share of the article's logit."""

    field: Literal["headline", "body"]
    start: int
    end: int
    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class SubjectReason:
    """What spoke for one subject, strongest first. `probability` as in the record."""

    id: str
    name: str
    level: int
    probability: float
    terms: tuple[TermReason, ...]
    sentences: tuple[SentenceReason, ...]


@dataclass(frozen=True, slots=True)
class _Word:
    field: Literal["headline", "body"]
    start: int
    end: int
    number: int
    """Of the term, -1 for words that are none."""
    vector: int
    """Of the vector, -1 for words without."""


@dataclass(frozen=True, slots=True)
class _Share:
    """One term of one window with the places of its words and its share of each subject's logit."""

    words: tuple[tuple[_Word, ...], ...]
    weight: np.ndarray[tuple[int], np.dtype[np.float64]]


def explain_subjects(stage: ClassifyStage, headline: str, body: str, language: str) -> tuple[SubjectReason, ...]:
    """Return the reasons for each subject that `stage` gives to the text, in the order of the record.

    Weights are in logits, rounded to three decimals; only what speaks for a subject is listed.
    """
    items = stage.subjects(headline, body, language).items
    if not items:
        return ()
    shares = _shares(stage, headline, body)
    spans = {"headline": _sentences(headline), "body": _sentences(body)}
    texts = {"headline": headline, "body": body}
    place = {id: column for column, id in enumerate(stage.model.subjects)}
    reasons = []
    for item in items:
        terms: dict[str, float] = defaultdict(float)
        sentences: dict[tuple[Literal["headline", "body"], int, int], float] = defaultdict(float)
        for share in shares:
            weight = float(share.weight[place[item.id]])
            first = share.words[0]
            terms[" ".join(texts[word.field][word.start : word.end].lower() for word in first)] += weight
            for words in share.words:
                start, end = _around(spans[words[0].field], words[0].start)
                sentences[(words[0].field, start, end)] += weight / len(share.words)
        best_terms = sorted(terms.items(), key=lambda pair: (-round(pair[1], 3), pair[0]))[:MAX_TERMS]
        best = sorted(sentences.items(), key=lambda pair: (-round(pair[1], 3), pair[0]))[:MAX_SENTENCES]
        reasons.append(
            SubjectReason(
                id=item.id,
                name=item.name,
                level=item.level,
                probability=item.probability,
                terms=tuple(TermReason(text, round(weight, 3)) for text, weight in best_terms if weight >= 0.001),
                sentences=tuple(
                    SentenceReason(field, start, end, texts[field][start:end].strip(), round(weight, 3))
                    for (field, start, end), weight in best
                    if weight >= 0.001
                ),
            )
        )
    return tuple(reasons)


def _shares(stage: ClassifyStage, headline: str, body: str) -> list[_Share]:
    """Return every term of every window with its share of the logits."""
    model = stage.model
    head, rest = _words(stage, "headline", headline, HEADLINE_WORDS), _words(stage, "body", body, MAX_WORDS)
    cut = [head, *(rest[start:end] for start, end in windows(len(rest)))]
    found = [_places(stage, words) for words in cut]
    factors, meaning_factors = _factors(stage, headline, body, len(cut))
    shares = []
    for number, places in enumerate(found):
        norm = max(1.0, float(np.sqrt(sum(model.square(term) for term in places) * 256.0)))
        for term in sorted(places):
            logit = model.term_weights(term).astype(np.float64) * 16 / (model.scale * norm)
            shares.append(_Share(tuple(places[term]), logit * factors[number]))
        there: dict[int, list[tuple[_Word, ...]]] = defaultdict(list)
        for word in cut[number]:
            if word.vector >= 0:
                there[word.vector].append((word,))
        if there:
            rows = sorted(there)
            for row, meaning in zip(rows, model.meaning_shares(rows), strict=True):
                shares.append(_Share(tuple(there[row]), meaning * meaning_factors[number]))
    return shares


_Factors = npt.NDArray[np.float64]


def _factors(stage: ClassifyStage, headline: str, body: str, count: int) -> tuple[_Factors, _Factors]:
    """Return how much each window's two logits count in the article's (both windows x subjects)."""
    reading = stage.model.read(headline, body)
    coefficients = stage.model.calibration.coefficients / LOGIT_UNIT
    heard = [number for number in range(1, count) if reading.known[number]] or [0]
    factors = _spread(reading.logits, heard, coefficients[:, 1:4])
    factors[0 if reading.known[0] else heard[0]] += coefficients[:, 0]
    return factors, _spread(reading.meanings, heard, coefficients[:, 4:7])


def _spread(logits: Int64, heard: list[int], coefficients: _Factors) -> _Factors:
    """Return how much each window counts, `coefficients` being those of lead, mean and strongest for each subject."""
    factors: _Factors = np.zeros((logits.shape[0], logits.shape[1]))
    factors[heard[0]] += coefficients[:, 0]
    for number in heard:
        factors[number] += coefficients[:, 1] / len(heard)
    ranked = np.argsort(logits[heard], axis=0, kind="stable")[-STRONGEST:]
    for column in range(factors.shape[1]):
        for row in ranked[:, column]:
            factors[heard[int(row)], column] += coefficients[column, 2] / len(ranked)
    return factors


def _words(stage: ClassifyStage, field: Literal["headline", "body"], text: str, limit: int) -> list[_Word]:
    # Lower-casing can change a text's length (as with the Turkish dotted I), so words are found before it.
    found: list[_Word] = []
    for match in WORD.finditer(text[:MAX_CHARS]):
        if len(found) == limit:
            break
        root = stem(match.group().lower())
        number, vector = stage.model.number(root), stage.model.vector_row(root)
        found.append(_Word(field, match.start(), match.end(), number, vector))
    return found


def _places(stage: ClassifyStage, words: list[_Word]) -> dict[int, list[tuple[_Word, ...]]]:
    places: dict[int, list[tuple[_Word, ...]]] = defaultdict(list)
    for position, word in enumerate(words):
        if word.number < 0:
            continue
        places[word.number].append((word,))
        if position + 1 < len(words) and words[position + 1].number >= 0:
            pair = stage.model.pair_number(word.number, words[position + 1].number)
            if pair >= 0:
                places[pair].append((word, words[position + 1]))
    return places


def _sentences(text: str) -> list[tuple[int, int]]:
    ends = [match.end() for match in _END.finditer(text)]
    if not ends or ends[-1] < len(text):
        ends.append(len(text))
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _around(spans: list[tuple[int, int]], place: int) -> tuple[int, int]:
    low, high = 0, len(spans) - 1
    while low < high:
        middle = (low + high) // 2
        if spans[middle][1] <= place:
            low = middle + 1
        else:
            high = middle
    return spans[low]
