"""The IPTC Media Topics as a table of facts: id, parent, level, English name.

Source: IPTC NewsCodes Media Topics, state of October 2023, (c) IPTC, https://iptc.org/, CC BY 4.0. The table in
media_topics.tsv holds levels 1 and 2 without retired concepts; it was made for this project from those facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

VERSION: Final = "medtop-2023-10"
"""Version that goes on each record: the month whose state of the vocabulary the table has."""

PREFIX: Final = "medtop:"


class TaxonomyError(ValueError):
    """The table is damaged. The text names the line."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One Media Topic: id `medtop:NNNNNNNN`, id of its parent (None at the top), level (1 is the top), English name."""

    id: str
    parent: str | None
    level: int
    name: str


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Concepts by id, in the order of their ids, and the version of the vocabulary."""

    version: str
    concepts: Mapping[str, Concept]

    @property
    def top(self) -> tuple[Concept, ...]:
        """The subjects of level 1, in the order of their ids."""
        return tuple(concept for concept in self.concepts.values() if concept.level == 1)

    def ancestor(self, id: str) -> Concept:
        """Return the level 1 concept above `id` (or itself). Raises KeyError for an unknown id."""
        concept = self.concepts[id]
        while concept.parent is not None:
            concept = self.concepts[concept.parent]
        return concept


def parse(table: bytes, version: str = VERSION) -> Taxonomy:
    """Return the taxonomy in `table`: UTF-8 lines of id, parent (may be empty), level and name between tabs.

    Raises TaxonomyError when a line does not have that form, an id repeats, or a parent does not stand above its
    child (missing, or not one level higher).
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
    return Taxonomy(version, MappingProxyType(dict(sorted(concepts.items()))))
