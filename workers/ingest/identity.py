"""What makes two articles the same: ids and hashes; and how long one is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from schemas.keys import digest
from workers.ingest.characters import folded
from workers.ingest.urls import same_page

# Han, Hiragana, Katakana, Bopomofo: written without spaces.
_IDEOGRAPHS: Final = re.compile(
    "[\u2e80-\u2fdf\u3005-\u3007\u3041-\u30fe\u3105-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_ASCII: Final = bytes(range(128))
_CJK_MARKS: Final = re.compile("[\u3000-\u3004\u3008-\u303f\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]")


def content_hash(headline: str, folds: Sequence[str]) -> str:
    """Return the hash of a text: equal for texts that differ in case, accents, punctuation and spacing alone.

    `folds` are the body's paragraphs, each folded (`characters.folded`).
    """
    return digest(folded(headline), "".join(folds))


def url_id(url: str) -> str:
    """Return the id of the article at a canonical URL."""
    return digest(same_page(url))


def article_id(url: str | None, source: str, headline: str, folds: Sequence[str]) -> str:
    """Return the id of an article: of its canonical URL; without one, of its source and its folded text."""
    if url is not None:
        return url_id(url)
    return digest(source.casefold(), folded(headline), "".join(folds))


def word_count(paragraphs: Sequence[str]) -> int:
    """Return the number of words of a body: runs without white space; in Chinese and Japanese each character is one, as
    word processors count. Thai, Lao, Khmer and Burmese, which write no spaces, are counted by the phrase."""
    # Cleaned paragraphs have single spaces between words and none at their ends.
    text = "\n".join(paragraphs)
    encoded = text.encode("utf-8", "replace")  # bytes are counted and looked through faster than text
    if not _IDEOGRAPHS.search(encoded.translate(None, _ASCII).decode()):
        return len(encoded) - len(encoded.translate(None, b" ")) + len(paragraphs)
    text = _IDEOGRAPHS.sub(" 字 ", _CJK_MARKS.sub(" ", text))
    return sum(max(1, len(paragraph.split())) for paragraph in text.split("\n"))
