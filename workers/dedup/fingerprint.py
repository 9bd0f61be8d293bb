"""What dedup keeps of a text instead of the text: small sketches, made with integer arithmetic alone.

A sketch here is a bottom-k (KMV) sketch: the k smallest hashes of a set. All hashes below the smaller of two sketches'
bounds are known for both sets, so their overlap, and from it Jaccard similarity and containment, can be estimated
even when one text is much longer than the other; a set of at most k members is kept whole and compared exactly.
Sources: Broder, "On the resemblance and containment of documents" (1997); Beyer et al., "On synopses for
distinct-value estimation under multiset operations" (2007); Dasgupta et al., "A framework for estimating stream
expression cardinalities" (theta sketches, 2016).

The sets are:
- pairs of neighbouring content words (short words are left out, so that light rewording breaks few of them), each with
  its place in the text, so that one shared passage can be told from a text that is shared throughout;
- triples of the same words, rarer than pairs: the keys under which candidates are found;
- names: words written with a capital inside a sentence;
- numbers, each with the word beside it. Two issues of a template have other numbers beside the same words.

Hashes of pairs are kept in 16 bits like a floating-point number, with 4 bits of exponent and 12 of mantissa: the
k smallest of any set differ by about as much in relation to their size, so two that differ are confused in about 1 %
of cases, whatever the length of the text.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.dedup.letters import U64, Ints, mix, words
from workers.dedup.sizes import KEYS, NAMES, NUMBERS, PAIRS, PARAGRAPHS

FINGERPRINT_VERSION: Final = "kmv2"

END: Final = 0xFFFF
"""Bound of a sketch of 16-bit hashes that holds its whole set; no hash reaches it."""

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
H = TypeVar("H", np.uint16, np.uint32, np.uint64)

_HEADER: Final = struct.Struct("<BBBBBBHI")
_GROUP: Final = 64
"""Texts that are worked on together: enough to spread the cost of a numpy call, few enough to stay in the cache."""
_GROUP_CHARS: Final = 40000
_FACTORS: Final = tuple(np.uint64(pow(0x9E3779B97F4A7C15, n, 2**64)) for n in range(2, 12))
_LOWEST_EXPONENT: Final = np.uint32((127 + 16) << 12)
_BESIDE: Final = np.array(_FACTORS[8:10], np.uint64)
_NOWHERE: Final = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Sketches of one text. `pairs`, `keys`, `names` and `contexts` are ascending; all but `contexts` have no repeats.

    `pairs`: up to `PAIRS` uint16, with `places` (uint8: 256ths of the text). `keys`: up to `KEYS` uint32. `names`: up
    to `NAMES` uint16. `contexts`: up to `NUMBERS` uint16, each a hash of a word beside a number, with `values` (uint8:
    a hash of the number). `paragraphs`: a hash (uint16) of each of the first `PARAGRAPHS` paragraphs, in order.
    `whole`: whether nothing was left out of pairs, names, numbers. `headline`: a hash of the headline; `length`: words
    of headline and body.
    """

    pairs: U16
    places: U8
    keys: U32
    names: U16
    contexts: U16
    values: U8
    paragraphs: U16
    whole: tuple[bool, bool, bool]
    headline: int
    length: int

    @property
    def bounds(self) -> tuple[int, int, int]:
        """Bounds of pairs, names and contexts: all hashes of the text below them are kept."""
        return (
            END if self.whole[0] else int(self.pairs[-1]) + 1,
            END if self.whole[1] else int(self.names[-1]) + 1,
            # One context can stand beside several numbers: those of the last may be incomplete.
            END if self.whole[2] else int(self.contexts[-1]),
        )

    def encode(self) -> str:
        """Return the fingerprint as base64, for the log (little-endian, whatever the machine)."""
        flags = self.whole[0] | self.whole[1] << 1 | self.whole[2] << 2
        counts = len(self.pairs), len(self.keys), len(self.names), len(self.contexts), len(self.paragraphs)
        parts = [
            _HEADER.pack(*counts, flags, self.headline, self.length),
            self.pairs.astype("<u2", copy=False).tobytes(),
            self.places.tobytes(),
            self.keys.astype("<u4", copy=False).tobytes(),
            self.names.astype("<u2", copy=False).tobytes(),
            self.contexts.astype("<u2", copy=False).tobytes(),
            self.values.tobytes(),
            self.paragraphs.astype("<u2", copy=False).tobytes(),
        ]
        return base64.b64encode(b"".join(parts)).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> Fingerprint:
        """Return the fingerprint that `encode` wrote. Raises ValueError when `text` is not one."""
        try:
            data = base64.b64decode(text, validate=True)
            pairs, keys, names, numbers, paragraphs, flags, headline, length = _HEADER.unpack_from(data)
        except (binascii.Error, struct.error) as error:
            raise ValueError(f"not a fingerprint: {error}") from error
        whole = bool(flags & 1), bool(flags & 2), bool(flags & 4)
        oversized = pairs > PAIRS or keys > KEYS or names > NAMES or numbers > NUMBERS or paragraphs > PARAGRAPHS
        full = pairs == PAIRS, names == NAMES, numbers == NUMBERS
        cut_short = any(not is_whole and not is_full for is_whole, is_full in zip(whole, full, strict=True))
        size = _HEADER.size + 3 * pairs + 4 * keys + 2 * names + 3 * numbers + 2 * paragraphs
        if len(data) != size or oversized or cut_short:
            raise ValueError(f"not a fingerprint: {len(data)} bytes for {pairs}, {keys}, {names} and {numbers} hashes")
        at = accumulate((_HEADER.size, 2 * pairs, pairs, 4 * keys, 2 * names, 2 * numbers, numbers))
        return cls(
            pairs=np.frombuffer(data, "<u2", pairs, next(at)).astype(np.uint16, copy=False),
            places=np.frombuffer(data, np.uint8, pairs, next(at)),
            keys=np.frombuffer(data, "<u4", keys, next(at)).astype(np.uint32, copy=False),
            names=np.frombuffer(data, "<u2", names, next(at)).astype(np.uint16, copy=False),
            contexts=np.frombuffer(data, "<u2", numbers, next(at)).astype(np.uint16, copy=False),
            values=np.frombuffer(data, np.uint8, numbers, next(at)),
            paragraphs=np.frombuffer(data, "<u2", paragraphs, next(at)).astype(np.uint16, copy=False),
            whole=whole,
            headline=headline,
            length=length,
        )


