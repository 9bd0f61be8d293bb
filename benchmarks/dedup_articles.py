"""Articles for the benchmark of dedup: of a labelled document, or made up."""

from __future__ import annotations

import unicodedata
from datetime import datetime

import numpy as np

from schemas.keys import digest
from schemas.messages import Article


def article(url: str, source: str, title: str, text: str, fetched_at: datetime) -> Article:
    """Return the article of one document; a plain stand-in for what ingest does."""
    paragraphs = [" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines() if line.strip()]
    body = "\n\n".join(paragraphs)
    plain = "".join(char for char in unicodedata.normalize("NFKC", title + body).casefold() if char.isalnum())
    return Article(
        id=digest(url),
        source=source,
        headline=title,
        body=body,
        language="en",
        language_confidence=1.0,
        word_count=len(body.split()),
        content_hash=digest(plain),
        ingested_at=fetched_at,
        processing={},
        url=url,
        fetched_at=fetched_at,
    )


def plain_article(url: str, source: str, text: str, fetched_at: datetime) -> Article:
    """Return an article whose text needs no cleaning; much cheaper than `article`."""
    return Article(
        id=digest(url),
        source=source,
        headline=text[:60],
        body=text,
        language="en",
        language_confidence=1.0,
        word_count=500,
        content_hash=digest(text),
        ingested_at=fetched_at,
        processing={},
        url=url,
        fetched_at=fetched_at,
    )


class Prose:
    """Texts of made-up words whose frequencies follow Zipf's law, as words do: some pairs and triples are common, most
    are rare. 8 % of the words have a capital, 2 % are numbers."""

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
        lengths = self._draw.integers(2, 12, 50_000)
        words = ["".join(self._draw.choice(letters, length)) for length in lengths]
        weights = 1 / (np.arange(len(words)) + 10.0)
        self._sums = np.cumsum(weights / weights.sum())
        kinds = self._draw.random(len(words))
        self._words = np.array(
            [
                word.title() if kind < 0.08 else str(n % 997) if kind < 0.1 else word
                for n, (word, kind) in enumerate(zip(words, kinds, strict=True))
            ],
            dtype=object,
        )

    def text(self, words: int = 500, paragraph: int = 50) -> str:
        """Return a text of `words` words, in paragraphs of `paragraph`."""
        places = np.searchsorted(self._sums, self._draw.random(words))
        drawn = self._words[np.minimum(places, len(self._words) - 1)].tolist()
        return "\n\n".join(" ".join(drawn[at : at + paragraph]) for at in range(0, words, paragraph))

    def copy(self, text: str) -> str:
        """Return `text` with a third of its paragraphs gone, another line, and a credit."""
        paragraphs = text.split("\n\n")
        gone = set(self._draw.choice(np.arange(1, len(paragraphs)), len(paragraphs) // 3, replace=False).tolist())
        kept = [part for n, part in enumerate(paragraphs) if n not in gone]
        return "\n\n".join([f"LINDMOUTH (AP) - {kept[0]}", *kept[1:], self.text(20)])

    def chance(self) -> float:
        """Return a number between 0 and 1."""
        return float(self._draw.random())
