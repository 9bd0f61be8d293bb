"""How sentences are cased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workers.entities.wordlists import word_list

NORMAL, TITLE, UPPER, LOWER = "n", "t", "u", "l"
"""As prose, as a headline in title case, in capitals, or without capitals."""

_SMALL: Final = word_list("small-in-titles")


def case_of(words: Sequence[str], lowered: Sequence[str]) -> str:
    """Return how the sentence `words`, none of them empty, is cased (NORMAL, TITLE, UPPER or LOWER).

    `lowered` are the same words in lower case.
    """
    capital = upper = lower = small = 0
    for word, low in zip(words, lowered, strict=True):
        first = word[0]
        if not first.isalpha():
            continue
        if first.islower():
            if low in _SMALL:
                small += 1
            else:
                lower += 1
        else:
            capital += 1
            if len(word) > 1 and word.isupper():
                upper += 1
    if capital + lower < 4:
        # Too short to say; a line of capitals (a dateline, an acronym) is treated as prose.
        return UPPER if upper >= 3 and not lower else NORMAL
    if not lower and not small and upper * 4 >= 3 * capital:
        return UPPER
    if lower * 6 <= capital:
        return TITLE
    return LOWER if not capital else NORMAL
