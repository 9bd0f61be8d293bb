"""Text that a page shows twice: pull quotes that are said again in the running text, standfirsts, whole paragraphs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from workers.ingest.characters import folded

QUOTES: Final = frozenset("“\"”„«»‘'‹「『❝")
"""What a quote begins with."""

_QUOTE_CHARS: Final = 40
"""Shortest folded quote that is taken for a pull quote when it comes again: shorter ones are said twice in earnest."""

_REPEAT_CHARS: Final = 80
"""Shortest folded paragraph, not a quote, that is taken for a repeat of itself."""

_ADJACENT_CHARS: Final = 20
"""Shortest folded paragraph that is dropped when it follows itself."""

_PULL_QUOTE_CHARS: Final = 600
"""Longest folded pull quote."""

_SEARCH_BUDGET: Final = 20_000_000
"""Characters searched for pull quotes in one text, so that a hostile text costs no more than some 10 ms."""

_PART_CHARS: Final = 20
"""Length, folded, of the longest sentence of a quote at least, when it is looked for in parts."""

_MOST_PARTS: Final = 6
_SENTENCE_END: Final = re.compile(r"[.!?…]+\s+")

_REFRAIN: Final = 3
"""A paragraph that comes this often, not in a row, is a refrain and stays."""


def _said_in_parts(quote: str, fold: str, folds: Sequence[str], joined: str) -> bool:
    """Return whether each sentence of a quote stands in one other paragraph, as in `“One,” she said. “Two.”`."""
    end = _SENTENCE_END.search(quote)
    if end is None or joined.count(folded(quote[: end.start()])) < 2:
        return False
    parts = [part for part in map(folded, _SENTENCE_END.split(quote)) if part]
    if not 2 <= len(parts) <= _MOST_PARTS or max(map(len, parts)) < _PART_CHARS:
        return False
    return any(fold != other and all(part in other for part in parts) for other in folds)


def repeats(paragraphs: Sequence[str], folds: Sequence[str]) -> set[int]:
    """Return the numbers of the paragraphs that only say again what stands elsewhere. `folds` are their folds."""
    gone: set[int] = set()
    counts: Mapping[str, int] = {}
    order: Sequence[int] = range(len(folds))
    longest = sorted(folds, key=len, reverse=True)
    if len(frozenset(folds)) < len(folds):
        gone = {at for at, fold in enumerate(folds) if at and len(fold) >= _ADJACENT_CHARS and fold == folds[at - 1]}
        order = [index for index in order if index not in gone]
        counts = Counter(folds[index] for index in order)
        longest = sorted((folds[index] for index in order), key=len, reverse=True)
    # The longest first, so that what may hold a paragraph stands before a place that its length tells.
    joined = "\n".join(longest)
    ends: dict[int, int] = {}
    end = 0
    for size in map(len, longest):
        if size not in ends:
            ends[size] = end
        end += size + 1
    searches = _SEARCH_BUDGET // (len(joined) + 1)
    seen: dict[str, int] = {}
    for index in order:
        fold = folds[index]
        size = len(fold)
        if size < _QUOTE_CHARS:
            continue
        quote = paragraphs[index][0] in QUOTES
        if size < _REPEAT_CHARS and not quote:
            continue
        if size <= _PULL_QUOTE_CHARS and searches > 0:
            searches -= 1
            within = joined.find(fold, 0, ends[size]) >= 0
            if within or (quote and _said_in_parts(paragraphs[index], fold, folds, joined)):
                gone.add(index)  # it stands inside a longer paragraph, too
                continue
        if counts and 1 < counts[fold] < _REFRAIN:
            # The copy of a quote stands above the text, that of a paragraph (a standfirst, say) below.
            seen[fold] = seen.get(fold, 0) + 1
            if seen[fold] < counts[fold] if quote else seen[fold] > 1:
                gone.add(index)
    return gone
