"""Labelled articles: what the model is tuned to and measured on.

Two forms of a file are read: lines of article id, tab, `medtop:` ids between commas (the texts are then taken from a
gzipped NDJSON file with `id` and `text`), and NDJSON of `title`, `text` and `subjects`. Subjects of any level are
taken up to level 2, retired ones as their successors.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from workers.classify.taxonomy import Taxonomy

HEADLINE_WORDS: Final = 25
"""A first line of at most so many words that does not end like a sentence is taken for the headline."""


class GoldError(ValueError):
    """A file of labelled articles is damaged. The text names file and line."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A labelled article. `headline` may be empty. `subjects` are ids of levels 1 and 2."""

    id: str
    headline: str
    body: str
    subjects: frozenset[str]


def split_headline(text: str) -> tuple[str, str]:
    """Return headline and body of a raw text, the headline empty where its first line looks like a paragraph."""
    first, _, rest = text.strip().partition("\n")
    if rest.strip() and len(first.split()) <= HEADLINE_WORDS and not first.rstrip().endswith((".", "!", "”", '"', "…")):
        return first.strip(), rest.strip()
    return "", text.strip()


def read(gold: Path, articles: Path | None, taxonomy: Taxonomy) -> list[Labelled]:
    """Return the labelled articles in `gold`, in its order. `articles` is needed for the form with ids.

    Raises GoldError when a line has neither form, names an unknown subject or no subject, or an article is missing.
    """
    lines = gold.read_text("utf-8").splitlines()
    texts = _texts(articles) if articles is not None and not lines[:1][0].startswith("{") else {}
    found = []
    for number, line in enumerate(lines, 1):
        try:
            if line.startswith("{"):
                item = orjson.loads(line)
                id, headline, body, ids = str(number), item.get("title") or "", item["text"], item["subjects"]
            else:
                id, labels = line.split("\t")
                (headline, body), ids = split_headline(texts[id]), labels.split(",")
            found.append(Labelled(id, headline, body, up_to_level_2(ids, taxonomy)))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise GoldError(f"{gold.name}, line {number}: {type(error).__name__}: {error}") from error
    return found


def _texts(articles: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    with gzip.open(articles) as lines:
        for line in lines:
            item: dict[str, Any] = orjson.loads(line)
            texts[item["id"]] = item["text"]
    return texts


def up_to_level_2(ids: Iterable[str], taxonomy: Taxonomy) -> frozenset[str]:
    """Return the concepts of levels 1 and 2 at or above `ids`. Raises KeyError (unknown) and ValueError (none)."""
    found = {taxonomy.ancestor(id, level).id for id in ids for level in (1, 2)}
    if not found:
        raise ValueError("no subject")
    return frozenset(found)
