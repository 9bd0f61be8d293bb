"""Makes vectors.bin from a small sentence encoder (`make classify-vectors`), so that running the stage needs none.

Each word is encoded alone by all-MiniLM-L6-v2 (Apache-2.0; Reimers and Gurevych, 2019, arXiv:1908.10084, and Wang et
al., 2020, arXiv:2002.10957), as Model2Vec does with tokens. The vectors are centred, turned to their principal axes,
cut to `DIMENSIONS`, the strong axes made weaker, brought to length one and to 8 bits. Needs the extra `vectors`. The
result is committed: matrix products of floats differ in their last bits from machine to machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from all_minilm_l6_v2 import extract_model
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from workers.classify import corpus, vectors
from workers.classify.articles import read
from workers.classify.collected import read_collected
from workers.classify.features import stem, words
from workers.classify.stage import read_taxonomy

DIMENSIONS: Final = 256
MIN_TEXTS: Final = 3
LAYERS: Final = 6
HEADS: Final = 12


class Encoder:
    """The encoder: the forward pass of BERT (Devlin et al., 2019, arXiv:1810.04805), mean of the last layer."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds model.safetensors and tokenizer.json."""
        self._weight: dict[str, Any] = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()

    def encode(self, texts: Sequence[str]) -> Any:
        """Return one vector of length one for each text (texts x 384)."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        found = np.zeros((len(ids), len(self._weight["embeddings.LayerNorm.weight"])), np.float32)
        for size in sorted({len(line) for line in ids}):
            same = [number for number, line in enumerate(ids) if len(line) == size]
            for start in range(0, len(same), 256):
                chosen = same[start : start + 256]
                found[chosen] = self._forward(np.array([ids[number] for number in chosen])).mean(axis=1)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def _forward(self, ids: Any) -> Any:
        from scipy.special import erf  # type: ignore[import-untyped]

        rows, size = ids.shape
        state = self._weight["embeddings.word_embeddings.weight"][ids]
        state = state + self._weight["embeddings.position_embeddings.weight"][:size]
        state = self._normalise(state + self._weight["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            query, key, value = (
                self._linear(state, f"{name}.attention.self.{part}").reshape(rows, size, HEADS, -1).swapaxes(1, 2)
                for part in ("query", "key", "value")
            )
            score = query @ key.swapaxes(2, 3) / np.sqrt(query.shape[-1])
            share = np.exp(score - score.max(axis=-1, keepdims=True))
            share = share / share.sum(axis=-1, keepdims=True)
            told = self._linear(
                (share @ value).swapaxes(1, 2).reshape(rows, size, -1), f"{name}.attention.output.dense"
            )
            state = self._normalise(state + told, f"{name}.attention.output")
            inner = self._linear(state, f"{name}.intermediate.dense")
            inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)).astype(np.float32))
            state = self._normalise(state + self._linear(inner, f"{name}.output.dense"), f"{name}.output")
        return state

    def _linear(self, state: Any, name: str) -> Any:
        return state @ self._weight[f"{name}.weight"].T + self._weight[f"{name}.bias"]

    def _normalise(self, state: Any, name: str) -> Any:
        state = state - state.mean(axis=-1, keepdims=True)
        state = state / np.sqrt((state * state).mean(axis=-1, keepdims=True) + 1e-12)
        return state * self._weight[f"{name}.LayerNorm.weight"] + self._weight[f"{name}.LayerNorm.bias"]


def word_forms(texts: Iterator[str], known: Sequence[str]) -> dict[str, str]:
    """Return stem -> its commonest form, of words in at least MIN_TEXTS `texts` and of those `known` to the encoder.

    Words that are no features (places, common words) are left out.
    """
    count: Counter[str] = Counter()
    for text in texts:
        count.update(sorted(set(words(text))))
    ignored = corpus.word_list("stopwords.txt") | corpus.word_list("places.txt")
    ignored |= {stem(word) for word in ignored}
    whole = {word for word in known if word.isalpha() and word.isascii() and len(word) > 2}
    forms: dict[str, str] = {}
    for word in sorted({word for word, number in count.items() if number >= MIN_TEXTS} | whole):
        root = stem(word)
        if not {word, root} & ignored and (root not in forms or count[word] > count[forms[root]]):
            forms[root] = word
    return forms


def reduced(full: Any) -> Any:
    """Return the vectors `full` in DIMENSIONS of int8: principal axes, weakened by the root of their strength."""
    centred = full - full.mean(axis=0)
    _, strength, axes = np.linalg.svd(centred, full_matrices=False)
    small = centred @ axes[:DIMENSIONS].T * np.sqrt(strength[0] / strength[:DIMENSIONS])
    small = small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-9)
    return np.rint(small * 127 / np.abs(small).max()).astype(np.int8)


def _texts(data: Path, labels: Path, collected: Path) -> Iterator[str]:
    for example in corpus.own_examples(1.0):
        yield example.text
    for example in corpus.definitions(data / "subjects/iptc-media-topics.json", 1.0):
        yield example.text
    table = read_taxonomy()
    articles = read(labels, data / "articles.ndjson.gz", table) + read_collected(collected, data, table)
    for article in (*corpus.reports(), *articles):
        yield f"{article.headline} {article.body}"
    for line in (data / "subjects/huffpost.ndjson").read_bytes().splitlines():
        yield orjson.loads(line)["headline"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workers.classify.vectors_build", description="Makes vectors.bin.")
    parser.add_argument("--data", type=Path, required=True, help="folder of training data")
    parser.add_argument("--labels", type=Path, required=True, help="labelled articles to take words from")
    parser.add_argument("--collected", type=Path, required=True, help="the same, of articles of web pages")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder(Path(extract_model(folder)))
        forms = word_forms(
            _texts(options.data, options.labels, options.collected), sorted(encoder.tokenizer.get_vocab())
        )
        stems = sorted(forms)
        matrix = reduced(encoder.encode([forms[root] for root in stems]))
    options.out.write_bytes(vectors.dump(vectors.Vectors(tuple(stems), matrix)))
    sys.stdout.write(f"{len(stems):,} words of {DIMENSIONS} dimensions\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
