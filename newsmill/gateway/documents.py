"""From a body to documents: what stands in it, and which of that news.raw can take.

A document goes to news.raw with the very bytes that it had in the body, so that the same document sent again is the
same record: same key, same value, same id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec

from newsmill.feed.formats import BOM
from newsmill.feed.keying import document_key
from newsmill.gateway.problems import Problem
from schemas.keys import digest
from schemas.limits import MAX_RECORD_BYTES
from schemas.raw import ALIASES, RawInput

JSON_TYPES: Final = frozenset({"application/json", "text/json"})
NDJSON_TYPES: Final = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonl",
        "application/jsonlines",
        "application/x-jsonlines",
        "application/json-lines",
        "application/json-seq",
    }
)
UNTOLD_TYPES: Final = frozenset(
    {"", "application/octet-stream", "text/plain", "application/x-www-form-urlencoded", "application/gzip"}
)
"""What clients send that don't say what they send (curl --data, for one): the body's first byte tells."""

BAD_JSON: Final = "bad_json"
BAD_ENCODING: Final = "bad_encoding"
NOT_AN_OBJECT: Final = "not_an_object"
BAD_FIELD: Final = "bad_field"
NO_CONTENT: Final = "no_content"
TOO_LARGE: Final = "too_large"
TOO_DEEP: Final = "too_deep"
TOO_LARGE_FOR_BROKER: Final = "too_large_for_broker"
REASONS: Final = (
    BAD_JSON,
    BAD_ENCODING,
    NOT_AN_OBJECT,
    BAD_FIELD,
    NO_CONTENT,
    TOO_LARGE,
    TOO_DEEP,
    TOO_LARGE_FOR_BROKER,
)
"""Why a document is refused; where ingest refuses for the same, its reason has the same name."""

_WHITESPACE: Final = b" \t\r\n"
_RECORD_SEPARATOR: Final = b"\x1e"
_MOST_BRACKETS: Final = 200_000
_DETAIL_CHARS: Final = 300
_ITEM_END: Final = re.compile(rb'(?:"(?:[^"\\]++|\\.)*+"|[^"\[\]{},]++)*+([\[\]{},])', re.DOTALL)
_BRACKET: Final = re.compile(rb'(?:"(?:[^"\\]++|\\.)*+"|[^"\[\]{}]++)*+([\[\]{}])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Good:
    """A document that news.raw can take. `number` is its line (NDJSON) or its place (JSON), from 1."""

    number: int
    value: bytes
    key: bytes
    id: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A document that is refused, with one of `REASONS` and a sentence for whoever wrote the client."""

    number: int
    reason: str
    detail: str


def read(body: bytes, content_type: str, *, most: int, record_bytes: int = MAX_RECORD_BYTES) -> list[Good | Bad]:
    """Return the documents of `body`, in order.

    Args:
        body: decompressed.
        content_type: media type without parameters, in lower case.
        most: documents that a request may hold.
        record_bytes: largest document that the topic takes.

    Raises Problem: 400 (nothing in it, or not of the form that it claims), 413 (too many documents), 415.
    """
    return [_check(number, value, record_bytes) for number, value in _split(body, content_type, most)]


def _split(body: bytes, content_type: str, most: int) -> list[tuple[int, bytes]]:
    body = body.removeprefix(BOM)
    start = len(body) - len(body.lstrip(_WHITESPACE))
    if content_type in NDJSON_TYPES:
        found = _bounded(_lines(body), most)
    elif content_type in JSON_TYPES or content_type.endswith("+json") or content_type in UNTOLD_TYPES:
        if body.startswith(b"[", start):
            found = _bounded(enumerate(_items(body, start), 1), most)
        elif _is_one(body, content_type):
            found = [(1, body.strip(_WHITESPACE))] if start < len(body) else []
        else:
            found = _bounded(_lines(body), most)
    else:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send application/json (one document, or an array of them) or application/x-ndjson (one a line)",
            headers={"Accept-Post": "application/json, application/x-ndjson"},
        )
    if not found:
        raise Problem(HTTPStatus.BAD_REQUEST, "there is no document in the body")
    return found


def _bounded(documents: Iterator[tuple[int, bytes]] | enumerate[bytes], most: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    for document in documents:
        if len(found) == most:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request holds at most {most} documents; send it in parts"
            )
        found.append(document)
    return found


def _is_one(body: bytes, content_type: str) -> bool:
    """Whether `body` is one JSON document, and not several lines of them under the media type of one."""
    first = body.strip(_WHITESPACE).split(b"\n", 1)
    if len(first) == 1:
        return True
    try:
        _WHOLE.decode(first[0])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # The first line is no document by itself. What does not say what it is may be lines that begin with a bad one.
        return content_type not in UNTOLD_TYPES or not _looks_like_lines(body)
    return False


