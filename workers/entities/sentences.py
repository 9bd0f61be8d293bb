"""A sentence as all steps see it: its words, how it is cased, and which of them are known names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from workers.entities.casing import LOWER, UPPER, case_of
from workers.entities.gazetteer import known_names

_WORDS_THAT_ARE_ACRONYMS: Final = frozenset({"us", "who", "ice", "dos", "un", "au", "icc", "ap"})


class Sentence(NamedTuple):
    """The words of a sentence, none of them empty, and what is found out about them once.

    `lowered` are the words in lower case. `case` is of `casing`. `marks` has, for each word, `B-class` or `I-class`
    where it is part of a known name, else an empty string.
    """

    words: Sequence[str]
    lowered: list[str]
    case: str
    marks: list[str]


def read_sentence(words: Sequence[str]) -> Sentence:
    """Return the sentence that `words`, none of them empty, are."""
    lowered = [word.lower() for word in words]
    case = case_of(words, lowered)
    return Sentence(words, lowered, case, _known_marks(words, lowered, case))


def _known_marks(words: Sequence[str], lowered: Sequence[str], case: str) -> list[str]:
    marks = [""] * len(words)
    names = known_names()
    free = 0
    for at in [place for place, word in enumerate(lowered) if word in names]:
        if at < free or (case != LOWER and words[at][0].islower()):
            continue
        for known in names[lowered[at]]:
            size = len(known.phrase)
            if size > 1 and tuple(lowered[at : at + size]) != known.phrase:
                continue
            if known.exact is not None and (
                (case != LOWER and words[at] != known.exact)
                or (case in (UPPER, LOWER) and lowered[at] in _WORDS_THAT_ARE_ACRONYMS)
            ):
                continue
            marks[at] = "B-" + known.kind
            for inside in range(at + 1, at + size):
                marks[inside] = "I-" + known.kind
            free = at + size
            break
    return marks
