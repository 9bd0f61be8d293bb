"""Measures the rules for German, Spanish and French: exact-span precision, recall and F1 on our own small sets.

python benchmarks/entity_languages.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from workers.entities.rules import LANGUAGES, find_by_rules

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "entities"
_MARKED = re.compile(r"\[(PER|ORG|LOC) ([^\]]+)\]")


class Figures(NamedTuple):
    """Names marked, names found, names found with the right extent and type, and the errors: (text, type) of missed
    and of wrong ones."""

    gold: int
    found: int
    right: int
    missed: list[tuple[str, str]]
    wrong: list[tuple[str, str]]

    @property
    def f1(self) -> float:
        """F1 over persons, organisations and places."""
        return 2 * self.right / (self.gold + self.found)


def measure(language: str) -> Figures:
    """Return the figures on the small set of `language`, read as one article."""
    text = (FOLDER / f"{language}.txt").read_text(encoding="utf-8")
    body, gold, at = "", set(), 0
    text = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    for mark in _MARKED.finditer(text):
        body += text[at : mark.start()]
        gold.add((len(body), len(body) + len(mark[2]), mark[1]))
        body += mark[2]
        at = mark.end()
    body += text[at:]
    found = {(one.start, one.end, one.type) for one in find_by_rules("", body, language)}
    missed = [(body[start:end], kind) for start, end, kind in sorted(gold - found)]
    wrong = [(body[start:end], kind) for start, end, kind in sorted(found - gold)]
    return Figures(len(gold), len(found), len(gold & found), missed, wrong)


def main() -> None:
    """Print one table, and the errors below it."""
    print(f"{'language':10}{'marked':>8}{'found':>8}{'precision':>11}{'recall':>9}{'F1':>9}")
    errors = []
    for language in LANGUAGES:
        one = measure(language)
        shares = f"{one.right / one.found:11.3f}{one.right / one.gold:9.3f}{one.f1:9.3f}"
        print(f"{language:10}{one.gold:8}{one.found:8}{shares}")
        errors.append(f"{language}: missed {one.missed}, wrong {one.wrong}")
    print("\n" + "\n".join(errors))


if __name__ == "__main__":
    main()
