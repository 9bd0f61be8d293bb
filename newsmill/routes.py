"""Which partition of news.articles an article goes to: by its language, where a table says so.

Copies are found among the articles of one partition. Without a table an article goes by its id, which is right for one
partition and for no other number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from newsmill.errors import NewsmillError
from schemas import topics

OTHER: Final = "*"
"""In a table: every language that it doesn't name, and texts whose language can't be told (`und`)."""

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")


class RoutesError(NewsmillError):
    """The table of languages doesn't fit the topic. The text says why."""

    exit_code: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Routes:
    """A table: partition by language (ISO 639-1), and the partition of all other languages."""

    partitions: Mapping[str, int]
    other: int

    def partition(self, topic: str, language: str | None) -> int | None:
        """Return the partition of a record of `topic`; None where the table says nothing."""
        if topic != topics.ARTICLES or language is None:
            return None
        return self.partitions.get(language, self.other)

    def check(self, partitions: int) -> None:
        """Raises RoutesError when the table names a partition that a topic with so many doesn't have."""
        if (last := max((self.other, *self.partitions.values()))) >= partitions:
            raise RoutesError(
                f"NEWSMILL_DEDUP_ROUTES names partition {last}, and {topics.ARTICLES} has {partitions}, from 0 on"
            )


@lru_cache(maxsize=8)
def parse(text: str) -> Routes | None:
    """Return the table `text`, such as `en=0,de=1,fr=1,*=2`; None when it is empty. Raises ValueError."""
    if not text.strip():
        return None
    found: dict[str, int] = {}
    for part in text.split(","):
        language, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or not number.isascii() or not number.isdecimal() or len(number) > 4:
            raise ValueError(f"{part.strip()!r} is not LANGUAGE=PARTITION")
        if language != OTHER and not _LANGUAGE.fullmatch(language):
            raise ValueError(f"{language!r} is not a language (ISO 639-1, as `en`) or {OTHER}")
        if language in found:
            raise ValueError(f"{language} is there twice")
        found[language] = int(number)
    if OTHER not in found:
        raise ValueError(f"{OTHER}=PARTITION is missing: where all other languages go")
    return Routes({language: number for language, number in found.items() if language != OTHER}, found[OTHER])
