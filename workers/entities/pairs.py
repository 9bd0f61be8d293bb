"""Pair attributes by number: what `features.pairs` names, looked up for many tokens at once.

A batch has five pair attributes a token, nearly all of them different. To write each as a string and to look it up in a
dictionary took most of the tagger's time. Here each word, shape and cluster that stands in a pair attribute has a
number, a token's three numbers are found once, and the numbers of neighbours together give a code that is searched for
in sorted arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

PARTS: Final = 3
"""Numbers of a token: of its word, its shape and its cluster. 0 where no pair attribute has it."""

_WORD, _SHAPE, _GROUP = range(PARTS)

_Codes = NDArray[np.int64]
_Rows = NDArray[np.intp]


class PairTable:
    """Where the weights of pair attributes are.

    Args:
        names: attribute as `features.pairs` writes it -> row of its weights.

    Raises ValueError for a name that is no pair attribute.
    """

    def __init__(self, names: Mapping[str, int]) -> None:
        self._nothing = len(names)
        self._numbers: tuple[dict[str, int], ...] = ({}, {}, {})
        codes: dict[str, dict[int, int]] = {"<": {}, ">": {}, "^": {}, "^<": {}, "^>": {}}
        read = [(*_read(name), row) for name, row in names.items()]
        for _, part, texts, _ in read:
            numbers = self._numbers[part]
            for text in texts:
                numbers.setdefault(text, len(numbers) + 1)
        self._bases = tuple(len(numbers) + 1 for numbers in self._numbers)
        for kind, part, texts, row in read:
            code = 0
            for text in texts:
                code = code * self._bases[part] + self._numbers[part][text]
            codes[kind][code] = row
        self._before, self._after, self._shapes, self._groups_before, self._groups_after = map(_sorted, codes.values())

    def numbers(self, word: str, shape: str, group: str) -> tuple[int, int, int]:
        """Return the numbers of a token with this lower-cased word, shape and cluster (all empty at an edge)."""
        words, shapes, groups = self._numbers
        return words.get(word, 0), shapes.get(shape, 0), groups.get(group, 0)

    def rows(self, numbers: NDArray[np.int32]) -> list[_Rows]:
        """Return the rows of the five pair attributes of each token.

        Args:
            numbers: int32 [tokens, PARTS], sentences one after another with an edge or more before and after each.

        Returns five arrays [tokens - 2], for all tokens but the first and the last; where an attribute has no weights,
        and for edges, its row is the one behind the last.
        """
        words, shapes, groups = numbers.T.astype(np.int64)
        base, forms, kinds = self._bases
        two = words[:-1] * base + words[1:]
        joined = groups[:-1] * kinds + groups[1:]
        return [
            self._find(self._before, two[:-1]),
            self._find(self._after, two[1:]),
            self._find(self._shapes, (shapes[:-2] * forms + shapes[1:-1]) * forms + shapes[2:]),
            self._find(self._groups_before, joined[:-1]),
            self._find(self._groups_after, joined[1:]),
        ]

    def _find(self, table: tuple[_Codes, _Rows], wanted: _Codes) -> _Rows:
        # Codes with a number 0 in them are nobody's: each code of the table has a number above 0 at each place.
        codes, rows = table
        place = codes.searchsorted(wanted)
        return np.where(codes[place] == wanted, rows[place], self._nothing)


def _read(name: str) -> tuple[str, int, list[str]]:
    """Return the kind of a pair attribute, what its texts are, and the texts."""
    texts = name.split(" ")
    if name[:1] in ("<", ">") and len(texts) == 2:
        kind, part = name[0], _WORD
    elif name[:2] in ("^<", "^>") and len(texts) == 2:
        kind, part = name[:2], _GROUP
    elif name[:1] == "^" and len(texts) == 3:
        kind, part = "^", _SHAPE
    else:
        raise ValueError(f"{name!r} is no pair attribute")
    texts[0] = texts[0][len(kind) :]
    return kind, part, texts


def _sorted(rows: Mapping[int, int]) -> tuple[_Codes, _Rows]:
    """Return the codes in ascending order and the row of each; last a code that no token has."""
    codes = sorted(rows)
    last = np.iinfo(np.int64).max
    return np.array([*codes, last], dtype=np.int64), np.array([*(rows[code] for code in codes), 0], dtype=np.intp)