_NO_16: Final = np.empty(0, np.uint16)
_NO_8: Final = np.empty(0, np.uint8)
NO_KEYS: Final = np.empty(0, np.uint32)
EMPTY: Final = Fingerprint(_NO_16, _NO_8, NO_KEYS, _NO_16, _NO_16, _NO_8, _NO_16, (True, True, True), 0, 0)
"""Fingerprint of no text: it resembles nothing."""


def fingerprint(headline: str, body: str) -> Fingerprint:
    """Return the fingerprint of an article."""
    return fingerprints([(headline, body)])[0]


def fingerprints(texts: Sequence[tuple[str, str]]) -> list[Fingerprint]:
    """Return the fingerprint of each article (headline, body). Each is what `fingerprint` returns for it alone."""
    out: list[Fingerprint] = []
    group: list[tuple[str, str]] = []
    chars = 0
    for headline, body in texts:
        if group and (len(group) == _GROUP or chars + len(body) > _GROUP_CHARS):
            out.extend(_group(group))
            group, chars = [], 0
        group.append((headline, body))
        chars += len(body)
    if group:
        out.extend(_group(group))
    return out


def _group(texts: Sequence[tuple[str, str]]) -> list[Fingerprint]:
    found = words([f"{headline}\n\n{body}" for headline, body in texts])
    named = np.flatnonzero(found.named)
    names = found.text.take(named) << np.uint64(16) | _top(mix(found.hashes.take(named)), 16)
    names = _sorted_distinct(names)
    names = names[names & np.uint64(END) != END]
    at = np.flatnonzero(found.content)
    hashes, text = found.hashes.take(at), found.text.take(at)
    places = _places(text, len(texts))
    pairs = _shingles(hashes, 2)
    pairs = text[: len(pairs)] << np.uint64(24) | _squeezed(pairs) << np.uint64(8) | places[: len(pairs)]
    keyed = _sorted_distinct(_in_one_text(pairs, text), 8)
    triples = _shingles(hashes, 3)
    keys = _sorted_distinct(_in_one_text(text[: len(triples)] << np.uint64(32) | _top(triples, 32), text))
    numbers = _numbers(hashes, text, np.flatnonzero(found.number.take(at)))
    which = np.arange(len(texts) + 1, dtype=np.uint64)
    cuts = [
        np.searchsorted(part, which << np.uint64(shift)).tolist()
        for part, shift in ((keyed, 24), (keys, 32), (names, 16), (numbers, 24))
    ]
    pairs_16, places_8 = (keyed >> np.uint64(8)).astype(np.uint16), keyed.astype(np.uint8)
    keys_32, names_16 = keys.astype(np.uint32), names.astype(np.uint16)
    contexts_16, values_8 = (numbers >> np.uint64(8)).astype(np.uint16), numbers.astype(np.uint8)
    lengths = np.diff(np.searchsorted(found.text, which)).tolist()
    out = []
    for n, (headline, body) in enumerate(texts):
        (p, p_end), (t, t_end), (m, m_end), (c, c_end) = ((cut[n], cut[n + 1]) for cut in cuts)
        p_cut, m_cut, c_cut = min(p_end, p + PAIRS), min(m_end, m + NAMES), min(c_end, c + NUMBERS)
        made = Fingerprint(
            pairs=pairs_16[p:p_cut],
            places=places_8[p:p_cut],
            keys=keys_32[t : min(t_end, t + KEYS)],
            names=names_16[m:m_cut],
            contexts=contexts_16[c:c_cut],
            values=values_8[c:c_cut],
            whole=(p_cut == p_end, m_cut == m_end, c_cut == c_end),
            paragraphs=_paragraphs(body),
            headline=_headline(headline),
            length=lengths[n],
        )
        out.append(made)
    return out


