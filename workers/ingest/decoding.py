"""Bytes to text: which encoding a raw document is in.

The order, each step certain or refused, never guessed by statistics:

1. a byte order mark (UTF-8, UTF-16, UTF-32);
2. NUL bytes at every second place of the beginning: UTF-16 without a mark (as RFC 4627, section 3, tells JSON);
3. valid UTF-8;
4. the encoding that the document declares, if it is one of those that the web uses (WHATWG Encoding Standard);
5. UTF-8 with damage: at most one broken byte for every nine characters that are right. The broken ones become U+FFFD;
6. windows-1252, as browsers read undeclared pages.

Text that is mostly control characters after that is no text: `bad_encoding`.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from workers.ingest.refusal import BAD_ENCODING, Refusal

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_DECLARABLE: Final = frozenset(
    [f"cp{page}" for page in (866, 874, 932, 949, *range(1250, 1259))]
    + [f"iso8859-{part}" for part in range(1, 17)]
    + ["utf-8", "koi8-r", "koi8-u", "mac-roman", "big5", "big5hkscs", "gb2312", "gbk", "gb18030"]
    + ["euc_jp", "euc_kr", "shift_jis", "iso2022_jp"]
)
"""Python's names. Others that `codecs` knows (`zlib`, `unicode_escape`, `utf-7`, ...) are no encodings of news."""

_DECLARED: Final = re.compile(rb"""charset\s{0,8}=\s{0,8}["']?\s{0,8}([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
_DECLARATION_BYTES: Final = 2048

_CONTROLS: Final = bytes([*range(0x09), *range(0x0E, 0x20)])
_CONTROLS_ALLOWED: Final = 8


def decode_text(value: bytes, declared: str | None = None) -> str:
    """Return the text that `value` holds, without a byte order mark and without lone surrogates.

    `declared` is the encoding that the document claims. Raises Refusal (`bad_encoding`).
    """
    text = _decode(value, declared)
    # In UTF-8, since bytes are searched faster than text: a control character is one byte, and no part of another one.
    encoded = text.encode("utf-8", "surrogatepass")
    controls = len(encoded) - len(encoded.translate(None, _CONTROLS))
    if controls > _CONTROLS_ALLOWED + len(text) // 100:
        raise Refusal(BAD_ENCODING, f"{controls} of {len(text)} characters are control characters")
    return text


def declared_encoding(value: bytes) -> str | None:
    """Return the encoding that an HTML page names in a `meta` element near its beginning, or None."""
    match = _DECLARED.search(value, 0, _DECLARATION_BYTES)
    return match.group(1).decode("ascii") if match else None


def without_surrogates(text: str) -> str:
    r"""Return `text` with each lone surrogate (as `"\ud800"` in JSON gives) replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _decode(value: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS:
        if value.startswith(mark):
            return _strictly(value[len(mark) :], encoding)
    if bare := _bare_utf16(value):
        return _strictly(value, bare)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if declared and (name := _known(declared)):
        try:
            return value.decode(name)
        except UnicodeDecodeError:
            pass  # the declaration is wrong; go on as if there were none
    damaged = value.decode("utf-8", "replace")
    broken = damaged.count("\ufffd")
    right = sum(1 for character in damaged if character > "\x7f") - broken
    if broken * 9 <= right:
        return damaged
    # Bytes that windows-1252 leaves undefined are control characters, as the WHATWG standard has them.
    return value.decode("cp1252", "newsmill.latin-1")


def _strictly(value: bytes, encoding: str) -> str:
    try:
        return value.decode(encoding)
    except UnicodeDecodeError as error:
        raise Refusal(BAD_ENCODING, f"not {encoding}, as its first bytes say: {error.reason}") from error


def _bare_utf16(value: bytes) -> str | None:
    if len(value) < 4 or len(value) % 2:
        return None
    beginning = value[:8]
    if all(beginning[1::2]) and not any(beginning[0::2]):
        return "utf-16-be"
    if all(beginning[0::2]) and not any(beginning[1::2]):
        return "utf-16-le"
    return None


def _known(label: str) -> str | None:
    try:
        name = codecs.lookup(label.strip()).name
    except (LookupError, ValueError):
        return None
    # The WHATWG standard reads latin-1 as windows-1252, since that is what such pages hold.
    if name == "iso8859-1":
        name = "cp1252"
    return name if name in _DECLARABLE else None


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("newsmill.latin-1", _as_latin_1)
