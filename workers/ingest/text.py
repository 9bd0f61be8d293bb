"""Plain text to article paragraphs: what a scraper copied off a page, without what is not the article.

The middle of a text is treated gently: only what is surely furniture goes. The edges are treated strictly, since
that is where pages put their lists of other articles.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from workers.ingest.characters import clean_lines, folded
from workers.ingest.furniture import (
    ends_like_prose,
    furniture_kind,
    is_prose,
    is_teaser_heading,
    is_truncated,
)

_QUOTES: Final = ("“", '"', "”", "„", "«", "»", "‘", "'", "‹", "「", "『", "❝")

_WRAPPED: Final = range(40, 101)
"""Lengths, in characters, of lines that were broken by a program and not by an author."""

_QUOTE_CHARS: Final = 40
"""Shortest folded quote that is taken for a pull quote when it comes again: shorter ones are said twice in earnest."""

_REPEAT_CHARS: Final = 80
"""Shortest folded paragraph, not a quote, that is taken for a repeat of itself."""

_ADJACENT_CHARS: Final = 20
"""Shortest folded paragraph that is dropped when it follows itself."""

_LONG_PROSE: Final = 250
"""Length, in characters, from which a paragraph of prose is not the summary in a list of teasers."""

_PULL_QUOTE_CHARS: Final = 600
"""Longest folded pull quote."""

_SEARCH_BUDGET: Final = 20_000_000
"""Characters searched for pull quotes in one text, so that a hostile text costs no more than some 10 ms."""

_REFRAIN: Final = 3
"""A paragraph that comes this often, not in a row, is a refrain and stays."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Paragraphs of an article in order, and the folded form (`characters.folded`) of each."""

    paragraphs: list[str]
    folds: list[str]


def clean_text(text: str) -> Cleaned:
    """Return the paragraphs of `text` that are the article. Raises Refusal (`too_many_lines`)."""
    return clean_paragraphs(split_paragraphs(clean_lines(text)))


def split_paragraphs(lines: list[str]) -> list[str]:
    """Return the paragraphs that cleaned lines make up.

    A blank line always ends a paragraph. A line break does, too, unless most lines of the text were broken at a fixed
    width, as mail and old agency software do: then the lines up to the next blank one are one paragraph.
    """
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    if not blocks[-1]:
        blocks.pop()
    if not _is_wrapped(blocks):
        return [line for block in blocks for line in block]
    return [" ".join(block) for block in blocks]


def _is_wrapped(blocks: list[list[str]]) -> bool:
    inner = [line for block in blocks for line in block[:-1]]
    if len(inner) < 3 or len(blocks) < 2:
        return False
    broken = sum(1 for line in inner if len(line) in _WRAPPED and not ends_like_prose(line))
    return broken * 10 >= len(inner) * 7


def clean_paragraphs(paragraphs: list[str]) -> Cleaned:
    """Return the paragraphs that are the article: without furniture, teaser lists and repeated pull quotes."""
    kept = _without_teasers(paragraphs)
    kept = [paragraph for paragraph in kept if furniture_kind(paragraph) is None]
    return _without_repeats(kept)


def _without_teasers(paragraphs: list[str]) -> list[str]:
    """Drop lists of other articles: after a heading such as `Most read`, or recognised by their cut-off summaries."""
    kept: list[str] = []
    prose_seen = False
    index = 0
    while index < len(paragraphs):
        paragraph = paragraphs[index]
        index += 1
        if not is_teaser_heading(paragraph):
            kept.append(paragraph)
            prose_seen = prose_seen or is_prose(paragraph)
        elif prose_seen:
            # Before the first paragraph of prose a heading heads the article itself: then it alone goes.
            end = index
            while end < len(paragraphs) and not _article_resumes(paragraphs, end, end == index):
                end += 1
            if end == len(paragraphs):
                _drop_labels(kept)
            index = end
    return _without_teaser_pairs(kept)


def _article_resumes(paragraphs: list[str], index: int, follows_heading: bool) -> bool:
    """Return whether the article goes on at `index` after a teaser heading.

    A summary in a teaser list is at most one paragraph of prose, and a short one.
    """
    if not is_prose(paragraphs[index]):
        return False
    if follows_heading or len(paragraphs[index]) >= _LONG_PROSE:
        return True
    return index + 1 < len(paragraphs) and is_prose(paragraphs[index + 1])


def _drop_labels(kept: list[str]) -> None:
    """Drop what stands right before the heading of a final list and belongs to it: its section's name (`Opinion`)."""
    for _ in range(2):
        if len(kept) > 1 and len(kept[-1]) <= 30 and kept[-1].count(" ") <= 2 and not ends_like_prose(kept[-1]):
            kept.pop()


def _without_teaser_pairs(paragraphs: list[str]) -> list[str]:
    """Drop a final run of at least two pairs of a headline and a cut-off summary."""
    end = len(paragraphs)
    pairs = 0
    while end >= 2 and is_truncated(paragraphs[end - 1]) and _is_title(paragraphs[end - 2]):
        end -= 2
        pairs += 1
    if pairs < 2:
        return paragraphs
    kept = paragraphs[:end]
    _drop_labels(kept)
    return kept


def _is_title(paragraph: str) -> bool:
    return len(paragraph) <= 200 and not paragraph.endswith((".", "…", "。"))


def _without_repeats(paragraphs: list[str]) -> Cleaned:
    """Drop pull quotes that are said again in the running text, and paragraphs that a page shows twice."""
    folds = [folded(paragraph) for paragraph in paragraphs]
    order = [
        index
        for index, fold in enumerate(folds)
        if index == 0 or len(fold) < _ADJACENT_CHARS or fold != folds[index - 1]
    ]
    counts = Counter(folds[index] for index in order)
    joined = "\n".join(folds[index] for index in order)
    searches = _SEARCH_BUDGET // (len(joined) + 1)
    seen: Counter[str] = Counter()
    kept: list[int] = []
    for index in order:
        fold = folds[index]
        quote = paragraphs[index].startswith(_QUOTES)
        shortest = _QUOTE_CHARS if quote else _REPEAT_CHARS
        if shortest <= len(fold):
            if len(fold) <= _PULL_QUOTE_CHARS and searches > 0:
                searches -= 1
                if joined.count(fold) > counts[fold]:
                    continue  # it stands inside a longer paragraph, too
            if 1 < counts[fold] < _REFRAIN:
                # The copy of a quote stands above the text, that of a paragraph (a standfirst, say) below.
                seen[fold] += 1
                if seen[fold] < counts[fold] if quote else seen[fold] > 1:
                    continue
        kept.append(index)
    return Cleaned([paragraphs[index] for index in kept], [folds[index] for index in kept])
