"""What dedup keeps of a text instead of the text: three small sketches, made with integer arithmetic alone.

A sketch here is a bottom-k (KMV) sketch: the k smallest hashes of a set. All hashes below the smaller of two sketches'
bounds are known for both sets, so their overlap, and from it Jaccard similarity and containment, can be estimated
even when one text is much longer than the other; a set of at most k members is kept whole and compared exactly.
Sources: Broder, "On the resemblance and containment of documents" (1997); Beyer et al., "On synopses for
distinct-value estimation under multiset operations" (2007); Dasgupta et al., "A framework for estimating stream
expression cardinalities" (theta sketches, 2016).

The sets are:
- pairs of neighbouring content words (short words are left out, so that light rewording breaks few of them);
- triples of the same words, rarer than pairs: the keys under which candidates are found;
- facts: numbers and words written with a capital inside a sentence. Two issues of a template share their words and
  differ in these. In scripts without capitals every longer word counts.
"""

from __future__ import annotations

import base64
import binascii
import struct
import unicodedata
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

FINGERPRINT_VERSION: Final = "kmv1"

PAIRS: Final = 128
"""Most hashes of word pairs kept (32 bits each). A text of 500 words has about 290 pairs."""

KEYS: Final = 32
"""Most hashes of word triples under which an article is indexed (32 bits each)."""

PROBES: Final = 128
"""Most hashes of word triples with which candidates are looked up."""

FACTS: Final = 64
"""Most hashes of facts kept (16 bits each). A text of 500 words has about 35."""

PAIR_END: Final = 0xFFFFFFFF
"""Bound of a pair sketch that holds its whole set; no hash reaches it."""

FACT_END: Final = 0xFFFF

U32 = NDArray[np.uint32]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]
Bools = NDArray[np.bool_]
H = TypeVar("H", np.uint16, np.uint32)

_SHORT: Final = 3
"""Longest word that counts as a function word, in scripts that have short ones (Latin, Greek, Cyrillic)."""
_SHORT_WORD_SCRIPTS_END: Final = 0x0590
_LONGEST_POWER: Final = 64

_SEPARATOR, _WORD, _IDEOGRAPH = 0, 1, 2
_HEADER: Final = struct.Struct("<BBBB")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Sketches of one text; each array is sorted, ascending, without repeats.

    `pairs`: up to `PAIRS` uint32; `pairs_whole` says that no pair was left out. `keys`: up to `KEYS` uint32.
    `facts`: up to `FACTS` uint16; `facts_whole` likewise.
    """

    pairs: U32
    pairs_whole: bool
    keys: U32
    facts: U16
    facts_whole: bool

    @property
    def pairs_bound(self) -> int:
        """All pairs of the text with a hash below this are in `pairs`."""
        return PAIR_END if self.pairs_whole else int(self.pairs[-1]) + 1

    @property
    def facts_bound(self) -> int:
        """All facts of the text with a hash below this are in `facts`."""
        return FACT_END if self.facts_whole else int(self.facts[-1]) + 1

    def encode(self) -> str:
        """Return the fingerprint as base64, for the log (little-endian, whatever the machine)."""
        flags = self.pairs_whole | self.facts_whole << 1
        head = _HEADER.pack(len(self.pairs), len(self.keys), len(self.facts), flags)
        body = (
            self.pairs.astype("<u4").tobytes() + self.keys.astype("<u4").tobytes() + self.facts.astype("<u2").tobytes()
        )
        return base64.b64encode(head + body).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> Fingerprint:
        """Return the fingerprint that `encode` wrote. Raises ValueError when `text` is not one."""
        try:
            data = base64.b64decode(text, validate=True)
            pairs, keys, facts, flags = _HEADER.unpack_from(data)
        except (binascii.Error, struct.error) as error:
            raise ValueError(f"not a fingerprint: {error}") from error
        at = _HEADER.size
        cut_short = (pairs < PAIRS and not flags & 1) or (facts < FACTS and not flags & 2)
        oversized = pairs > PAIRS or keys > KEYS or facts > FACTS
        if len(data) != at + 4 * pairs + 4 * keys + 2 * facts or oversized or cut_short:
            raise ValueError(f"not a fingerprint: {len(data)} bytes for {pairs}, {keys} and {facts} hashes")
        return cls(
            np.frombuffer(data, "<u4", pairs, at).astype(np.uint32),
            bool(flags & 1),
            np.frombuffer(data, "<u4", keys, at + 4 * pairs).astype(np.uint32),
            np.frombuffer(data, "<u2", facts, at + 4 * (pairs + keys)).astype(np.uint16),
            bool(flags & 2),
        )


EMPTY: Final = Fingerprint(np.empty(0, np.uint32), True, np.empty(0, np.uint32), np.empty(0, np.uint16), True)
"""Fingerprint of no text: it resembles nothing."""


def fingerprint(text: str) -> tuple[Fingerprint, U32]:
    """Return the fingerprint of `text` and up to `PROBES` hashes of word triples to look up candidates with."""
    codes = _codes(text)
    kinds = _KIND[codes]
    starts, ends = _words(kinds)
    if not len(starts):
        return EMPTY, np.empty(0, np.uint32)
    hashes = _hash_words(codes, starts, ends)
    first = codes[starts]
    digit, caseless = _DIGIT[first], _CASELESS[first]
    ideograph = kinds[starts] == _IDEOGRAPH
    if ideograph.any():
        hashes = _widen(hashes, ideograph)
    long = ends - starts > _SHORT
    told = digit | _named(codes, starts) | (caseless & (long | ideograph))
    facts = _distinct((_mix(hashes[told]) >> np.uint64(48)).astype(np.uint16))
    facts = facts[facts < FACT_END]
    content = hashes[long | digit | ideograph | (first >= _SHORT_WORD_SCRIPTS_END)]
    pairs = _shingles(content, 2)
    triples = _shingles(content, 3)
    made = Fingerprint(
        pairs[:PAIRS], len(pairs) <= PAIRS, triples[:KEYS].copy(), facts[:FACTS].copy(), len(facts) <= FACTS
    )
    return made, triples[:PROBES]


def _codes(text: str) -> U32:
    """Code points of `text` in NFKC, without points and commas inside numbers (5,000 and 5000 are one number)."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    # Lone surrogates can't be in a valid record; "surrogatepass" keeps this a total function all the same.
    codes: U32 = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32)
    # The tables cover the Basic Multilingual Plane; what lies beyond (mostly rare ideographs) is folded into it.
    np.copyto(codes, _BEYOND, where=codes > 0xFFFF)
    if len(codes) > 2:
        inner = (codes[1:-1] == ord(",")) | (codes[1:-1] == ord("."))
        if inner.any():
            digit = _DIGIT[codes]
            inner &= digit[:-2] & digit[2:]
            keep = np.ones(len(codes), bool)
            keep[1:-1] = ~inner
            codes = codes[keep]
    return codes


