"""Readers of the package's data files of words."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

FILES: Final = (
    "cities.tsv",
    "city_aliases.tsv",
    "countries.tsv",
    "first_names.txt",
    "lang_countries.tsv",
    "lang_names.tsv",
    "lexicon.npz",
    "lists.txt",
    "organisations.txt",
    "people.tsv",
    "places.txt",
    "regions.tsv",
    "words.txt",
)
"""The data files that the output depends on, beside the weights."""


def _read(name: str) -> bytes:
    return (files("workers.entities") / "data" / name).read_bytes()


@cache
def lists_version() -> str:
    """Return the first eight hex digits of the SHA-256 of all lists: it changes when one of them does."""
    return hashlib.sha256(b"\0".join(map(_read, FILES))).hexdigest()[:8]


def lines(name: str) -> list[str]:
    """Return the lines of the package's data file `name`, without comments and empty lines."""
    return [line for line in _read(name).decode().split("\n") if line.strip() and not line.startswith("#")]


@cache
def _lists() -> dict[str, frozenset[str]]:
    return {name: frozenset(words.split()) for name, _, words in (line.partition(":") for line in lines("lists.txt"))}


def word_list(name: str) -> frozenset[str]:
    """Return the words, lower-cased, of one list of lists.txt. Raises KeyError when there is none of that name."""
    return _lists()[name]
