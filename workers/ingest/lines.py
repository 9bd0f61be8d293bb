"""What can be seen of a line of plain text without understanding it, for the model that tells article from page.

Each line gets one whole number for each of the `TEMPLATES`: its length and ending, what stands around it, where on the
page it is, how much prose surrounds it, whether it heads a list. No template looks at a single word, but for the lists
of furniture and of function words; so what is learnt on some outlets holds for others, and mostly across languages.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from operator import add
from typing import Final

from workers.ingest.furniture import (
    KINDS,
    MAX_HEADING_CHARS,
    ends_like_prose,
    heading_kind,
    is_comment_mark,
    is_truncated,
    words_of,
)
from workers.ingest.wording import Words, addressing, capitals, roles

FORMAT: Final = "2"
"""Version of the templates: weights of another don't fit."""

_LENGTHS: Final = (12, 25, 45, 80, 130, 220, 400)
_MASSES: Final = (1, 150, 400, 1_000, 2_500)
_DISTANCES: Final = (1, 2, 4, 8, 16)
_SHARES: Final = (15, 35, 55, 80)
_WINDOW: Final = 4
"""Lines before and after a line whose prose is summed up."""

_PROSE_CHARS: Final = 60
"""Shortest line with the end of a sentence that counts as prose around others."""

_LONG: Final = 250
"""Length, in characters, from which a line of prose is an article's rather than a teaser's: it ends a list."""

_SURE_CHARS: Final = 100
"""Length of a sentence that is surely the article between two others."""

_MOST_WORTH: Final = 800
_LINE_COST: Final = 20
_LENGTH_COST: Final = 45
COMMENTS: Final = 2
_ENOUGH: Final = 300
"""Characters of prose before the readers' comments from which on these can't be the article."""

_SOON: Final = 8
_HEADING_COST: Final = (0, -300, -700, -300)
"""By kind of heading, what the main span loses by it, in characters of prose."""

_SPEAKS_FOR_ITSELF: Final = 220
"""Length of prose, in characters, whose words would cost more than they tell."""

_FUNCTION_SHARES: Final = (1, 20, 35)
_LONG_WORD: Final = 6
_DIGIT: Final = re.compile("[0-9]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_DATE: Final = re.compile(
    r"\b(?:19|20)\d\d\b|\b\d{1,2}[:.h]\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"
    r"|\b\d{1,2} (?:hours?|hrs?|mins?|minutes?|days?|weeks?) ago\b"
)
_DATE_WORDS: Final = words_of("date-words.txt")
_QUOTES: Final = frozenset('“”„«»"')
_LISTED: Final = re.compile(r"(?:[-–—•*·+▪►]|\d{1,2}[.)])\s")

_SHAPES: Final = 3 * (len(_LENGTHS) + 1) + 2
_EDGE: Final = _SHAPES - 2
"""Shape of what lies before the first line and after the last."""

_FURNITURE: Final = _SHAPES - 1
"""Shape of a line that the rules know as furniture."""

_COARSE: Final = 6

TEMPLATES: Final[tuple[tuple[str, int], ...]] = (
    ("shape", _SHAPES),
    ("shape before", _SHAPES * _SHAPES),
    ("shape after", _SHAPES * _SHAPES),
    ("shape two before", _SHAPES * _COARSE),
    ("shape two after", _SHAPES * _COARSE),
    ("kind", len(KINDS) + 1),
    ("kind before", (len(KINDS) + 1) * _COARSE),
    ("kind after", (len(KINDS) + 1) * _COARSE),
    ("prose near before", 6 * _COARSE),
    ("prose near after", 6 * _COARSE),
    ("prose near", 36),
    ("prose before", 6 * _COARSE),
    ("prose after", 6 * _COARSE),
    ("list heading", 4 * 6 * _COARSE),
    ("comments near", 4 * _COARSE),
    ("capitals", 5 * _COARSE),
    ("function words", 5 * _COARSE),
    ("shared words", 6 * _COARSE),
    ("site and reader words", 16 * _COARSE),
    ("place by the main span", 9 * _COARSE),
    ("place by shape", 9 * _SHAPES),
    ("place and shared words", 9 * 6 * _COARSE),
    ("place and site words", 9 * 16 * _COARSE),
    ("marks", 128),
    ("marks by coarse shape", 128 * _COARSE),
    ("first sign", 6 * _COARSE),
    ("list", 16 * _COARSE),
    ("speaking near", 9 * 16),
    ("press words", 4 * _COARSE),
    ("press, site and reader words", 4 * 16),
    ("place and press words", 9 * 4 * _COARSE),
)
"""Names of the templates, and how many values each has."""