def _looks_like_lines(body: bytes) -> bool:
    lines = [line for line in body[:65_536].splitlines()[:3] if line.strip()]
    return len(lines) > 1 and all(line.lstrip().startswith(b"{") for line in lines)


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    number = start = 0
    while start < len(body):
        end = body.find(b"\n", start)
        if end < 0:
            end = len(body)
        number += 1
        line = body[start:end].strip(_WHITESPACE).removeprefix(_RECORD_SEPARATOR)
        if line:
            yield number, line
        start = end + 1


def _items(body: bytes, start: int) -> Iterator[bytes]:
    """Yield the items of the JSON array that begins at `start`, cut at its commas. What an item is, is not looked at.

    So an array with a bad item in it gives all the others, and one of a million items is given up early.
    """
    place = begin = start + 1
    depth = 1
    for _ in range(_MOST_BRACKETS):
        match = (_ITEM_END if depth == 1 else _BRACKET).match(body, place)
        if match is None:
            raise Problem(HTTPStatus.BAD_REQUEST, "the JSON array does not come to an end")
        place = match.end()
        mark = match.group(1)
        if mark in b"[{":
            depth += 1
            continue
        if mark != b",":
            depth -= 1
        if depth > 1 or (depth == 1 and mark != b","):
            continue
        item = body[begin : place - 1].strip(_WHITESPACE)
        if depth == 0:
            if mark != b"]" or body[place:].strip(_WHITESPACE):
                raise Problem(HTTPStatus.BAD_REQUEST, "the JSON array ends in the middle of the body")
            if item or body[start + 1 : begin].strip(_WHITESPACE):
                yield item
            return
        yield item
        begin = place
    raise Problem(HTTPStatus.BAD_REQUEST, f"the JSON array has more than {_MOST_BRACKETS} brackets and commas")


# -- one document

# As `RawInput`, but values of any type are only passed over, so that no list of a million numbers is made of them.
_Shape = msgspec.defstruct(
    "_Shape",
    [
        (field.name, msgspec.Raw | None if field.type is Any else field.type, None)
        for field in msgspec.structs.fields(RawInput)
    ],
)
_READABLE: Final = tuple(name for field in ("html", "text") for name in (field, *ALIASES[field]))
_Content = msgspec.defstruct("_Content", [(name, Any, None) for name in _READABLE])
_SHAPE: Final = msgspec.json.Decoder(_Shape)
_CONTENT: Final = msgspec.json.Decoder(_Content)
_WHOLE: Final = msgspec.json.Decoder(msgspec.Raw)


def _check(number: int, value: bytes, record_bytes: int) -> Good | Bad:
    if len(value) > MAX_RECORD_BYTES:
        return Bad(number, TOO_LARGE, f"{len(value)} bytes; a document has at most {MAX_RECORD_BYTES}")
    if len(value) > record_bytes:
        return Bad(number, TOO_LARGE_FOR_BROKER, f"{len(value)} bytes; the topic takes at most {record_bytes}")
    try:
        content = _content(value)
    except msgspec.ValidationError as error:
        reason = BAD_FIELD if "$" in str(error) else NOT_AN_OBJECT
        return Bad(number, reason, str(error)[:_DETAIL_CHARS])
    except UnicodeDecodeError as error:
        return Bad(number, BAD_ENCODING, f"not UTF-8: {error.reason} at byte {error.start}")
    except RecursionError:
        return Bad(number, TOO_DEEP, "nested too deeply")
    except ValueError as error:
        return Bad(number, BAD_JSON, str(error)[:_DETAIL_CHARS])
    if not any(_holds_something(name, getattr(content, name)) for name in _READABLE):
        return Bad(number, NO_CONTENT, "neither html nor text holds anything")
    return Good(number, value, document_key(value), document_id(value))


def document_id(value: bytes) -> str:
    """Return the id of a document: blake2b-128 of its bytes, 32 hex digits. Sent again, it has the same id."""
    return digest(value.decode("utf-8", "surrogateescape"))


def _content(value: bytes) -> Any:
    """Return what is to be read in a document, by every name that it may have.

    Raises msgspec.ValidationError for a wrong type, UnicodeDecodeError, RecursionError, ValueError for no JSON.
    """
    try:
        _SHAPE.decode(value)
        return _CONTENT.decode(value)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        strict = error
    # What ingest reads more tolerantly is let through: lone surrogates, NaN, bare control characters.
    text = value.decode("utf-8")
    try:
        document = json.loads(text, strict=False, parse_int=_number)
    except ValueError:
        raise ValueError(str(strict)) from None
    msgspec.convert(document, RawInput)
    return msgspec.convert(document, _Content)


def _number(digits: str) -> int:
    return int(digits) if len(digits) < 20 else 0


def _holds_something(name: str, value: Any) -> bool:
    """As the JSON Schema of news.raw has it."""
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, list) and bool(value) and name in ("text", *ALIASES["text"])
