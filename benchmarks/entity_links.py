"""Measures the links of the entities stage on texts in which names are marked with their public ids.

    python benchmarks/entity_links.py [FILE]

Precision is over the links given to marked mentions, recall over the marked mentions that have an id. Links alone
(`marked`: as if a tagger had found the marked mentions) and those of the whole stage (`stage`) are measured.

`[LOC GE Georgia]`: type, id, text. An id is a country's code (GE), a Wikidata id (Q95), a city (@Paris/FR,
@Paris/US/TX), any other public id as it is, or `-` where no link is right. A line is a paragraph, an empty line ends a
document, a line that begins with `#` is a comment.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from schemas.messages import Entity
from workers.entities import load
from workers.entities.cities import cities, form_of
from workers.entities.mentions import Found
from workers.entities.resolve import resolve
from workers.entities.tokens import tokenize

LABELLED = Path(__file__).parents[1] / "tests" / "data" / "entities" / "links.txt"
_MARKED = re.compile(r"\[(PER|ORG|LOC|MISC) (-|@[^/\]]+(?:/[A-Z]+)+|\S+) ([^\]]+)\]")


class Marked(NamedTuple):
    """A mention of a labelled text: offsets into the body, type, and its public id (None: no link is right)."""

    start: int
    end: int
    type: str
    id: str | None


class Labelled(NamedTuple):
    """A labelled text."""

    body: str
    marks: list[Marked]

    def found(self) -> list[Found]:
        """Return its mentions as if a tagger had found them all."""
        return [
            Found(
                "body",
                mark.start,
                mark.end,
                mark.type,
                0.9,
                tuple(token.text for token in tokenize(self.body[mark.start : mark.end], 100)),
                self.body[: mark.start].endswith(("Mrs. ", "Ms. ")),
            )
            for mark in self.marks
        ]


class LinkScore(NamedTuple):
    """Labelled mentions that have an id, links given to labelled mentions, those of them that are right, and what was
    wrong (text, given id, right id)."""

    gold: int
    given: int
    right: int
    wrong: list[tuple[str, str, str | None]]


def read(text: str) -> list[Labelled]:
    """Return the labelled texts of a file. Raises ValueError for a city that is not in the table."""
    documents: list[Labelled] = []
    for part in re.split(r"\n\s*\n", "\n".join(line for line in text.split("\n") if not line.startswith("#"))):
        body, marks, at = "", [], 0
        part = part.strip()
        for found in _MARKED.finditer(part):
            body += part[at : found.start()]
            marks.append(Marked(len(body), len(body) + len(found[3]), found[1], _id(found[2])))
            body += found[3]
            at = found.end()
        if marks:
            documents.append(Labelled(body + part[at:], marks))
    return documents


def _id(text: str) -> str | None:
    if text == "-":
        return None
    if text.startswith("@"):
        name, country, *region = text[1:].split("/")
        same = cities().get(form_of([token.text for token in tokenize(name, 20)]), ())
        meant = [city for city in same if city.country == country and region in ([], [city.region])]
        if not meant:
            raise ValueError(f"no city {text}")
        return f"geonames:{meant[0].id}"
    if re.fullmatch(r"Q\d+", text):
        return "wikidata:" + text
    return "iso3166:" + text if re.fullmatch("[A-Z]{2}", text) else text


def score(documents: Iterable[Labelled], entities: Callable[[Labelled], Sequence[Entity]]) -> LinkScore:
    """Return how the links of `entities` compare with the labels: the first link of a mention at the same place."""
    gold = given = right = 0
    wrong = []
    for document in documents:
        links = {
            (mention.start, mention.end): entity.links[0].id
            for entity in entities(document)
            if entity.links
            for mention in entity.mentions
            if mention.field == "body"
        }
        for mark in document.marks:
            gold += mark.id is not None
            link = links.get((mark.start, mark.end))
            if link is None:
                continue
            given += 1
            right += link == mark.id
            if link != mark.id:
                wrong.append((document.body[mark.start : mark.end], link, mark.id))
    return LinkScore(gold, given, right, wrong)


def main() -> None:
    """Print one table, and below it what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=LABELLED)
    documents = read(parser.parse_args().file.read_text(encoding="utf-8"))
    stage = load()
    print(f"{sum(len(document.marks) for document in documents)} marked mentions in {len(documents)} texts\n")
    print(f"{'system':9}{'with id':>9}{'linked':>9}{'right':>9}{'precision':>11}{'recall':>9}")
    wrong = []
    for system, found in (
        ("marked", score(documents, lambda one: resolve("", one.body, one.found()))),
        ("stage", score(documents, lambda one: stage.entities("", one.body, "en").items)),
    ):
        shares = f"{found.right / found.given:11.4f}{found.right / found.gold:9.4f}"
        print(f"{system:9}{found.gold:9}{found.given:9}{found.right:9}{shares}")
        wrong += [f"{system}: {text}: {link}, should be {right}" for text, link, right in found.wrong]
    print("\n" + "\n".join(wrong) if wrong else "")


if __name__ == "__main__":
    main()