OFFSETS: Final = tuple(sum(size for _name, size in TEMPLATES[:at]) for at in range(len(TEMPLATES)))
SIZE: Final = sum(size for _name, size in TEMPLATES)
"""Number of features: one for each value of each template."""

_COARSE_OF: Final = tuple(
    5 if shape >= _EDGE else (0 if shape % 8 < 2 else 1) if shape // 8 == 0 else (2 if shape % 8 < 4 else 3)
    if shape // 8 == 1 else 4
    for shape in range(_SHAPES)
)  # fmt: skip
"""No end of a sentence and short, the same and longer, a short sentence, a long one, cut off, furniture."""

LONG_SENTENCES: Final = tuple(shape for shape, coarse in enumerate(_COARSE_OF) if coarse == 3)
"""Features of the template `shape` that long sentences have."""


def features(
    lines: Sequence[str],
    kinds: Sequence[str | None],
    headings: Sequence[int],
    span: tuple[int, int],
    words: Words,
    *,
    every: bool = False,
) -> list[tuple[int, ...]]:
    """Return the features of each cleaned line: for each template one number below `SIZE`.

    `kinds` are the kinds of furniture (`furniture_kind`), `headings` what lines head (`headings_of`),
    `span` the densest stretch of prose (`main_span`), `words` the lines' `first_words`. Unless `every` line is asked
    for, those that are surely the article have none: sentences between sentences, of which none speaks of the page.
    """
    kind_at = [KINDS.index(kind) + 1 if kind else 0 for kind in kinds]
    shapes = [_FURNITURE if kind else _shape(line) for line, kind in zip(lines, kinds, strict=True)]
    prose = _prose(lines, kinds)
    total = sum(prose)
    shared = _shared_words(words, prose)
    counts = Counter(lines)
    first, last = span
    near = _windows(prose)
    remarks = _near(lines, shapes)
    spoken = addressing(words)
    padded = [_EDGE, _EDGE, *shapes, _EDGE, _EDGE]
    found: list[tuple[int, ...]] = []
    before = 0
    heading, since = 0, 0
    for at, line in enumerate(lines):
        length = prose[at]
        if (
            length >= _SURE_CHARS
            and not every and not heading and not headings[at]
            and first < at < last
            and prose[at - 1] and prose[at + 1]
            and not remarks[at]
            and not spoken[at]
        ):  # fmt: skip
            found.append(())
            before += length
            continue
        shape, coarse = shapes[at], _COARSE_OF[shapes[at]]
        near_before = bisect_right(_MASSES, near[at][0])
        near_after = bisect_right(_MASSES, near[at][1])
        marks = (
            (1 if counts[line] > 1 else 0)
            + (2 if has_date(line) else 0)
            + (4 if "@" in line or "©" in line or "|" in line else 0)
            + (8 if _LISTED.match(line) else 0)
            + (16 if line.endswith(":") else 0)
            + (32 if "?" in line or "!" in line else 0)
            + (64 if line.endswith(")") else 0)
        )
        listed = (
            (1 if marks & 8 else 0)
            + (2 if at and _LISTED.match(lines[at - 1]) else 0)
            + (4 if at + 1 < len(lines) and _LISTED.match(lines[at + 1]) else 0)
            + (8 if at and lines[at - 1].endswith(":") else 0)
        )
        place = _place(at, first, last)
        if coarse == 3 and len(line) > _SPEAKS_FOR_ITSELF:
            cased, function, common, site, press = 4, 4, 5, 0, 0
        else:
            function_words, of_site, to_reader, of_press = roles(words[at])
            cased, function = _shares(len(words[at]), capitals(line, words[at]), function_words)
            # Who is quoted may say `you`; who says it without a quote speaks to the reader.
            site = min(of_site, 3) * 4 + (0 if not to_reader else 1 if has_quote(line) else min(to_reader, 2) + 1)
            common, press = shared[at], min(of_press, 3)
        row = (
            shape,
            shape * _SHAPES + padded[at + 1],
            shape * _SHAPES + padded[at + 3],
            padded[at] * _COARSE + coarse,
            padded[at + 4] * _COARSE + coarse,
            kind_at[at],
            (kind_at[at - 1] if at else 0) * _COARSE + coarse,
            (kind_at[at + 1] if at + 1 < len(lines) else 0) * _COARSE + coarse,
            near_before * _COARSE + coarse,
            near_after * _COARSE + coarse,
            near_before * 6 + near_after,
            bisect_right(_MASSES, before) * _COARSE + coarse,
            bisect_right(_MASSES, total - before - length) * _COARSE + coarse,
            (heading * 6 + bisect_right(_DISTANCES, since)) * _COARSE + coarse,
            remarks[at] * _COARSE + coarse,
            cased * _COARSE + coarse,
            function * _COARSE + coarse,
            common * _COARSE + coarse,
            site * _COARSE + coarse,
            place * _COARSE + coarse,
            place * _SHAPES + shape,
            (place * 6 + common) * _COARSE + coarse,
            (place * 16 + site) * _COARSE + coarse,
            marks,
            marks * _COARSE + coarse,
            _first_sign(line) * _COARSE + coarse,
            listed * _COARSE + coarse,
            (_spoken(spoken, at - 1) * 3 + _spoken(spoken, at + 1)) * 16 + site,
            press * _COARSE + coarse,
            press * 16 + site,
            (place * 4 + press) * _COARSE + coarse,
        )
        found.append(tuple(map(add, OFFSETS, row)))
        before += length
        if headings[at]:
            heading, since = headings[at], 0
        elif heading:
            since += 1
            # A long paragraph ends a list of other articles. A comment may be as long as it likes.
            if length >= _LONG and heading == 1:
                heading = 0
    return found


