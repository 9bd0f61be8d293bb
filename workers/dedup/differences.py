"""In words, for a person: which names and numbers of two texts differ. Dedup itself decides on hashes of them.

The rules are those of `workers.dedup.letters` and `workers.dedup.fingerprint`, on all words instead of a sample, and
for scripts with spaces between words.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:(?<=\d)[.,](?=\d)[^\W_]+)*")
_SHORT: Final = 3

Beside = tuple[str, str, str]
"""A word, and the numbers that stand beside it in the first text and in the second."""


@dataclass(frozen=True, slots=True)
class Differences:
    """`names`: what is written with a capital inside a sentence (persons and places, days and months), in the first
    text alone and in the second alone; `common_names`: in both. `numbers`: as names. `beside`: the same word with other
    numbers beside it. All in order of the alphabet, numbers by size."""

    names: tuple[tuple[str, ...], tuple[str, ...]]
    common_names: int
    numbers: tuple[tuple[str, ...], tuple[str, ...]]
    common_numbers: int
    beside: tuple[Beside, ...]


@dataclass(frozen=True, slots=True)
class _Facts:
    names: frozenset[str]
    numbers: frozenset[str]
    beside: dict[tuple[str, bool], frozenset[str]]
    """(word, whether the number comes before it) -> numbers"""


def differences(first: str, second: str) -> Differences:
    """Return how the names and numbers of two texts differ."""
    left, right = _facts(first), _facts(second)
    beside = {
        (word, _listed(left.beside[word, before]), _listed(right.beside[word, before]))
        for word, before in left.beside.keys() & right.beside.keys()
        if not left.beside[word, before] & right.beside[word, before]
    }
    return Differences(
        names=(tuple(sorted(left.names - right.names)), tuple(sorted(right.names - left.names))),
        common_names=len(left.names & right.names),
        numbers=(_ordered(left.numbers - right.numbers), _ordered(right.numbers - left.numbers)),
        common_numbers=len(left.numbers & right.numbers),
        beside=tuple(sorted(beside)),
    )


def _facts(text: str) -> _Facts:
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    names: set[str] = set()
    content: list[str] = []
    for found in _WORD.finditer(text):
        word, start = found[0], found.start()
        if word[0].isdigit():
            content.append(word.replace(",", "").replace(".", "").lower())
            continue
        if (
            word[0].isupper()
            and start > 1
            and text[start - 1] == " "
            and (text[start - 2].islower() or text[start - 2] == ",")
        ):
            names.add(word)
        if len(word) > _SHORT:
            content.append(word.lower())
    numbers = frozenset(word for word in content if word[0].isdigit())
    beside: dict[tuple[str, bool], set[str]] = {}
    for one, other in itertools.pairwise(content):
        if one[0].isdigit():
            beside.setdefault((other, True), set()).add(one)
        if other[0].isdigit():
            beside.setdefault((one, False), set()).add(other)
    return _Facts(frozenset(names), numbers, {place: frozenset(found) for place, found in beside.items()})


def _ordered(numbers: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(numbers, key=lambda number: (len(number), number)))


def _listed(numbers: frozenset[str]) -> str:
    return " and ".join(_ordered(numbers))
