from __future__ import annotations

import pytest

from benchmarks.entity_links import LABELLED, read, score
from workers.entities.cities import cities, form_of, regions
from workers.entities.gazetteer import countries, organisation_ids, organisations
from workers.entities.resolve import resolve
from workers.entities.wordlists import lines


@pytest.fixture(scope="module")
def labelled():
    return read(LABELLED.read_text(encoding="utf-8"))


def links(text: str) -> list[str | None]:
    """The first link of each marked mention of a text, in order."""
    (document,) = read(text)
    found = {
        mention.start: entity.links[0].id if entity.links else None
        for entity in resolve("", document.body, document.found())
        for mention in entity.mentions
    }
    return [found[mark.start] for mark in document.marks]


def test_links_of_marked_mentions(labelled) -> None:
    found = score(labelled, lambda one: resolve("", one.body, one.found()))
    assert sum(len(document.marks) for document in labelled) >= 300
    assert found.right / found.given >= 0.985, found.wrong
    assert found.right / found.gold >= 0.97


def test_links_of_the_whole_stage(stage, labelled) -> None:
    found = score(labelled, lambda one: stage.entities("", one.body, "en").items)
    assert found.right / found.given >= 0.97, found.wrong
    assert found.right / found.gold >= 0.85


def test_links_on_texts_that_the_rules_were_not_made_with(stage) -> None:
    documents = read((LABELLED.parent / "links-later.txt").read_text(encoding="utf-8"))
    found = score(documents, lambda one: stage.entities("", one.body, "en").items)
    assert found.gold > 80
    assert found.right / found.given >= 0.97, found.wrong
    assert found.right / found.gold >= 0.8


def test_a_wrong_link_is_counted() -> None:
    (document,) = read("[LOC FR Peru] and [LOC - Chile] and [LOC PE Peru]")
    found = score([document], lambda one: resolve("", one.body, one.found()))
    assert (found.gold, found.given, found.right) == (2, 3, 1)
    assert found.wrong == [("Peru", "iso3166:PE", "iso3166:FR"), ("Chile", "iso3166:CL", None)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[LOC - Paris]", "geonames:2988507"),
        ("[LOC - Paris], [LOC - Texas]", "geonames:4717560"),
        ("[LOC - Paris] (Texas)", "geonames:2988507"),
        ("[LOC - Springfield]", None),
        ("[LOC - Springfield], [LOC - Illinois]", "geonames:4250542"),
        ("[LOC - Springfield] and [LOC - Illinois]", None),
        ("[LOC - Washington]", "geonames:4140963"),
        ("[LOC - Washington] state", "geonames:5815135"),
        ("[LOC - Georgia]", None),
        ("[LOC - Georgia] and Tbilisi and Atlanta", None),
        ("[LOC - London], [LOC - Paris] and [LOC - Rome]", "geonames:2643743"),
        ("the [LOC - Punjab]", None),
        ("[PER - Paris]", None),
        ("[MISC - Paris]", None),
    ],
)
def test_places_that_share_a_name(text: str, expected: str | None) -> None:
    assert links(text)[0] == expected


def test_a_link_is_the_surer_the_more_speaks_for_it() -> None:
    def confidence(text: str) -> float:
        (document,) = read(text)
        items = resolve("", document.body, document.found())
        return next(entity.links[0].confidence for entity in items if entity.name == "Lyon")

    assert confidence("[LOC - Lyon], [LOC - France]") > confidence("[LOC - Lyon] in [LOC - France]") > 0.85
    assert confidence("[LOC - Lyon]") < confidence("[LOC - Lyon] and the [MISC - French]")


def test_one_place_under_several_names_is_one_entity() -> None:
    (document,) = read("[LOC - Kiev] is [LOC - Kyiv], [LOC - Washington] is [LOC - Washington DC].")
    assert [len(entity.mentions) for entity in resolve("", document.body, document.found())] == [2, 2]


def test_the_tables_of_places_are_sound() -> None:
    codes = {country.code for country in countries()}
    table = {city for same in cities().values() for city in same}
    assert len(table) > 30_000
    assert {region.country for region in regions().values()} <= codes
    assert all(city.population >= 0 and len(city.country) == 2 for city in table)
    assert all(alias.count("\t") == 2 for alias in lines("city_aliases.tsv"))
    assert form_of(("Port", "-", "au", "-", "Prince")) in cities()
    assert all(list(same) == sorted(same, key=lambda city: -city.population) for same in cities().values())


def test_ids_are_of_one_thing_each() -> None:
    wikidata = [country.wikidata for country in countries() if country.wikidata]
    wikidata += [one for one in organisation_ids() if one]
    assert len(organisation_ids()) == len(organisations())
    assert len(wikidata) == len(set(wikidata)) > 250
    people: dict[str, set[str]] = {}
    for line in lines("people.tsv"):
        _, name, *ids = line.split("\t")
        for one in ids:
            people.setdefault(one, set()).add(name)
    assert not people.keys() & set(wikidata)
    assert all(one[0] == "Q" and one[1:].isdigit() for one in people)


def test_the_reader_refuses_a_city_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no city @Paris/DE"):
        read("[LOC @Paris/DE Paris]")
