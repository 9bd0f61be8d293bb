"""Trains the tagger's weights: `python -m workers.entities.train --data DIR --out FILE`.

DIR holds .conll files (`token<TAB>tag`, BIO2); `--files` names those to train on. Our own marked sentences
(data/extra.txt) are added. The same data and options give the same file. Needs python-crfsuite; takes minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
import pycrfsuite
from numpy.typing import NDArray

from workers.entities.casing import NORMAL
from workers.entities.corpus import Document, as_articles, read_conll, read_marked, recased, with_nationalities
from workers.entities.features import DISTANCES, EDGE, Key, document_keys, pairs, unary
from workers.entities.sentences import read_sentence
from workers.entities.tagger import CrfTagger
from workers.entities.weights import LABELS, SCALE, Weights, dump, load

DEFAULT_FILES: Final = ("ww.train.conll", "wnut17.train.conll", "wnut17.dev.conll", "ewt.dev.conll")
_NATIONALITIES_LEFT_OUT: Final = ("wnut17.", "ewt.")
_HELD_BACK: Final = 25
"""Every 25th document of the first file is not trained on: confidences are measured on it."""

_LEAST_POOL: Final = 100
"""Spans that a confidence is measured on at least."""

_EDGE_KEY: Final[Key] = (EDGE, NORMAL, "", "")


def attributes(keys: Sequence[Key]) -> list[list[str]]:
    """Return the attributes of each token of a sentence as the trainer takes them: unary ones after their distance
    (`-1 w=mr`), pairs as they are."""
    padded = [_EDGE_KEY, _EDGE_KEY, *keys, _EDGE_KEY, _EDGE_KEY]
    seen = [
        {distance: [f"{distance} {name}" for name in unary(key).at(distance)] for distance in DISTANCES}
        for key in padded
    ]
    return [
        [name for distance in DISTANCES for name in seen[at + 2 + distance][distance]] + list(pair)
        for at, pair in enumerate(pairs(keys))
    ]


def training_documents(data: Path, names: Sequence[str]) -> Iterator[Document]:
    """Return the documents to train on, with the copies that make the tagger robust to how text is written."""
    for number, name in enumerate(names):
        for at, read in enumerate(read_conll(data / name)):
            if number == 0 and at % _HELD_BACK == 0:
                continue
            document = with_nationalities(read) if name.startswith(_NATIONALITIES_LEFT_OUT) else read
            document = as_articles(document) if at % 2 else document
            yield document + recased(document, 4)
    for document in extra_documents():
        yield document + recased(document, 4)


def extra_documents() -> list[Document]:
    """Return our own marked sentences."""
    return read_marked((files("workers.entities") / "data" / "extra.txt").read_text(encoding="utf-8"))


def fit(documents: Iterator[Document], c1: float, c2: float, iterations: int, verbose: bool) -> Weights:
    """Return weights fitted by L-BFGS (OWL-QN with `c1`), without confidences (all 500 per mille)."""
    trainer = pycrfsuite.Trainer(verbose=verbose)
    for document in documents:
        read = [read_sentence(words) for words, _ in document]
        for keys, (_, tags) in zip(document_keys(read), document, strict=True):
            trainer.append(pycrfsuite.ItemSequence(attributes(keys)), tags)
    trainer.select("lbfgs")
    trainer.set_params({"c1": c1, "c2": c2, "max_iterations": iterations, "feature.possible_transitions": True})
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model")
        trainer.train(path)
        tagger = pycrfsuite.Tagger()
        tagger.open(path)
        info = tagger.info()
        states, transitions = dict(info.state_features), dict(info.transitions)
        tagger.close()
    return _whole(states, transitions)


def _whole(states: dict[tuple[str, str], float], transitions: dict[tuple[str, str], float]) -> Weights:
    """Return a CRF's weights as whole numbers."""
    column = {label: at for at, label in enumerate(LABELS)}
    rounded = {key: round(value * SCALE) for key, value in sorted(states.items())}
    unary_names: set[str] = set()
    pair_names: set[str] = set()
    for (name, _), value in rounded.items():
        if value:
            (pair_names if name[0] in "<>^" else unary_names).add(_bare(name))
    unary_rows = {name: row for row, name in enumerate(sorted(unary_names))}
    pair_rows = {name: row for row, name in enumerate(sorted(pair_names))}
    unary_weights = np.zeros((len(unary_rows) + 1, len(DISTANCES), len(LABELS)), dtype=np.int16)
    pair_weights = np.zeros((len(pair_rows) + 1, len(LABELS)), dtype=np.int16)
    for (name, label), value in rounded.items():
        if not value:
            continue
        clipped = max(-32767, min(32767, value))
        if name[0] in "<>^":
            pair_weights[pair_rows[name], column[label]] = clipped
        else:
            distance = DISTANCES.index(int(name.partition(" ")[0]))
            unary_weights[unary_rows[_bare(name)], distance, column[label]] = clipped
    moves = np.zeros((len(LABELS), len(LABELS)), dtype=np.int32)
    for (before, after), weight in transitions.items():
        moves[column[before], column[after]] = round(weight * SCALE)
    nothing: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
    return Weights(
        unary_rows, unary_weights, pair_rows, pair_weights, moves, nothing, np.array([500], dtype=np.int16), ""
    )


