"""JSON as scrapers really write it.

A document that follows RFC 8259 is read by orjson. One that does not is read again, more tolerantly: raw control
characters in strings, `NaN` and `Infinity` (read as null: Python's json writes them for missing numbers), lone
surrogates (U+FFFD), numbers beyond 64 bits (kept as their text, so that no digit is lost). Of duplicate keys the last
one counts, as in nearly every reader.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import orjson

from schemas.limits import MAX_JSON_DEPTH
from workers.ingest.decoding import decode_text, without_surrogates
from workers.ingest.refusal import BAD_JSON, TOO_DEEP, Refusal

_MAX_DIGITS: Final = 19

# Each match runs to the next bracket outside of strings, or to the end. Possessive and never failing, so linear.
_TO_BRACKET: Final = re.compile(r'(?:"(?:[^"\\]++|\\.)*+"?|[^"\[\]{}]++)*+([\[\]{}])?', re.DOTALL)


def read_json(value: bytes) -> Any:
    """Return what the JSON in `value` holds: text without lone surrogates, numbers of at most 64 bits.

    Raises Refusal: `bad_json`, `too_deep`, `bad_encoding`.
    """
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return _read_tolerantly(value, str(error))
    depth, wide = _measure(document)
    if depth > MAX_JSON_DEPTH:
        raise Refusal(TOO_DEEP, f"nested deeper than {MAX_JSON_DEPTH} levels")
    return _read_tolerantly(value, "a number is beyond 64 bits") if wide else document


def _read_tolerantly(value: bytes, first_error: str) -> Any:
    text = decode_text(value)
    _check_depth(text)
    try:
        document = json.loads(
            text, strict=False, parse_int=_integer, parse_float=_number, parse_constant=lambda _constant: None
        )
    except ValueError as error:
        raise Refusal(BAD_JSON, f"{error} ({first_error})") from error
    return _scrubbed(document)


def _check_depth(text: str) -> None:
    """Refuse deep nesting before a recursive reader meets it."""
    depth = 0
    for match in _TO_BRACKET.finditer(text):
        bracket = match.group(1)
        if bracket in ("[", "{"):
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise Refusal(TOO_DEEP, f"nested deeper than {MAX_JSON_DEPTH} levels")
        elif bracket:
            depth -= 1


def _measure(document: Any) -> tuple[int, bool]:
    """Return how deep `document` is nested, and whether orjson may have rounded an integer beyond 64 bits."""
    level = [document]
    depth = 0
    wide = False
    while level:
        members: list[Any] = []
        nested = False
        for item in level:
            if isinstance(item, dict):
                nested = True
                members.extend(item.values())
            elif isinstance(item, list):
                nested = True
                members.extend(item)
            elif isinstance(item, float) and abs(item) >= 2.0**63:
                wide = True
        depth += nested
        level = members
    return depth, wide


def _integer(digits: str) -> int | str:
    if len(digits) > _MAX_DIGITS + 1:
        return digits
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else digits


def _number(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _scrubbed(item: Any) -> Any:
    if isinstance(item, str):
        return without_surrogates(item)
    if isinstance(item, list):
        return [_scrubbed(member) for member in item]
    if isinstance(item, dict):
        return {without_surrogates(name): _scrubbed(member) for name, member in item.items()}
    return item
