"""Text to tokens with offsets, and tokens to sentences.

Tokens follow the corpus that the weights are trained on: hyphens between words stand alone (`Claver`, `-`, `Carone`),
numbers keep their inner signs (`3-0`, `4:00`, `1,000`), and a possessive is a token of its own (`'s`).
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from workers.entities.wordlists import word_list

MAX_SENTENCE_TOKENS: Final = 200
"""A longer run without an end of sentence is cut here, so that one article can't ask for unbounded work at once."""

MAX_TOKEN_CHARS: Final = 60
"""A longer run of letters (encoded data, a missing space) is cut into pieces of this length."""

ABBREVIATIONS: Final = word_list("abbreviation")
"""Words, lower-cased, whose full stop belongs to them and does not end a sentence."""


class Token(Struct, frozen=True, gc=False):
    """One token: its text, and its place in the string that it was cut from (`end` exclusive)."""

    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""
      [^\W\d_]{1,60}+(?![\w.'’:])                           # a word, where none of the rest could match: nearly all
    | https?://[^\s<>"”)\]]{1,300}                       # an address is one token
    | (?:[^\W\d_]\.){2,8}(?![^\W_])                         # U.S.  a.m.
    | \d[\d.,:/–-]{0,30}\d(?!\w)                          # 1,000  3-0  4:00  2/3
    | [nN]['’][tT]\b                                        # n't, once its verb has been cut off before it
    | ['’](?:s|S|re|ve|ll|m|d|RE|VE|LL)\b                   # 's
    | [^\W_]{1,60}?(?=[nN]['’][tT]\b)                       # the verb before n't
    | [^\W\d_]{1,3}['’](?=[^\W\d_]{2})[^\W\d_]{1,57}       # O'Neill  d'Ivoire  al-Sha'er
    | [^\W_]{1,60}                                          # a word, a number, or a mixture (G7)
    | \.{2,8} | …
    | \S                                                    # any other sign alone
    """,
    re.VERBOSE,
)

_CLOSERS: Final = frozenset("\"”’')]»")
_ENDERS: Final = frozenset({".", "!", "?", "…", "。", "！", "？"})


def tokenize(text: str, limit: int) -> list[Token]:
    """Return at most `limit` tokens of `text`, in order. Each is a slice of `text`; between them is white space."""
    tokens: list[Token] = []
    append = tokens.append
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        word = found.group()
        # A full stop joins an initial ("J. Smith") or an abbreviation ("Mr. Smith"): the dot token comes next.
        if word == "." and tokens and tokens[-1].end == start and _takes_dot(tokens[-1].text, text, end):
            last = tokens[-1]
            tokens[-1] = Token(text[last.start : end], last.start, end)
            continue
        if len(tokens) >= limit:
            break
        append(Token(word, start, end))
    return tokens


def _takes_dot(word: str, text: str, after: int) -> bool:
    if len(word) == 1 and word.isalpha() and word.isupper() and word != "I":
        # "J. Smith", but not "vitamin A." at the end of a paragraph.
        return text[after : after + 1] == " " and text[after + 1 : after + 2].isupper()
    return len(word) < 6 and word.lower() in ABBREVIATIONS and word[0].isupper() and after < len(text)


def split_sentences(text: str, tokens: list[Token]) -> list[list[Token]]:
    """Return `tokens` cut into sentences: at line ends, and after `.`, `!`, `?` where a capital, a digit or a quote
    follows. No sentence has more than `MAX_SENTENCE_TOKENS` tokens."""
    sentences: list[list[Token]] = []
    current: list[Token] = []
    ended = False
    last_end = 0
    for token in tokens:
        if current:
            gap = token.start - last_end
            if (
                len(current) >= MAX_SENTENCE_TOKENS
                or (gap and "\n" in text[last_end : token.start])
                or (ended and not (token.text in _CLOSERS and not gap) and not token.text[0].islower())
            ):
                sentences.append(current)
                current = []
        if not current:
            ended = False
        current.append(token)
        last_end = token.end
        if token.text in _ENDERS:
            ended = True
        elif token.text not in _CLOSERS:
            ended = False
    if current:
        sentences.append(current)
    return sentences
