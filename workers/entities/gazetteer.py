"""The project's own lists of names and words, read once from the package."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from workers.entities.tokens import tokenize
from workers.entities.wordlists import lines

Phrase = tuple[str, ...]


class Country(NamedTuple):
    """A country or territory of ISO 3166-1. Names and demonyms in `unsure` also name something else (Georgia, Congo):
    they count only where one of `cues` occurs in the article."""

    code: str
    name: str
    names: tuple[str, ...]
    demonyms: tuple[str, ...]
    unsure: frozenset[str]
    cues: tuple[str, ...]
    wikidata: str | None = None


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


_IRREGULAR: Final = ("ese", "ish", "ch", "man", "woman", "èes", "ss", "s")


def plural(demonym: str) -> str | None:
    """Return the regular plural of a demonym, or None where there is none (Chinese, Swiss).

    >>> plural("Salvadoran"), plural("Chinese")
    ('Salvadorans', None)
    """
    return None if demonym.endswith(_IRREGULAR) else demonym + "s"


@cache
def countries() -> tuple[Country, ...]:
    """Return the countries, sorted by code."""
    found = []
    for line in lines("countries.tsv"):
        code, name, others, demonyms, cues, wikidata, *_ = [*line.split("\t"), "", "", "", "", ""]
        names = [name, *_parts(others)]
        people = _parts(demonyms)
        people += [many for one in people if (many := plural(one))]
        unsure = frozenset(form[1:] for form in (*names, *people) if form.startswith("?"))
        found.append(
            Country(
                code,
                name.removeprefix("?"),
                tuple(form.removeprefix("?") for form in names),
                tuple(form.removeprefix("?") for form in people),
                unsure,
                tuple(_parts(cues)),
                wikidata or None,
            )
        )
    return tuple(sorted(found))


@cache
def word_classes() -> dict[str, tuple[str, ...]]:
    """Return the classes of each lower-cased word (title, month, first name, ...), classes sorted."""
    classes: dict[str, set[str]] = {}
    for line in lines("words.txt"):
        name, _, words = line.partition(":")
        for word in words.split():
            classes.setdefault(word, set()).add(name)
    for line in lines("first_names.txt"):
        for word in line.split():
            classes.setdefault(word, set()).add("first")
    return {word: tuple(sorted(found)) for word, found in sorted(classes.items())}


@cache
def words_of(name: str) -> frozenset[str]:
    """Return the lower-cased words of one class of words.txt, or of first names (`first`)."""
    return frozenset(word for word, classes in word_classes().items() if name in classes)


@cache
def organisations() -> tuple[tuple[str, ...], ...]:
    """Return the organisations: each its name, then other names and acronyms."""
    return tuple(tuple(text for text in line.split("\t") if not _is_id(text)) for line in lines("organisations.txt"))


@cache
def organisation_ids() -> tuple[str | None, ...]:
    """Return the Wikidata id of each of `organisations`, None where we are not certain of it."""
    return tuple(next(filter(_is_id, line.split("\t")), None) for line in lines("organisations.txt"))


def _is_id(text: str) -> bool:
    return text[:1] == "Q" and text[1:].isdigit()


def phrase_of(form: str) -> Phrase:
    """Return `form` as the tagger sees it: lower-cased tokens."""
    pieces = form.lower().replace("-", " - ").split()
    if all(piece == "-" or (piece.isalpha() and len(piece) > 1) for piece in pieces):
        return tuple(pieces)  # what the tokenizer makes of it, without its cost
    return tuple(token.text.lower() for token in tokenize(form, 20))


class Known(NamedTuple):
    """A known name: its lower-cased tokens, its class, and the exact text where the name is an acronym (US, AP)."""

    phrase: Phrase
    kind: str
    exact: str | None


@cache
def known_names() -> dict[str, tuple[Known, ...]]:
    """Return known names by their first lower-cased token, longest first.

    Classes: `country`, `demonym`, `place`, `org`, `person` (surnames and full names of prominent people), `city` (of
    several words). Where a form is in two lists the first of these wins.
    """
    found: dict[Phrase, Known] = {}

    def add(form: str, kind: str) -> None:
        phrase = phrase_of(form)
        acronym = form.upper() == form and len(phrase) == 1
        found.setdefault(phrase, Known(phrase, kind, form if acronym else None))

    for country in countries():
        for form in country.names:
            add(form, "country")
    for country in countries():
        for form in country.demonyms:
            add(form, "demonym")
    for form in lines("places.txt"):
        add(form, "place")
    for names in organisations():
        for form in names:
            add(form, "org")
    for line in lines("people.tsv"):
        for form in line.split("\t")[:2]:
            if form != "-":
                add(form, "person")
    for line in lines("cities.tsv"):
        for form in line.split("\t")[1:3]:
            if " " in form or "-" in form:
                add(form, "city")
    by_first: dict[str, list[Known]] = {}
    for known in found.values():
        by_first.setdefault(known.phrase[0], []).append(known)
    return {
        first: tuple(sorted(known, key=lambda item: (-len(item.phrase), item.phrase)))
        for first, known in sorted(by_first.items())
    }
