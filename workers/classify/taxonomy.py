"""The IPTC Media Topics as tables of facts: id, parent, level, English name; and what stands in for a retired id.

Source: IPTC NewsCodes Media Topics, state of October 2023, (c) IPTC, https://iptc.org/, CC BY 4.0. media_topics.tsv
holds all concepts that are in use, retired_topics.tsv those that are not. Both were made for this project from those
facts. The vocabulary as we have it names no successors: a retired concept's is the concept in use that has its name,
else the nearest one above it; for three of level 2 it was chosen by their definitions (justice: judiciary, emergency
incident: accident and emergency incident, emergency planning: emergency response).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

VERSION: Final = "medtop-2023-10"
"""Version that goes on each record: the month whose state of the vocabulary the tables have."""

PREFIX: Final = "medtop:"


class TaxonomyError(ValueError):
    """A table is damaged. The text names the line."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One Media Topic: id `medtop:NNNNNNNN`, id of its parent (None at the top), level (1 is the top), English name."""

    id: str
    parent: str | None
    level: int
    name: str


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Concepts in use by id, in the order of their ids; successors of retired ids; the version of the vocabulary."""

    version: str
    concepts: Mapping[str, Concept]
    successors: Mapping[str, str]

    @property
    def top(self) -> tuple[Concept, ...]:
        """The subjects of level 1, in the order of their ids."""
        return tuple(concept for concept in self.concepts.values() if concept.level == 1)

    def current(self, id: str) -> Concept:
        """Return the concept `id`, or its successor when it is retired. Raises KeyError for an unknown id."""
        return self.concepts[self.successors.get(id, id)]

    def ancestor(self, id: str, level: int = 1) -> Concept:
        """Return the concept of `level` above `id` (itself, when it is not deeper). Raises KeyError for an unknown id.

        A retired id counts as its successor.
        """
        concept = self.current(id)
        while concept.level > level and concept.parent is not None:
            concept = self.concepts[concept.parent]
        return concept


def parse(table: bytes, retired: bytes = b"", version: str = VERSION) -> Taxonomy:
    """Return the taxonomy in `table` and `retired`.

    `table`: UTF-8 lines of id, parent (may be empty), level and name between tabs. `retired`: lines of id and
    successor. Raises TaxonomyError when a line does not have that form, an id repeats, a parent does not stand above
    its child (missing, or not one level higher), or a successor is not in use.
    """
    concepts: dict[str, Concept] = {}
    for number, line in enumerate(table.decode("utf-8").splitlines(), 1):
        fields = line.split("\t")
        if len(fields) != 4 or not fields[2].isdecimal():
            raise TaxonomyError(f"line {number}: expected id, parent, level and name")
        id, parent, level, name = fields
        if not id.startswith(PREFIX) or id in concepts or not name:
            raise TaxonomyError(f"line {number}: bad or repeated id {id!r}, or no name")
        concepts[id] = Concept(id, parent or None, int(level), name)
    for concept in concepts.values():
        above = concepts[concept.parent].level if concept.parent in concepts else 0
        if (concept.parent is None) != (concept.level == 1) or above != concept.level - 1:
            raise TaxonomyError(f"{concept.id}: parent {concept.parent!r} does not stand one level above")
    successors = _successors(retired, concepts)
    return Taxonomy(version, MappingProxyType(dict(sorted(concepts.items()))), MappingProxyType(successors))


def _successors(retired: bytes, concepts: Mapping[str, Concept]) -> dict[str, str]:
    successors: dict[str, str] = {}
    for number, line in enumerate(retired.decode("utf-8").splitlines(), 1):
        id, tab, successor = line.partition("\t")
        if not tab or not id.startswith(PREFIX) or id in concepts or id in successors:
            raise TaxonomyError(f"retired ids, line {number}: expected a retired id, once, and its successor")
        if successor not in concepts:
            raise TaxonomyError(f"retired ids, line {number}: successor {successor!r} is not in use")
        successors[id] = successor
    return successors
