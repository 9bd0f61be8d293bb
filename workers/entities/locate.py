"""Links of places: to countries, regions and cities, with what the article says of where it plays.

One name has one meaning in an article. A name that countries, regions and cities share goes to the country, unless the
article speaks against it; among cities of one name decide the place that follows ("Paris, Texas"), the countries that
the article names, and the number of people, in this order. Where these leave a doubt there is no link.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from schemas.messages import EntityLink
from workers.entities.cities import City, Region, cities, form_of, regions
from workers.entities.gazetteer import Country
from workers.entities.mentions import Found
from workers.entities.places import CountryForm, CountryLinker

CONTAINER_CONFIDENCE: Final = 0.97
"""Of a city whose region or country follows its name."""
REGION_CONFIDENCE: Final = 0.95
NEAR_CONFIDENCE: Final = 0.92
"""Of a city in a country that the article names."""
FAMOUS_CONFIDENCE: Final = 0.85
"""Of a large city that stands for itself."""

_NAMED: Final = 20
"""How many times its people a city counts in a country that the article names."""
_SHARE: Final = 0.85
"""Least share of the weight of all cities of one name that the best one must have."""
_FAMOUS: Final = 150_000
"""Fewest people of a city that is linked though nothing in the article speaks for it."""
_AMERICAN: Final = ("Atlanta", "Savannah", "Augusta", "Fulton County", "Macon", "Ossoff", "Warnock", "Kemp", "Alabama")
"""Words that speak for the US state of Georgia."""
_CITY_FIRST: Final = frozenset({"new york", "washington"})
"""Names of cities that states share, and that mean the state only before `state`."""
_GAPS: Final = frozenset({", ", " (", ","})


class PlaceLinker:
    """Links the places of one article."""

    def __init__(self, texts: dict[str, str], mentions: Sequence[Found]) -> None:
        self._texts = texts
        text = texts["headline"] + "\n" + texts["body"]
        self._linker = CountryLinker(text)
        self._is_state = any(word in text for word in _AMERICAN)
        self._named: dict[str, bool] = {}
        self._containers: dict[str, dict[str, bool]] = {}
        self._states: dict[str, bool] = {}
        self._forms: dict[tuple[tuple[str, ...], str], tuple[CountryForm, float] | None] = {}
        for at, mention in enumerate(mentions):
            if mention.type not in ("LOC", "MISC"):
                continue
            country = self.country(mention)
            if country is not None:
                self._named[country[0].country.code] = True
            if mention.type == "LOC":
                self._read_place(mention, mentions[at + 1] if at + 1 < len(mentions) else None)

    def _read_place(self, mention: Found, following: Found | None) -> None:
        form = form_of(mention.words)
        text = self._texts[mention.field]
        region = regions().get(form)
        if region is not None and form not in _CITY_FIRST and (form != "georgia" or self._is_american_georgia()):
            self._named[region.country] = True
        after = text[mention.end : mention.end + 7].lower()
        if after[:6] == " state" and not after[6:].isalnum():
            self._states[form] = True
        if following is None or following.field != mention.field or following.type != "LOC":
            return
        if text[mention.end : following.start] in _GAPS:
            self._containers.setdefault(form, {})[form_of(following.words)] = True

    def country(self, mention: Found) -> tuple[CountryForm, float] | None:
        """Return the country that `mention` names, or whose people it names, and the confidence in that."""
        key = (mention.words, mention.type)
        if key not in self._forms:
            self._forms[key] = self._linker.link(*key)
        found = self._forms[key]
        if found is not None and mention.type == "LOC" and form_of(mention.words) == "georgia" and self._is_state:
            return None
        return found

    def _is_american_georgia(self) -> bool:
        return self._is_state and not self._linker.has_cue("GE")

    def links(self, mention: Found) -> list[EntityLink]:
        """Return the links of a place that is no country; empty where none is certain."""
        form = form_of(mention.words)
        form = form.removeprefix("the ")
        region = regions().get(form)
        if region is not None and form in _CITY_FIRST and form not in self._states:
            region = None
        if form == "georgia" and not self._is_american_georgia():
            return []
        if region is not None:
            return [EntityLink(id=region.id, confidence=REGION_CONFIDENCE)]
        found = self._city(form)
        return [] if found is None else [EntityLink(id=f"geonames:{found[0].id}", confidence=found[1])]

    def _city(self, form: str) -> tuple[City, float] | None:
        same = cities().get(form)
        if same is None:
            return None
        inside = self._inside(form, same)
        if inside:
            return (inside[0], CONTAINER_CONFIDENCE) if _clear(inside, ()) else None
        named = list(self._named)
        if not _clear(same, named):
            return None
        best = max(same, key=lambda city: (_weight(city, named), -city.id))
        if best.country in named:
            return best, NEAR_CONFIDENCE
        return (best, FAMOUS_CONFIDENCE) if best.population >= _FAMOUS else None

    def _inside(self, form: str, same: Sequence[City]) -> list[City]:
        """Return the cities of one name in the region or country that follows it, the largest first."""
        for container in self._containers.get(form, {}):
            region = regions().get(container)
            country = self._country_of(container)
            found = [
                city
                for city in same
                if (region is not None and _is_in(city, region))
                or (country is not None and city.country == country.code)
            ]
            if found:
                return found
        return []

    def _country_of(self, form: str) -> Country | None:
        found = self._linker.link(tuple(form.split()), "LOC")
        return None if found is None or found[0].demonym else found[0].country


def _is_in(city: City, region: Region) -> bool:
    # GeoNames has the codes of US states; of other countries it has codes of its own.
    return city.country == region.country and (city.region == region.code or city.country != "US")


def _weight(city: City, named: Sequence[str]) -> int:
    return max(1, city.population) * (_NAMED if city.country in named else 1)


def _clear(same: Sequence[City], named: Sequence[str]) -> bool:
    weights = [_weight(city, named) for city in same]
    return max(weights) >= _SHARE * sum(weights)
