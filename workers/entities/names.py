"""Forms of names, made comparable: parts, suffixes, initials, acronyms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workers.entities.wordlists import word_list

Parts = tuple[str, ...]
"""Lower-cased parts of a name; a hyphenated name is one part."""

_PERSON_SUFFIXES: Final = word_list("person-suffix")
_COMPANY_SUFFIXES: Final = word_list("company-suffix")
_SMALL: Final = word_list("small-in-names")
_HYPHENS: Final = frozenset("-‐‑–")


def parts_of(words: Sequence[str]) -> Parts:
    """Return the parts of a name given as tokens.

    >>> parts_of(("Mauricio", "Claver", "-", "Carone"))
    ('mauricio', 'claver-carone')
    """
    parts: list[str] = []
    joined = False
    for word in words:
        if word in _HYPHENS:
            joined = bool(parts)
            continue
        low = word.lower().replace("’", "'")
        if len(low) > 1:
            low = low.rstrip(".")
        if joined:
            parts[-1] += "-" + low
            joined = False
        else:
            parts.append(low)
    return tuple(parts)


def person_parts(words: Sequence[str]) -> Parts:
    """Return the parts of a person's name; the last may be Jr. or the like."""
    return tuple(part for part in parts_of(words) if part not in (",", "."))


def surname_of(parts: Parts) -> str:
    """Return the last part of a person's name that is not Jr. or the like."""
    return next((part for part in reversed(parts) if part not in _PERSON_SUFFIXES), parts[-1])


def organisation_parts(words: Sequence[str]) -> Parts:
    """Return the parts of an organisation's name, without an article before it or Inc. and the like after it."""
    parts = tuple(part for part in parts_of(words) if part not in (",", "."))
    if len(parts) > 1 and parts[0] == "the":
        parts = parts[1:]
    while len(parts) > 1 and parts[-1] in _COMPANY_SUFFIXES:
        parts = parts[:-1]
    return parts


def is_acronym(words: Sequence[str]) -> bool:
    """Return whether a form may be an acronym: one token of 2 to 8 capitals, full stops aside."""
    letters = words[0].replace(".", "")
    return len(words) == 1 and 2 <= len(letters) <= 8 and letters.isalpha() and sum(map(str.isupper, letters)) >= 2


def acronyms_of(parts: Parts) -> tuple[str, ...]:
    """Return the acronyms that a name of several parts may have, lower-cased: with and without its small words.

    >>> acronyms_of(("department", "of", "state"))
    ('dos', 'ds')
    """
    split = [piece for part in parts for piece in part.split("-") if piece]
    every = "".join(piece[0] for piece in split)
    large = "".join(piece[0] for piece in split if piece not in _SMALL)
    return tuple(dict.fromkeys(found for found in (every, large) if len(found) >= 2))


def person_match(short: Parts, long: Parts) -> int:
    """Return how well the name `short` fits the longer name `long` of a person: 3 by its end or by first and last
    name, 2 by an initial or the first of two surnames, 1 by the first name, 0 not at all.

    >>> person_match(("bukele",), ("nayib", "bukele")), person_match(("nayib",), ("nayib", "bukele"))
    (3, 1)
    """
    if long[-1] in _PERSON_SUFFIXES and len(long) > 2 and short[-1] not in _PERSON_SUFFIXES:
        # A father and his son: "Ana Ruiz Jr." is called Ruiz, but never Ana Ruiz.
        return 0 if len(short) > 1 and short[0] == long[0] else person_match(short, long[:-1])
    size = len(short)
    if size > len(long):
        return 0
    if long[-size:] == short:
        return 3
    if size > 1 and short[-1] == long[-1]:
        if short[0] == long[0]:
            return 3
        if (len(short[0].rstrip(".")) == 1 or len(long[0].rstrip(".")) == 1) and short[0][0] == long[0][0]:
            return 2
    if size < len(long):
        if size == 1 and len(long) > 2 and short[0] == long[-2]:
            return 2
        if size > 1 and long[:size] == short:
            return 2
        if size == 1 and short[0] == long[0]:
            return 1
    return 0
