from __future__ import annotations

import pytest

from benchmarks.entity_languages import measure
from workers.entities.rules import LANGUAGES, find_by_rules
from workers.entities.wordlists import lines


def found(text: str, language: str) -> list[tuple[str, str]]:
    return [(text[one.start : one.end], one.type) for one in find_by_rules("", text, language)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_small_sets(language: str) -> None:
    figures = measure(language)
    assert figures.gold > 40
    assert figures.right / figures.found >= 0.95, figures.wrong
    assert figures.f1 >= 0.9, figures.missed


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "Der Hund von Frau Meier bellt in der Nacht.", [("Meier", "PER")]),
        ("de", "Die Sparkasse und der LKW standen in Bremen.", [("Bremen", "LOC")]),
        ("de", "Anna Berg Freude war groß.", [("Anna Berg", "PER")]),
        ("de", "Hochwasser, Sturm, Regen und kein Ende.", []),
        ("es", "Juan de la Cruz y el señor Ordóñez.", [("Juan de la Cruz", "PER"), ("Ordóñez", "PER")]),
        ("es", "El Banco de la Nación cerró.", [("Banco de la Nación", "ORG")]),
        ("es", "EL GOBIERNO SUBE EL PAN", []),
        ("es", "Vio la TV y habló con la CGT.", [("CGT", "ORG")]),
        ("fr", "L’Union européenne et l'Italie.", [("Union européenne", "ORG"), ("Italie", "LOC")]),
        ("fr", "Paul Roux parle. Hier, Roux a ri.", [("Paul Roux", "PER"), ("Roux", "PER")]),
        ("fr", "Il vit en Côte d’Ivoire.", [("Côte d’Ivoire", "LOC")]),
        ("fr", "", []),
    ],
)
def test_names_in_other_languages(language: str, text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text, language) == expected


def test_known_names_are_linked(stage) -> None:
    text = "Der Minister flog von Genf nach Großbritannien und sprach mit der UNO."
    items = stage.entities("", text, "de-AT").items
    assert {entity.name: [link.id for link in entity.links] for entity in items} == {
        "Genf": ["geonames:2660646"],
        "Großbritannien": ["iso3166:GB"],
        "UNO": ["wikidata:Q1065"],
    }
    assert stage.entities("", text, "de").status == "unsupported_language"


def test_the_tables_have_every_country_and_known_types() -> None:
    countries = [line.split("\t") for line in lines("lang_countries.tsv")]
    assert len(countries) > 200
    assert all(len(row) == 4 and all(row) for row in countries)
    for line in lines("lang_names.tsv"):
        language, name, kind, *ids = line.split("\t")
        assert language in LANGUAGES
        assert name
        assert kind in ("PER", "ORG", "LOC", "MISC")
        assert len(ids) <= 1
