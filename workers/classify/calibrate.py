"""Fits the calibration to labelled articles that the weights were not trained on.

The articles are cut into five parts, all of an outlet in one; each is scored by weights trained without it and without
the examples that may take up one of its stories (resemblance.py). From
those scores are learnt: seven coefficients for all subjects of a level, one bias a subject (held towards what all have
in common), and from where a subject is named. Needs scikit-learn (the extra `train`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from workers.classify import calibration
from workers.classify.articles import Labelled
from workers.classify.model import LOGIT_UNIT, Model, sigmoid
from workers.classify.trainer import Trainer

PARTS: Final = 5
STRENGTH: Final = 1.0
"""Inverse of the regularisation (C of liblinear) of coefficients and biases together."""

BIAS_STRENGTH: Final = 1.0
"""How strongly a subject's own bias counts, relative to the shared numbers: small is held towards the shared bias."""

SECOND_BIAS_STRENGTH: Final = 0.5
THRESHOLDS: Final = range(250, 501, 10)
"""Thousandths that a threshold may be. For calibrated probabilities the threshold with the best expected F1 is half of
that F1 (Lipton, Elkan and Naryanaswamy, 2014, arXiv:1402.1892), which lies between 0.5 and 0.95 here."""

SHARED: Final = 0.3
"""How much the counts of all subjects together weigh in the choice of each subject's threshold."""

AGREEMENT: Final = 910
"""Thousandths of a labeller's subjects of level 1 that another labeller gives as well: the mean micro-F1 of two
labellings of tuning articles (0.90 on 120, 0.92 on 191). A probability shall say how likely another reader is to agree,
not how likely the one who labelled these articles is: so it is multiplied by this."""

SECOND_PRECISION: Final = 0.78
"""Precision that subjects of level 2 shall have together: above the 0.7 that is promised, for it is measured on few."""


def outlet(id: str) -> str:
    """Return the outlet in an article's id (`kenya_tuko_3`: `kenya_tuko`)."""
    return id.rsplit("_", 1)[0]


def parts(articles: Sequence[Labelled]) -> list[list[int]]:
    """Return the numbers of the articles in each part: all of an outlet in one, outlets in a fixed random order."""
    outlets = sorted({outlet(article.id) for article in articles})
    random.Random(5).shuffle(outlets)  # noqa: S311 - not for secrets; a fixed order, so that training repeats
    part = {name: number % PARTS for number, name in enumerate(outlets)}
    return [[n for n, a in enumerate(articles) if part[outlet(a.id)] == wanted] for wanted in range(PARTS)]


def unseen_numbers(trainer: Trainer, articles: Sequence[Labelled], collected: Sequence[Labelled] = ()) -> Any:
    """Return what the calibration combines (articles x subjects x numbers, in logits), each article scored unseen.

    The articles are those of the trainer, in its order: first `articles`, then `collected`.
    """
    every = [*articles, *collected]
    found = np.zeros((len(every), len(trainer.subjects), len(calibration.NUMBERS)))
    none = [0] * len(calibration.NUMBERS)
    zeros = [0] * len(trainer.subjects)
    blank = calibration.parse(calibration.dump(trainer.subjects, trainer.parents, none, none, zeros, zeros))
    for own, others in zip(parts(articles), parts(collected), strict=True):
        part = own + [len(articles) + number for number in others]
        model = Model(trainer.train(frozenset(part)), blank, trainer.vectors)
        for number in part:
            found[number] = model.numbers(every[number].headline, every[number].body) / LOGIT_UNIT
    return found


@dataclass(frozen=True, slots=True)
class Fitted:
    """`data`: the contents of calibration.json. `report`: how good it is on the articles, each scored unseen."""

    data: bytes
    report: str


