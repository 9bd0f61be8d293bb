"""Columns of a topic's records, made from the typed message, so that a new field is a new column.

| message | Parquet |
| --- | --- |
| text, one of several words | string |
| whole number, number, yes or no | int64, double, bool |
| time | timestamp[us, UTC] |
| object | struct of its fields |
| list | list |
| text by text (`processing`) | map<string, string> |
| anything (`extra`) | string of JSON |

Beside the fields stand `key` (string) and `headers` (map<string, string>) of the record, without the header `run`: so
the same records come to the same file, whatever the run is called. What is missing is null; an empty list is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson
import pyarrow as pa
from msgspec import inspect

from newsmill.engines.lines import dead_letter_line
from newsmill.engines.result import Output
from schemas import headers as h
from schemas import topics
from schemas.codec import decode, encode

TOPIC: Final = b"newsmill.topic"
"""Key of the file's metadata that names the topic."""

_TEXT: Final = pa.string()
_TEXT_BY_TEXT: Final = pa.map_(pa.string(), pa.string())


@dataclass(frozen=True, slots=True)
class _Kind:
    """An Arrow type, and the ways from a field of a message to it and from it to JSON."""

    type: Any
    out: Callable[[Any], Any]
    back: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


_SIMPLE: Final[dict[type, _Kind]] = {
    inspect.StrType: _Kind(_TEXT, _same, _same),
    inspect.LiteralType: _Kind(_TEXT, _same, _same),
    inspect.IntType: _Kind(pa.int64(), _same, _same),
    inspect.FloatType: _Kind(pa.float64(), float, _same),
    inspect.BoolType: _Kind(pa.bool_(), _same, _same),
    inspect.DateTimeType: _Kind(pa.timestamp("us", tz="UTC"), _same, lambda at: at.isoformat().replace("+00:00", "Z")),
}
_JSON: Final = _Kind(_TEXT, lambda value: orjson.dumps(value).decode() if value else None, orjson.loads)
_MAP: Final = _Kind(_TEXT_BY_TEXT, lambda value: list(value.items()), dict)


def _optional(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else change(value)


def _kind(info: inspect.Type) -> _Kind:
    if isinstance(info, inspect.Metadata):
        return _kind(info.type)
    if isinstance(info, inspect.UnionType):
        kinds = [one for one in info.types if not isinstance(one, inspect.NoneType)]
        if len(kinds) == 1:
            return _kind(kinds[0])
    if isinstance(info, inspect.VarTupleType | inspect.ListType):
        of = _kind(info.item_type)
        out, back = _optional(of.out), _optional(of.back)
        return _Kind(pa.list_(of.type), lambda items: [*map(out, items)], lambda items: [*map(back, items)])
    if isinstance(info, inspect.StructType):
        return _struct(info)
    if isinstance(info, inspect.DictType) and isinstance(info.value_type, inspect.StrType):
        return _MAP
    return _SIMPLE.get(type(info), _JSON)


def _struct(info: inspect.StructType) -> _Kind:
    fields = _fields(info)
    kinds = [(name, _optional(kind.out), _optional(kind.back)) for name, (_, kind) in fields.items()]

    def out(message: Any) -> dict[str, Any]:
        return {name: change(getattr(message, name)) for name, change, _ in kinds}

    def back(plain: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: change(plain.get(name)) for name, _, change in kinds}
        return {name: value for name, value in found.items() if value is not None}

    return _Kind(pa.struct([field for field, _ in fields.values()]), out, back)


def _fields(info: inspect.StructType) -> dict[str, tuple[Any, _Kind]]:
    found = {}
    for field in info.fields:
        kind = _kind(field.type)
        found[field.encode_name] = pa.field(field.encode_name, kind.type, metadata=_described(field.type)), kind
    return found


def _described(info: inspect.Type) -> dict[str, str] | None:
    if isinstance(info, inspect.Metadata):
        text = (info.extra_json_schema or {}).get("description")
        return {"description": text} if text else _described(info.type)
    return None


class Columns:
    """How records of `topic` are rows. Raises ValueError for a topic that has no such form."""

    def __init__(self, topic: str) -> None:
        message = topics.BY_NAME[topic].message if topic in topics.BY_NAME else None
        if message is None:
            raise ValueError(f"records of {topic} have no columns")
        info = inspect.type_info(message)
        if not isinstance(info, inspect.StructType):
            raise ValueError(f"records of {topic} are no objects")
        self._message = message
        self._kind = _struct(info)
        own = [pa.field("key", _TEXT), pa.field("headers", _TEXT_BY_TEXT)]
        fields = [field for field, _ in _fields(info).values()]
        self.schema = pa.schema([*own, *fields], metadata={TOPIC: topic.encode()})

    def row(self, output: Output) -> dict[str, Any]:
        """Return a record as a row. Raises schemas.codec.InvalidMessage when it is none of the topic."""
        row: dict[str, Any] = self._kind.out(decode(output.value or b"", self._message))
        return {"key": _text(output.key), "headers": _headers(output.headers), **row}

    def value(self, row: Mapping[str, Any]) -> bytes:
        """Return the value of the record that `row` was made of. Raises msgspec.ValidationError."""
        return encode(msgspec.convert(self._kind.back(row), self._message))

    @staticmethod
    def headers(row: Mapping[str, Any]) -> h.Headers:
        """Return the headers of the record that `row` was made of."""
        return tuple((name, (value or "").encode()) for name, value in row.get("headers") or ())


class DeadLetters:
    """How dead letters are rows: why, where it came from, and the record as it was."""

    schema: Final = pa.schema(
        [
            *(pa.field(name, _TEXT) for name in ("reason", "detail", "stage", "version", "origin", "topic", "key")),
            pa.field("headers", _TEXT_BY_TEXT),
            pa.field("value", pa.binary()),
        ],
        metadata={TOPIC: topics.DEAD_LETTERS.encode()},
    )

    def row(self, output: Output) -> dict[str, Any]:
        """Return a dead letter as a row."""
        plain: dict[str, Any] = orjson.loads(dead_letter_line(output))
        headers = [(name, value) for name, value in plain["headers"].items() if name != h.RUN]
        return plain | {"headers": headers, "value": output.value}


def of(topic: str) -> Columns | DeadLetters:
    """Return how records of `topic` are rows. Raises ValueError."""
    return DeadLetters() if topic == topics.DEAD_LETTERS else Columns(topic)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _headers(headers: h.Headers) -> list[tuple[str, str]]:
    return [(name, value.decode("utf-8", "backslashreplace")) for name, value in headers if name != h.RUN]
