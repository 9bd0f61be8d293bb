"""What the weights are trained on: short texts, each with the subjects it is known to be or not to be about.

Five sources (MODEL_CARD.md has counts, licences and reasons):

- own reports: training/reports-*.tsv, written for this project at the length of a short article, labelled completely;
- own examples: training/examples-*.tsv and training/themes-*.tsv, written for this project, labelled completely; the
  second ones also with level 2 and with the theme that a run of them was written on;
- own lexicons: training/lexicon.tsv, strung into texts of a few terms;
- names and definitions of the IPTC Media Topics, under the top-level subject above them;
- headlines with one weak label each (optional file): that a subject is not the label says little about it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson

from workers.classify.articles import Labelled
from workers.classify.features import stem, words

SHORT_NAMES: Final = {
    "arts": "medtop:01000000",
    "crime": "medtop:02000000",
    "disaster": "medtop:03000000",
    "economy": "medtop:04000000",
    "education": "medtop:05000000",
    "environment": "medtop:06000000",
    "health": "medtop:07000000",
    "human": "medtop:08000000",
    "labour": "medtop:09000000",
    "lifestyle": "medtop:10000000",
    "politics": "medtop:11000000",
    "religion": "medtop:12000000",
    "science": "medtop:13000000",
    "society": "medtop:14000000",
    "sport": "medtop:15000000",
    "conflict": "medtop:16000000",
    "weather": "medtop:17000000",
}
"""Short names of the top-level subjects, as the training files have them."""

CATEGORY_WEIGHT: Final = {
    # How far a category's headlines can be trusted to be about the one subject that it is mapped to.
    "COMEDY": 0.3,
    "WEIRD NEWS": 0.5,
    "GOOD NEWS": 0.5,
    "BLACK VOICES": 0.4,
    "LATINO VOICES": 0.4,
    "WOMEN": 0.5,
    "STYLE": 0.6,
    "MEDIA": 0.6,
    "COLLEGE": 0.7,
}

TERMS_A_TEXT: Final = 6
LEXICON_ROUNDS: Final = 8


class CorpusError(ValueError):
    """A training file is damaged. The text names the file and the line."""


@dataclass(frozen=True, slots=True)
class Example:
    """`subjects`: ids it is about, of levels 1 and 2. `unknown`: ids of level 1 that it may be about for all we know.

    `weight`: how much it counts. `theme`: what a run of examples was written on; near copies share a theme.
    """

    text: str
    subjects: frozenset[str]
    weight: float
    source: str
    unknown: frozenset[str] = frozenset()
    theme: str = ""


def _data(name: str) -> Any:
    return files("workers.classify").joinpath("training", name)


def word_list(name: str) -> frozenset[str]:
    """Return the words of training/`name`, separated by space."""
    return frozenset(_data(name).read_text("utf-8").split())


def lexicon() -> dict[str, list[str]]:
    """Return the terms of each subject (id -> terms, in the order of the file). Raises CorpusError."""
    terms: dict[str, list[str]] = {id: [] for id in SHORT_NAMES.values()}
    for number, line in enumerate(_data("lexicon.tsv").read_text("utf-8").splitlines(), 1):
        name, _, rest = line.partition("\t")
        if name not in SHORT_NAMES or not rest:
            raise CorpusError(f"lexicon.tsv, line {number}: expected a subject, a tab and terms")
        terms[SHORT_NAMES[name]] += rest.split(",")
    return terms


def own_examples(weight: float) -> Iterator[Example]:
    """Yield the examples written for this project: of the files examples-*.tsv, then of themes-*.tsv.

    A line of the first is text, tab, short names of all its subjects of level 1 (`-` for none). A line of the second
    is theme, tab, text, tab, such names, each of which may have a dot and the number of a subject of level 2 below it.
    Raises CorpusError when a line does not have that form.
    """
    folder = files("workers.classify").joinpath("training")
    names = sorted(entry.name for entry in folder.iterdir())
    for name in (name for kind in ("examples-", "themes-") for name in names if name.startswith(kind)):
        for number, line in enumerate(_data(name).read_text("utf-8").splitlines(), 1):
            fields = line.split("\t")
            if len(fields) != (3 if name.startswith("themes-") else 2) or not all(fields):
                raise CorpusError(f"{name}, line {number}: expected a text, a tab and subjects")
            theme = fields[0] if len(fields) == 3 else name
            yield Example(fields[-2], _subjects(fields[-1], f"{name}, line {number}"), weight, "own", theme=theme)


def reports() -> list[Labelled]:
    """Return the short articles written for this project, in the order of the files reports-*.tsv and of their lines.

    A line is theme, headline (`-` for none), body and subjects, as own_examples has them, between tabs; the id is made
    of file and line. Raises CorpusError when a line does not have that form.
    """
    folder = files("workers.classify").joinpath("training")
    found = []
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("reports-")):
        for number, line in enumerate(_data(name).read_text("utf-8").splitlines(), 1):
            fields = line.split("\t")
            if len(fields) != 4 or not all(fields):
                raise CorpusError(f"{name}, line {number}: expected theme, headline, body and subjects")
            _, headline, body, labels = fields
            subjects = _subjects(labels, f"{name}, line {number}")
            found.append(Labelled(f"{name}:{number}", "" if headline == "-" else headline, body, subjects))
    return found


def _subjects(labels: str, place: str) -> frozenset[str]:
    found: set[str] = set()
    for label in labels.split(",") if labels != "-" else ():
        short, dot, second = label.partition(".")
        if short not in SHORT_NAMES or bool(dot) != (len(second) == 8 and second.isdecimal()):
            raise CorpusError(f"{place}: {label!r} is no subject")
        found |= {SHORT_NAMES[short], f"medtop:{second}"} if dot else {SHORT_NAMES[short]}
    return frozenset(found)


def lexicon_texts(weight: float) -> Iterator[Example]:
    """Yield texts of a few terms of one subject; each term stands in `LEXICON_ROUNDS` of them, in other company."""
    shuffle = random.Random(17).shuffle  # noqa: S311 - not for secrets; a fixed order, so that training repeats
    terms = lexicon()
    for subject in sorted(terms):
        for _ in range(LEXICON_ROUNDS):
            order = list(terms[subject])
            shuffle(order)
            for start in range(0, len(order), TERMS_A_TEXT):
                text = " . ".join(order[start : start + TERMS_A_TEXT])
                yield Example(text, frozenset({subject}), weight, "lexicon", _named(text, terms) - {subject})


def definitions(media_topics: Path, weight: float) -> Iterator[Example]:
    """Yield name and definition of each concept in the JSON file `media_topics`, retired ones included.

    Its subjects are the concepts of levels 1 and 2 above it (itself included).
    """
    concepts = {concept["id"]: concept for concept in orjson.loads(media_topics.read_bytes())}
    for id in sorted(concepts):
        above = concept = concepts[id]
        subjects = set()
        while concept:
            if concept["level"] <= 2 and not concept["retired"]:
                subjects.add(concept["id"])
            concept = concepts.get(concept["parent"])
        yield Example(f"{above['name']}. {above['definition'] or ''}", frozenset(subjects), weight, "iptc")


def headlines(path: Path, weight: float) -> Iterator[Example]:
    """Yield the headlines of the NDJSON file `path` (`headline`, `category`, `medtop`) that have a subject.

    Subjects in whose lexicon the headline has a term are unknown: the one label does not speak against them.
    """
    terms = lexicon()
    index = _index(terms)
    for line in path.read_bytes().splitlines():
        item = orjson.loads(line)
        if item["medtop"]:
            subject = item["medtop"]
            trust = weight * CATEGORY_WEIGHT.get(item["category"], 1.0)
            found = _lookup(item["headline"], index)
            yield Example(item["headline"], frozenset({subject}), trust, "headline", found - {subject})


def _index(terms: dict[str, list[str]]) -> dict[tuple[str, ...], frozenset[str]]:
    index: dict[tuple[str, ...], frozenset[str]] = {}
    for subject, phrases in terms.items():
        for phrase in phrases:
            key = tuple(stem(word) for word in words(phrase))
            index[key] = index.get(key, frozenset()) | {subject}
    return index


def _lookup(text: str, index: dict[tuple[str, ...], frozenset[str]]) -> frozenset[str]:
    stems = [stem(word) for word in words(text)]
    found: frozenset[str] = frozenset()
    for size in (1, 2, 3):
        for start in range(len(stems) - size + 1):
            found |= index.get(tuple(stems[start : start + size]), frozenset())
    return found


def _named(text: str, terms: dict[str, list[str]]) -> frozenset[str]:
    parts = set(text.split(" . "))
    return frozenset(subject for subject, phrases in terms.items() if not parts.isdisjoint(phrases))