def fit(trainer: Trainer, articles: Sequence[Labelled], collected: Sequence[Labelled] = ()) -> Fitted:
    """Return the calibration that is fitted to all the articles, each scored by weights that did not see it."""
    numbers = unseen_numbers(trainer, articles, collected)
    articles = [*articles, *collected]
    subjects, parents = trainer.subjects, trainer.parents
    wanted = np.array([[subject in article.subjects for subject in subjects] for article in articles])
    top = [column for column, parent in enumerate(parents) if not parent]
    second = [column for column, parent in enumerate(parents) if parent]
    above = [subjects.index(parents[column]) for column in second]
    everywhere = np.ones((len(articles), len(top)), bool)
    coefficients, bias = _logistic(numbers[:, top], wanted[:, top], everywhere, BIAS_STRENGTH)
    second_coefficients, second_bias = _logistic(
        numbers[:, second], wanted[:, second], wanted[:, above], SECOND_BIAS_STRENGTH
    )
    probability = _probability(numbers[:, top], coefficients, bias)
    own = _probability(numbers[:, second], second_coefficients, second_bias)
    probability = probability * AGREEMENT // 1000
    joint = own * probability[:, above] // 1000
    thresholds = _thresholds(probability, wanted[:, top])
    named = probability[:, above] >= np.array(thresholds)[above]
    joint = np.where(named, joint, 0)
    limit = _second_threshold(joint, wanted[:, second])
    data = calibration.dump(
        subjects,
        parents,
        coefficients,
        second_coefficients,
        bias + second_bias,
        thresholds + [limit] * len(second),
        AGREEMENT,
    )
    return Fitted(data, _report(probability >= np.array(thresholds), wanted[:, top], joint >= limit, wanted[:, second]))


def _report(said: Any, wanted: Any, said_second: Any, wanted_second: Any) -> str:
    right, told, need = (said & wanted).sum(axis=0), said.sum(axis=0), wanted.sum(axis=0)
    each = 2 * right / np.maximum(told + need, 1)
    right_second = (said_second & wanted_second).sum()
    return (
        f"unseen articles: micro-F1 {2 * right.sum() / (told.sum() + need.sum()):.3f}, macro-F1 {each.mean():.3f};"
        f" level 2: precision {right_second / max(1, said_second.sum()):.3f},"
        f" speaks of {said_second.any(axis=1).mean():.0%}"
    )


def _logistic(numbers: Any, wanted: Any, known: Any, strength: float) -> tuple[list[int], list[int]]:
    """Return coefficients and biases, both in 1/256, fitted where `known` (all: articles x subjects)."""
    width = numbers.shape[2]
    own = np.broadcast_to(np.eye(numbers.shape[1]) * strength, (*numbers.shape[:2], numbers.shape[1]))
    rows = np.concatenate([numbers, own], axis=2)[known]
    found = LogisticRegression(C=STRENGTH, solver="liblinear", random_state=0, intercept_scaling=10.0, max_iter=1000)
    found.fit(rows, wanted[known])
    shared, biases = found.coef_[0][:width], found.coef_[0][width:] * strength
    return (
        [round(float(value) * LOGIT_UNIT) for value in shared],
        [round((float(value) + float(found.intercept_[0])) * LOGIT_UNIT) for value in biases],
    )


def _probability(numbers: Any, coefficients: list[int], bias: list[int]) -> Any:
    whole = np.rint(numbers * LOGIT_UNIT).astype(np.int64)
    return sigmoid((whole * np.array(coefficients)).sum(axis=2) // LOGIT_UNIT + np.array(bias))


def _thresholds(probability: Any, wanted: Any) -> list[int]:
    """Return a threshold for each subject: the best F1, where the counts of all subjects have a say."""
    found = []
    hits, said = (
        np.array([(extra & (probability >= limit)).sum(axis=0) for limit in THRESHOLDS])
        for extra in (wanted, np.ones_like(wanted))
    )
    need = wanted.sum(axis=0)
    share = SHARED * need.mean() / need.sum()
    for column in range(probability.shape[1]):
        shared_hits, shared_said = hits.sum(axis=1) * share, said.sum(axis=1) * share
        total = said[:, column] + shared_said + need[column] + need.sum() * share
        score = 2 * (hits[:, column] + shared_hits) / total
        found.append(THRESHOLDS[int(np.argmax(score))])
    return found


def _second_threshold(joint: Any, wanted: Any) -> int:
    """Return the lowest threshold from which on subjects of level 2 have the precision that they shall have."""
    for limit in range(200, 951, 10):
        said = joint >= limit
        if said.any() and (wanted & said).sum() / said.sum() >= SECOND_PRECISION:
            return limit
    return 950
