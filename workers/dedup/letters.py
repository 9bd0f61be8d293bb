"""Words of texts as hashes, for many texts at once, in integer arithmetic on whole arrays.

The words of a text do not depend on which others are beside it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SHORT: Final = 3
"""Longest word that counts as a function word, in scripts that have short ones (Latin, Greek, Cyrillic)."""
_SHORT_WORD_SCRIPTS_END: Final = 0x0590

_SEPARATOR, _WORD, _IDEOGRAPH, _POINT = 0, 1, 2, 4
_IN_WORD: Final = 3
_KIND_SHIFT: Final = 29
_LOWER: Final = 0x1FFFF
_DIGIT, _UPPER, _SMALL, _CASELESS, _SPACE, _COMMA, _LATE = (1 << bit for bit in range(17, 24))
_BETWEEN: Final = "\n\n"


@dataclass(frozen=True, slots=True)
class Words:
    """Words of several texts, in order. All arrays but `ends` have one item a word.

    `hashes`: of the lower-cased word. `text`: which text it is in. `number`: it starts with a digit. `named`: it is
    written with a capital inside a sentence; in scripts without capitals, every longer word. `content`: it is not a
    short word of a script that has short function words.
    """

    hashes: U64
    text: U64
    number: Bools
    named: Bools
    content: Bools


def words(texts: Sequence[str]) -> Words:
    """Return the words of `texts`, compared without regard to case and compatibility forms (NFKC).

    Points and commas inside numbers don't count: 5,000 and 5000 are one number. In scripts without spaces each letter
    stands for itself and the next two words: alone it says too little.
    """
    normal = [text if text.isascii() else unicodedata.normalize("NFKC", text) for text in texts]
    # Lone surrogates can't be in a valid record; "surrogatepass" keeps this a total function all the same.
    codes: U32 = np.frombuffer(_BETWEEN.join(normal).encode("utf-32-le", "surrogatepass"), "<u4")
    # The table covers the Basic Multilingual Plane; what lies beyond (mostly rare ideographs) is folded into it.
    if codes.max(initial=0) > 0xFFFF:
        codes = np.where(codes > 0xFFFF, _BEYOND, codes)
    # `take` is several times faster than indexing, and one table of all properties than one for each.
    letters: U32 = _LETTERS.take(codes)
    begins = np.cumsum([0] + [len(text) + len(_BETWEEN) for text in normal])
    letters, begins = _join_numbers(letters, begins)
    starts, ends, ideographs = _bounds(((letters >> _KIND_SHIFT) & _IN_WORD).astype(np.uint8))
    text = np.repeat(np.arange(len(texts), dtype=np.uint64), np.diff(np.searchsorted(starts, begins)))
    if not len(starts):
        nothing = np.zeros(0, bool)
        return Words(np.zeros(0, np.uint64), text, nothing, nothing, nothing)
    hashes = _hashes(letters, starts, ends)
    first = letters.take(starts)
    number, caseless = (first & _DIGIT) != 0, (first & _CASELESS) != 0
    long = ends - starts > _SHORT
    kept = long | ((first & (_DIGIT | _LATE)) != 0)
    if ideographs:
        ideograph = (first >> _KIND_SHIFT) == _IDEOGRAPH
        hashes = _widen(hashes, text, ideograph)
        kept |= ideograph
        long |= ideograph
    return Words(hashes, text, number, ~number & (_named(letters, starts, first) | (caseless & long)), kept)


def mix(values: U64) -> U64:
    """Return the finaliser of SplitMix64 (Steele, Lea, Flood, 2014): every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _join_numbers(letters: U32, begins: Ints) -> tuple[U32, Ints]:
    """Leave out points and commas between digits; `begins` moves along."""
    points = np.flatnonzero(letters[1:-1] >= _POINT << _KIND_SHIFT) + 1
    points = points[(letters.take(points - 1) & letters.take(points + 1) & _DIGIT) != 0]
    if not len(points):
        return letters, begins
    keep = np.ones(len(letters), bool)
    keep[points] = False
    return letters.compress(keep), begins - np.searchsorted(points, begins)


