"""People whom news names by surname alone: a small table of our own."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from workers.entities.tokens import tokenize
from workers.entities.wordlists import lines

ALIAS_CONFIDENCE: Final = 0.8
"""That a bare surname means the person of the table, in an article that gives no other first name with it."""
FULL_NAME_CONFIDENCE: Final = 0.95
"""That a full name means the person of the table."""


class Person(NamedTuple):
    """A prominent person: full name, its lower-cased tokens, and the Wikidata id where we are certain of it."""

    name: str
    words: tuple[str, ...]
    wikidata: str | None


@cache
def _people() -> tuple[dict[tuple[str, ...], Person], dict[tuple[str, ...], Person]]:
    by_surname: dict[tuple[str, ...], Person] = {}
    by_name: dict[tuple[str, ...], Person] = {}
    for line in lines("people.tsv"):
        surname, name, *ids = line.split("\t")
        person = Person(name, _lowered(name), ids[0] if ids else None)
        by_surname[_lowered(surname)] = person
        by_name.setdefault(person.words, person)
    return by_surname, by_name


def _lowered(text: str) -> tuple[str, ...]:
    return tuple(token.text.lower() for token in tokenize(text, 20))


def by_surname(words: tuple[str, ...]) -> Person | None:
    """Return the person that news means by the surname `words` (lower-cased tokens), or None."""
    return _people()[0].get(words)


def by_full_name(words: tuple[str, ...]) -> Person | None:
    """Return the person of the table with the full name `words` (lower-cased tokens), or None."""
    return _people()[1].get(words)
