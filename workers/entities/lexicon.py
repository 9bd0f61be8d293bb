"""The lexicon: what large collections of text and of names say of single words.

For each word it holds its place in a hierarchy of word clusters (Brown and others, Class-Based n-gram Models of Natural
Language, 1992), and which lists of names it stands in. The file is made by lexicon_build.py.
"""

from __future__ import annotations

import hashlib
import io
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import numpy as np

from workers.entities.casing import LOWER, UPPER

FILE: Final = "lexicon.npz"

LISTS: Final = ("f", "g", "s", "t", "c", "d", "e")
"""Lists of names, one letter each, in the order of the bits: first names (`f` common, `g` others), surnames (`s`
common, `t` others), cities of one word (`c` large, `d` others), words of longer names of cities (`e`)."""

_PREFIXES: Final = (4, 6, 10, 20)
"""Depths of the hierarchy that are told apart (Turian, Ratinov, Bengio, ACL 2010)."""


class Lexicon(NamedTuple):
    """The rows of words, and what is known of each. `clusters` holds paths from the root, the first step in the lowest
    bit; 0 where there is none. `lists` holds a bit for each of LISTS."""

    rows: dict[str, int]
    clusters: list[int]
    lists: list[int]
    digest: str


def dump(words: dict[str, tuple[int, int]]) -> bytes:
    """Return the file for `words` (word -> cluster and lists). Equal words give equal bytes."""
    ordered = sorted(words)
    file = io.BytesIO()
    np.savez_compressed(
        file,
        words=np.frombuffer("\n".join(ordered).encode(), dtype=np.uint8),
        clusters=np.array([words[word][0] for word in ordered], dtype=np.uint32),
        lists=np.array([words[word][1] for word in ordered], dtype=np.uint8),
    )
    return file.getvalue()


def read(data: bytes) -> Lexicon:
    """Return the lexicon that `data` holds. Raises ValueError, KeyError or zipfile.BadZipFile when it is damaged."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        words = file["words"].tobytes().decode().split("\n")
        clusters, lists = file["clusters"].tolist(), file["lists"].tolist()
    if not len(words) == len(clusters) == len(lists):
        raise ValueError("the parts of the lexicon do not fit together")
    rows = {word: row for row, word in enumerate(words)}
    return Lexicon(rows, clusters, lists, hashlib.sha256(data).hexdigest())


@cache
def lexicon() -> Lexicon:
    """Return the lexicon of the package."""
    return read((files("workers.entities") / "data" / FILE).read_bytes())


def cluster_of(text: str, case: str) -> int:
    """Return the path of the cluster of a token in a sentence of `case`, 0 where there is none.

    The form as it is written comes first; in capitals or small letters, where that says little, the form of a name.
    """
    found = lexicon()
    low = text.lower()
    forms = (text, low, low.capitalize()) if case not in (UPPER, LOWER) else (low.capitalize(), low, text)
    for form in forms:
        row = found.rows.get(form)
        if row is not None and found.clusters[row]:
            return found.clusters[row]
    return 0


def cluster_attributes(path: int) -> list[str]:
    """Return an attribute for each depth of the path of a cluster, the shallowest first.

    >>> cluster_attributes(0b0110)
    ['b4=6', 'b6=6', 'b10=6', 'b20=6']
    """
    return [f"b{depth}={path & ((1 << depth) - 1)}" for depth in _PREFIXES]


def lists_of(low: str) -> str:
    """Return the letters of the lists of names in which the lower-cased word `low` stands."""
    found = lexicon()
    row = found.rows.get(low)
    if row is None:
        return ""
    bits = found.lists[row]
    return "".join(letter for at, letter in enumerate(LISTS) if bits >> at & 1) if bits else ""
