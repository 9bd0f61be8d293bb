"""Which visible lines of a web page are its article, told by what the extraction from its HTML finds.

HTML tells more than its visible text does, so the extraction from it (`html.read_page`) can teach the model of lines.
A line is the article when the extraction has it; where the two can't be told to agree, a line has no label at all.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final

from workers.ingest.characters import folded, folded_lines
from workers.ingest.furniture import ends_like_prose, furniture_kind, is_prose
from workers.ingest.headline import is_about, is_headline

Label = bool | None
"""Whether a line is the article; None: not known."""

_LONG_FOLD: Final = 40
"""A folded line of so many letters stands where the extraction has it, and by chance nowhere else."""

_PART_FOLD: Final = 20
_SHINGLE: Final = 4
_MOST, _LEAST = 80, 20
"""Share of a line's shingles, in per cent, from which on it is the article, and up to which it is not."""

_ABOVE: Final = 14
"""Lines above the first paragraph in which the headline is looked for."""

_NEAR: Final = 3
_TITLE_FOLD: Final = 12
_STANDFIRST_CHARS: Final = 40

_FEWEST_CHARS: Final = 500
_FEWEST_PARAGRAPHS: Final = 3
_FOUND_SHARE: Final = 85
_UNKNOWN_SHARE: Final = 20
_PROSE_SHARE: Final = 60


def labelled(
    lines: Sequence[str],
    paragraphs: Sequence[str],
    titles: Sequence[str],
    description: str | None,
    wanted: Sequence[str] = (),
    unwanted: Sequence[str] = (),
) -> list[Label]:
    """Return for each visible line whether it is the article.

    `paragraphs` are those of the extraction, `titles` and `description` what the page says of itself; `wanted` and
    `unwanted` are texts that a person has found to be in the article and not to be.
    """
    folds = folded_lines(lines) if lines else []
    labels = _within(lines, folds, paragraphs)
    known = [at for at, label in enumerate(labels) if label and len(folds[at]) >= _LONG_FOLD]
    if not known:
        return [None] * len(lines)
    first, last = known[0], known[-1]
    for at, label in enumerate(labels):
        # A short line beyond the article may be the same by chance: a section's name, a teaser.
        if label and len(folds[at]) < _LONG_FOLD and not first - _NEAR <= at <= last + _NEAR:
            labels[at] = None
    _label_head(lines, folds, labels, first, titles, description)
    for text in map(folded, unwanted):
        if len(text) >= _PART_FOLD:
            labels = [False if text in fold else label for fold, label in zip(folds, labels, strict=True)]
    for text in map(folded, wanted):
        if len(text) >= _PART_FOLD:
            labels = [True if text in fold else label for fold, label in zip(folds, labels, strict=True)]
    return labels


def is_fit(lines: Sequence[str], labels: Sequence[Label], paragraphs: Sequence[str]) -> bool:
    """Return whether labels are worth learning from: the page is an article of some length, nearly all of which was
    found in its visible lines, and few lines are without a label."""
    size = sum(map(len, paragraphs))
    prose = [text for text in paragraphs if is_prose(text)]
    found = sum(len(line) for line, label in zip(lines, labels, strict=True) if label)
    return (
        size >= _FEWEST_CHARS
        and len(prose) >= _FEWEST_PARAGRAPHS
        and 100 * sum(map(len, prose)) >= _PROSE_SHARE * size
        and 100 * found >= _FOUND_SHARE * size
        and 100 * sum(label is None for label in labels) <= _UNKNOWN_SHARE * len(labels)
    )


def _within(lines: Sequence[str], folds: Sequence[str], paragraphs: Sequence[str]) -> list[Label]:
    wholes = folded_lines(paragraphs) if paragraphs else []
    known = set(wholes) - {""}
    joined = "\n".join(wholes)
    shingles = {shingle for paragraph in paragraphs for shingle in _shingles(paragraph)}
    return [
        True if fold in known or (len(fold) >= _PART_FOLD and fold in joined) else _by_shingles(line, shingles)
        for line, fold in zip(lines, folds, strict=True)
    ]


def _by_shingles(line: str, known: Set[tuple[str, ...]]) -> Label:
    own = _shingles(line)
    share = 100 * sum(shingle in known for shingle in own) // len(own) if own else 0
    return True if share >= _MOST else False if share <= _LEAST else None


def _shingles(text: str) -> list[tuple[str, ...]]:
    words = [fold for fold in map(folded, text.split()) if fold]
    return [tuple(words[at : at + _SHINGLE]) for at in range(len(words) - _SHINGLE + 1)]


def _label_head(
    lines: Sequence[str],
    folds: Sequence[str],
    labels: list[Label],
    first: int,
    titles: Sequence[str],
    description: str | None,
) -> None:
    """Label the headline, which the extraction leaves out, and what stands between it and the first paragraph."""
    begin = max(0, first - _ABOVE)
    named = [fold for fold in map(folded, titles) if len(fold) >= _TITLE_FOLD]
    same = [
        at
        for at in range(begin, first + 1)
        if len(folds[at]) >= _TITLE_FOLD and any(name == folds[at] or name.startswith(folds[at]) for name in named)
    ]
    summary = folded(description or "")
    if same:
        for at in same[:-1]:
            labels[at] = False
        labels[same[-1]] = True
        begin = same[-1] + 1
    for at in range(begin, first):
        if labels[at] is not False or furniture_kind(lines[at]) or is_about(lines[at]):
            continue
        if len(summary) >= _PART_FOLD and summary == folds[at]:
            labels[at] = True
        elif (len(lines[at]) >= _STANDFIRST_CHARS and ends_like_prose(lines[at])) or (
            not same and is_headline(lines[at], lines[first])
        ):
            labels[at] = None
