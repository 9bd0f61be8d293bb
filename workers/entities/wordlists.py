"""Readers of the package's data files of words."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


def lines(name: str) -> list[str]:
    """Return the lines of the package's data file `name`, without comments and empty lines."""
    text = (files("workers.entities") / "data" / name).read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line.strip() and not line.startswith("#")]


@cache
def _lists() -> dict[str, frozenset[str]]:
    return {name: frozenset(words.split()) for name, _, words in (line.partition(":") for line in lines("lists.txt"))}


def word_list(name: str) -> frozenset[str]:
    """Return the words, lower-cased, of one list of lists.txt. Raises KeyError when there is none of that name."""
    return _lists()[name]
