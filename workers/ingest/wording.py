"""What the first words of a line tell: whether it is a sentence, whether it speaks to the reader or of the page.

Words are looked up in lists alone (phrases/), in six languages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import ne
from typing import Final

from workers.ingest.furniture import words_of

HEAD_CHARS: Final = 100
"""Characters of a line whose words are looked at: what speaks to the reader does so at once."""

_SITE_SHARE: Final = 25

_FUNCTION_WORDS: Final = words_of("function-words.txt")
_SITE_WORDS: Final = words_of("site-words.txt")
_TELLTALES: Final = words_of("telltale-words.txt")
_READER_WORDS: Final = words_of("reader-words.txt")
_PRESS_WORDS: Final = words_of("press-words.txt")
_ADDRESSING: Final = _SITE_WORDS | _TELLTALES | _READER_WORDS

_SITE: Final = 1 << 10
_READER: Final = 1 << 20
_PRESS: Final = 1 << 30
_ROLES: Final = {
    word: (word in _FUNCTION_WORDS)
    + _SITE * (word in _SITE_WORDS)
    + _READER * (word in _READER_WORDS)
    + _PRESS * (word in _PRESS_WORDS)
    for word in sorted(_FUNCTION_WORDS | _SITE_WORDS | _READER_WORDS | _PRESS_WORDS)
}
"""What a word is, as numbers that are summed up in one pass."""

_WORD: Final = re.compile(r"[^\W\d_]+")

Words = list[list[str]]
"""For each line its first words, lower case, without full stops and commas."""


def first_words(lines: Sequence[str]) -> Words:
    """Return the words at the beginning of each line, lower case; signs other than full stops and commas stay on."""
    # In one text, a line each: a call for all of them costs as much as one for each.
    heads = "\n".join([line[:HEAD_CHARS] for line in lines])
    return [row.split() for row in _without_stops(heads.lower()).split("\n")] if lines else []


def capitals(line: str, words: Sequence[str]) -> int:
    """Return how many of the first words of a line have a capital. `words` are its `first_words`."""
    return sum(map(ne, _without_stops(line[:HEAD_CHARS]).split(), words))


def roles(words: Sequence[str]) -> tuple[int, int, int, int]:
    """Return how many words are function words, how many speak of the page, how many to the reader, and how many are
    about writing and reading."""
    packed = sum(filter(None, map(_ROLES.get, words)))
    return packed % _SITE, packed % _READER // _SITE, packed % _PRESS // _READER, packed // _PRESS


def may_address_the_reader(words: Sequence[str]) -> bool:
    """Return whether one of the words is for the reader, or one with which a page speaks of itself."""
    return not _ADDRESSING.isdisjoint(words)


def addressing(lines: Words) -> list[bool]:
    """Return `may_address_the_reader` of the words of each line."""
    return [not aside for aside in map(_ADDRESSING.isdisjoint, lines)]


def has_telltale(words: Sequence[str]) -> bool:
    """Return whether one of the words is one that hardly any article has and much of what stands around them."""
    return not _TELLTALES.isdisjoint(words)


def speaks_of_the_site(lines: Sequence[str]) -> bool:
    """Return whether lines of prose are about the page itself (cookies, accounts, subscriptions): 1 word in 25 is."""
    words = [word for line in lines for word in _WORD.findall(line.lower(), 0, 1_000)]
    return _SITE_SHARE * sum(map(_SITE_WORDS.__contains__, words)) > len(words)


def _without_stops(text: str) -> str:
    return text.replace(".", " ").replace(",", " ")