def _words(kinds: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where words start and end (exclusive). Each ideograph is a word of its own."""
    word = np.zeros(len(kinds) + 2, np.uint8)
    word[1:-1] = kinds
    before, after = word[:-1], word[1:]
    single = (before == _IDEOGRAPH) | (after == _IDEOGRAPH)
    starts = np.flatnonzero((after != _SEPARATOR) & ((before == _SEPARATOR) | single))
    ends = np.flatnonzero((before != _SEPARATOR) & ((after == _SEPARATOR) | single))
    return starts, ends


def _hash_words(codes: U32, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> U64:
    """Polynomial hash of each word's lower-cased code points, modulo 2**64, then mixed."""
    lengths = ends - starts
    total = int(lengths.sum())
    first = np.cumsum(lengths) - lengths
    place = np.arange(total) - np.repeat(first, lengths)
    inside = np.repeat(starts, lengths) + place
    terms = _LOWER[codes[inside]] * _POWERS[np.minimum(place, _LONGEST_POWER - 1)]
    return _mix(np.add.reduceat(terms, first))


def _named(codes: U32, starts: NDArray[np.intp]) -> Bools:
    """Which words have a capital and follow a small letter or a comma and one space: names, not sentence starts."""
    before = codes[np.maximum(starts - 1, 0)]
    earlier = codes[np.maximum(starts - 2, 0)]
    found: Bools = (
        _UPPER[codes[starts]] & (before == ord(" ")) & (_SMALL[earlier] | (earlier == ord(","))) & (starts >= 2)
    )
    return found


def _widen(hashes: U64, ideograph: Bools) -> U64:
    """Let each ideograph stand for itself and the next two words: alone it says too little."""
    padded = np.concatenate([hashes, np.zeros(2, np.uint64)])
    wide = _mix(padded[:-2] + padded[1:-1] * _POWERS[5] + padded[2:] * _POWERS[9])
    return np.where(ideograph, wide, hashes)


def _shingles(words: U64, size: int) -> U32:
    """Sorted distinct 32-bit hashes of all runs of `size` words."""
    count = len(words) - size + 1
    if count <= 0:
        return np.empty(0, np.uint32)
    total = words[:count] * _POWERS[1]
    for at in range(1, size):
        total = total + words[at : at + count] * _POWERS[1 + 2 * at]
    found = _distinct((_mix(total) >> np.uint64(32)).astype(np.uint32))
    return found[:-1] if found[-1] == PAIR_END else found


def _distinct(values: NDArray[H]) -> NDArray[H]:
    """Sorted distinct values. For a few hundred, several times faster than np.unique."""
    values = np.sort(values)
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return values[first]


def _mix(values: U64) -> U64:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, 2014): every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _powers() -> U64:
    """Powers 1, 2, ... of an odd number, modulo 2**64."""
    base = 0x9E3779B97F4A7C15
    return np.array([pow(base, n + 1, 2**64) for n in range(_LONGEST_POWER)], np.uint64)


def _tables() -> tuple[NDArray[np.uint8], Bools, Bools, Bools, Bools, U64]:
    """For each code point of the Basic Multilingual Plane: its kind; whether it is a digit, a capital, a small letter,
    a letter without case; its lower case."""
    kind = np.zeros(0x10000, np.uint8)
    digit, upper, small, caseless = (np.zeros(0x10000, bool) for _ in range(4))
    lower = np.arange(0x10000, dtype=np.uint64)
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
            lower[code] = ord(folded)
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
_POWERS: Final = _powers()
_KIND, _DIGIT, _UPPER, _SMALL, _CASELESS, _LOWER = _tables()
