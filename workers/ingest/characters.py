"""Characters: from any Unicode text to clean lines.

Mojibake is repaired where there is some, the text is composed (NFC), every kind of newline ends a line, control and
other invisible characters go, every kind of space is one space. Quotes, dashes and letters stay as they are. Joiners
and direction marks stay, too: emoji, Persian and Hindi need them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import ftfy
from ftfy.badness import is_bad

from workers.ingest.refusal import TOO_MANY_LINES, Refusal

MAX_LINES: Final = 50_000
"""Most lines of a text. The longest live blogs have about 5,000."""

# UTF-8 read as windows-1252 or latin-1: a lead byte's character, then a continuation byte's. A cheap question before
# the dear one.
_MAYBE_MOJIBAKE: Final = re.compile("[\u00c2-\u00f4][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")

_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")

# Controls, zero-width space and no-break space, soft hyphen, word joiner, the object's stand-in, noncharacters, tags.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff\ufff9-\ufffc\ufffe\uffff\U000e0001\U000e0100-\U000e01ef]"
)

_MOST_MARKS: Final = 30
"""Most combining marks on one letter, as in Unicode's Stream-Safe Text Format (UAX #15, section 13). Normalisation
sorts them in time that grows with the square of their number."""

# Combining marks are neither letters nor digits to `re`; the few other runs that this finds are left as they are.
_MARK_RUN: Final = re.compile(rf"[^\w\x00-\x7f]{{{_MOST_MARKS + 1},}}")

_ASCII: Final = bytes(range(128))
_LOWER: Final = bytes(range(128)).lower() + bytes(range(128, 256))
_BEYOND_ASCII: Final = bytes(range(128, 256))
_PLAIN_ASCII: Final = b"\n\r" + bytes(range(0x20, 0x7F))

# In UTF-8: the tab, letters and signs up to U+02FF, the no-break space, hyphens, dashes, quotes, bullets, ellipsis,
# euro. Most texts in Latin letters hold nothing else beyond ASCII, and all of it is in NFC and stays as it is.
_PLAIN_LETTERS: Final = re.compile(
    rb"(?:\t|\xc2[\xa0-\xac\xae-\xbf]|[\xc3-\xcb][\x80-\xbf]|\xe2(?:\x80[\x90-\xa2\xa6]|\x82\xac))*+"
)

_ASCII_NOT_ALNUM: Final = bytes(code for code in range(128) if not chr(code).isalnum())
_ASCII_NEITHER_ALNUM_NOR_NEWLINE: Final = _ASCII_NOT_ALNUM.replace(b"\n", b"")
_NOT_ALNUM: Final = re.compile(r"[\W_]+")

_MOST_LETTERS: Final = 64
"""Most characters beyond ASCII, each counted once, that lines are folded by together; else each is folded alone."""


def clean_lines(text: str) -> list[str]:
    """Return the lines of `text`, cleaned; an empty string for each blank line.

    Raises Refusal (`too_many_lines`).
    """
    if (breaks := text.count("\n")) > MAX_LINES:
        raise Refusal(TOO_MANY_LINES, f"{breaks} line breaks; at most {MAX_LINES} lines are read")
    # Bytes are looked through much faster than text, and what is odd in a text is a small part of it.
    odd = text.encode("utf-8", "surrogatepass").translate(None, _PLAIN_ASCII)
    plain = _PLAIN_LETTERS.fullmatch(odd) is not None
    # What stands side by side in the text does so in its odd part, too.
    if b"\xc3" in odd and _MAYBE_MOJIBAKE.search(odd.decode("utf-8", "replace")) and _MAYBE_MOJIBAKE.search(text):
        text, plain = "\n".join(_unscrambled(line) for line in text.split("\n")), False
    if "&" in text and "<" not in text and _ENTITY.search(text):
        text, plain = html.unescape(text), False
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise Refusal(TOO_MANY_LINES, f"{len(lines)} lines; at most {MAX_LINES} are read")
    if not plain:
        return [clean_line(line) for line in lines]
    if b"\t" in odd or b"\xc2\xa0" in odd:
        return [" ".join(line.split()) for line in lines]
    return [" ".join(line.split()) if "  " in line else line.strip(" ") for line in lines]


def clean_line(line: str) -> str:
    """Return one line, cleaned; newlines in it become spaces."""
    if line.isprintable():  # so the only white space in it is the plain space
        line = line.strip(" ") if "  " not in line else " ".join(line.split())
    else:
        line = " ".join(_INVISIBLE.sub("", line).split())
    if line.isascii():
        return line
    if len(line) > _MOST_MARKS and _MARK_RUN.search(line):
        line = _MARK_RUN.sub(_fewer_marks, line)
    return unicodedata.normalize("NFC", line)


def folded(text: str) -> str:
    """Return the letters and digits of `text` alone, without case, accents and compatibility forms.

    NFKD, full case folding (Unicode, section 3.13), then everything but letters and digits goes, combining marks
    included. Texts that differ only in spacing, quotes, dashes, accents or case are equal after it.

    >>> folded("« L’ÉTÉ », 2 ½")
    'lete212'
    """
    found = _folded(text, _ASCII_NOT_ALNUM)
    return _folded_whole(text) if found is None else found


def _folded_whole(text: str) -> str:
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    # ASCII first and in bulk: most of what goes is spaces.
    plain = plain.encode("utf-8", "replace").translate(None, _ASCII_NOT_ALNUM).decode()
    return _NOT_ALNUM.sub("", plain)


def folded_lines(lines: Sequence[str]) -> list[str]:
    """Return `folded` of each line; much faster for many lines in one alphabet."""
    found = _folded("\n".join(lines), _ASCII_NEITHER_ALNUM_NOR_NEWLINE)
    folds = found.split("\n") if found is not None else []
    return folds if len(folds) == len(lines) else [folded(line) for line in lines]


def _folded(text: str, gone: bytes) -> str | None:
    """`text` in lower case, folded, without the ASCII characters `gone`; None when it has too many others.

    Folding goes by the character: what stands around one changes only the order of marks, and they go.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    if odd := encoded.translate(None, _ASCII):
        letters = set(odd.decode("utf-8", "surrogatepass"))
        if len(letters) > _MOST_LETTERS:
            return None
        folds = {letter: _folded_letter(letter) for letter in sorted(letters)}
        only_ascii = all(map(str.isascii, folds.values()))
        if not only_ascii or any(folds.values()):
            for letter, fold in folds.items():
                if fold or not only_ascii:
                    text = text.replace(letter, fold)
            encoded = text.encode("utf-8", "surrogatepass")
        if only_ascii:
            gone += _BEYOND_ASCII  # what is left is quotes, dashes and the like
    # Bytes know no lower case but that of ASCII; the other letters are in theirs.
    return encoded.translate(_LOWER, gone).decode()


@lru_cache(maxsize=4096)
def _folded_letter(letter: str) -> str:
    return _folded_whole(letter)


def _fewer_marks(run: re.Match[str]) -> str:
    kept = []
    marks = 0
    for character in run.group():
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def _unscrambled(line: str) -> str:
    if line.isascii() or not _MAYBE_MOJIBAKE.search(line) or not is_bad(line):
        return line
    return ftfy.fix_encoding(line)
