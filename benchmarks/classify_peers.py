"""Peers of classify, trained on the same short texts and articles: TF-IDF with a linear SVM, wordllama with logistic
regression. Each gets one offset for all subjects, chosen on the tuning articles when trained on the short texts alone.
Needs scikit-learn (the extra `train`) and, for the second, wordllama (the extra `bench`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from workers.classify import ClassifyStage, corpus
from workers.classify.articles import Labelled, read
from workers.classify.collected import read_collected
from workers.classify.train import gather

Told = list[list[str]]


def peers(
    data: Path, tune: Path, articles: Sequence[Labelled], stage: ClassifyStage
) -> Iterator[tuple[str, Told, float]]:
    """Yield name, the subjects given to each article (best first), and seconds of CPU an article, of each peer."""
    examples = gather(None, data / "subjects/iptc-media-topics.json")
    reports = (*corpus.reports(), *read_collected(tune.with_name("web.tsv"), data, stage.taxonomy))
    known = read(tune, data / "articles.ndjson.gz", stage.taxonomy)
    ids = [concept.id for concept in stage.taxonomy.top]
    texts = [example.text for example in examples] + [_text(article) for article in (*reports, *known)]
    wanted = np.array([[id in item.subjects for id in ids] for item in [*examples, *reports, *known]])
    weight = np.array([example.weight for example in examples] + [1.0] * (len(reports) + len(known)))
    sought = [_text(article) for article in articles]

    vectors = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, stop_words="english")
    matrix = vectors.fit_transform(texts)
    start = time.process_time()
    rows = vectors.transform(sought)
    spent = (time.process_time() - start) / len(sought)
    make = partial(LinearSVC, C=0.5, random_state=0)
    yield "TF-IDF + linear SVM", _decide(make, matrix, rows, wanted, weight, len(known), ids), spent
    try:
        import wordllama
    except ImportError:
        return
    folder = Path(wordllama.__file__).parent
    # The package looks in tokenizer/ and ships tokenizers/: its own folder as cache makes it look there.
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    dense = csr_matrix(np.vstack([model.embed(texts[n : n + 512], norm=True) for n in range(0, len(texts), 512)]))
    start = time.process_time()
    rows = csr_matrix(model.embed(sought, norm=True))
    spent = (time.process_time() - start) / len(sought)
    make_dense = partial(LogisticRegression, C=20.0, max_iter=300)
    yield "wordllama + LR", _decide(make_dense, dense, rows, wanted, weight, len(known), ids), spent


def _text(article: Labelled) -> str:
    return f"{article.headline}\n{article.body}".strip()


def _decide(make: Any, matrix: Any, rows: Any, wanted: Any, weight: Any, tuned: int, ids: list[str]) -> Told:
    short = _scores(make, matrix[:-tuned], wanted[:-tuned], weight[:-tuned], matrix[-tuned:])
    truth = wanted[-tuned:]

    def micro(offset: float) -> float:
        said = short > offset
        return float(2 * (said & truth).sum() / (said.sum() + truth.sum()))

    offset = max(np.arange(-4, 3, 0.1), key=micro)
    final = _scores(make, matrix, wanted, weight, rows)
    return [[ids[n] for n in np.argsort(-line, kind="stable") if line[n] > offset] for line in final]


def _scores(make: Any, matrix: Any, wanted: Any, weight: Any, rows: Any) -> Any:
    found = np.zeros((rows.shape[0], wanted.shape[1]))
    for column in range(wanted.shape[1]):
        own, share = wanted[:, column], weight.copy()
        share[own] *= max(1.0, 3 / 7 * share[~own].sum() / share[own].sum())
        found[:, column] = make().fit(matrix, own, sample_weight=share).decision_function(rows)
    return found