def has_date(line: str) -> bool:
    """Return whether a date or a time of day stands in the first 120 characters of a line."""
    return _DIGIT.search(line, 0, 120) is not None and _DATE.search(line, 0, 120) is not None


def has_quote(line: str) -> bool:
    """Return whether somebody is quoted in a line."""
    return not _QUOTES.isdisjoint(line)


def is_date_line(line: str) -> bool:
    """Return whether a line is a date and hardly anything else."""
    if len(line) > 90 or not has_date(line):
        return False
    rest = [word for word in _WORD.findall(line.lower()) if len(word) > 2 and word not in _DATE_WORDS]
    return len(rest) <= 1


def _shape(line: str) -> int:
    """Length in eight steps, and whether the line ends a sentence (8 to 15), is cut off (16 to 23) or neither."""
    length = len(line)
    if not line.isascii() and line.endswith(("。", "！", "？", "।")):
        length *= 3
    size = bisect_right(_LENGTHS, length)
    if is_truncated(line):
        return 16 + size
    return 8 + size if ends_like_prose(line) else size


def _near(lines: Sequence[str], shapes: Sequence[int]) -> list[int]:
    """For each line whether a mark of readers' comments stands in the four lines before it (1) and after it (2)."""
    found = [0] * len(lines)
    for at, line in enumerate(lines):
        if (_COARSE_OF[shapes[at]] in (0, 1, 5) or line.endswith(":")) and is_comment_mark(line):
            for other in range(max(0, at - _WINDOW), min(len(lines), at + _WINDOW + 1)):
                found[other] |= 2 if other < at else 1
    return found


def headings_of(lines: Sequence[str], kinds: Sequence[str | None]) -> list[int]:
    """What each line heads (`heading_kind`). Among other buttons, or above the article, `Comments` is a button."""
    found = [heading_kind(line) if len(line) <= MAX_HEADING_CHARS else 0 for line in lines]
    if COMMENTS not in found:
        return found
    before = 0
    for at, line in enumerate(lines):
        if found[at] == COMMENTS and (before < _ENOUGH or (at + 1 < len(lines) and kinds[at + 1] == "label")):
            found[at] = 0
        before += len(line) if len(line) >= _PROSE_CHARS and ends_like_prose(line) else 0
    return found


