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
_IN_WORD: Final = np.uint8(3)
_BETWEEN: Final = "\n\n"


@dataclass(frozen=True, slots=True)
class Words:
    """Words of several texts, in order. All arrays but `ends` have one item a word.

    `hashes`: of the lower-cased word. `text`: which text it is in. `number`: it starts with a digit. `named`: it is
    written with a capital inside a sentence; in scripts without capitals, every longer word. `content`: it is not a
    short word of a script that has short function words.
    """

    hashes: U64
    text: Ints
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
    codes: U32 = np.frombuffer(_BETWEEN.join(normal).encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32)
    # The tables cover the Basic Multilingual Plane; what lies beyond (mostly rare ideographs) is folded into it.
    np.copyto(codes, _BEYOND, where=codes > 0xFFFF)
    begins = np.cumsum([0] + [len(text) + len(_BETWEEN) for text in normal])
    kinds = _KIND[codes]
    codes, kinds, begins = _join_numbers(codes, kinds, begins)
    kinds &= _IN_WORD
    starts, ends = _bounds(kinds)
    counts = np.diff(np.searchsorted(starts, begins))
    text = np.repeat(np.arange(len(texts)), counts)
    if not len(starts):
        nothing = np.zeros(0, bool)
        return Words(np.zeros(0, np.uint64), text, nothing, nothing, nothing)
    hashes = _hashes(codes, starts, ends)
    first = codes[starts]
    number, caseless = _DIGIT[first], _CASELESS[first]
    ideograph = kinds[starts] == _IDEOGRAPH
    if ideograph.any():
        hashes = _widen(hashes, text, ideograph)
    long = ends - starts > _SHORT
    return Words(
        hashes,
        text,
        number,
        ~number & (_named(codes, starts) | (caseless & (long | ideograph))),
        long | number | ideograph | (first >= _SHORT_WORD_SCRIPTS_END),
    )


def mix(values: U64) -> U64:
    """Return the finaliser of SplitMix64 (Steele, Lea, Flood, 2014): every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _join_numbers(codes: U32, kinds: U8, begins: Ints) -> tuple[U32, U8, Ints]:
    """Leave out points and commas between digits; `begins` moves along."""
    points = np.flatnonzero(kinds[1:-1] == _POINT) + 1
    points = points[_DIGIT[codes[points - 1]] & _DIGIT[codes[points + 1]]]
    if not len(points):
        return codes, kinds, begins
    keep = np.ones(len(codes), bool)
    keep[points] = False
    return codes[keep], kinds[keep], begins - np.searchsorted(points, begins)


def _bounds(kinds: U8) -> tuple[Ints, Ints]:
    """Return where words start and end (exclusive). Each ideograph is a word of its own."""
    word = np.zeros(len(kinds) + 2, np.uint8)
    word[1:-1] = kinds
    before, after = word[:-1], word[1:]
    change = before != after
    single = (before == _IDEOGRAPH) | (after == _IDEOGRAPH)
    change |= single
    starts = np.flatnonzero(change & (after != _SEPARATOR))
    ends = np.flatnonzero(change & (before != _SEPARATOR))
    return starts, ends


def _hashes(codes: U32, starts: Ints, ends: Ints) -> U64:
    """Polynomial hash of each word's lower-cased letters, modulo 2**32, from sums over the whole text."""
    count = len(codes)
    powers, inverses = (_POWERS, _INVERSES) if count <= _TABLED else _powers(count)
    terms = _LOWER[codes]
    terms *= powers[:count]
    sums = np.zeros(count + 1, np.uint32)
    np.cumsum(terms, dtype=np.uint32, out=sums[1:])
    return mix(((sums[ends] - sums[starts]) * inverses[starts]).astype(np.uint64))


def _named(codes: U32, starts: Ints) -> Bools:
    """Which words have a capital and follow a small letter or a comma and one space: names, not sentence starts."""
    before = codes[np.maximum(starts - 1, 0)]
    earlier = codes[np.maximum(starts - 2, 0)]
    found: Bools = (
        _UPPER[codes[starts]] & (before == ord(" ")) & (_SMALL[earlier] | (earlier == ord(","))) & (starts >= 2)
    )
    return found


def _widen(hashes: U64, text: Ints, ideograph: Bools) -> U64:
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


def _tables() -> tuple[U8, Bools, Bools, Bools, Bools, U32]:
    """For each code point of the Basic Multilingual Plane: its kind; whether it is a digit, a capital, a small letter,
    a letter without case; its lower case, plus one (so that no letter counts as nothing)."""
    kind = np.zeros(0x10000, np.uint8)
    digit, upper, small, caseless = (np.zeros(0x10000, bool) for _ in range(4))
    lower = np.arange(1, 0x10001, dtype=np.uint32)
    for code in range(0x10000):
        char = chr(code)
        category = unicodedata.category(char)
        if category[0] in "LMN":
            kind[code] = _IDEOGRAPH if category == "Lo" and _is_unspaced(code) else _WORD
        digit[code] = category == "Nd"
        upper[code] = category in ("Lu", "Lt")
        small[code] = category == "Ll"
        caseless[code] = category == "Lo"
        folded = char.lower()
        if len(folded) == 1:
            lower[code] = ord(folded) + 1
    kind[[ord(","), ord(".")]] = _POINT
    return kind, digit, upper, small, caseless, lower


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
_KIND, _DIGIT, _UPPER, _SMALL, _CASELESS, _LOWER = _tables()
