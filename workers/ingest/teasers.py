"""Lists of other articles within and after an article: after a heading such as `Most read`, or known by their form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workers.ingest.furniture import ends_like_prose, is_prose, is_teaser_heading, is_truncated

_LONG_PROSE: Final = 250
"""Length, in characters, from which a paragraph of prose is not the summary in a list of teasers."""


def teasers(paragraphs: Sequence[str]) -> set[int]:
    """Return the numbers of the paragraphs that are lists of other articles, with their headings."""
    gone: set[int] = set()
    prose_seen = False
    index = 0
    while index < len(paragraphs):
        paragraph = paragraphs[index]
        index += 1
        if not is_teaser_heading(paragraph):
            prose_seen = prose_seen or is_prose(paragraph)
            continue
        gone.add(index - 1)
        if not prose_seen:
            continue  # before the first paragraph of prose it heads the article itself: then it alone goes
        end = index
        while end < len(paragraphs) and not _article_resumes(paragraphs, end, end == index):
            end += 1
        gone.update(range(index, end))
        if end == len(paragraphs):
            _drop_labels(paragraphs, gone, index - 1)
        index = end
    _drop_pairs(paragraphs, gone)
    return gone


def _article_resumes(paragraphs: Sequence[str], index: int, follows_heading: bool) -> bool:
    """Return whether the article goes on at `index` after a teaser heading.

    A summary in a teaser list is at most one paragraph of prose, and a short one.
    """
    if not is_prose(paragraphs[index]):
        return False
    if follows_heading or len(paragraphs[index]) >= _LONG_PROSE:
        return True
    return index + 1 < len(paragraphs) and is_prose(paragraphs[index + 1])


def _drop_labels(paragraphs: Sequence[str], gone: set[int], end: int) -> None:
    """Drop what stands right before the heading of a final list and belongs to it: its section's name (`Opinion`)."""
    kept = [index for index in range(end) if index not in gone]
    for _ in range(2):
        if len(kept) < 2:
            return
        last = paragraphs[kept[-1]]
        if len(last) > 30 or last.count(" ") > 2 or ends_like_prose(last):
            return
        gone.add(kept.pop())


def _drop_pairs(paragraphs: Sequence[str], gone: set[int]) -> None:
    """Drop a final run of at least two pairs of a headline and a cut-off summary."""
    kept = [index for index in range(len(paragraphs)) if index not in gone]
    end = len(kept)
    while end >= 2 and is_truncated(paragraphs[kept[end - 1]]) and _is_title(paragraphs[kept[end - 2]]):
        end -= 2
    if len(kept) - end < 4:
        return
    gone.update(kept[end:])
    _drop_labels(paragraphs, gone, kept[end])


def _is_title(paragraph: str) -> bool:
    return len(paragraph) <= 200 and not paragraph.endswith((".", "…", "。"))
