"""Cities (GeoNames, 15,000 people and more) and regions (US states and others), by the form of their names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from workers.entities.names import parts_of
from workers.entities.wordlists import lines

_LEAST_PREFIX: Final = 3
"""Shorter names of cities are left out: they are other things in most texts."""


class City(NamedTuple):
    """A city: GeoNames id, name, ISO 3166-1 code of its country, GeoNames code of its region, people."""

    id: int
    name: str
    country: str
    region: str
    population: int


class Region(NamedTuple):
    """A part of a country: public id, name, ISO 3166-1 code of the country, code of the region within it."""

    id: str
    name: str
    country: str
    code: str


def form_of(words: Sequence[str]) -> str:
    """Return the form under which a place is looked up, given as tokens.

    >>> form_of(("St.", "Petersburg")), form_of(("Port", "-", "au", "-", "Prince"))
    ('st petersburg', 'port-au-prince')
    """
    return " ".join(parts_of(words))


def _form(name: str) -> str:
    return " ".join(word.rstrip(".") if len(word) > 1 else word for word in name.lower().replace("’", "'").split())


@cache
def cities() -> dict[str, tuple[City, ...]]:
    """Return the cities by the form of their names, the largest first."""
    found: dict[str, list[City]] = {}
    for line in lines("cities.tsv"):
        number, name, other, country, region, population = line.split("\t")
        city = City(int(number), name, country, region, int(population))
        for text in (name, other):
            if len(text) >= _LEAST_PREFIX:
                found.setdefault(_form(text), []).append(city)
    for alias, name, country in (line.split("\t") for line in lines("city_aliases.tsv")):
        meant = max((city for city in found[_form(name)] if city.country == country), key=lambda city: city.population)
        found.setdefault(_form(alias), []).append(meant)
    return {
        form: tuple(sorted(set(same), key=lambda city: (-city.population, city.id))) for form, same in found.items()
    }


@cache
def regions() -> dict[str, Region]:
    """Return the regions by the form of their names."""
    return {_form(line.split("\t")[1]): Region(*line.split("\t")) for line in lines("regions.tsv")}