def _bounds(kinds: U8) -> tuple[Ints, Ints, bool]:
    """Return where words start and end (exclusive), and whether some are ideographs: each is a word of its own."""
    word = np.zeros(len(kinds) + 2, np.uint8)
    word[1:-1] = kinds
    before, after = word[:-1], word[1:]
    change = before != after
    if word.max() < _IDEOGRAPH:
        edges = np.flatnonzero(change)
        return edges[::2].copy(), edges[1::2].copy(), False
    single = (before == _IDEOGRAPH) | (after == _IDEOGRAPH)
    change |= single
    starts = np.flatnonzero(change & (after != _SEPARATOR))
    ends = np.flatnonzero(change & (before != _SEPARATOR))
    return starts, ends, True


def _hashes(letters: U32, starts: Ints, ends: Ints) -> U64:
    """Polynomial hash of each word's lower-cased letters, modulo 2**32, from sums over the whole text."""
    count = len(letters)
    powers, inverses = (_POWERS, _INVERSES) if count <= _TABLED else _powers(count)
    terms = letters & _LOWER
    terms *= powers[:count]
    sums = np.empty(count + 1, np.uint32)
    sums[0] = 0
    np.cumsum(terms, dtype=np.uint32, out=sums[1:])
    return mix(((sums.take(ends) - sums.take(starts)) * inverses.take(starts)).astype(np.uint64))


def _named(letters: U32, starts: Ints, first: U32) -> Bools:
    """Which words have a capital and follow a small letter or a comma and one space: names, not sentence starts."""
    before, earlier = letters.take(starts - 1, mode="clip"), letters.take(starts - 2, mode="clip")
    found: Bools = (
        ((first & _UPPER) != 0) & ((before & _SPACE) != 0) & ((earlier & (_SMALL | _COMMA)) != 0) & (starts >= 2)
    )
    return found


def _widen(hashes: U64, text: U64, ideograph: Bools) -> U64:
    second, third = np.zeros_like(hashes), np.zeros_like(hashes)
    second[:-1] = np.where(text[:-1] == text[1:], hashes[1:], 0)
    third[:-2] = np.where(text[:-2] == text[2:], hashes[2:], 0)
    wide = mix(hashes + second * _FACTORS[0] + third * _FACTORS[1])
    return np.where(ideograph, wide, hashes)


_BASE: Final = 0x9E3779B1
_FACTORS: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_TABLED: Final = 1 << 16


def _powers(count: int) -> tuple[U32, U32]:
    """Powers 0, 1, ... of an odd number modulo 2**32, and of its inverse."""
    out = []
    for base in (_BASE, pow(_BASE, -1, 2**32)):
        factors = np.full(count, base, np.uint32)
        factors[0] = 1
        out.append(np.multiply.accumulate(factors, dtype=np.uint32))
    return out[0], out[1]


def _letters() -> U32:
    """What each code point of the Basic Multilingual Plane is: its lower case, plus one (so that no letter counts as
    nothing), in the lowest 17 bits; its kind in the highest 3; between them whether it is a digit, a capital, a small
    letter, a letter without case, a space, a comma, or of a script without short function words."""
    kind, lower, flags = (
        np.zeros(0x10000, np.uint32),
        np.arange(1, 0x10001, dtype=np.uint32),
        np.zeros(0x10000, np.uint32),
    )
    of_category = {"Nd": _DIGIT, "Lu": _UPPER, "Lt": _UPPER, "Ll": _SMALL, "Lo": _CASELESS}
    for code in range(0x10000):
        char = chr(code)
        category = unicodedata.category(char)
        if category[0] in "LMN":
            kind[code] = _IDEOGRAPH if category == "Lo" and _is_unspaced(code) else _WORD
        flags[code] = of_category.get(category, 0)
        folded = char.lower()
        if len(folded) == 1:
            lower[code] = ord(folded) + 1
    kind[[ord(","), ord(".")]] = _POINT
    flags[ord(" ")], flags[ord(",")] = _SPACE, _COMMA
    flags[_SHORT_WORD_SCRIPTS_END:] |= np.uint32(_LATE)
    return kind << np.uint32(_KIND_SHIFT) | flags | lower


def _is_unspaced(code: int) -> bool:
    """Whether a letter is of a script without spaces between words: Han, kana, Thai, Lao, Burmese, Khmer."""
    return (
        0x3040 <= code <= 0x30FF
        or 0x3400 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0x0E00 <= code <= 0x0EFF
        or 0x1000 <= code <= 0x109F
        or 0x1780 <= code <= 0x17FF
    )


_BEYOND: Final = np.uint32(0x9FA5)
_POWERS, _INVERSES = _powers(_TABLED)
_LETTERS = _letters()