def _paragraphs(body: str) -> U16:
    """A hash of each of the first paragraphs, as they are written."""
    parts = body.encode("utf-8", "surrogatepass").split(b"\n\n", PARAGRAPHS)[:PARAGRAPHS] if body else []
    return np.array([zlib.crc32(part) & 0xFFFF for part in parts], np.uint16)


def _headline(headline: str) -> int:
    """A 16-bit hash of the headline, without regard to case and spacing."""
    return zlib.crc32(" ".join(headline.casefold().split()).encode("utf-8", "surrogatepass")) & 0xFFFF


def _places(text: U64, texts: int) -> U64:
    """Place of each word in its text, in 256ths of the text; `text` ascends."""
    edges = np.searchsorted(text, np.arange(texts + 1, dtype=np.uint64))
    counts = np.diff(edges)
    at = np.arange(len(text)) - np.repeat(edges[:-1], counts)
    # Exact: a fraction below a whole number differs from it by more than a float64 rounds.
    places: U64 = (at * 256.0 / np.repeat(counts, counts)).astype(np.uint64)
    return places


def _shingles(hashes: U64, size: int) -> U64:
    """64-bit hashes of all runs of `size` words, those from one text into the next among them."""
    count = max(0, len(hashes) - size + 1)
    total = hashes[:count] * _FACTORS[1]
    for at in range(1, size):
        total += hashes[at : at + count] * _FACTORS[1 + 2 * at]
    return mix(total)


def _in_one_text(shingles: U64, text: U64) -> U64:
    """Put out of the way (last when sorted) those that go from one text into the next; `text` is of each word."""
    count = len(shingles)
    shingles[text[:count] != text[len(text) - count :]] = _NOWHERE
    return shingles


def _numbers(hashes: U64, text: U64, at: Ints) -> U64:
    """text << 24 | context << 8 | value for each number, in the places `at`, with each of the two words beside it."""
    if not len(at):
        return np.empty(0, np.uint64)
    beside = np.concatenate([np.minimum(at + 1, len(hashes) - 1), np.maximum(at - 1, 0)])
    factors, at = np.repeat(_BESIDE, len(at)), np.concatenate([at, at])
    texts = text.take(at)
    inside = np.flatnonzero((texts == text.take(beside)) & (at != beside))
    at, beside = at.take(inside), beside.take(inside)
    context = np.minimum(_top(mix(hashes.take(beside) * factors.take(inside)), 16), np.uint64(END - 1))
    value = _top(mix(hashes.take(at)), 8)
    return _sorted_distinct(texts.take(inside) << np.uint64(24) | context << np.uint64(8) | value)


def _top(values: U64, bits: int) -> U64:
    return values >> np.uint64(64 - bits)


def _squeezed(values: U64) -> U64:
    """16 bits of each hash: those of its 32 highest bits as a float32, whose order is theirs. Below `END`."""
    floats = _top(values, 32).astype(np.float32).view(np.uint32)
    short = np.maximum(floats >> np.uint32(11), _LOWEST_EXPONENT) - _LOWEST_EXPONENT
    squeezed: U64 = np.minimum(short, np.uint32(END - 1)).astype(np.uint64)
    return squeezed


def _sorted_distinct(values: U64, payload: int = 0) -> U64:
    """Sorted values; of those that differ in their lowest `payload` bits alone, the least. For a few thousand, several
    times faster than np.unique."""
    values = np.sort(values)
    first = np.ones(len(values), bool)
    told = values >> np.uint64(payload)
    np.not_equal(told[1:], told[:-1], out=first[1:])
    return values[first]