def comments_begin(lines: Sequence[str], headings: Sequence[int]) -> int:
    """Return the line from which all is readers' comments: a heading with a mark of comments soon after. Else the
    number of lines."""
    for at, kind in enumerate(headings):
        if kind == COMMENTS and any(is_comment_mark(line) for line in lines[at + 1 : at + 1 + _SOON]):
            return at
    return len(lines)


def _prose(lines: Sequence[str], kinds: Sequence[str | None]) -> list[int]:
    """For each line its length where it is prose, else 0."""
    return [
        len(line) if len(line) >= _PROSE_CHARS and not kind and ends_like_prose(line) and not is_truncated(line) else 0
        for line, kind in zip(lines, kinds, strict=True)
    ]


def main_span(lines: Sequence[str], kinds: Sequence[str | None], headings: Sequence[int]) -> tuple[int, int]:
    """Return the first and last line of the stretch with the most prose for the fewest other lines; (0, -1) for none.

    Maximum subsequence segmentation (Pasternack and Roth 2009), with prices by hand.
    """
    best = score = start = first = 0
    last = -1
    for at, length in enumerate(_prose(lines, kinds)):
        if headings[at] == COMMENTS:
            break  # the comments may be longer than the article
        if length:
            score += min(length, _MOST_WORTH)
        else:
            score += _HEADING_COST[headings[at]] or -_LINE_COST - min(len(lines[at]), _LENGTH_COST)
        if score <= 0:
            score, start = 0, at + 1
        elif score > best:
            best, first, last = score, start, at
    return first, last


def _spoken(spoken: Sequence[bool], at: int) -> int:
    """Whether a line may address the reader (2) or not (1); 0 where there is none."""
    return 1 + spoken[at] if 0 <= at < len(spoken) else 0


def _place(at: int, first: int, last: int) -> int:
    if at < first:
        return 0 if first - at > 8 else 1 if first - at > 3 else 2
    if at > last:
        return 6 if at - last <= 3 else 7 if at - last <= 8 else 8
    return 3 if at == first else 5 if at == last else 4


def _windows(prose: Sequence[int]) -> list[tuple[int, int]]:
    """For each line the characters of prose in the lines before it and after it."""
    sums = [0]
    for length in prose:
        sums.append(sums[-1] + length)
    last = len(prose)
    return [
        (sums[at] - sums[max(0, at - _WINDOW)], sums[min(last, at + 1 + _WINDOW)] - sums[at + 1]) for at in range(last)
    ]


def _first_sign(line: str) -> int:
    first = line[0]
    if first.islower():
        return 0
    if first.isupper():
        return 1
    if first.isdigit():
        return 2
    if first in "“\"”„«‘'‹「『":
        return 3
    return 4 if first.isalpha() else 5


def _shares(count: int, capital: int, function: int) -> tuple[int, int]:
    """How many of the words but the function words have a capital, in four steps, and how many are function words, in
    four steps; 4 for neither."""
    if not count:
        return 4, 4
    rest = count - function
    share = 100 * min(capital, rest) // rest if rest else 0
    return (
        0 if share < 25 else 1 if share < 50 else 2 if share < 80 else 3,
        bisect_right(_FUNCTION_SHARES, 100 * function // count),
    )


def _shared_words(words: Words, prose: Sequence[int]) -> list[int]:
    """For each line which part of its longer words stands in (other) lines of prose, too, in five steps; 5 for none."""
    longer = [{word for word in line if len(word) >= _LONG_WORD} for line in words]
    known: set[str] = set()
    several: set[str] = set()
    for line, length in zip(longer, prose, strict=True):
        if length:
            several |= known & line
            known |= line
    return [
        bisect_right(_SHARES, 100 * len(line & (several if length else known)) // len(line)) if line else 5
        for line, length in zip(longer, prose, strict=True)
    ]
