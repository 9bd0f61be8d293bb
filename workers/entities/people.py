"""People whom news names by surname alone: a small table of our own."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from workers.entities.names import Parts, person_parts
from workers.entities.tokens import tokenize
from workers.entities.wordlists import lines

ALIAS_CONFIDENCE: Final = 0.8
"""That a bare surname means the person of the table, in an article that gives no other first name with it."""
FULL_NAME_CONFIDENCE: Final = 0.95
"""That a full name means the person of the table."""


class Person(NamedTuple):
    """A prominent person: full name, its parts, and the Wikidata id where we are certain of it."""

    name: str
    parts: Parts
    wikidata: str | None


@cache
def _people() -> tuple[dict[Parts, Person], dict[Parts, Person]]:
    by_surname: dict[Parts, Person] = {}
    by_name: dict[Parts, Person] = {}
    for line in lines("people.tsv"):
        surname, name, *ids = line.split("\t")
        person = Person(name, _parts(name), ids[0] if ids else None)
        if surname != "-":
            by_surname[_parts(surname)] = person
        by_name.setdefault(person.parts, person)
    return by_surname, by_name


def _parts(text: str) -> Parts:
    return person_parts([token.text for token in tokenize(text, 20)])


def by_surname(parts: Parts) -> Person | None:
    """Return the person that news means by the surname `parts`, or None."""
    return _people()[0].get(parts)


def by_full_name(parts: Parts) -> Person | None:
    """Return the person of the table with the full name `parts`, or None."""
    return _people()[1].get(parts)
