from __future__ import annotations

import pytest

from workers.entities.gazetteer import countries, plural
from workers.entities.places import CountryLinker
from workers.entities.tokens import tokenize


def link(form: str, text: str = "", kind: str = "LOC") -> str | None:
    found = CountryLinker(text or form).link(tuple(token.text for token in tokenize(form, 20)), kind)
    return found[0].country.code if found else None


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("El Salvador", "SV"),
        ("Venezuela", "VE"),
        ("US", "US"),
        ("U.S.", "US"),
        ("United States of America", "US"),
        ("the United States", "US"),
        ("UK", "GB"),
        ("Panama", "PA"),
        ("Côte d’Ivoire", "CI"),
        ("DR Congo", "CD"),
        ("Republic of the Congo", "CG"),
        ("Guinea-Bissau", "GW"),
        ("South Sudan", "SS"),
        ("St. Lucia", "LC"),
        ("EL SALVADOR", "SV"),
        ("us", None),
        ("Latin America", None),
        ("Ruritania", None),
        ("Georgia", None),
        ("Congo", None),
        ("Guinea", None),
    ],
)
def test_names_of_countries(form: str, code: str | None) -> None:
    assert link(form) == code


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("Venezuelan", "VE"),
        ("Venezuelans", "VE"),
        ("Salvadoran", "SV"),
        ("Swiss", "CH"),
        ("Filipinos", "PH"),
        ("South Korean", "KR"),
        ("South African", "ZA"),
        ("Nigerien", "NE"),
        ("Nigerian", "NG"),
        ("African", None),
        ("Latin American", None),
        ("Georgian", None),
    ],
)
def test_demonyms(form: str, code: str | None) -> None:
    assert link(form, kind="MISC") == code


@pytest.mark.parametrize(
    ("form", "text", "code"),
    [
        ("Georgia", "Protests in Tbilisi, Georgia", "GE"),
        ("Georgia", "Voters in Atlanta, Georgia", None),
        ("Congo", "The rebels took Goma in eastern Congo", "CD"),
        ("Congo", "In Brazzaville, the capital of Congo", "CG"),
        ("Congo", "Between Brazzaville and Kinshasa, Congo", None),
        ("Jordan", "King Abdullah flew home to Amman, Jordan", "JO"),
    ],
)
def test_unsure_names_need_a_cue(form: str, text: str, code: str | None) -> None:
    assert link(form, text) == code


def test_people_are_not_countries() -> None:
    assert link("Chad", "Chad Chadian", kind="PER") is None


def test_the_table_is_sound() -> None:
    table = countries()
    codes = [country.code for country in table]
    assert len(set(codes)) == len(codes) > 195
    assert all(len(code) == 2 and code.isupper() for code in codes)
    owners: dict[str, str] = {}
    for country in table:
        for form in (*country.names, *country.demonyms):
            if form not in country.unsure:
                assert owners.setdefault(form, country.code) == country.code, form
        assert not country.unsure or country.cues, country.code


def test_plurals() -> None:
    assert plural("Venezuelan") == "Venezuelans"
    assert plural("Iraqi") == "Iraqis"
    assert plural("Chinese") is None
    assert plural("Irish") is None
