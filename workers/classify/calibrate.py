"""Fits calibration.json to labelled articles.

`python -m workers.classify.calibrate --weights FILE --gold FILE --articles FILE --out FILE`

The weights come from short texts; what makes a whole article about a subject is learnt here, from few articles and so
with few numbers: four coefficients that all subjects share, one bias a subject (held towards zero), one threshold that
all subjects share. Only the articles that `part` calls `tune` are used. Needs scikit-learn (the extra `train`).

`--gold`: lines of article id, tab, `medtop:` ids between commas. `--articles`: gzipped NDJSON with `id` and `text`.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from sklearn.linear_model import LogisticRegression

from workers.classify import calibration, weights
from workers.classify.model import LOGIT_UNIT, Model

STRENGTH: Final = 1.0
"""Inverse of the regularisation (C of liblinear) of coefficients and biases together."""

BIAS_STRENGTH: Final = 0.5
"""How strongly a subject's own bias counts, relative to the shared numbers: small is held towards the shared bias."""

THRESHOLD: Final = 400
"""Thousandths from which a subject is named. For calibrated probabilities the threshold with the best expected F1 is
half of that F1 (Lipton, Elkan and Naryanaswamy, 2014, arXiv:1402.1892), which lies near 0.8 here."""

HEADLINE_WORDS: Final = 25
"""A first line of at most so many words that does not end like a sentence is taken for the headline."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A labelled article. `headline` may be empty."""

    id: str
    headline: str
    body: str
    subjects: frozenset[str]


def split_headline(text: str) -> tuple[str, str]:
    """Return headline and body of a raw text, the headline empty where its first line looks like a paragraph."""
    first, _, rest = text.strip().partition("\n")
    if rest.strip() and len(first.split()) <= HEADLINE_WORDS and not first.rstrip().endswith((".", "!", "”", '"', "…")):
        return first.strip(), rest.strip()
    return "", text.strip()


def read_gold(gold: Path, articles: Path) -> list[Labelled]:
    """Return the labelled articles, in the order of `gold`. Raises KeyError when an article is missing."""
    texts: dict[str, str] = {}
    with gzip.open(articles) as lines:
        for line in lines:
            item = orjson.loads(line)
            texts[item["id"]] = item["text"]
    found = []
    for entry in gold.read_text("utf-8").splitlines():
        id, labels = entry.split("\t")
        headline, body = split_headline(texts[id])
        found.append(Labelled(id, headline, body, frozenset(labels.split(","))))
    return found


def fit(model: Model, articles: Sequence[Labelled]) -> dict[str, Any]:
    """Return the contents of calibration.json, fitted to `articles`."""
    subjects, width = model.subjects, len(calibration.NUMBERS)
    rows, wanted = [], []
    for article in articles:
        numbers = model.numbers(article.headline, article.body) / LOGIT_UNIT
        for column, subject in enumerate(subjects):
            own = np.zeros(len(subjects))
            own[column] = BIAS_STRENGTH
            rows.append(np.concatenate([numbers[column], own]))
            wanted.append(subject in article.subjects)
    found = LogisticRegression(C=STRENGTH, solver="liblinear", random_state=0, intercept_scaling=10.0, max_iter=1000)
    found.fit(np.array(rows), np.array(wanted))
    shared, own = found.coef_[0][:width], found.coef_[0][width:] * BIAS_STRENGTH
    return {
        "subjects": list(subjects),
        "coefficients": [round(float(value) * LOGIT_UNIT) for value in shared],
        "bias": [round((float(value) + float(found.intercept_[0])) * LOGIT_UNIT) for value in own],
        "threshold": [THRESHOLD] * len(subjects),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workers.classify.calibrate", description="Fits calibration.json.")
    for name in ("weights", "gold", "articles", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args(arguments)
    found = weights.parse(options.weights.read_bytes())
    zeros = np.zeros(len(found.subjects), np.int64)
    blank = calibration.Calibration(found.subjects, np.zeros(len(calibration.NUMBERS), np.int64), zeros, zeros)
    model = Model(found, blank)
    articles = read_gold(options.gold, options.articles)
    options.out.write_text(json.dumps(fit(model, articles)) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
