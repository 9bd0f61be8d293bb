"""Taggers: what finds the names in a document's sentences. The bundled one is a linear-chain CRF in integers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from workers.entities.casing import NORMAL
from workers.entities.features import DISTANCES, EDGE, Key, document_keys, pair_parts, unary
from workers.entities.pairs import PARTS, PairTable
from workers.entities.sentences import Sentence, read_sentence
from workers.entities.weights import LABELS, Weights

MAX_CACHED_KEYS: Final = 40_000
"""Distinct tokens whose unary scores are kept (192 bytes each, and the key), beside those of the batch at hand. When
full, the cache starts anew: what it holds never changes a result."""

_BATCH: Final = 256
"""Sentences that are decoded together; those of similar length, to waste little on padding."""

_FORBIDDEN: Final = -(1 << 24)
_EDGE_KEY: Final[Key] = (EDGE, NORMAL, "", "")


class Span(NamedTuple):
    """A name in a sentence: tokens `start` to `end` (exclusive), type (PER, ORG, LOC or MISC), confidence (0 to 1)."""

    start: int
    end: int
    type: str
    confidence: float


class Tagger(Protocol):
    """What finds names. The result may depend on the whole document, and on nothing else."""

    @property
    def version(self) -> str:
        """What the spans depend on beside the text: it changes when they may change."""
        ...

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[Span]]:
        """Return the spans of each sentence of one document, in order and not overlapping.

        `sentences` holds the tokens of each sentence; neither sentences nor tokens are empty.
        """
        ...


@runtime_checkable
class BatchTagger(Tagger, Protocol):
    """A tagger that is faster with several documents at once."""

    def tag_all(self, documents: Sequence[Sequence[Sentence]]) -> list[list[list[Span]]]:
        """Return, for each document, what `tag` returns for its words alone."""
        ...


def tag_all(tagger: Tagger, documents: Sequence[Sequence[Sentence]]) -> list[list[list[Span]]]:
    """Return, for each document, what `tagger.tag` returns for its words."""
    if isinstance(tagger, BatchTagger):
        return tagger.tag_all(documents)
    return [tagger.tag([sentence.words for sentence in document]) for document in documents]


class CrfTagger:
    """Linear-chain conditional random field (Lafferty, McCallum, Pereira 2001), decoded with integers.

    The best path is Viterbi's. A span's confidence comes from its margin: how much worse the best path is that labels
    one of the span's tokens, or the token after it, otherwise. The weights map margins to the share of right
    spans on held-out text.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._rows: dict[Key, int] = {}
        self._scores = np.zeros((1024, len(DISTANCES), len(LABELS)), dtype=np.int32)
        self._pairs = PairTable(weights.pair)
        self._numbers = np.zeros((len(self._scores), PARTS), dtype=np.int32)
        self._margins: list[int] = weights.margins.tolist()
        self._confidences = [per_mille / 1000 for per_mille in weights.confidences.tolist()]
        self._transitions = weights.transitions.copy()
        self._first = np.zeros(len(LABELS), dtype=np.int32)
        for to, label in enumerate(LABELS):
            if label.startswith("I-"):
                self._first[to] = _FORBIDDEN
                for start, before in enumerate(LABELS):
                    if before[1:] != label[1:]:
                        self._transitions[start, to] = _FORBIDDEN

    @property
    def version(self) -> str:
        """The first eight hex digits of the SHA-256 of the weights."""
        return self._weights.digest[:8]

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[Span]]:
        """Return the spans of each sentence of one document (see Tagger)."""
        return self.tag_all([[read_sentence(words) for words in sentences]])[0]

    def tag_all(self, documents: Sequence[Sequence[Sentence]]) -> list[list[list[Span]]]:
        """Return the spans of each sentence of each document. Only a sentence's own document has a say in them."""
        keys = [keys for document in documents for keys in document_keys(document)]
        spans = iter(self._tagged(keys) if keys else ())
        return [[next(spans) for _ in document] for document in documents]

    def _tagged(self, sentences: list[list[Key]]) -> list[list[Span]]:
        scores, starts = self._emissions(sentences)
        order = sorted(range(len(sentences)), key=lambda number: (-len(sentences[number]), number))
        found: list[list[Span]] = [[] for _ in sentences]
        for at in range(0, len(order), _BATCH):
            chosen = order[at : at + _BATCH]
            lengths = [len(sentences[number]) for number in chosen]
            labels, margins = self._decode(scores, [starts[number] for number in chosen], lengths)
            for row, number in enumerate(chosen):
                size = lengths[row]
                found[number] = self._spans(labels[row, :size].tolist(), margins[row, :size].tolist())
        return found

    def _emissions(self, keys: list[list[Key]]) -> tuple[NDArray[np.int32], list[int]]:
        """Return the score of each label at each token (int32 [tokens, L], sentences one after another with two rows
        of padding before and after each) and the row where each sentence starts."""
        if len(self._rows) >= MAX_CACHED_KEYS:
            self._rows.clear()
        edges = [_EDGE_KEY] * max(DISTANCES)
        flat: list[Key] = []
        starts: list[int] = []
        for sentence in keys:
            flat += edges
            starts.append(len(flat))
            flat += sentence
        flat += edges
        found = list(map(self._rows.get, flat))
        index = np.array([self._row(key) if row is None else row for row, key in zip(found, flat, strict=True)])
        out = np.zeros((len(flat), len(LABELS)), dtype=np.int32)
        for pair_rows in self._pairs.rows(self._numbers[index]):
            out[1:-1] += self._weights.pair_weights[pair_rows]
        for column, distance in enumerate(DISTANCES):
            seen = self._scores[index, column]
            if distance < 0:
                out[-distance:] += seen[:distance]
            elif distance > 0:
                out[:-distance] += seen[distance:]
            else:
                out += seen
        return out, starts

    def _row(self, key: Key) -> int:
        """Return the row of `self._scores` for `key`, computing it first where it is not there."""
        row = self._rows.get(key)
        if row is not None:
            return row
        row = len(self._rows)
        if row >= len(self._scores):
            self._scores = np.concatenate([self._scores, np.zeros_like(self._scores)])
            self._numbers = np.concatenate([self._numbers, np.zeros_like(self._numbers)])
        get = self._weights.unary.get
        wanted = [at for name in unary(key).every() if (at := get(name)) is not None]
        self._scores[row] = self._weights.unary_weights[wanted].sum(axis=0, dtype=np.int32)
        self._numbers[row] = self._pairs.numbers(*pair_parts(key))
        self._rows[key] = row
        return row

    def _decode(
        self, scores: NDArray[np.int32], starts: list[int], lengths: list[int]
    ) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Return the labels of the best paths and their margins, [sentences, longest] each.

        `lengths` descends, so that the sentences that are still running at a step are the first ones.
        """
        longest = lengths[0]
        steps = np.arange(longest)
        begin = np.array(starts)[:, None]
        inside = steps[None, :] < np.array(lengths)[:, None]
        local = np.where(inside[:, :, None], scores[np.where(inside, begin + steps, 0)], 0)
        running = inside.sum(axis=0).tolist()
        forward = np.empty(local.shape, dtype=np.int32)
        came_from = np.zeros(local.shape, dtype=np.int8)
        transitions = self._transitions
        forward[:, 0] = local[:, 0] + self._first
        for step in range(1, longest):
            count = running[step]
            ways = forward[:count, step - 1, :, None] + transitions
            came_from[:count, step] = ways.argmax(axis=1)
            forward[:count, step] = ways.max(axis=1) + local[:count, step]
        backward = np.zeros(local.shape, dtype=np.int32)
        for step in range(longest - 2, -1, -1):
            count = running[step + 1]
            ahead = local[:count, step + 1] + backward[:count, step + 1]
            backward[:count, step] = (ahead[:, None, :] + transitions).max(axis=2)
        labels = np.zeros(local.shape[:2], dtype=np.intp)
        rows = np.arange(len(lengths))
        for step in range(longest - 1, -1, -1):
            count = running[step]
            ending = running[step + 1] if step + 1 < longest else 0
            labels[ending:count, step] = forward[ending:count, step].argmax(axis=1)
            if ending:
                labels[:ending, step] = came_from[rows[:ending], step + 1, labels[:ending, step + 1]]
        best = forward + backward
        chosen = np.take_along_axis(best, labels[:, :, None], axis=2)[:, :, 0]
        np.put_along_axis(best, labels[:, :, None], np.iinfo(np.int32).min // 2, axis=2)
        return labels, chosen - best.max(axis=2)

    def _spans(self, labels: list[int], margins: list[int]) -> list[Span]:
        spans: list[Span] = []
        if not any(labels):
            return spans
        start, margin = -1, 0
        for at, label in enumerate([*labels, 0]):
            if start >= 0 and (label == 0 or label % 2 == 1):
                if at < len(labels):
                    margin = min(margin, margins[at])
                spans.append(Span(start, at, LABELS[labels[start]][2:], self._confidence(margin)))
                start = -1
            if label and label % 2 == 1:
                start, margin = at, margins[at]
            elif label:
                margin = min(margin, margins[at])
        return spans

    def _confidence(self, margin: int) -> float:
        confidence: float = self._confidences[bisect_right(self._margins, margin)]
        return confidence