def _bare(name: str) -> str:
    return name if name[0] in "<>^" else name.partition(" ")[2]


def with_confidences(weights: Weights, documents: Sequence[Document]) -> Weights:
    """Return `weights` with the share of right spans at each margin, measured on `documents` (not trained on), made
    monotonic by pooling adjacent violators (isotonic regression)."""
    step = SCALE // 64
    probe = replace(
        weights,
        margins=np.arange(1, 1000, dtype=np.int32) * step,
        confidences=np.arange(1000, dtype=np.int16),
    )
    tagger = CrfTagger(probe)
    judged: list[tuple[int, bool]] = []
    for document in documents:
        for (_, tags), spans in zip(document, tagger.tag([tokens for tokens, _ in document]), strict=True):
            gold = set(_gold(tags))
            judged += [(round(span.confidence * 1000), (span.start, span.end, span.type) in gold) for span in spans]
    judged.sort(key=lambda item: item[0])
    pools: list[_Pool] = []
    for margin, right in judged:
        if not pools or (pools[-1].count >= _LEAST_POOL and pools[-1].last != margin):
            pools.append(_Pool(margin))
        pools[-1].right += right
        pools[-1].count += 1
        pools[-1].last = margin
    merged: list[_Pool] = []
    for pool in pools:
        merged.append(pool)
        while len(merged) > 1 and merged[-2].right * merged[-1].count >= merged[-1].right * merged[-2].count:
            above = merged.pop()
            merged[-1].right += above.right
            merged[-1].count += above.count
    if not merged:
        return weights
    return replace(
        weights,
        margins=np.array([pool.first * step for pool in merged[1:]], dtype=np.int32),
        confidences=np.array([pool.right * 1000 // pool.count for pool in merged], dtype=np.int16),
    )


class _Pool:
    """Spans of neighbouring margins: how many, how many of them right."""

    def __init__(self, margin: int) -> None:
        self.first = self.last = margin
        self.right = self.count = 0


def _gold(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    start = -1
    for at, tag in enumerate([*tags, "O"]):
        if start >= 0 and not tag.startswith("I-"):
            yield start, at, tags[start][2:]
            start = -1
        if tag.startswith("B-"):
            start = at


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write a file of weights; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the .conll files")
    parser.add_argument("--out", type=Path, required=True, help="file of weights to write")
    parser.add_argument("--files", nargs="+", default=list(DEFAULT_FILES), help="files to train on, in this order")
    parser.add_argument("--c1", type=float, default=0.002, help="L1 penalty")
    parser.add_argument("--c2", type=float, default=0.2, help="L2 penalty")
    parser.add_argument("--iterations", type=int, default=120, help="most iterations of L-BFGS")
    parser.add_argument("--verbose", action="store_true", help="show each iteration")
    options = parser.parse_args(arguments)
    weights = fit(
        training_documents(options.data, options.files), options.c1, options.c2, options.iterations, options.verbose
    )
    held_back = read_conll(options.data / options.files[0])[::_HELD_BACK]
    data = dump(with_confidences(weights, held_back))
    load(data)
    options.out.write_bytes(data)
    print(f"{options.out}: {len(data)} bytes, {len(weights.unary)} unary and {len(weights.pair)} pair attributes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
