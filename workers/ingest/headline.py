"""Headlines: the one that came along, or the one that the text begins with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.limits import MAX_HEADLINE_CHARS
from workers.ingest.characters import folded
from workers.ingest.furniture import ends_like_prose, heading_kind
from workers.ingest.lines import is_date_line

_LONGEST_LINE: Final = 160
_MOST_WORDS: Final = 30
_FEWEST_WORDS: Final = 3
_DERIVED_CHARS: Final = 160
_SHORTEST_SENTENCE: Final = 20
_BODY_CHARS: Final = 60
"""Shortest sentence that is taken for the body's beginning rather than for a standfirst or a caption."""

_REACH: Final = 14
_NEAR: Final = 4

_SENTENCE_END: Final = re.compile(r"""[.!?]["”’»)\]]{0,2}(?=\s)|[。！？؟।۔]["”’」』]{0,2}""")
_NO_END: Final = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sen|Rep|Gov|Gen|Col|Lt|Sgt|Capt|Rev|Hon|Jr|Sr|vs|No|Inc|Ltd|Co|Corp|approx|Nr|Abs|Sra|Srta|Mme|Mlle|M)"
    r"|\b[A-Z]|\b\d{1,2})\.$"
)
_NO_END_CHARS: Final = 8
"""Longest of these, and more."""

_BYLINE_LIKE: Final = re.compile(r"(?:by|von|por|par|di)\s[^.!?:]{3,60}(?:\s\S+@\S+)?", re.IGNORECASE)
_LISTED: Final = re.compile(r"[-–•*+▪►]\s")
_MAIL: Final = re.compile(r"\s\S{1,60}@\S{3,60}$")
_BYLINE: Final = re.compile(r"(?:by|von|por|par|di)\s+([^\W\d_][^\d,;:!?]{2,80})", re.IGNORECASE)


def from_title(title: str) -> str:
    """Return a cleaned title as a headline of at most `MAX_HEADLINE_CHARS` characters."""
    return _cut(title, MAX_HEADLINE_CHARS)


def is_headline(line: str, following: str | None) -> bool:
    """Return whether the first line of a text is its headline: short, not a sentence, and with a text after it."""
    if following is None or len(line) > _LONGEST_LINE or line.endswith((".", ",", ":", ";", "…", "。", "،")):
        return False
    if not line.isascii() and " " not in line:
        return len(line) >= 6  # scripts that write no spaces
    words = line.split()
    # A name alone in capitals is a byline; two words are a section.
    return _FEWEST_WORDS < len(words) <= _MOST_WORDS or (len(words) == _FEWEST_WORDS and not line.isupper())


@dataclass(frozen=True, slots=True)
class Found:
    """Numbers of the headline's line (None: there is none) and of the first line of the body."""

    line: int | None
    body: int


def find_headline(
    lines: Sequence[str], kinds: Sequence[str | None], inside: Sequence[bool], title: str | None
) -> Found:
    """Return where the headline of a page stands: above the first paragraph of the article, not too far away.

    `title` is the headline where it is known. Else lines above a byline or a date are preferred, those that the model
    finds inside the article, and those of more than three words.
    """
    body = next(
        (at for at, line in enumerate(lines) if inside[at] and ends_like_prose(line) and len(line) >= _BODY_CHARS),
        next((at for at, is_in in enumerate(inside) if is_in), len(lines)),
    )
    if title and (wanted := folded(title)):
        same = [
            at
            for at in range(min(body + 1, len(lines)))
            if len(lines[at]) <= _LONGEST_LINE and folded(lines[at]) == wanted
        ]
        if same:
            return Found(same[-1], max(body, same[-1] + 1))
        return Found(None, body)
    last = lines[body] if body < len(lines) else None
    likely = [
        at
        for at in range(max(0, body - _REACH), body)
        if not kinds[at] and not heading_kind(lines[at]) and is_headline(lines[at], last) and not is_about(lines[at])
        and not _LISTED.match(lines[at]) and lines[at].count("|") < 2
    ]  # fmt: skip
    if not likely:
        return Found(None, body)
    about = [at for at in range(max(0, body - _REACH), body) if kinds[at] == "credit" or is_about(lines[at])]

    def is_followed(at: int) -> bool:
        return any(at < other <= at + _NEAR for other in about)

    def merit(at: int) -> int:
        following = is_followed(at)
        preceding = any(at - _NEAR <= other < at for other in about)
        return 3 * following - 2 * preceding + 2 * inside[at] + (lines[at].count(" ") >= _FEWEST_WORDS)

    best = max(likely, key=merit)  # of equals the first
    # What stands right above it may be the headline, and this one its standfirst or caption: the same byline follows.
    for above in range(best - 1, best - 3, -1):
        if not (above in likely and is_followed(above) and lines[above].count(" ") >= _FEWEST_WORDS):
            break
        best = above
    return Found(best, body)


def is_about(line: str) -> bool:
    """Return whether a line is a byline or a date, as they stand below headlines."""
    return is_date_line(line) or byline(line) is not None or _BYLINE_LIKE.fullmatch(line) is not None


def from_text(paragraphs: list[str]) -> str:
    """Return the first sentence of the first long paragraph, at most 160 characters, cut at a word with an ellipsis."""
    first = next((paragraph for paragraph in paragraphs if len(paragraph) >= 40), paragraphs[0])
    head = first[: 4 * _DERIVED_CHARS]
    for match in _SENTENCE_END.finditer(head):
        end = match.start() + 1
        if match.end() >= _SHORTEST_SENTENCE and not _NO_END.search(head, max(0, end - _NO_END_CHARS), end):
            return _cut(head[: match.end()].strip(), _DERIVED_CHARS)
    return _cut(first, _DERIVED_CHARS)


def byline(line: str) -> str | None:
    """Return the name in a line such as `By Ada Green`, or None when the line is no byline."""
    if len(line) > 120 or line.endswith((".", "!", "?")):
        return None
    match = _BYLINE.fullmatch(_MAIL.sub("", line))
    if match is None:
        return None
    name = match.group(1).strip()
    words = name.split()
    named = sum(
        1 for word in words if word[0].isupper() or word in ("and", "und", "y", "et", "e", "de", "von", "van", "da")
    )
    return name if 2 <= len(words) <= 8 and named == len(words) else None


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    head = text[: longest - 1]
    space = head.rfind(" ")
    return (head[:space] if space > longest // 2 else head).rstrip(" ,;:–—-") + "…"
