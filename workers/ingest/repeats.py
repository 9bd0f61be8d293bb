"""Text that a page shows twice: pull quotes that are said again in the running text, standfirsts, whole paragraphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

_QUOTES: Final = ("“", '"', "”", "„", "«", "»", "‘", "'", "‹", "「", "『", "❝")

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

_REFRAIN: Final = 3
"""A paragraph that comes this often, not in a row, is a refrain and stays."""


def repeats(paragraphs: Sequence[str], folds: Sequence[str]) -> set[int]:
    """Return the numbers of the paragraphs that only say again what stands elsewhere. `folds` are their folded forms."""
    gone = {
        index
        for index, fold in enumerate(folds)
        if index and len(fold) >= _ADJACENT_CHARS and fold == folds[index - 1]
    }
    order = [index for index in range(len(folds)) if index not in gone]
    counts = Counter(folds[index] for index in order)
    joined = "\n".join(folds[index] for index in order)
    searches = _SEARCH_BUDGET // (len(joined) + 1)
    seen: Counter[str] = Counter()
    for index in order:
        fold = folds[index]
        quote = paragraphs[index].startswith(_QUOTES)
        if len(fold) < (_QUOTE_CHARS if quote else _REPEAT_CHARS):
            continue
        if len(fold) <= _PULL_QUOTE_CHARS and searches > 0:
            searches -= 1
            if joined.count(fold) > counts[fold]:
                gone.add(index)  # it stands inside a longer paragraph, too
                continue
        if 1 < counts[fold] < _REFRAIN:
            # The copy of a quote stands above the text, that of a paragraph (a standfirst, say) below.
            seen[fold] += 1
            if seen[fold] < counts[fold] if quote else seen[fold] > 1:
                gone.add(index)
    return gone
