"""Which training texts take up the story of which article.

Whoever writes examples after reading articles writes some of their stories again. An article is scored unseen only
when such examples are left out, too. Measured is what share of an example's words, weighted by rarity, stand in the
article, against the share that the article has of all examples: a long article has many words of any text.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from workers.classify.articles import Labelled
from workers.classify.corpus import Example, word_list
from workers.classify.features import stem

LIMIT: Final = 7.0
"""Standard deviations above an article's usual share, from which on an example is taken for its story. One in ten of
the texts that were written without regard to the articles reaches it with some of 439 articles."""

MIN_SHARE: Final = 0.25
MIN_DEVIATION: Final = 0.03

_WORD: Final = re.compile(r"[^\W_]{2,}")


def alike(examples: Sequence[Example], articles: Sequence[Labelled]) -> list[frozenset[int]]:
    """Return, for each example, the numbers of the articles whose story it may take up. Only own ones can."""
    own = [number for number, example in enumerate(examples) if example.source == "own"]
    found: list[frozenset[int]] = [frozenset()] * len(examples)
    if not own or not articles:
        return found
    share = _shares([examples[number].text for number in own], [f"{a.headline} {a.body}" for a in articles])
    usual, deviation = share.mean(axis=0), np.maximum(share.std(axis=0), MIN_DEVIATION)
    close = (share >= MIN_SHARE) & ((share - usual) / deviation >= LIMIT)
    for row, number in enumerate(own):
        found[number] = frozenset(np.flatnonzero(close[row]).tolist())
    return found


def _shares(texts: Sequence[str], bodies: Sequence[str]) -> Any:
    ignored = word_list("stopwords.txt")
    containing: dict[str, list[int]] = defaultdict(list)
    for number, body in enumerate(bodies):
        for word in _words(body, ignored):
            containing[word].append(number)
    documents = Counter({word: len(numbers) for word, numbers in containing.items()})
    found = np.zeros((len(texts), len(bodies)))
    for row, text in enumerate(texts):
        words = _words(text, ignored)
        rarity = [math.log((len(bodies) + 1) / (documents[word] + 0.5)) for word in words]
        total = sum(rarity) or 1.0
        for word, weight in zip(words, rarity, strict=True):
            if word in containing:
                found[row, containing[word]] += weight / total
    return found


def _words(text: str, ignored: frozenset[str]) -> list[str]:
    # In order, so that sums of fractions don't depend on how strings are hashed.
    return sorted({stem(word) for word in _WORD.findall(text.lower()) if word not in ignored})
