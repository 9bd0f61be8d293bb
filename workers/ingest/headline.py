"""Headlines: the one that came along, or the one that the text begins with."""

from __future__ import annotations

import re
from typing import Final

from schemas.limits import MAX_HEADLINE_CHARS

_LONGEST_LINE: Final = 160
_MOST_WORDS: Final = 30
_FEWEST_WORDS: Final = 3
_DERIVED_CHARS: Final = 160
_SHORTEST_SENTENCE: Final = 20

_SENTENCE_END: Final = re.compile(r"""[.!?]["”’»)\]]{0,2}(?=\s)|[。！？؟।۔]["”’」』]{0,2}""")
_NO_END: Final = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sen|Rep|Gov|Gen|Col|Lt|Sgt|Capt|Rev|Hon|Jr|Sr|vs|No|Inc|Ltd|Co|Corp|approx|Nr|Abs|Sra|Srta|Mme|Mlle|M)"
    r"|\b[A-Z]|\b\d{1,2})\.$"
)
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


def from_text(paragraphs: list[str]) -> str:
    """Return the first sentence of the first long paragraph, at most 160 characters, cut at a word with an ellipsis."""
    first = next((paragraph for paragraph in paragraphs if len(paragraph) >= 40), paragraphs[0])
    head = first[: 4 * _DERIVED_CHARS]
    for match in _SENTENCE_END.finditer(head):
        if match.end() >= _SHORTEST_SENTENCE and not _NO_END.search(head[: match.start() + 1]):
            return _cut(head[: match.end()].strip(), _DERIVED_CHARS)
    return _cut(first, _DERIVED_CHARS)


def byline(line: str) -> str | None:
    """Return the name in a line such as `By Ada Green`, or None when the line is no byline."""
    if len(line) > 90 or line.endswith((".", "!", "?")):
        return None
    match = _BYLINE.fullmatch(line)
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
