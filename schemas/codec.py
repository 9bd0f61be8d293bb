"""Bytes to messages and back: orjson writes the wire, msgspec checks what comes off it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import msgspec
import orjson

M = TypeVar("M", bound=msgspec.Struct)


class InvalidMessage(ValueError):
    """A value is not a message of the expected type. The text names the field and what is wrong with it."""


def encode(message: msgspec.Struct) -> bytes:
    """Return the JSON of `message` as UTF-8 bytes; equal messages give equal bytes (fields in declared order).

    Raises InvalidMessage when a text can't be written as UTF-8 (it holds a lone surrogate) or an integer needs more
    than 64 bits.
    """
    try:
        return orjson.dumps(msgspec.to_builtins(message))
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        raise InvalidMessage(f"cannot be written as JSON: {error}") from error


@lru_cache(maxsize=64)
def _decoder(kind: type[M]) -> msgspec.json.Decoder[M]:
    return msgspec.json.Decoder(kind)


def decode(value: bytes | None, kind: type[M]) -> M:
    """Return the message of type `kind` that the JSON in `value` holds. Unknown fields are ignored (a newer writer).

    Raises InvalidMessage when the value is missing, is not JSON, or does not fit the type.
    """
    if value is None:
        raise InvalidMessage("the record has no value")
    decoder: msgspec.json.Decoder[M] = _decoder(kind)
    try:
        return decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMessage(str(error)) from error


def to_plain(message: msgspec.Struct) -> dict[str, Any]:
    """Return `message` as dicts, lists, strings and numbers, as its JSON has them."""
    plain: dict[str, Any] = msgspec.to_builtins(message)
    return plain
