"""Labelled pages of plain text: to train and measure the model of lines.

A file holds the pages of one outlet: `# name`, `# language xx, split tune|held-out`, then pages with an empty line
between them, each line `kind<TAB>text`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ARTICLE_KINDS: Final = frozenset(("headline", "standfirst", "body", "subheading"))
"""Kinds of lines that are the article; all others are not."""

Lines = list[tuple[str, bool]]
"""Lines of a page, each with whether it is the article."""


@dataclass(frozen=True, slots=True)
class LabelledPage:
    """A page that a person has labelled: (kind, text) of each line."""

    outlet: str
    language: str
    split: str
    lines: tuple[tuple[str, str], ...]

    def labels(self) -> Lines:
        """Lines with whether they are the article."""
        return [(text, kind in ARTICLE_KINDS) for kind, text in self.lines]


def read_labelled(folder: Path) -> list[LabelledPage]:
    """Return the labelled pages of a folder, by file name. Raises ValueError for a file that is none."""
    pages = []
    for path in sorted(folder.glob("*.txt")):
        blocks = path.read_text(encoding="utf-8").split("\n\n")
        name, about = blocks[0].splitlines()[:2]
        match = re.fullmatch(r"# language (\w+), split ([\w-]+)", about)
        if match is None:
            raise ValueError(f"{path}: the second line names no language and split")
        for block in blocks[1:]:
            lines = [line.partition("\t") for line in block.splitlines()]
            pages.append(LabelledPage(name[2:], match[1], match[2], tuple((kind, text) for kind, _tab, text in lines)))
    return pages
