"""Which lines of a draft are looked at for what recurs in its source, and what speaks for each being the article's.

A line is known by a hash of its letters and digits. Few lines of an article are looked at, and always the same of them
in its next version: those that may be furniture first, then those with the lowest hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import count
from typing import Final, NamedTuple

from workers.ingest.characters import folded_lines
from workers.ingest.furniture import ends_like_prose, is_truncated
from workers.ingest.repeats import QUOTES

FORM: Final = 1
"""Number of the form in which lines are hashed and chosen; a log of another form is learnt anew from the input."""

HASH_BYTES: Final = 6
"""48 bits: of a source's thousand lines and ten million looked at, some 0.00004 are taken for another."""

MOST_LINES: Final = 16
"""Most lines of an article that are looked at."""

_MOST_DOUBTED: Final = 12
"""Of these, most that may be furniture: the others tell one story from the next."""

LOOSE: Final = 0
"""A line that is no sentence, or a short one: a heading, a name, a button."""

DOUBTED: Final = 1
"""A sentence that speaks to the reader or of the site, or that the model of lines finds unlike an article's."""

PROSE: Final = 2
"""A sentence like those of articles, or a quote."""

LONG: Final = 3
"""A long paragraph: it tells stories apart, and is never cut."""

_SENTENCE_CHARS: Final = 60
_LONG_CHARS: Final = 400


class Lines(NamedTuple):
    """The lines of an article that are looked at, in order of the text: hash, length in characters and kind of each.

    `places` holds for each paragraph of the draft the number of its line, -1 where it is not looked at.
    """

    hashes: tuple[int, ...]
    sizes: tuple[int, ...]
    kinds: tuple[int, ...]
    places: tuple[int, ...]


def lines_of(
    paragraphs: Sequence[str], folds: Sequence[str], doubts: Sequence[bool], left_out: Sequence[str] = ()
) -> Lines:
    """Return the lines that are looked at. `folds`, `doubts` and `left_out` are as in `text.Cleaned`: what is left out
    of one article tells what to cut from the next."""
    found: dict[int, tuple[int, int]] = {}
    hashes = [_hash(fold) if fold else -1 for fold in folds]
    for paragraph, made, doubt in zip(paragraphs, hashes, doubts, strict=True):
        if made not in found and made != -1:
            found[made] = len(paragraph), _kind(paragraph, doubt)
    if left_out:
        for line, fold in zip(left_out, folded_lines(left_out), strict=True):
            if fold:
                found.setdefault(_hash(fold), (len(line), DOUBTED))
    if len(found) > MOST_LINES:
        # By hash, so that most of the lines that two versions of a text have in common are looked at in both.
        order = sorted(found)
        chosen = [made for made in order if found[made][1] < PROSE][:_MOST_DOUBTED]
        chosen += [made for made in order if found[made][1] >= PROSE][: MOST_LINES - len(chosen)]
        kept = frozenset(chosen)
        found = {made: about for made, about in found.items() if made in kept}
    numbers = dict(zip(found, count()))
    sizes, kinds = zip(*found.values(), strict=True) if found else ((), ())
    return Lines(tuple(found), sizes, kinds, tuple([numbers.get(made, -1) for made in hashes]))


def _hash(fold: str) -> int:
    return int.from_bytes(blake2b(fold.encode(), digest_size=HASH_BYTES).digest(), "big")


def _kind(line: str, doubt: bool) -> int:
    if len(line) > _LONG_CHARS:
        return LONG
    if line[0] in QUOTES:
        return PROSE
    if is_truncated(line) or not ends_like_prose(line) or (len(line) < _SENTENCE_CHARS and line.isascii()):
        return LOOSE
    return DOUBTED if doubt else PROSE
