"""Words and windows: how a text becomes the terms that the model scores.

A text is cut into windows of about `WINDOW_WORDS` words, the length of the texts that the model was trained on. So
a long article is scored as many short ones, and length needs no other normalisation. All of it is integer and string
work: the same text gives the same terms on every machine.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_WORDS: Final = 1_500
"""Words of a body that are read. News puts what it is about first (the inverted pyramid)."""

MAX_CHARS: Final = 16_000
"""Characters that are read in search of those words: bounds the work on text that has few words."""

WINDOW_WORDS: Final = 48
"""Words in a window."""

MIN_WINDOW_WORDS: Final = 20
"""A last window shorter than this is joined to the one before it."""

WORD: Final = re.compile(r"[^\W\d_]{2,40}")
"""A word: a run of 2 to 40 letters."""
_VOWELS: Final = frozenset("aeiouy")

PLACE: Final = "#place"
"""The term for which the name of any country, people or large city stands: that a place is named tells something (news
of two countries is often about politics), which place it is should not. No word is spelt so."""


def words(text: str, limit: int = MAX_WORDS) -> list[str]:
    """Return up to `limit` lower-cased words: runs of 2 to 40 letters. Digits and single letters are left out.

    >>> words("The U.S. won 3-2: Sofía's goal")
    ['the', 'won', 'sofía', 'goal']
    """
    return WORD.findall(text[:MAX_CHARS].lower())[:limit]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return a crude stem: plural, -ed, -ing and a final -e go, where enough of the word is left.

    It only has to map the forms of a word to one string, not to a word (an S-stemmer after Harman, 1991, "How
    effective is suffixing?", with the two commonest verb endings added).

    >>> [stem(word) for word in ("strikes", "striking", "policies", "stopped", "press")]
    ['strik', 'strik', 'policy', 'stop', 'press']
    """
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if word.endswith(("sses", "shes", "ches", "xes")) else word[:-1]
    for ending in ("ing", "ed"):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= 3 and not _VOWELS.isdisjoint(rest):
            word = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def windows(count: int) -> list[tuple[int, int]]:
    """Return the half-open ranges that cut `count` words into windows.

    >>> windows(110)
    [(0, 48), (48, 110)]
    """
    starts = list(range(0, count, WINDOW_WORDS))
    if len(starts) > 1 and count - starts[-1] < MIN_WINDOW_WORDS:
        starts.pop()
    return list(zip(starts, [*starts[1:], count][: len(starts)], strict=True))
